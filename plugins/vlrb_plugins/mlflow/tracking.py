"""What is logged to MLflow, and the record of what has been."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import posixpath
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import attrs

from vlrb.cache import read_json, write_json
from vlrb.errors import DataError, TrackingError
from vlrb.secrets import without_credentials
from vlrb.types import BenchmarkInfo, CellInfo, CellResult, ReferenceResult, RunInfo, RunResult, Scores, Undefined
from vlrb_plugins.mlflow import MlflowSettings
from vlrb_plugins.mlflow.store import (
    absolute,
    active_runs,
    database_file,
    open_store,
    reaching,
)

BATCH = 100
"""Values per request, for parameters and tags; metrics take ten times as many (MLflow's limits)."""

LONGEST_PARAMETER = 6000
LONGEST_TAG = 4000
FLUSH_VALUES, FLUSH_SECONDS = 200, 2.0
LONGEST_NAME = 250
_NO_NAME = re.compile(r"[^\w. :/-]", re.ASCII)

P = ParamSpec("P")
T = TypeVar("T")


def _unless_dead(
    method: Callable[Concatenate[Tracker, P], None],
) -> Callable[Concatenate[Tracker, P], None]:
    """Do nothing once MLflow has failed in this run: the first failure is told, and the rest waits for another run."""

    @functools.wraps(method)
    def guarded(self: Tracker, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.dead:
            return
        try:
            with reaching(self.settings):
                method(self, *args, **kwargs)
        except TrackingError:
            self.dead = True
            raise

    return guarded


class Tracker:
    """Logs one vlrb run; its state, ``tracking/mlflow.json`` in the run's directory, says what MLflow has."""

    def __init__(self, run: RunInfo, settings: MlflowSettings) -> None:
        self.run = run
        self.settings = attrs.evolve(settings, uri=absolute(settings.uri))
        self.dead = False
        self.identity = f"{run.key[:16]}/{run.directory.name}"
        self._file = run.directory / "tracking" / "mlflow.json"
        self._place = f"{without_credentials(self.settings.uri)} {settings.experiment}"
        self._states: dict[str, Any] = {}
        if self._file.is_file():
            with contextlib.suppress(DataError):  # a damaged record: what it said is found again in MLflow
                self._states = read_json(self._file)
        database = database_file(self.settings.uri)
        existing = active_runs(database) if database is not None else None
        if existing is not None:
            self._forget_all_but(existing)
        self._store: tuple[Any, str] | None = None
        self._opened: set[str] = set()
        self._found: dict[str, str] = {}
        self._new: set[str] = set()
        self._curves: dict[tuple[str, str], set[tuple[int, str]]] = {}
        self._buffer: dict[str, list[tuple[int, str, float]]] = {}
        self._flushed = time.monotonic()

    # --- hooks --------------------------------------------------------------------------------------------------------

    @_unless_dead
    def start(self) -> None:
        """Open the parent run, unless it is known."""
        if "start" not in self._state["done"]:
            self._parent()

    def _parent(self) -> str:
        """Return the parent run, which says from the start what is run."""
        run_id = self._open("run", f"{self.run.name} {self.run.directory.name}", {})
        if "start" in self._state["done"]:
            return run_id
        benchmark, split, bounds = self.run.benchmark, self.run.split, self.run.bounds
        params = {f"split.{k}": v for k, v in _flat(split)} | {"bounds.low": bounds.low, "bounds.high": bounds.high}
        params |= {"bounds.rows": bounds.rows, "protocol": self.run.protocol, "samples": benchmark.samples}
        params |= {"seeds": self.run.experiment.get("seeds"), "models": len(benchmark.models)}
        self._log(run_id, params=params, tags={f"environment.{k}": str(v) for k, v in self.run.environment.items()})
        self._log_dataset(run_id, benchmark)
        self._note("start", "done")
        return run_id

    @_unless_dead
    def begin(self, cell: CellInfo) -> None:
        """Open the nested run of a cell."""
        self._open_cell(cell)

    @_unless_dead
    def log(self, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
        """Keep values of a long fit, and send them now and then."""
        waiting = self._buffer.setdefault(cell.name, [])
        waiting.extend((step, name, value) for name, value in values.items())
        if len(waiting) >= FLUSH_VALUES or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush(cell)

    @_unless_dead
    def cell(self, result: CellResult) -> None:
        """Log a cell's result, unless MLflow has it."""
        cell = result.cell
        node = f"cell/{cell.name}"
        error = without_credentials(result.error)
        outcome = "done" if result.status == "done" else f"failed: {_cut(error)}"
        if self._state["done"].get(node) == outcome:
            return
        run_id = self._open_cell(cell)
        self._flush(cell)
        params: dict[str, Any] = {"router": cell.router, "label": cell.label, "seed": cell.seed}
        params |= {"features": cell.features, **({"point": cell.point_name} if cell.point else {})}
        params |= {f"router.{k}": v for k, v in _flat(cell.parameters)}
        tags = {"status": result.status, "reused": str(result.reused).lower(), "hardware": result.hardware}
        metrics, undefined = _metrics(result.scores)
        if result.status == "done":
            metrics["fit_seconds"] = result.fit_seconds
            tags["vlrb.error"] = ""
        else:
            tags["vlrb.error"] = error
        self._log(run_id, metrics, params, tags | undefined)
        self._upload(run_id, sorted(p for p in result.directory.glob("*") if p.is_file()), "cell")
        self._close(node, run_id, "FINISHED" if result.status == "done" else "FAILED", outcome)

    @_unless_dead
    def end(self, result: RunResult) -> None:
        """Log reference points, results and reports, and close the parent run."""
        if self._state["done"].get("run") == result.finished:
            return
        run_id = self._parent()
        for reference in result.references:
            self._reference(reference)
        self._mark_winners(result)
        directory = self.run.directory
        names = ("experiment.json", "experiment.toml", "plan.json", "environment.json", "results.json", "split.parquet")
        self._upload(run_id, [directory / n for n in names if (directory / n).is_file()], "")
        self._upload(run_id, sorted(p for p in (directory / "reports").glob("*") if p.is_file()), "reports")
        failed = any(c.status == "failed" for c in result.cells)
        self._log(run_id, tags={"status": "failed" if failed else "done"})
        self._close("run", run_id, "FAILED" if failed else "FINISHED", result.finished)

    def _mark_winners(self, result: RunResult) -> None:
        """Tag which points of the sweeps stand for their routers."""
        for cell in (c.cell for c in result.cells if c.cell.point):
            node = f"cell/{cell.name}"
            chosen = str(result.selected(cell)).lower()
            if node in self._state["nodes"]:
                self._log(self._state["nodes"][node], tags={"selected": chosen})

    @_unless_dead
    def interrupted(self) -> None:
        """Mark what this process left open as killed; a run that goes on is shown as running again."""
        for node in sorted(self._opened):
            self._client.set_terminated(self._state["nodes"][node], "KILLED")
        self._opened.clear()

    def _reference(self, reference: ReferenceResult) -> None:
        node = f"reference/{reference.name}"
        if node in self._state["done"]:
            return
        run_id = self._open(node, reference.name, {"vlrb.kind": "reference", "mlflow.note.content": reference.summary})
        metrics, undefined = _metrics(reference.scores)
        self._log(run_id, metrics, {"label": reference.name}, undefined)
        self._close(node, run_id, "FINISHED", "done")

    # --- MLflow -------------------------------------------------------------------------------------------------------

    @property
    def _state(self) -> dict[str, Any]:
        """Runs by node (``run``, ``cell/NAME``, ``reference/NAME``), and which are done, in the store in use."""
        state: dict[str, Any] = self._states.setdefault(self._place, {"nodes": {}, "done": {}})
        return state

    @property
    def _client(self) -> Any:
        """The client, made at the first use, when what MLflow has is compared with the state."""
        if self._store is None:
            client, experiment = open_store(self.settings)
            self._store = (client, experiment)
            self._reconcile(client, experiment)
        return self._store[0]

    def _reconcile(self, client: Any, experiment: str) -> None:
        """Find runs that were opened and not noted before a kill, and forget a state whose runs are gone."""
        found = client.search_runs([experiment], f"tags.`vlrb.run` = '{self.identity}'", max_results=10_000)
        self._found = {r.data.tags["vlrb.node"]: r.info.run_id for r in found}
        self._forget_all_but(set(self._found.values()))

    def _forget_all_but(self, existing: set[str]) -> None:
        """Forget what was logged to runs that are gone: one node's, or everything if the parent is among them."""
        nodes, done = self._state["nodes"], self._state["done"]
        gone = [node for node, run_id in nodes.items() if run_id not in existing]
        if "run" in gone:
            self._states[self._place] = {"nodes": {}, "done": {}}
            return
        for node in gone:
            del nodes[node]
            done.pop(node, None)
            done.pop("run", None)  # the end is told again, so that reference points come back too

    def _open_cell(self, cell: CellInfo) -> str:
        tags = {
            "vlrb.kind": "router",
            "vlrb.cell": cell.key,
            "vlrb.plugin": cell.plugin,
            "vlrb.dist": cell.dist,
            "vlrb.sources": cell.sources,
        }
        return self._open(f"cell/{cell.name}", cell.name, tags)

    def _open(self, node: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the MLflow run of a node, made if there is none; it carries from the start what it is found by."""
        client = self._client
        nodes = self._state["nodes"]
        if node not in nodes:
            nodes[node] = self._adopt(client, node) or self._create(client, node, name, tags)
            write_json(self._file, self._states)
        if node not in self._opened:
            self._opened.add(node)
            client.update_run(nodes[node], status="RUNNING")
        return str(nodes[node])

    def _adopt(self, client: Any, node: str) -> str:
        """Return a run that was opened and not noted, under the parent of today, or an empty text."""
        run_id = self._found.get(node, "")
        if run_id and node != "run":
            client.set_tag(run_id, "mlflow.parentRunId", self._parent())
        return run_id

    def _create(self, client: Any, node: str, name: str, tags: Mapping[str, str]) -> str:
        benchmark = self.run.benchmark
        known = {
            "vlrb.run": self.identity,
            "vlrb.node": node,
            "vlrb.name": self.run.name,
            "vlrb.protocol": self.run.protocol,
            "vlrb.benchmark": benchmark.fingerprint[:36],
            "vlrb.split": f"{self.run.split.get('group_by')} seed {self.run.split.get('seed')}",
            "vlrb.synthetic": benchmark.synthetic,
            "vlrb.version": str(self.run.environment.get("vlrb", "")),
        }
        if node != "run":
            known["mlflow.parentRunId"] = self._parent()
        assert self._store is not None
        texts = {k: _cut(v) for k, v in {**known, **tags}.items()}
        run_id = str(client.create_run(self._store[1], run_name=name, tags=texts).info.run_id)
        self._new.add(run_id)
        return run_id

    def _log(
        self,
        run_id: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        short, extra = self._short_params(run_id, params or {})
        for batch in _batches([Metric(k, v, now, 0) for k, v in _named(metrics or {}).items()], 10 * BATCH):
            self._client.log_batch(run_id, metrics=batch)
        for batch in _batches([Param(k, v) for k, v in short.items()], BATCH):
            self._client.log_batch(run_id, params=batch)
        for batch in _batches([RunTag(k, _cut(v)) for k, v in _named({**(tags or {}), **extra}).items()], BATCH):
            self._client.log_batch(run_id, tags=batch)

    def _short_params(self, run_id: str, params: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return parameters as text, and tags about those too long for MLflow, which become artifacts as a whole."""
        short, tags = {}, {}
        for name, value in _named(params).items():
            text = without_credentials(str(list(value) if isinstance(value, tuple) else value))
            if len(text) > LONGEST_PARAMETER:
                file = f"parameters/{name}.txt"
                self._client.log_text(run_id, text, file)
                text, tags[f"long.{name}"] = f"{len(text)} characters, see artifact {file}", file
            short[name] = text
        return short, tags

    def _log_dataset(self, run_id: str, benchmark: BenchmarkInfo) -> None:
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {"samples": benchmark.samples, "datasets": dict(benchmark.datasets), "synthetic": benchmark.synthetic}
        dataset = Dataset(
            name=f"{self.run.name} benchmark",
            digest=benchmark.fingerprint[:36],
            source_type="vlrb",
            source=json.dumps({"fingerprint": benchmark.fingerprint}),
            profile=json.dumps(profile),
        )
        tags = [InputTag("mlflow.data.context", "benchmark")]
        self._client.log_inputs(run_id, [DatasetInput(dataset, tags)])

    def _upload(self, run_id: str, files: Sequence[Path], folder: str) -> None:
        for file in files:
            self._client.log_artifact(run_id, str(file), folder or None)

    def _flush(self, cell: CellInfo) -> None:
        from mlflow.entities import Metric

        waiting = self._buffer.pop(cell.name, [])
        self._flushed = time.monotonic()
        if not waiting:
            return
        run_id, now = self._open_cell(cell), int(time.time() * 1000)
        values = [(step, _name(f"fit/{name}"), float(value)) for step, name, value in waiting]
        known = self._known_points(run_id, {name for _, name, _ in values})
        values = [v for v in values if v[:2] not in known]
        metrics = [Metric(name, value, now, step) for step, name, value in values if math.isfinite(value)]
        for batch in _batches(metrics, 10 * BATCH):
            self._client.log_batch(run_id, metrics=batch)
        odd = {
            f"undefined.{name}": f"{value} at step {step}" for step, name, value in values if not math.isfinite(value)
        }
        if odd:
            self._log(run_id, tags=odd)

    def _known_points(self, run_id: str, names: set[str]) -> set[tuple[int, str]]:
        """Return the points of a curve that a fit killed before it ended has logged: the fit is done again, not its curve."""
        if run_id in self._new:
            return set()
        for name in names:
            if (run_id, name) not in self._curves:
                history = self._client.get_metric_history(run_id, name)
                self._curves[run_id, name] = {(m.step, name) for m in history}
        return set().union(*(self._curves[run_id, name] for name in names))

    def _close(self, node: str, run_id: str, status: str, done: str) -> None:
        self._client.set_terminated(run_id, status)
        self._opened.discard(node)
        self._note(node, done)

    def _note(self, node: str, done: str) -> None:
        self._state["done"][node] = done
        write_json(self._file, self._states)


def _metrics(scores: Mapping[str, Scores]) -> tuple[dict[str, float], dict[str, str]]:
    """Return metrics ``SPLIT/METRIC`` and ``SPLIT/SCOPE/METRIC``, and tags for values that are no finite numbers."""
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for split, scopes in scores.items():
        for scope, values in scopes.items():
            prefix = split if scope == "overall" else f"{split}/{scope}"
            for name, value in values.items():
                if isinstance(value, Undefined):
                    tags[f"undefined.{prefix}/{name}"] = value.reason
                elif math.isfinite(value):
                    metrics[f"{prefix}/{name}"] = value
                else:
                    tags[f"undefined.{prefix}/{name}"] = str(value)
    return metrics, tags


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _name(name: str) -> str:
    """Return a name that MLflow takes: few characters are allowed, and a slash only where a path could have it."""
    name = _NO_NAME.sub("_", name)
    if posixpath.normpath(name) != name or name.startswith(("/", "..")):
        name = name.replace("/", "_")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _named(values: Mapping[str, T]) -> dict[str, T]:
    """Return values under names that MLflow takes; names that become one are told apart by underscores."""
    named: dict[str, T] = {}
    for key, value in values.items():
        name = _name(key)
        while name in named:
            name = _name(f"{name}_")
        named[name] = value
    return named


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _cut(text: str) -> str:
    """Return a text that fits into a tag, and says so where it was cut; the whole stands in the artifacts."""
    return text if len(text) <= LONGEST_TAG else f"{text[:LONGEST_TAG]} ... ({len(text)} characters in all)"
