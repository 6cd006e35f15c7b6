"""Files that appear whole or not at all, and locks."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb import storage as cache
from vlrb.errors import ConfigError, DataError, StorageError
from vlrb.locks import locked, sweep_cache
from vlrb.storage import (
    Moment,
    Places,
    mark_used,
    new_directory,
    new_file,
    read_json,
    write_json,
    write_text,
)


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error half-way leaves nothing, and what a killed process left aside is removed."""
    target = tmp_path / "t"
    with pytest.raises(RuntimeError), new_directory(target) as aside:
        (aside / "half").write_text("x", encoding="utf-8")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".t.abc.partial").mkdir()
    with new_directory(target) as aside:
        (aside / "whole").write_text("x", encoding="utf-8")
        assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    """Write-then-rename: readers see the old or the new, never a part."""
    target = tmp_path / "f"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), new_file(target) as aside:
        aside.write_text("new", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_strict_and_a_broken_file_is_named(tmp_path: Path) -> None:
    """NaN is no JSON; a truncated file is an error with its path."""
    with pytest.raises(ValueError):
        write_json(tmp_path / "f", {"x": float("nan")})
    write_json(tmp_path / "f", {"x": "ü"})
    assert json.loads((tmp_path / "f").read_text(encoding="utf-8")) == {"x": "ü"}
    (tmp_path / "f").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=str(tmp_path / "f")):
        read_json(tmp_path / "f")


def test_places_come_from_options_then_environment_then_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--runs and --cache win; plugins and child processes see the same places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLRB_RUNS", "r")
    monkeypatch.setenv("VLRB_CACHE", "")
    assert Places.of() == Places(tmp_path / "r", tmp_path / ".vlrb-cache")
    places = Places.of("a", "b")
    places.use()
    assert Places.of() == places == Places(tmp_path / "a", tmp_path / "b")
    assert cache.cache_directory() == tmp_path / "b"


def test_a_folder_in_use_is_not_discarded(tmp_path: Path) -> None:
    """One that was marked since is kept, whole; another is removed; none is no error."""
    folder = tmp_path / "t"
    folder.mkdir()
    os.utime(folder, (1000, 1000))
    assert mark_used(folder)
    assert not cache.discard_unless_used(folder, 2000)
    os.utime(folder, (1000, 1000))
    assert cache.discard_unless_used(folder, 2000)
    assert list(tmp_path.iterdir()) == []
    assert not cache.discard_unless_used(folder, 2000)
    assert not mark_used(folder)


def test_what_killed_processes_left_is_swept_unless_somebody_works_on_it(tmp_path: Path) -> None:
    """In the cache, by the lock of what it was for, and in a run's folder."""
    for name in ("held", "left"):
        (tmp_path / "cells" / f".{name}.0123.partial").mkdir(parents=True)
    with locked(tmp_path / "cells" / "held"):
        sweep_cache(tmp_path)
    assert [p.name for p in (tmp_path / "cells").glob(".*.partial")] == [".held.0123.partial"]

    (tmp_path / "cells" / ".results.json.1.partial").write_text("", encoding="utf-8")
    cache.sweep_run(tmp_path)
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("write", [new_directory, new_file])
def test_a_full_disk_is_a_storage_error_with_the_path(tmp_path: Path, write: Any) -> None:
    """It is nobody's fault in the code to which it happens; other errors stay what they are."""
    with pytest.raises(StorageError) as caught, write(tmp_path / "t"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.problems[0].where == str(tmp_path / "t")
    with pytest.raises(IsADirectoryError), write(tmp_path / "t"):
        raise IsADirectoryError(errno.EISDIR, "x")


def test_a_text_that_utf8_lacks_is_written_escaped(tmp_path: Path) -> None:
    """A lone surrogate of a plugin's message must not lose the file that holds it."""
    cache.write_text(tmp_path / "t", "a\ud800")

    assert (tmp_path / "t").read_text(encoding="utf-8") == "a\\ud800"


def test_a_column_that_a_table_lacks_is_an_error(tmp_path: Path) -> None:
    """pyarrow would return the others."""
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "t")

    assert cache.read_parquet(tmp_path / "t", ["b"]).column_names == ["b"]
    with pytest.raises(pa.ArrowInvalid, match="'c'"):
        cache.read_parquet(tmp_path / "t", ["a", "c"])


