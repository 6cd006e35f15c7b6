"""Unpacking archives that came from elsewhere: all of them or nothing, and nothing outside the target."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.errors import DataError, ExitCode
from vlrb_plugins.vlmevalkit.fetch import unpack as module
from vlrb_plugins.vlmevalkit.fetch.unpack import Unpacked, amount, unpack

MEGABYTE = 10**6
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"text", **fields: Any) -> Member:
    """Return a file for an archive, or another member if its ``type`` is given."""
    info = tarfile.TarInfo(name)
    info.size = len(content) if fields.get("type", tarfile.REGTYPE) == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content[: info.size]


def folder(name: str) -> Member:
    """Return a folder for an archive."""
    return file(name, type=tarfile.DIRTYPE, mode=0o500)


def link(name: str, to: str, hard: bool = False) -> Member:
    """Return a link for an archive."""
    return file(name, type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, linkname=to)


def tar(members: Iterable[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def content(target: Path) -> dict[str, bytes]:
    """Return what lies below a folder: path to content, folders as None."""
    return {str(p.relative_to(target)): p.read_bytes() for p in sorted(target.rglob("*")) if p.is_file()}


TREE = [
    folder("data/"),
    folder("data/A/"),
    file("data/A/A_MMStar.xlsx", b"workbook" * 50, mtime=1_700_000_000, mode=0o755),
    file("data/TSV_images/MMStar.tsv", b"index\n" * 200),
    file("data/" + "long/" * 30 + "é.txt", b""),
]
WHOLE = {
    "A/A_MMStar.xlsx": b"workbook" * 50,
    "TSV_images/MMStar.tsv": b"index\n" * 200,
    "long/" * 30 + "é.txt": b"",
}


class Attempt:
    """Unpacks archives, and holds what is promised of each attempt that fails."""

    def __init__(self, root: Path) -> None:
        self.archive, self.target = root / "data.tar.gz", root / "data"

    def __call__(self, packed: bytes, max_bytes: int = MEGABYTE, max_files: int = 100) -> Unpacked:
        self.archive.write_bytes(packed)
        before = sorted(self.archive.parent.rglob("*"))
        try:
            return unpack(self.archive, self.target, max_bytes, max_files)
        except DataError as error:
            self.check(error)
            assert before == sorted(self.archive.parent.rglob("*")), "nothing is left"
            raise

    def check(self, error: DataError) -> None:
        """Check what each error tells."""
        assert ExitCode.USAGE == error.exit_code
        assert str(self.archive) in str(error), "the archive is named"
        assert all(p.fix for p in error.problems), "the fix is named"


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """Return a function that unpacks an archive's bytes into a new folder."""
    return Attempt(tmp_path)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_whole_archive(attempt: Attempt, pack: Callable[[bytes], bytes], form: int) -> None:
    """Protects the contents: all files, in the place of the archive's one folder, with their times but not their rights."""
    made = attempt(pack(tar(TREE, form)))

    assert WHOLE == content(attempt.target)
    assert Unpacked(3, 1600, 0) == made
    assert (attempt.target / "A/A_MMStar.xlsx").stat().st_mtime == 1_700_000_000
    assert os.access(attempt.target / "A", os.W_OK), "a folder that cannot be written could not be deleted"
    assert not os.access(attempt.target / "A/A_MMStar.xlsx", os.X_OK), "data is nothing to run"


def test_several_folders_stay_as_they_are(attempt: Attempt) -> None:
    """Protects archives without one folder around them: nothing is moved or lost."""
    made = attempt(tar([file("a/x"), file("./b/x"), file("readme"), folder("./")]))

    assert {"a/x": b"text", "b/x": b"text", "readme": b"text"} == content(attempt.target)
    assert 3 == made.files


def test_folder_that_holds_its_own_name(attempt: Attempt) -> None:
    """Protects data/data/x: taking the outer folder away must not collide with the inner one."""
    attempt(tar([file("data/data/x"), file("data/y")]))

    assert {"data/x": b"text", "y": b"text"} == content(attempt.target)


def test_left_overs_of_macos(attempt: Attempt) -> None:
    """Protects archives made on a Mac: its ``._`` files are no second folder at the top, and no workbooks."""
    made = attempt(tar([file("._data"), *TREE, file("data/A/._A_MMStar.xlsx")]))

    assert WHOLE == content(attempt.target)
    assert 2 == made.left_out


