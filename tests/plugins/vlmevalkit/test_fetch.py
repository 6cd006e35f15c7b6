"""`vlrb fetch` against a hub on the loopback interface: what arrives, what is told, and what a stop leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from vlrb.errors import ConfigError, DataError, VlrbError
from vlrb_plugins.vlmevalkit import fetch as module
from vlrb_plugins.vlmevalkit.fetch import RECORD

_spec = importlib.util.spec_from_file_location("vlmevalkit_hub", Path(__file__).with_name("hub.py"))
hub_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hub_module)
COMMIT, FILE, REPO = hub_module.COMMIT, hub_module.FILE, hub_module.REPO

TOKEN = "hf_SecretSecretSecretSecret"
COMMAND = """
import sys
from vlrb.cli import commands, run
from vlrb_plugins.vlmevalkit import unpack
from vlrb_plugins.vlmevalkit.fetch import fetch
commands.vlrb.add_command(fetch)
{first}
sys.exit(int(run(["fetch", *sys.argv[1:]])))
"""
"""The whole command line, whether or not the plugin is installed."""

KILL = """
import os, signal, tarfile
write = tarfile.TarFile.extract
def extract(self, member, *more, **named):
    write(self, member, *more, **named)
    if member.name.endswith("2.bin"):
        os.kill(os.getpid(), signal.SIGKILL)
