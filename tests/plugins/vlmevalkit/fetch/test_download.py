"""`vlrb fetch` and the hub: downloads that break off, what the hub refuses, tokens, and limits."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
from typing import Any

import pytest

from vlrb.errors import DataError
from vlrb_plugins.vlmevalkit.fetch import hub, receive
from vlrb_plugins.vlmevalkit.fetch.command import FILE, RECORD, REPO


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
def test_broken_download_goes_on(site: Any, rudely: bool) -> None:
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
        assert len(site.archive) == sum(sent)
        assert "after 150 kB of 401 kB" in shown.err
    assert sent[2] < len(site.archive)


def test_download_goes_on_in_the_next_process(site: Any) -> None:
    """Protects hours of downloading from Ctrl-C, a kill and a line that stays dead."""
    site.hub.drops = [250_000, 0, 0]
    failed = site.fetch()

    assert "250 kB of 401 kB have arrived and are kept: run the command again" in str(failed.error)
    assert [f".{FILE}.{hashlib.sha256(site.archive).hexdigest()[:16]}.download"] == site.left()
    site.fetch()
    assert "bytes=250000-" == site.hub.gets[-1]["headers"]["range"]
    assert site.complete()


def test_disk_that_fills_up(site: Any) -> None:
    """Protects what has arrived when the disk takes no more: it is told, kept, and gone on with."""
    site.hub.drops = [250_000]
    plain = receive._receive

    def full_once(*arguments: Any) -> None:
        if site.hub.gets:
            raise OSError(28, "No space left on device")
        plain(*arguments)

    site.patch.setattr(receive, "_receive", full_once)
    shown = site.fetch()

    for piece in (
        f".{FILE}.",
        "cannot be written: No space left on device",
        "make room",
        "is kept: run the command again",
    ):
        assert piece in str(shown.error)
    site.patch.setattr(receive, "_receive", plain)
    site.fetch()
    assert site.complete()
    assert "bytes=250000-" == site.hub.gets[-1]["headers"]["range"]


def test_part_of_another_version_is_dropped(site: Any) -> None:
    """Protects against gluing two versions together, and against files that nobody finds."""
    (site.folder / f".{FILE}.0123.download").write_bytes(b"old")
    site.fetch()

    assert site.complete()
    assert "range" not in site.hub.gets[0]["headers"]


def test_server_that_cannot_go_on_in_the_middle(site: Any) -> None:
    """Protects against servers without ranges: the whole file comes again, and is not appended."""
    site.hub.ranges, site.hub.drops = False, [150_000]
    site.fetch()

    assert site.complete()


def test_busy_hub_is_asked_again(site: Any) -> None:
    """Protects a download from a hub that is busy for a moment."""
    site.hub.drops = [100_000]
    plain = receive._receive

    def busy_once(*arguments: Any) -> None:
        site.hub.busy = 1 if len(site.hub.gets) == 1 else 0
        plain(*arguments)

    site.patch.setattr(receive, "_receive", busy_once)
    shown = site.fetch()

    assert site.complete()
    assert "the hub answers with status 503; going on" in shown.err


def test_wrong_sum(site: Any) -> None:
    """Protects against bytes that are not what the hub says: told, deleted, nothing unpacked."""
    site.hub.etag = "0" * 64
    shown = site.fetch()

    for piece in (
        "sha256",
        hashlib.sha256(site.archive).hexdigest(),
        site.hub.url,
        REPO,
        FILE,
        "run the command again",
    ):
        assert piece in str(shown.error)
    assert [] == site.left()


def test_small_file_without_sha256(site: Any) -> None:
    """Protects small archives, whose ETag is git's: the size must do."""
    site.hub.etag = "0" * 40
    site.fetch()

    assert site.complete()


@pytest.mark.parametrize(
    ("announced", "pieces"), [(1000, ["more arrives than the 1 kB"]), (10**9, ["less arrives than the 1 GB"])]
)
def test_wrong_size(site: Any, announced: int, pieces: list[str]) -> None:
    """Protects against a proxy or a hub that sends something of another size than was announced."""
    site.hub.announced = announced
    shown = site.fetch()

    assert isinstance(shown.error, DataError)
    for piece in [*pieces, "run the command again"]:
        assert piece in str(shown.error)
    assert b"" == b"".join(p.read_bytes() for p in site.folder.glob(".*.download"))


def test_damaged_archive_is_kept_but_not_unpacked(site: Any) -> None:
    """Protects against a published archive that is damaged: an error that names it, and no half tree."""
    site.hub.content = site.archive[:-1000]
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
def test_limits(site: Any, arguments: list[str], pieces: list[str]) -> None:
    """Protects the disk: the limits of the command line reach the download and the unpacking."""
    shown = site.fetch(*arguments)

    for piece in pieces:
        assert piece in str(shown.error)
    assert not site.target.exists()


def test_full_disk_is_told_before_the_download(site: Any) -> None:
    """Protects hours of downloading to a disk that is too small."""
    site.patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 0, 1000))
    shown = site.fetch()

    assert "802 kB are needed in" in str(shown.error)
    assert "where 1 kB are free" in str(shown.error)
    assert not site.hub.gets