def test_links_inside_the_archive(attempt: Attempt) -> None:
    """Protects trees of VLMEvalKit, which links a run's files into the model's folder."""
    attempt(
        tar([link("d/A/new", "run"), file("d/A/run/x"), link("d/A/x", "new/x"), link("d/y", "d/A/run/x", hard=True)])
    )

    assert {"A/run/x": b"text", "A/x": b"text", "y": b"text"} == content(attempt.target)
    assert (attempt.target / "A/new").is_symlink()


def test_several_streams_and_padding(attempt: Attempt) -> None:
    """Protects archives from pigz and from tapes: several gzip streams, zeros behind the end."""
    packed = tar(TREE) + bytes(4096)
    attempt(gzip.compress(packed[:1000]) + gzip.compress(packed[1000:]))

    assert WHOLE == content(attempt.target)


def test_odd_times(attempt: Attempt) -> None:
    """Protects against times that no file system takes."""
    odd = [file(str(i), pax_headers={"mtime": t}) for i, t in enumerate(["nan", "inf", "-5", "1e300"])]
    made = attempt(tar(odd))

    assert 4 == made.files


def test_progress(tmp_path: Path) -> None:
    """Protects the bar: it grows, and ends at the archive's size."""
    archive = tmp_path / "x.tar"
    archive.write_bytes(tar([file("x", bytes(3 * module.CHUNK))]))
    seen: list[tuple[int, int]] = []
    unpack(archive, tmp_path / "x", 10 * MEGABYTE, 9, lambda done, total: seen.append((done, total)))

    size = archive.stat().st_size
    assert sorted(seen) == seen
    assert (size, size) == seen[-1]
    assert len(seen) > 3


def corrupted_header() -> bytes:
    """Return an archive whose second header is damaged, which tarfile takes for the end."""
    packed = bytearray(tar([file("a"), file("b")], tarfile.USTAR_FORMAT))
    packed[1024 + 5] ^= 1
    return bytes(packed)


