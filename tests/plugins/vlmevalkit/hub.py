"""A Hugging Face Hub on the loopback interface: the routes that a download of one file needs, and their faults."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REPO = "KinghtH/VL-RouterBench"
FILE = "vlm_router_data.tar.gz"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the hub holds, how it misbehaves, and what it was asked.

    ``drops`` lists after how many bytes the connection breaks, answer by answer; ``rudely`` breaks it with a reset.
    """

    def __init__(self) -> None:
        self.content = b""
        self.etag: str | None = None
        self.commit: str | None = COMMIT
        self.token: str | None = None
        self.gated = False
        self.ranges = True
        self.busy = 0
        self.drops: list[int] = []
        self.rudely = False
        self.announced: int | None = None
        self.storage: Hub | None = None
        self.requests: list[dict[str, Any]] = []
        self.url = ""

    @property
    def gets(self) -> list[dict[str, Any]]:
        """Return the requests for content."""
        return [r for r in self.requests if r["method"] == "GET"]

    def start(self) -> ThreadingHTTPServer:
        """Serve until the returned server is shut down."""
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server


@contextmanager
def serving(content: bytes = b"") -> Iterator[Hub]:
    """Serve a hub that holds the archive ``content``."""
    hub = Hub()
    hub.content = content
    server = hub.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def cache(home: Path, content: bytes) -> Path:
    """Put a file into the hub's cache as `hf download` does, and return its path."""
    folder = home / "hub" / f"datasets--{REPO.replace('/', '--')}"
    file = folder / "snapshots" / COMMIT / FILE
    for path, text in ((folder / "refs" / "main", COMMIT.encode()), (file, content)):
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
    return file


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client is gone."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        request = {
            "method": self.command,
            "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "sent": 0,
        }
        self.hub.requests.append(request)
        revision = self._revision()
        if self.hub.busy:
            self.hub.busy -= 1
            self._refuse(503)
        elif self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse(401, "RepoNotFound" if not self.headers.get("Authorization") else "")
        elif revision is None:
            self._refuse(404, "EntryNotFound" if f"/datasets/{REPO}/" in self.path else "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif self.hub.storage:
            self._redirect(self.hub.storage.url + self.path)
        else:
            self._content(request)

    def _revision(self) -> str | None:
        before, after = f"/datasets/{REPO}/resolve/", f"/{FILE}"
        inside = self.path.startswith(before) and self.path.endswith(after)
        return self.path.removeprefix(before).removesuffix(after) if inside else None

    def _refuse(self, status: int, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _about(self) -> None:
        """Tell of the file as the hub does of large ones: their ETag is their sha256."""
        digest = hashlib.sha256(self.hub.content).hexdigest()
        if self.hub.commit:
            self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("ETag", f'"{self.hub.etag or digest}"')

    def _redirect(self, where: str) -> None:
        storage = self.hub.storage
        self.send_response(302)
        self._about()
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(storage.content).hexdigest()}"' if storage else "")
        self.send_header("X-Linked-Size", str(len(storage.content)) if storage else "")
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, request: dict[str, Any]) -> None:
        whole = len(self.hub.content)
        wanted = self.headers.get("Range", "") if self.hub.ranges else ""
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= whole:
            self._refuse(416)
            return
        self.send_response(206 if wanted else 200)
        self._about()
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        announced = self.hub.announced if self.hub.announced and self.command == "HEAD" else whole - start
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        if self.command == "GET":
            self._send(request, self.hub.content[start:])

    def _send(self, request: dict[str, Any], content: bytes) -> None:
        drop = self.hub.drops.pop(0) if self.hub.drops else len(content)
        self.wfile.write(content[:drop])
        request["sent"] = min(drop, len(content))
        if drop < len(content):
            self.close_connection = True
            if self.hub.rudely:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