def test_token_reaches_the_hub_and_nobody_else(site: Any) -> None:
    """Protects the user's token: sent to the hub, never to the storage it redirects to, never shown."""
    site.hub.token = site.token
    with site.serving(site.archive) as storage:
        site.hub.storage = storage
        done = site.process("--json", HF_TOKEN=site.token, HF_DEBUG="1")
    record = (site.target / RECORD).read_text()

    assert (0, True) == (done.returncode, site.complete()), done.stderr
    assert {f"Bearer {site.token}"} == {r["headers"].get("authorization") for r in site.hub.requests}
    assert [None] == [r["headers"].get("authorization") for r in storage.gets]
    assert site.token not in record


def test_stored_token(site: Any) -> None:
    """Protects `hf auth login`: its token is used."""
    site.hub.token = site.token
    site.home.mkdir()
    (site.home / "token").write_text(site.token)
    site.fetch()

    assert site.complete()


def test_credentials_in_the_endpoint_are_not_shown(site: Any) -> None:
    """Protects the password of a mirror: in errors, in the record and in what is printed."""
    site.endpoint(f"http://me:{site.token}@127.0.0.1:{site.closed_port()}")
    shown = site.fetch()
    assert "http://***@127.0.0.1" in str(shown.error)

    site.endpoint(site.hub.url.replace("http://", f"http://me:{site.token}@"))
    site.hub.drops = [1000]
    site.patch.setattr(logging.getLogger(), "level", logging.DEBUG)
    assert site.token not in site.fetch("--json").out
    assert "http://***@x" == hub.error_text(OSError(f"http://me:{site.token}@x"))
    assert site.token not in (site.target / RECORD).read_text()


WRONG: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "no repository": (
        {},
        ["--repo", "nobody/nothing"],
        ["nobody/nothing", "no such data set", "--repo", "hf auth login"],
    ),
    "no file": ({}, ["--file", "other.tar.gz"], ["file other.tar.gz", "no such file at 'main'", "--file"]),
    "no revision": ({}, ["--revision", "v9"], ["no revision 'v9'", "--revision"]),
    "no token": (
        {"token": "other"},
        [],
        ["no such data set, or it is not public", "set HF_TOKEN or run `hf auth login`"],
    ),
    "gated": ({"gated": True}, [], ["gated", "accept its conditions", "set HF_TOKEN or run `hf auth login`"]),
    "busy": ({"busy": 99}, [], ["status 503", "neither in the hub's cache nor at", "try again later"]),
    "no hub": ({"commit": None}, [], ["does not answer as a hub does", "HF_ENDPOINT"]),
    "odd commit": ({"commit": "../../x"}, [], ["does not answer as a hub does"]),
}


@pytest.mark.parametrize(("faults", "arguments", "pieces"), WRONG.values(), ids=WRONG)
def test_what_the_hub_refuses(site: Any, faults: dict[str, Any], arguments: list[str], pieces: list[str]) -> None:
    """Protects the user's time: each error names endpoint, data set, file and what to do, and leaves nothing."""
    for name, value in faults.items():
        setattr(site.hub, name, value)
    shown = site.fetch(*arguments)

    assert isinstance(shown.error, DataError)
    for piece in [site.hub.url, "datasets/", *pieces]:
        assert piece in str(shown.error)
    assert [] == site.left()


def test_wrong_token(site: Any) -> None:
    """Protects against a token that expired: it is told, and the token is not."""
    site.hub.token = "other"
    site.patch.setenv("HF_TOKEN", site.token)
    assert "asks for another token (status 401)" in str(site.fetch().error)

    site.patch.setenv("HF_TOKEN", site.token + "é")
    assert "has characters that no token has" in str(site.fetch().error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}", "http://[::1", "ftp://x"])
def test_hub_that_is_not_there(site: Any, url: str) -> None:
    """Protects against dead lines and misspelt endpoints: no traceback, and the fix."""
    url = url.format(port=site.closed_port())
    site.endpoint(url)
    shown = site.fetch()

    for piece in ("cannot be reached", url, REPO, FILE, "HF_ENDPOINT"):
        assert piece in str(shown.error)


def test_refused_in_a_process_of_its_own(site: Any) -> None:
    """Protects exit status and stderr of an error: 4, two lines, nothing on stdout."""
    site.hub.url = f"http://127.0.0.1:{site.closed_port()}"
    done = site.process("--json")

    assert (4, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith(f"error: {site.hub.url}/datasets/{REPO}, file {FILE}: the hub cannot be reached: ")
    assert 2 == len(done.stderr.splitlines())


def test_bar_on_a_terminal(site: Any) -> None:
    """Protects people who watch: the hub's bar with rate and rest, and where it goes on after a stop."""
    site.patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with receive._show_arriving("x.tar.gz", 500_000, 1_000_000) as show:
        show(750_000)
        show(1_000_000)

    err = site.capsys.readouterr().err
    assert "x.tar.gz" in err
    assert "1.00M/1.00M" in err