def huge_header() -> bytes:
    """Return an archive with an extended header that says it is 8 GB long."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)


def negative_size() -> bytes:
    """Return an archive with a member of negative size, over which some tarfiles loop for ever."""
    info = tarfile.TarInfo("x")
    info.size = -512
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def enormous() -> bytes:
    """Return an archive that claims a file of 10 TB."""
    info = tarfile.TarInfo("big")
    info.size = 10 * 10**12
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


SPARSE = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,4", "GNU.sparse.size": "999999"}

REFUSED = {
    "absolute": (tar([file("/etc/x")]), "'/etc/x'", "absolute"),
    "drive": (tar([file("C:/x")]), "'C:/x'", "another system"),
    "backslash": (tar([file("..\\x")]), "x'", "another system"),
    "up": (tar([file("a/../../x")]), "'a/../../x'", "leads out"),
    "up at the end": (tar([folder("a/..")]), "'a/..'", "leads out"),
    "no name": (tar([file("")]), "''", "no usable name"),
    "link out": (tar([file("d/x"), link("d/l", "../../x")]), "'l'", "'../../x'", "out of the archive"),
    "absolute link": (tar([file("d/x"), link("d/l", "/etc/passwd")]), "'/etc/passwd'", "out of the archive"),
    "dangling link": (tar([file("d/x"), link("d/l", "gone")]), "'gone'", "nothing in it"),
    "link to itself": (tar([file("d/x"), link("d/l", "l")]), "'l'", "nothing in it"),
    "link through a link": (
        tar([file("d/a/b/c/x"), link("d/a/b/c/up", "../../.."), link("d/out", "a/b/c/up/../..")]),
        "'out'",
        "out of the archive",
    ),
    "file through a link": (tar([link("a", "/tmp"), file("a/x")]), "'a/x'", "inside 'a'", "not a folder"),
    "link over a folder": (tar([file("a/x"), link("a", "/tmp")]), "'a'", "twice"),
    "hard link out": (tar([link("l", "../x", hard=True)]), "'../x'", "not a file before it"),
    "hard link to a link": (tar([file("x"), link("l", "x"), link("m", "l", hard=True)]), "'m'", "not a file before it"),
    "hard link to itself": (tar([link("l", "l", hard=True)]), "'l'", "not a file before it"),
    "device": (tar([file("dev", type=tarfile.BLKTYPE)]), "'dev'", "a device"),
    "terminal": (tar([file("tty", type=tarfile.CHRTYPE)]), "'tty'", "a device"),
    "pipe": (tar([file("p", type=tarfile.FIFOTYPE)]), "'p'", "a pipe"),
    "unknown": (tar([file("u", type=b"Z")], tarfile.USTAR_FORMAT), "'u'", "something unknown"),
    "sparse": (tar([file("s", pax_headers=SPARSE)]), "'s'", "sparse"),
    "twice": (tar([file("x"), file("./x")]), "twice"),
    "file over a folder": (tar([file("x/y"), file("x")]), "'x'", "twice"),
    "file as a folder": (tar([file("x"), file("x/y")]), "'x/y'", "inside 'x'"),
    "long path": (tar([file("a/" * 600 + "x")]), "too long a path"),
    "long name": (tar([file("a" * 300)]), "too long a path"),
    "too many": (tar([file(str(i)) for i in range(101)]), "'100'", "100 files and folders", "--max-files"),
    "too many folders": (tar([file(f"{i}/" * 60 + "x") for i in (1, 2, 3)]), "100 files and folders", "--max-files"),
    "too large": (tar([file("x", bytes(600_000)), file("y", bytes(600_000))]), "'y'", "1 MB", "--max-size"),
    "says it is enormous": (enormous(), "'big'", "1 MB", "--max-size"),
    "bomb": (gzip.compress(tar([file("x")]) + bytes(5_000_000)), "1 MB", "--max-size"),
    "huge header": (huge_header(), "impossible size"),
    "negative size": (negative_size(), "'x'", "impossible size -512"),
    "bad header": (corrupted_header(), "neither a member nor the end mark after 'a'"),
    "no end": (tar([file("x")])[:1024], "end mark after 'x'"),
    "more after the end": (tar([file("x")]) + tar([file("y")]), "goes on after its end"),
    "cut off": (gzip.compress(tar(TREE))[:-20], "damaged or was cut off"),
    "cut off, plain": (tar([file("x", bytes(5000))])[:2000], "damaged or was cut off", "'x'"),
    "wrong sum": (gzip.compress(tar(TREE))[:-8] + bytes(8), "damaged or was cut off"),
    "garbage behind": (gzip.compress(tar(TREE)) + b"garbage", "damaged or was cut off"),
    "no tar": (b"<html>please log in</html>" * 100, "not a tar archive", "--file"),
    "no tar in gzip": (gzip.compress(b"text" * 1000), "not a tar archive"),
    "nothing": (b"", "not a tar archive"),
    "empty": (tar([]), "holds no files"),
    "only folders": (tar([folder("a")]), "holds no files"),
}  # fmt: skip


@pytest.mark.parametrize(("packed", "pieces"), [(p, m) for p, *m in REFUSED.values()], ids=list(REFUSED))
def test_refused(attempt: Attempt, packed: bytes, pieces: list[str]) -> None:
    """Protects the user's files: whatever is odd is refused by name, and nothing is left of the rest."""
    with pytest.raises(DataError) as caught:
        attempt(packed)

    for piece in pieces:
        assert piece in str(caught.value)


