"""A tracking server in a few lines, which holds what it is sent in memory and can be slow, busy, silent or cut off."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Answer = Mapping[str, Any]
Fault = Callable[["Handler", str], bool]
"""Deals with a request (its handler, its path) in place of the server, or returns False."""


class Server(ThreadingHTTPServer):
    """MLflow's REST interface, as far as the plugin uses it.

    ``runs`` holds by id the tags, params, status and curve points of each run; ``files`` the artifacts' paths; ``views`` those
    of the run table by tag; ``calls`` the paths asked for.  ``peak`` is the most requests that were answered at once.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: set[str] = set()
        self.views: dict[str, Any] = {}
        self.calls: list[str] = []
        self.peak = 0
        self.latency = 0.0
        self.fault: Fault | None = None
        self._open = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def uri(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return the runs by node; two of one node are an error."""
        names = [r["tags"]["vlrb.node"] for r in self.runs.values()]
        assert len(names) == len(set(names)), f"logged twice: {sorted(names)}"
        return dict(zip(names, self.runs.values(), strict=True))

    def end(self) -> None:
        """Stop serving."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def enter(self, change: int) -> None:
        """Count a request that begins or ends."""
        with self._lock:
            self._open += change
            self.peak = max(self.peak, self._open)

    def answer(self, path: str, sent: Any) -> Answer:
        """Do what a request asks for, and return what to answer."""
        with self._lock:
            method = getattr(self, "_" + path.rpartition("mlflow/")[2].replace("/", "_").replace("-", "_"))
            answer: Answer = method(sent)
            return answer

    def _experiments_get_by_name(self, sent: Any) -> Answer:
        return {"experiment": {"experiment_id": "1", "name": sent["experiment_name"], "lifecycle_stage": "active"}}

    def _experiments_set_experiment_tag(self, sent: Any) -> Answer:
        self.views[sent["key"]] = json.loads(sent["value"])
        return {}

    def _runs_create(self, sent: Any) -> Answer:
        run_id = uuid.uuid4().hex
        tags = {t["key"]: t["value"] for t in sent.get("tags", [])}
        new = {"tags": tags, "params": {}, "metrics": {}, "points": [], "status": "RUNNING"}
        self.runs[run_id] = {**new, "name": sent["run_name"]}
        return {"run": self._shown(run_id)}

    def _runs_get(self, sent: Any) -> Answer:
        return {"run": self._shown(sent["run_id"])}

    def _runs_search(self, sent: Any) -> Answer:
        return {"runs": [self._shown(run_id) for run_id in self.runs]}

    def _runs_update(self, sent: Any) -> Answer:
        run = self.runs[sent["run_id"]]
        run |= {"status": sent.get("status", run["status"]), "name": sent.get("run_name", run["name"])}
        return {"run_info": self._shown(sent["run_id"])["info"]}

    def _runs_delete(self, sent: Any) -> Answer:
        del self.runs[sent["run_id"]]
        return {}

    def _runs_set_tag(self, sent: Any) -> Answer:
        self.runs[sent["run_id"]]["tags"][sent["key"]] = sent["value"]
        return {}

    def _runs_log_inputs(self, sent: Any) -> Answer:
        return {}

    def _runs_log_batch(self, sent: Any) -> Answer:
        run = self.runs[sent["run_id"]]
        for kind in ("tags", "params"):
            run[kind] |= {x["key"]: x["value"] for x in sent.get(kind, [])}
        for metric in sent.get("metrics", []):
            run["metrics"][metric["key"]] = metric["value"]
            run["points"].append((metric["key"], int(metric.get("step", 0)), metric["value"], metric["timestamp"]))
        return {}

    def _metrics_get_history(self, sent: Any) -> Answer:
        points = [p for p in self.runs[sent["run_id"]]["points"] if p[0] == sent["metric_key"]]
        return {"metrics": [{"key": k, "step": s, "value": v, "timestamp": t} for k, s, v, t in points]}

    def _shown(self, run_id: str) -> Answer:
        run = self.runs[run_id]
        place = {"experiment_id": "1", "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts"}
        info = {
            "run_id": run_id,
            "run_name": run["name"],
            "status": run["status"],
            "lifecycle_stage": "active",
            **place,
        }
        data = {kind: [{"key": k, "value": v} for k, v in run[kind].items()] for kind in ("tags", "params")}
        metrics = [{"key": k, "value": v, "timestamp": 1, "step": 0} for k, v in run["metrics"].items()]
        return {"info": info, "data": {**data, "metrics": metrics}}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    sent: Any = None

    def do_GET(self) -> None:
        """Answer a question."""
        self.deal({k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()})

    def do_POST(self) -> None:
        """Take what is sent, or a file."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.deal(body if "mlflow-artifacts" in self.path else json.loads(body or b"{}"))

    do_PUT = do_PATCH = do_POST

    def deal(self, sent: Any) -> None:
        """Answer, unless the server's fault has dealt with it."""
        path = urlsplit(self.path).path
        self.sent = sent
        self.server.calls.append(path.rpartition("mlflow/")[2])
        self.server.enter(1)
        try:
            time.sleep(self.server.latency)
            if self.server.fault is not None and self.server.fault(self, path):
                return
            if "mlflow-artifacts" in path:
                self.server.files.add(path.rpartition("artifacts/")[2])
                self.say(200, {})
            else:
                self.say(200, self.server.answer(path, sent))
        finally:
            self.server.enter(-1)

    def say(self, status: int, answer: Answer, **headers: str) -> None:
        """Send an answer."""
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a tracking server in memory."""
    serving = Server()
    yield serving
    serving.end()