def test_a_place_that_cannot_be_written_is_refused_with_its_option(tmp_path: Path) -> None:
    """Before any work is done."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Places(tmp_path / "runs", tmp_path / "file" / "cache").check()

    assert caught.value.problems[0].where == "--cache"


@pytest.mark.parametrize("name", ["n" * 255, "名" * 85])
def test_any_name_that_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    """The name under which a file is written first is no longer; what a killed process left is found all the same."""
    cache.write_text(tmp_path / name, "x")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    with pytest.raises(StorageError) as caught:
        cache.write_text(tmp_path / f"{name}n", "x")
    assert caught.value.problems[0].where.endswith(f"{name}n")

    (tmp_path / name).unlink()
    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / name) as aside:
        aside.with_name(aside.name.replace(".partial", "0.partial")).mkdir()
        raise KeyboardInterrupt
    with new_directory(tmp_path / name):
        pass
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_files_can_hold_any_text(tmp_path: Path) -> None:
    """A lone surrogate is an escape in a text file, and in JSON one that reads back."""
    write_text(tmp_path / "a.txt", "\udcff\n")
    write_json(tmp_path / "a.json", {"é\udcff": "\udcff"})

    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "\\udcff\n"
    assert read_json(tmp_path / "a.json") == {"é\udcff": "\udcff"}
    assert json.loads((tmp_path / "a.json").read_bytes())


def test_a_directory_that_appears_meanwhile_is_replaced_whole(tmp_path: Path) -> None:
    """One that was stopped for long may come to its end while another process writes the same."""
    target = tmp_path / "t"
    with new_directory(target) as aside:
        (aside / "one").write_text("1", encoding="utf-8")
        target.mkdir()
        (target / "two").write_text("2", encoding="utf-8")
    assert [p.name for p in target.iterdir()] == ["one"]

    target.joinpath("one").unlink()
    target.rmdir()
    target.write_text("a file", encoding="utf-8")
    with new_directory(target):
        pass
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("write", [new_directory, new_file])
def test_whoever_finds_its_half_made_files_removed_says_why(tmp_path: Path, write: Any, fails: bool) -> None:
    """Another process has taken over its lock and removed what looked abandoned; that is not a plugin's fault."""
    expected = StorageError if write is new_directory or not fails else RuntimeError
    with pytest.raises(expected) as caught, write(tmp_path / "t") as aside:
        cache.remove_path(aside)
        if fails:
            raise RuntimeError
    if caught.type is StorageError:
        assert "another process took over" in str(caught.value)


def test_a_folder_that_was_marked_and_made_again_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two, the one that stands under the name."""
    folder, rename = tmp_path / "t", Path.rename
    folder.mkdir()
    os.utime(folder, (1000, 1000))

    def again(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if self == folder:
            os.utime(target)
            folder.mkdir()
            (folder / "new").touch()
        return moved

    monkeypatch.setattr(Path, "rename", again)
    cache.discard_unless_used(folder, 2000)
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
    assert (folder / "new").exists()


AHEAD = [-600, 600]
"""Seconds by which this machine's clock is ahead of the file system's."""


def shift_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make this machine's clock another one than that of its file systems."""
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_moment_is_told_by_the_clock_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """On the file system where it was taken exactly; on another disk of this machine, and elsewhere surely before."""
    real = time.time_ns()
    shift_clock(monkeypatch, ahead)
    moment = Moment.now(tmp_path)
    second = 10**9
    assert abs(moment.of(tmp_path.stat().st_dev) - real) < second
    assert abs(moment.of(os.makedev(250, 1)) - real - ahead * second) < second
    assert moment.of(os.makedev(0, 12345)) < real - 2000 * second


def test_a_cache_that_is_read_only_is_no_error_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold all that is needed; runs are written elsewhere."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "cache")
    Places(tmp_path / "runs", tmp_path / "cache").check()