tarfile.TarFile.extract = extract
"""


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
            module.fetch.main(list(arguments), standalone_mode=False)
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
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))
    with hub_module.serving(ARCHIVE) as hub:
        made = Site(tmp_path, hub, monkeypatch, capsys)
        made.constants(HF_HUB_CACHE=str(made.home / "hub"), HF_TOKEN_PATH=str(made.home / "token"))
        made.constants(HF_HUB_OFFLINE=False, HF_HUB_DISABLE_IMPLICIT_TOKEN=False, HF_HUB_DISABLE_TELEMETRY=True)
        made.endpoint(hub.url)
        yield made
        close_session()


def test_plugin_imports_nothing_heavy() -> None:
    """Protects the speed of `vlrb --help`, which imports the command, and the telemetry switch, read at import."""
    code = "import sys, vlrb_plugins.vlmevalkit.fetch\n"
    code += "names = {m.partition('.')[0] for m in sys.modules}\n"
    code += "assert not names & {'huggingface_hub', 'httpx', 'httpx2', 'numpy', 'pyarrow', 'rich'}, names"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_whole_fetch_in_a_process_of_its_own(site: Site) -> None:
    """Protects the command as it is typed: the tree, what is told of it, and plain progress where no terminal is."""
    done = site.process()

    assert (0, True) == (done.returncode, site.complete()), done.stderr
    digest = hashlib.sha256(ARCHIVE).hexdigest()
    for piece in (COMMIT, "folder: vlm_router_data (4 files, 400 kB)", digest, 'path = "vlm_router_data"'):
        assert piece in done.stdout
    assert "downloading vlm_router_data.tar.gz (MB): 1/1\n" in done.stderr
    assert "unpacking vlm_router_data.tar.gz (MB): 1/1\n" in done.stderr
    assert "\r" not in done.stderr, "no bars without a terminal"
    agents = {r["headers"]["user-agent"] for r in site.hub.requests}
    assert not [a for a in agents if "agent/" in a or "torch" in a], "telemetry is off"
    assert {f"/datasets/{REPO}/resolve/main/{FILE}", f"/datasets/{REPO}/resolve/{COMMIT}/{FILE}"} == {
        r["path"] for r in site.hub.requests
    }


def test_record_says_what_the_folder_is(site: Site) -> None:
    """Protects later runs and readers, who have only the folder."""
    site.fetch("--revision", "main")
    record = json.loads((site.target / RECORD).read_text())

    expected = {
        "schema": 1,
        "repo": REPO,
        "file": FILE,
        "requested_revision": "main",
        "revision": COMMIT,
        "endpoint": site.hub.url,
        "archive_bytes": len(ARCHIVE),
        "sha256": hashlib.sha256(ARCHIVE).hexdigest(),
        "files": 4,
        "bytes": 400_000,
        "left_out": 0,
    }
    assert expected == {k: v for k, v in record.items() if k != "vlrb"}


def test_json_and_the_second_time(site: Site) -> None:
    """Protects programs: strict JSON alone on stdout, and a second call that asks nobody and changes nothing."""
    first = json.loads(site.fetch("--json").out, parse_constant=pytest.fail)
    asked, stamp = len(site.hub.requests), site.target.stat().st_mtime_ns
    second = json.loads(site.fetch("--json").out, parse_constant=pytest.fail)

    assert (False, None, str(site.target)) == (first["already_there"], first["archive"], first["folder"])
    assert {**first, "already_there": True} == second
    assert (asked, stamp) == (len(site.hub.requests), site.target.stat().st_mtime_ns)
    assert "is there already" in site.fetch().out
    assert "is there already" in site.fetch("--revision", COMMIT[:8]).out


def test_force_fetches_again(site: Site) -> None:
    """Protects a folder that somebody has spoilt: --force replaces it as a whole."""
    site.fetch()
    (site.target / "1.bin").write_text("spoilt")
    (site.target / "more").touch()
    site.fetch("--force")

    assert site.complete()


def test_another_archive_is_not_taken_for_this_one(site: Site) -> None:
    """Protects against using old logs unawares: another revision is told, and --force replaces."""
    site.fetch()
    shown = site.fetch("--revision", "v2")

    assert isinstance(shown.error, DataError)
    assert f"holds {REPO} {FILE} at {COMMIT}, not {REPO} {FILE} at v2" in str(shown.error)
    assert "--force" in str(shown.error)


@pytest.mark.parametrize("arguments", [(), ("--force",)])
def test_folder_of_somebody_else_is_left_alone(site: Site, arguments: tuple[str, ...]) -> None:
    """Protects files that fetch did not make, even from --force."""
    site.target.mkdir()
    (site.target / "mine").write_text("x")
    shown = site.fetch(*arguments)

    assert "was not made by `vlrb fetch`" in str(shown.error)
    assert "--to" in str(shown.error)
    assert ["mine"] == [p.name for p in site.target.iterdir()]
    assert not site.hub.requests


def test_to_and_kept_archive(site: Site) -> None:
    """Protects --to and --keep-archive: both are in the folder that was named, which may be new."""
    shown = site.fetch("--to", "new/place", "--keep-archive")

    kept = site.folder / "new/place" / FILE
    assert kept.read_bytes() == ARCHIVE
    assert f"kept as {kept}" in shown.out
    assert 'path = "new/place/vlm_router_data"' in shown.out
    assert (site.folder / "new/place/vlm_router_data/3.bin").is_file()

    site.fetch("--to", "new/place", "--force")
    assert 1 == len(site.hub.gets), "the archive beside the target is verified and used"
    assert kept.exists(), "what this command did not download it does not delete"


def test_stale_archive_beside_the_target_is_not_used(site: Site) -> None:
    """Protects against an old archive of the same size: its sha256 tells."""
    (site.folder / FILE).write_bytes(bytes(len(ARCHIVE)))
    site.fetch()

    assert 1 == len(site.hub.gets)
    assert (site.target / "3.bin").is_file()


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
def test_broken_download_goes_on(site: Site, rudely: bool) -> None:
    """Protects slow lines: each further request asks for what is missing, and no byte comes twice."""
    site.hub.drops, site.hub.rudely = [150_000, 100_000], rudely
    shown = site.fetch()

    assert site.complete()
    starts = [r["headers"].get("range") for r in site.hub.gets]
    sent = [r["sent"] for r in site.hub.gets]
    assert 3 == len(starts)
    assert starts[0] is None
    if not rudely:  # what a reset takes with it was sent in vain
        assert [None, "bytes=150000-", "bytes=250000-"] == starts
        assert len(ARCHIVE) == sum(sent)
        assert "after 150 kB of 401 kB" in shown.err
    assert sent[2] < len(ARCHIVE)


def test_download_goes_on_in_the_next_process(site: Site) -> None:
    """Protects hours of downloading from Ctrl-C, a kill and a line that stays dead."""
    site.hub.drops = [250_000, 0, 0]
    failed = site.fetch()

    assert "250 kB of 401 kB have arrived and are kept: run the command again" in str(failed.error)
    assert [f".{FILE}.{hashlib.sha256(ARCHIVE).hexdigest()[:16]}.download"] == site.left()
    site.fetch()
    assert "bytes=250000-" == site.hub.gets[-1]["headers"]["range"]
    assert site.complete()


def test_part_of_another_version_is_dropped(site: Site) -> None:
    """Protects against gluing two versions together, and against files that nobody finds."""
    (site.folder / f".{FILE}.0123.download").write_bytes(b"old")
    site.fetch()

    assert site.complete()
    assert "range" not in site.hub.gets[0]["headers"]


def test_server_that_cannot_go_on_in_the_middle(site: Site) -> None:
    """Protects against servers without ranges: the whole file comes again, and is not appended."""
    site.hub.ranges, site.hub.drops = False, [150_000]
    site.fetch()

    assert site.complete()


def test_busy_hub_is_asked_again(site: Site) -> None:
    """Protects a download from a hub that is busy for a moment."""
    site.hub.drops = [100_000]
    plain = module._receive

    def busy_once(*arguments: Any) -> None:
        site.hub.busy = 1 if len(site.hub.gets) == 1 else 0
        plain(*arguments)

    site.patch.setattr(module, "_receive", busy_once)
    shown = site.fetch()

    assert site.complete()
    assert "the hub answers with status 503; going on" in shown.err


def test_wrong_sum(site: Site) -> None:
    """Protects against bytes that are not what the hub says: told, deleted, nothing unpacked."""
    site.hub.etag = "0" * 64
    shown = site.fetch()

    for piece in ("sha256", hashlib.sha256(ARCHIVE).hexdigest(), site.hub.url, REPO, FILE, "run the command again"):
        assert piece in str(shown.error)
    assert [] == site.left()


def test_small_file_without_sha256(site: Site) -> None:
    """Protects small archives, whose ETag is git's: the size must do."""
    site.hub.etag = "0" * 40
    site.fetch()

    assert site.complete()


