"""Files in the keys of parts: a change of any of them is another key, and no change is the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vlrb.benchmark.stamps import key_with_named_files, stamp, write_named_files
from vlrb.errors import DataError

KEY = "k" * 64
LATER = 10**10
"""Nanoseconds after which nothing in the test changes."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture"
    file.write_bytes(b"1")
    return file


def key(folder: Path) -> str:
    return key_with_named_files(KEY, lambda k: folder / k)


def test_a_key_holds_while_the_files_that_rows_name_do(tmp_path: Path, picture: Path) -> None:
    """Another size or time, a file that is gone or has come: another key; as before again: the first."""
    missing = tmp_path / "missing"
    times = picture.stat().st_mtime_ns
    write_named_files(tmp_path / KEY, [str(picture), str(missing)], time.time_ns() + LATER)
    assert key(tmp_path) == KEY

    picture.write_bytes(b"12")
    larger = key(tmp_path)
    picture.write_bytes(b"3")
    os.utime(picture, ns=(times + 1, times + 1))
    later = key(tmp_path)
    picture.unlink()
    gone = key(tmp_path)
    picture.write_bytes(b"1")
    os.utime(picture, ns=(times, times))
    assert key(tmp_path) == KEY
    missing.write_bytes(b"")
    assert len({KEY, larger, later, gone, key(tmp_path)}) == 5


def test_a_file_that_changed_while_it_was_read_counts_as_changed(tmp_path: Path, picture: Path) -> None:
    """The rows may have been made of the old content: they are kept for nobody."""
    write_named_files(tmp_path / KEY, [str(picture)], picture.stat().st_mtime_ns - 1)

    assert key(tmp_path) != KEY


def test_a_second_reading_may_name_other_files(tmp_path: Path, picture: Path) -> None:
    """Its files are followed in turn."""
    write_named_files(tmp_path / KEY, [str(picture)], time.time_ns() + LATER)
    picture.unlink()
    second = key(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"1")
    write_named_files(tmp_path / second, [str(other)], time.time_ns() + LATER)
    assert key(tmp_path) == second

    other.write_bytes(b"12")
    assert key(tmp_path) not in (KEY, second)


def test_nothing_is_written_of_a_part_that_names_no_file(tmp_path: Path) -> None:
    """Its key is that of its own files."""
    write_named_files(tmp_path / KEY, [], 0)

    assert list(tmp_path.iterdir()) == []
    assert key(tmp_path) == KEY


def test_an_own_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A dangling link, with the fix for one."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError) as caught:
        stamp(link)

    assert (caught.value.problems[0].where, "link" in caught.value.problems[0].fix) == (str(link), True)
