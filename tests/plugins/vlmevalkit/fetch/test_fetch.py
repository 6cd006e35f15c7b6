"""`vlrb fetch`: what is told, what an earlier fetch and other people's files are taken for, and what a stop leaves behind."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from typing import Any

import click
import pytest

from vlrb.errors import ConfigError, DataError, VlrbError
from vlrb_plugins.vlmevalkit.fetch import command
from vlrb_plugins.vlmevalkit.fetch.command import FILE, RECORD, REPO

KILL = """
import os, signal, tarfile
write = tarfile.TarFile.extract
def extract(self, member, *more, **named):
    write(self, member, *more, **named)
    if member.name.endswith("2.bin"):
        os.kill(os.getpid(), signal.SIGKILL)
tarfile.TarFile.extract = extract
"""


def test_plugin_imports_nothing_heavy() -> None:
    """Protects the speed of `vlrb --help`, which imports the command, and the telemetry switch, read at import."""
    code = "import sys, vlrb_plugins.vlmevalkit.fetch.command\n"
    code += "names = {m.partition('.')[0] for m in sys.modules}\n"
    code += "assert not names & {'huggingface_hub', 'httpx', 'httpx2', 'numpy', 'pyarrow', 'rich'}, names"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_whole_fetch_in_a_process_of_its_own(site: Any) -> None:
    """Protects the command as it is typed: the tree, what is told of it, and plain progress where no terminal is."""
    done = site.process()

    assert (0, True) == (done.returncode, site.complete()), done.stderr
    digest = hashlib.sha256(site.archive).hexdigest()
    for piece in (site.commit, "folder: vlm_router_data (4 files, 400 kB)", digest, 'path = "vlm_router_data"'):
        assert piece in done.stdout
    assert "downloading vlm_router_data.tar.gz (MB): 1/1\n" in done.stderr
    assert "unpacking vlm_router_data.tar.gz (MB): 1/1\n" in done.stderr
    assert "\r" not in done.stderr, "no bars without a terminal"
    agents = {r["headers"]["user-agent"] for r in site.hub.requests}
    assert not [a for a in agents if "agent/" in a or "torch" in a], "telemetry is off"
    assert {f"/datasets/{REPO}/resolve/main/{FILE}", f"/datasets/{REPO}/resolve/{site.commit}/{FILE}"} == {
        r["path"] for r in site.hub.requests
    }


def test_record_says_what_the_folder_is(site: Any) -> None:
    """Protects later runs and readers, who have only the folder."""
    site.fetch("--revision", "main")
    record = json.loads((site.target / RECORD).read_text())

    expected = {
        "schema": 1,
        "repo": REPO,
        "file": FILE,
        "requested_revision": "main",
        "revision": site.commit,
        "endpoint": site.hub.url,
        "archive_bytes": len(site.archive),
        "sha256": hashlib.sha256(site.archive).hexdigest(),
        "files": 4,
        "bytes": 400_000,
        "left_out": 0,
    }
    assert expected == {k: v for k, v in record.items() if k != "vlrb"}


def test_json_and_the_second_time(site: Any) -> None:
    """Protects programs: strict JSON alone on stdout, and a second call that asks nobody and changes nothing."""
    first = json.loads(site.fetch("--json").out, parse_constant=pytest.fail)
    asked, stamp = len(site.hub.requests), site.target.stat().st_mtime_ns
    second = json.loads(site.fetch("--json").out, parse_constant=pytest.fail)

    assert (False, None, str(site.target)) == (first["already_there"], first["archive"], first["folder"])
    assert {**first, "already_there": True} == second
    assert (asked, stamp) == (len(site.hub.requests), site.target.stat().st_mtime_ns)
    assert "is there already" in site.fetch().out
    assert "is there already" in site.fetch("--revision", site.commit[:8]).out


@pytest.mark.parametrize("revision", ["0", "012345", "0123456x", "None"])
def test_only_a_hash_is_taken_for_the_commit(site: Any, revision: str) -> None:
    """Protects --revision: a branch or tag that happens to begin as the commit does is another revision."""
    site.fetch()

    assert f"at {site.commit}, not" in str(site.fetch("--revision", revision).error)


def test_force_fetches_again(site: Any) -> None:
    """Protects a folder that somebody has spoilt: --force replaces it as a whole."""
    site.fetch()
    (site.target / "1.bin").write_text("spoilt")
    (site.target / "more").touch()
    site.fetch("--force")

    assert site.complete()


def test_another_archive_is_not_taken_for_this_one(site: Any) -> None:
    """Protects against using old logs unawares: another revision is told, and --force replaces."""
    site.fetch()
    shown = site.fetch("--revision", "v2")

    assert isinstance(shown.error, DataError)
    assert f"holds {REPO} {FILE} at {site.commit}, not {REPO} {FILE} at v2" in str(shown.error)
    assert "--force" in str(shown.error)


@pytest.mark.parametrize("arguments", [(), ("--force",)])
def test_folder_of_somebody_else_is_left_alone(site: Any, arguments: tuple[str, ...]) -> None:
    """Protects files that fetch did not make, even from --force."""
    site.target.mkdir()
    (site.target / "mine").write_text("x")
    shown = site.fetch(*arguments)

    assert "was not made by `vlrb fetch`" in str(shown.error)
    assert "--to" in str(shown.error)
    assert ["mine"] == [p.name for p in site.target.iterdir()]
    assert not site.hub.requests


def test_to_and_kept_archive(site: Any) -> None:
    """Protects --to and --keep-archive: both are in the folder that was named, which may be new."""
    shown = site.fetch("--to", "new/place", "--keep-archive")

    kept = site.folder / "new/place" / FILE
    assert kept.read_bytes() == site.archive
    assert f"kept as {kept}" in shown.out
    assert 'path = "new/place/vlm_router_data"' in shown.out
    assert (site.folder / "new/place/vlm_router_data/3.bin").is_file()

    site.fetch("--to", "new/place", "--force")
    assert 1 == len(site.hub.gets), "the archive beside the target is verified and used"
    assert kept.exists(), "what this command did not download it does not delete"


def test_kept_archive_overwrites_nothing(site: Any) -> None:
    """Protects an archive that this command did not download: --keep-archive would put its own in that place."""
    (site.folder / FILE).write_bytes(b"mine")
    shown = site.fetch("--keep-archive")

    assert f"{FILE}: exists, and is not the archive that the hub has" in str(shown.error)
    assert "or leave out --keep-archive" in str(shown.error)
    assert (b"mine", []) == ((site.folder / FILE).read_bytes(), site.hub.gets)


def test_stale_archive_beside_the_target_is_not_used(site: Any) -> None:
    """Protects against an old archive of the same size: its sha256 tells."""
    (site.folder / FILE).write_bytes(bytes(len(site.archive)))
    site.fetch()

    assert 1 == len(site.hub.gets)
    assert (site.target / "3.bin").is_file()


def test_offline_without_the_archive(site: Any) -> None:
    """Protects HF_HUB_OFFLINE: nobody is asked, and what to do is told."""
    done = site.process(HF_HUB_OFFLINE="1")

    assert 4 == done.returncode
    assert "HF_HUB_OFFLINE is set, and the archive is neither in the hub's cache nor at vlm_router_data" in done.stderr
    assert "unset HF_HUB_OFFLINE" in done.stderr
    assert not site.hub.requests


def test_offline_with_the_archive_in_the_cache(site: Any) -> None:
    """Protects machines without a network: what `hf download` has put into the cache is used, and stays there."""
    cached = site.cache()
    done = site.process("--json", HF_HUB_OFFLINE="1")

    outcome = json.loads(done.stdout)
    assert (0, True) == (done.returncode, site.complete()), done.stderr
    assert (site.commit, str(cached)) == (outcome["revision"], outcome["archive"])
    assert cached.read_bytes() == site.archive
    assert not site.hub.requests


def test_archive_carried_to_a_machine_without_a_network(site: Any) -> None:
    """Protects clusters: an archive beside the target is used when the hub cannot be asked, and it is said."""
    (site.folder / FILE).write_bytes(site.archive)
    site.endpoint(f"http://127.0.0.1:{site.closed_port()}")
    shown = site.fetch()

    assert "at an unknown revision: fetched" in shown.out
    assert f"{FILE} is used as it is" in shown.err
    assert (site.target / "3.bin").is_file()


def test_archive_in_the_cache_is_used(site: Any) -> None:
    """Protects what `hf download` has fetched: no byte of it comes twice, but it is verified."""
    cached = site.cache()
    site.fetch()
    assert not site.hub.gets
    assert site.complete()

    cached.write_bytes(bytes(len(site.archive)))
    site.fetch("--force")
    assert 1 == len(site.hub.gets)
    assert site.complete()


def test_what_a_real_hub_client_caches_is_found(site: Any) -> None:
    """Protects the place of the cache: huggingface_hub's own download is found, not only this file's idea of it."""
    from huggingface_hub import hf_hub_download

    hf_hub_download(REPO, FILE, repo_type="dataset")
    before = len(site.hub.gets)
    site.fetch()

    assert before == len(site.hub.gets)
    assert site.complete()


def test_killed_while_unpacking(site: Any) -> None:
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


def test_two_at_once(site: Any) -> None:
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
        (["--file", "../x.tar.gz"], ConfigError, ["--file", "not the path of an archive"]),
        (["--file", "/x.tar"], ConfigError, ["--file"]),
        (["--file", ".tar.gz"], ConfigError, ["--file"]),
        (["--file", "...tar"], ConfigError, ["--file"]),
        (["--file", "x.zip"], ConfigError, [".tar.gz or .tgz or .tar"]),
    ],
)
def test_impossible_names(site: Any, arguments: list[str], error: type[VlrbError], pieces: list[str]) -> None:
    """Protects against misspelt options: told before anybody is asked."""
    shown = site.fetch(*arguments)

    assert isinstance(shown.error, error)
    for piece in pieces:
        assert piece in str(shown.error)
    assert not site.hub.requests


@pytest.mark.parametrize("arguments", [["--max-size", "0"], ["--max-files", "0"], ["--max-files", "x"]])
def test_impossible_numbers(site: Any, arguments: list[str]) -> None:
    """Protects against limits that let nothing through."""
    with pytest.raises(click.UsageError):
        command.fetch.main(arguments, standalone_mode=False)