@pytest.mark.parametrize(
    ("announced", "pieces"), [(1000, ["more arrives than the 1 kB"]), (10**9, ["less arrives than the 1 GB"])]
)
def test_wrong_size(site: Site, announced: int, pieces: list[str]) -> None:
    """Protects against a proxy or a hub that sends something of another size than was announced."""
    site.hub.announced = announced
    shown = site.fetch()

    assert isinstance(shown.error, DataError)
    for piece in [*pieces, "run the command again"]:
        assert piece in str(shown.error)
    assert b"" == b"".join(p.read_bytes() for p in site.folder.glob(".*.download"))


def test_damaged_archive_is_kept_but_not_unpacked(site: Site) -> None:
    """Protects against a published archive that is damaged: an error that names it, and no half tree."""
    site.hub.content = ARCHIVE[:-1000]
    shown = site.fetch()

    assert "is damaged or was cut off" in str(shown.error)
    assert not site.target.exists()


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        (["--max-size", "0.0001"], ["has 401 kB, more than the 107 kB", "--max-size"]),
        (["--max-files", "3"], ["3.bin", "3 files and folders", "--max-files"]),
    ],
)
def test_limits(site: Site, arguments: list[str], pieces: list[str]) -> None:
    """Protects the disk: the limits of the command line reach the download and the unpacking."""
    shown = site.fetch(*arguments)

    for piece in pieces:
        assert piece in str(shown.error)
    assert not site.target.exists()


def test_full_disk_is_told_before_the_download(site: Site) -> None:
    """Protects hours of downloading to a disk that is too small."""
    site.patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 0, 1000))
    shown = site.fetch()

    assert "802 kB are needed in" in str(shown.error)
    assert "where 1 kB are free" in str(shown.error)
    assert not site.hub.gets


def test_token_reaches_the_hub_and_nobody_else(site: Site) -> None:
    """Protects the user's token: sent to the hub, never to the storage it redirects to, never shown."""
    site.hub.token = TOKEN
    with hub_module.serving(ARCHIVE) as storage:
        site.hub.storage = storage
        done = site.process("--json", HF_TOKEN=TOKEN, HF_DEBUG="1")
    record = (site.target / RECORD).read_text()

    assert (0, True) == (done.returncode, site.complete()), done.stderr
    assert {f"Bearer {TOKEN}"} == {r["headers"].get("authorization") for r in site.hub.requests}
    assert [None] == [r["headers"].get("authorization") for r in storage.gets]
    assert TOKEN not in record


def test_stored_token(site: Site) -> None:
    """Protects `hf auth login`: its token is used."""
    site.hub.token = TOKEN
    site.home.mkdir()
    (site.home / "token").write_text(TOKEN)
    site.fetch()

    assert site.complete()