def test_checks_come_before_writing(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects the disk: a member that is refused is never opened for writing."""
    written: list[str] = []
    monkeypatch.setattr(tarfile.TarFile, "extract", lambda self, member, *a, **k: written.append(member.name))
    for name in ("up", "device", "too many", "says it is enormous", "sparse"):
        with pytest.raises(DataError):
            attempt(REFUSED[name][0])

    assert [str(i) for i in range(100)] == written


def test_full_disk_is_told_beforehand(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against a disk that fills up: what is needed and what is free is told."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(DataError, match=r"400 bytes are needed in .*, where 100 bytes are free\n.*make room"):
        attempt(tar(TREE))


def test_disk_that_fills_up_meanwhile(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against an error of the file system in the middle: told with the file, and nothing is left."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere/x")

    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    with pytest.raises(DataError, match=r"somewhere/x: No space left on device\n.*the disk's space"):
        attempt(tar([file("x")]))


def test_interrupt_leaves_nothing(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protects against Ctrl-C in the middle."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "extract", interrupt)
    with pytest.raises(KeyboardInterrupt):
        attempt(tar(TREE))
    assert not attempt.target.exists()


def test_target_in_use(attempt: Attempt) -> None:
    """Protects what is there: only a new or empty folder is filled, and an empty one stays when it fails."""
    attempt.target.mkdir()
    with pytest.raises(DataError, match="not a tar archive"):
        attempt(b"")
    (attempt.target / "mine").touch()
    with pytest.raises(DataError, match="exists and is not an empty folder"):
        attempt(tar(TREE))


def test_archive_that_is_not_there(tmp_path: Path) -> None:
    """Protects the message for a wrong path."""
    with pytest.raises(DataError, match=r"gone\.tar: cannot be read: No such file"):
        unpack(tmp_path / "gone.tar", tmp_path / "x", MEGABYTE, 9)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (5_250_000_000, "5.25 GB")]
)
def test_amount(size: int, text: str) -> None:
    """Protects how sizes read."""
    assert text == amount(size)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8(attempt: Attempt) -> None:
    """Protects names in other encodings: they unpack, and can be told."""
    packed = tar([file("d/b\udcffx"), file("d/y")])
    attempt(packed)
    assert {"b\udcffx", "y"} == set(content(attempt.target))
    shutil.rmtree(attempt.target)

    with pytest.raises(DataError) as caught:
        attempt(tar([file("d/b\udcffx")] * 2))
    str(caught.value).encode()


def outcome(packed: bytes) -> dict[str, bytes] | None:
    """Return what an archive unpacks to, or nothing if it is refused; check that nothing else happens."""
    with tempfile.TemporaryDirectory() as root:
        attempt = Attempt(Path(root) / "in")
        attempt.archive.parent.mkdir()
        try:
            attempt(packed)
        except DataError:
            found = None
        else:
            found = content(attempt.target)
        inside = attempt.target.resolve()
        assert all(p.resolve().is_relative_to(inside) for p in attempt.target.rglob("*"))
        assert [attempt.archive.parent] == list(Path(root).iterdir()), "nothing is written outside"
        return found


PACKED = {"gzip": gzip.compress(tar(TREE), mtime=0), "plain": tar(TREE), "gnu": tar(TREE, tarfile.GNU_FORMAT)}


@settings(max_examples=60)
@given(form=st.sampled_from(sorted(PACKED)), end=st.integers(0, 20_000))
def test_any_truncation(form: str, end: int) -> None:
    """Protects against broken transfers: all of an archive or an error, wherever it was cut."""
    assert outcome(PACKED[form][:end]) in (None, WHOLE)


@settings(max_examples=60)
@given(changes=st.dictionaries(st.integers(0, len(PACKED["gzip"]) - 1), st.integers(0, 255), min_size=1, max_size=4))
def test_any_damage_to_gzip(changes: dict[int, int]) -> None:
    """Protects against damage: gzip's checksum is read to the end, so all is right or it is an error."""
    packed = bytearray(PACKED["gzip"])
    for place, value in changes.items():
        packed[place] = value

    assert outcome(bytes(packed)) in (None, WHOLE)


@settings(max_examples=60)
@given(data=st.data(), repaired=st.booleans())
def test_any_damage_to_headers(data: st.DataObject, repaired: bool) -> None:
    """Protects against hostile headers, right checksum included: no other error, and nothing outside the target."""
    packed = bytearray(PACKED["plain"])
    headers = [i for i in range(0, len(packed), 512) if packed[i + 257 : i + 262] == b"ustar"]
    start = data.draw(st.sampled_from(headers))
    for place in data.draw(st.lists(st.sampled_from([*range(100), *range(124, 257), *range(345, 400)]), max_size=6)):
        packed[start + place] = data.draw(st.sampled_from(list(b"\0/.07123456\xff\x80xgLKDS ")))
    if repaired:
        head = packed[start : start + 512]
        total = sum(head[:148]) + 8 * 32 + sum(head[156:])
        packed[start + 148 : start + 156] = b"%06o\0 " % total

    outcome(bytes(packed))
