"""A Hugging Face Hub on the loopback interface, with its faults, and the command that fetches from it.

The hub has the routes that a download of one file needs.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import socket
import struct
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.errors import VlrbError
from vlrb_plugins.vlmevalkit.fetch import command, receive
from vlrb_plugins.vlmevalkit.fetch.command import FILE, RECORD, REPO

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


def cached(home: Path, content: bytes) -> Path:
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


# --- the command -------------------------------------------------------------------------------------------------------

TOKEN = "hf_SecretSecretSecretSecret"
COMMAND = """
import sys
from vlrb.cli import commands, run
from vlrb_plugins.vlmevalkit.fetch import unpack
from vlrb_plugins.vlmevalkit.fetch.command import fetch
commands.vlrb.add_command(fetch)
{first}
sys.exit(int(run(["fetch", *sys.argv[1:]])))
"""
"""The whole command line, whether or not the plugin is installed."""


def archive(files: int = 4, size: int = 100_000) -> bytes:
    """Return an archive of files that do not compress, in one folder."""
    out, rng = io.BytesIO(), random.Random(0)
    with tarfile.open(fileobj=out, mode="w") as tar:
        for i in range(files):
            info = tarfile.TarInfo(f"vlm_router_data/{i}.bin")
            info.size = size
            tar.addfile(info, io.BytesIO(rng.randbytes(size)))
    return gzip.compress(out.getvalue(), 1, mtime=0)


ARCHIVE = archive()


@attrs.frozen
class Shown:
    """What a command did."""

    error: VlrbError | None
    out: str
    err: str


class Site:
    """A working directory, a hub, and the command that fetches from it, in this process or in one of its own."""

    archive, commit, token = ARCHIVE, COMMIT, TOKEN
    serving = staticmethod(serving)
    closed_port = staticmethod(closed_port)

    def __init__(self, folder: Path, hub: Any, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.hub, self.home = folder, hub, folder / "hf"
        self.target = folder / "vlm_router_data"
        self.patch, self.capsys = patch, capsys

    def constants(self, **values: Any) -> None:
        """Set what huggingface_hub has read from the environment when it was imported."""
        from huggingface_hub import constants

        for name, value in values.items():
            self.patch.setattr(constants, name, value)

    def endpoint(self, url: str) -> None:
        """Set HF_ENDPOINT."""
        self.constants(ENDPOINT=url, HUGGINGFACE_CO_URL_TEMPLATE=url + "/{repo_id}/resolve/{revision}/{filename}")

    def fetch(self, *arguments: str) -> Shown:
        """Run the command in this process."""
        self.capsys.readouterr()
        error = None
        try:
            command.fetch.main(list(arguments), standalone_mode=False)
        except VlrbError as raised:
            error = raised
        captured = self.capsys.readouterr()
        assert TOKEN not in captured.out + captured.err + str(error)
        return Shown(error, captured.out, captured.err)

    def start(self, *arguments: str, first: str = "", **more: str) -> subprocess.Popen[str]:
        """Start the whole command line as a process of its own, in an environment of its own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        environment = {**kept, "HF_HOME": str(self.home), "HF_ENDPOINT": self.hub.url, **more}
        command = [sys.executable, "-W", "error", "-c", COMMAND.format(first=first), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=environment, **pipes)

    def process(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the whole command line as a process of its own."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=60)
        assert TOKEN not in out + err
        assert "Traceback" not in err
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def cache(self) -> Path:
        """Put the archive into the hub's cache as `hf download` does, and return its path."""
        return cached(self.home, ARCHIVE)

    def left(self) -> list[str]:
        """Return what lies in the working directory, without locks and the hub's home."""
        return sorted(p.name for p in self.folder.iterdir() if p != self.home and p.suffix != ".lock")

    def complete(self) -> bool:
        """Return whether the whole archive is there, and nothing else."""
        with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as tar:
            whole = {Path(m.name).name: tar.extractfile(m).read() for m in tar.getmembers()}
        found = {p.name: p.read_bytes() for p in self.target.iterdir() if p.name != RECORD}
        return found == whole and self.left() == ["vlm_router_data"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Site]:
    """Return a working directory, with a hub that holds the archive."""
    from huggingface_hub import close_session

    for name in [n for n in os.environ if n.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(receive, "PAUSES", (0.0, 0.0))
    with serving(ARCHIVE) as hub:
        made = Site(tmp_path, hub, monkeypatch, capsys)
        made.constants(HF_HUB_CACHE=str(made.home / "hub"), HF_TOKEN_PATH=str(made.home / "token"))
        made.constants(HF_HUB_OFFLINE=False, HF_HUB_DISABLE_IMPLICIT_TOKEN=False, HF_HUB_DISABLE_TELEMETRY=True)
        made.endpoint(hub.url)
        yield made
        close_session()