def test_credentials_in_the_endpoint_are_not_shown(site: Site) -> None:
    """Protects the password of a mirror: in errors, in the record and in what is printed."""
    site.endpoint(f"http://me:{TOKEN}@127.0.0.1:{hub_module.closed_port()}")
    shown = site.fetch()
    assert "http://***@127.0.0.1" in str(shown.error)

    site.endpoint(site.hub.url.replace("http://", f"http://me:{TOKEN}@"))
    site.hub.drops = [1000]
    site.patch.setattr(logging.getLogger(), "level", logging.DEBUG)
    assert TOKEN not in site.fetch("--json").out
    assert "http://***@x" == module._reason(OSError(f"http://me:{TOKEN}@x"))
    assert TOKEN not in (site.target / RECORD).read_text()


WRONG: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "no repository": (
        {},
        ["--repo", "nobody/nothing"],
        ["nobody/nothing", "no such data set", "--repo", "hf auth login"],
    ),
    "no file": ({}, ["--file", "other.tar.gz"], ["file other.tar.gz", "no such file at 'main'", "--file"]),
    "no revision": ({}, ["--revision", "v9"], ["no revision 'v9'", "--revision"]),
    "no token": ({"token": "other"}, [], ["no such data set, or it is not public", "set HF_TOKEN or `hf auth login`"]),
    "gated": ({"gated": True}, [], ["gated", "accept its conditions", "set HF_TOKEN or `hf auth login`"]),
    "busy": ({"busy": 99}, [], ["status 503", "neither in the hub's cache nor at", "try again later"]),
    "no hub": ({"commit": None}, [], ["does not answer as a hub does", "HF_ENDPOINT"]),
    "odd commit": ({"commit": "../../x"}, [], ["does not answer as a hub does"]),
}


@pytest.mark.parametrize(("faults", "arguments", "pieces"), WRONG.values(), ids=WRONG)
def test_what_the_hub_refuses(site: Site, faults: dict[str, Any], arguments: list[str], pieces: list[str]) -> None:
    """Protects the user's time: each error names endpoint, data set, file and what to do, and leaves nothing."""
    for name, value in faults.items():
        setattr(site.hub, name, value)
    shown = site.fetch(*arguments)

    assert isinstance(shown.error, DataError)
    for piece in [site.hub.url, "datasets/", *pieces]:
        assert piece in str(shown.error)
    assert [] == site.left()


def test_wrong_token(site: Site) -> None:
    """Protects against a token that expired: it is told, and the token is not."""
    site.hub.token = "other"
    site.patch.setenv("HF_TOKEN", TOKEN)
    assert "asks for another token (status 401)" in str(site.fetch().error)

    site.patch.setenv("HF_TOKEN", TOKEN + "é")
    assert "holds what no token holds" in str(site.fetch().error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://[::1", "ftp://x"])
def test_hub_that_is_not_there(site: Site, url: str) -> None:
    """Protects against dead lines and misspelt endpoints: no traceback, and the fix."""
    url = url.format(port=hub_module.closed_port())
    site.endpoint(url)
    shown = site.fetch()

    for piece in ("cannot be reached", url, REPO, FILE, "HF_ENDPOINT"):
        assert piece in str(shown.error)


def test_refused_in_a_process_of_its_own(site: Site) -> None:
    """Protects exit status and stderr of an error: 4, two lines, nothing on stdout."""
    site.hub.url = f"http://127.0.0.1:{hub_module.closed_port()}"
    done = site.process("--json")

    assert (4, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: {site.hub.url}/datasets/{REPO}, file {FILE}: the hub cannot be reached: ")
    assert 2 == len(done.stderr.splitlines())


def test_offline_without_the_archive(site: Site) -> None:
    """Protects HF_HUB_OFFLINE: nobody is asked, and what to do is told."""
    done = site.process(HF_HUB_OFFLINE="1")

    assert 4 == done.returncode
    assert "HF_HUB_OFFLINE is set, and the archive is neither in the hub's cache nor at vlm_router_data" in done.stderr
    assert "unset HF_HUB_OFFLINE" in done.stderr
    assert not site.hub.requests


def test_offline_with_the_archive_in_the_cache(site: Site) -> None:
    """Protects machines without a network: what `hf download` has put into the cache is used, and stays there."""
    cached = hub_module.cache(site.home, ARCHIVE)
    done = site.process("--json", HF_HUB_OFFLINE="1")

    outcome = json.loads(done.stdout)
    assert (0, True) == (done.returncode, site.complete()), done.stderr
    assert (COMMIT, str(cached)) == (outcome["revision"], outcome["archive"])
    assert cached.read_bytes() == ARCHIVE
    assert not site.hub.requests


def test_archive_carried_to_a_machine_without_a_network(site: Site) -> None:
    """Protects clusters: an archive beside the target is used when the hub cannot be asked, and it is said."""
    (site.folder / FILE).write_bytes(ARCHIVE)
    site.endpoint(f"http://127.0.0.1:{hub_module.closed_port()}")
    shown = site.fetch()

    assert "at an unknown revision: fetched" in shown.out
    assert f"{FILE} is used as it is" in shown.err
    assert (site.target / "3.bin").is_file()


def test_archive_in_the_cache_is_used(site: Site) -> None:
    """Protects what `hf download` has fetched: no byte of it comes twice, but it is verified."""
    cached = hub_module.cache(site.home, ARCHIVE)
    site.fetch()
    assert not site.hub.gets
    assert site.complete()

    cached.write_bytes(bytes(len(ARCHIVE)))
    site.fetch("--force")
    assert 1 == len(site.hub.gets)
    assert site.complete()


def test_what_a_real_hub_client_caches_is_found(site: Site) -> None:
    """Protects the place of the cache: huggingface_hub's own download is found, not only this file's idea of it."""
    from huggingface_hub import hf_hub_download

    hf_hub_download(REPO, FILE, repo_type="dataset")
    before = len(site.hub.gets)
    site.fetch()

    assert before == len(site.hub.gets)
    assert site.complete()


def test_killed_while_unpacking(site: Site) -> None:
    """Protects against half trees: after a kill the target is absent, and the next run downloads nothing again."""
    with site.start(first=KILL) as process:
        process.communicate(timeout=60)
    assert -signal.SIGKILL == process.returncode
    assert not site.target.exists()
    assert [n for n in site.left() if n.endswith(".partial")], "the kill came in the middle"

    before = len(site.hub.gets)
    site.fetch()
    assert site.complete()
    assert before == len(site.hub.gets)


def test_two_at_once(site: Site) -> None:
    """Protects two terminals: one fetches, the other waits and finds it done."""
    both = [site.start("--json") for _ in range(2)]
    outcomes = []
    for process in both:
        with process:
            outcomes.append(json.loads(process.communicate(timeout=60)[0]))

    assert [False, True] == sorted(o["already_there"] for o in outcomes)
    assert 1 == len(site.hub.gets)
    assert site.complete()


@pytest.mark.parametrize(
    ("arguments", "error", "pieces"),
    [
        (["--repo", "https://x/y"], ConfigError, ["--repo", "OWNER/NAME"]),
        (["--repo", "a--b/c"], DataError, ["OWNER/NAME"]),
        (["--file", "../x.tar.gz"], ConfigError, ["--file", "no archive's path"]),
        (["--file", "/x.tar"], ConfigError, ["--file"]),
        (["--file", ".tar.gz"], ConfigError, ["--file"]),
        (["--file", "...tar"], ConfigError, ["--file"]),
        (["--file", "x.zip"], ConfigError, [".tar.gz or .tgz or .tar"]),
    ],
)
def test_impossible_names(site: Site, arguments: list[str], error: type[VlrbError], pieces: list[str]) -> None:
    """Protects against misspelt options: told before anybody is asked."""
    shown = site.fetch(*arguments)

    assert isinstance(shown.error, error)
    for piece in pieces:
        assert piece in str(shown.error)
    assert not site.hub.requests


@pytest.mark.parametrize("arguments", [["--max-size", "0"], ["--max-files", "0"], ["--max-files", "x"]])
def test_impossible_numbers(site: Site, arguments: list[str]) -> None:
    """Protects against limits that let nothing through."""
    with pytest.raises(click.UsageError):
        module.fetch.main(arguments, standalone_mode=False)


def test_bar_on_a_terminal(site: Site) -> None:
    """Protects people who watch: the hub's bar with rate and rest, and where it goes on after a stop."""
    site.patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with module._arriving("x.tar.gz", 500_000, 1_000_000) as show:
        show(750_000)
        show(1_000_000)

    err = site.capsys.readouterr().err
    assert "x.tar.gz" in err
    assert "1.00M/1.00M" in err
