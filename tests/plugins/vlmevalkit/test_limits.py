"""Limits of tables of results: columns, cells, gaps, what workbooks unpack to, and special files."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import DataError
from vlrb_plugins.vlmevalkit import table, texts
from vlrb_plugins.vlmevalkit.formats import read_table
from vlrb_plugins.vlmevalkit.table import SuspectCell, Table

WIDE = {"index": 1, "prediction": "A"} | {f"c{i}": "1" for i in range(10_000)}


def test_more_columns_than_the_limit_are_refused(logs: Any) -> None:
    """In each format: the number, the limit and the file are named."""
    paths = [
        logs.book("x.xlsx", [WIDE]),
        logs.text("x.tsv", "\t".join(WIDE) + "\n"),
        logs.text("x.json", json.dumps([WIDE])),
    ]
    for path in paths:
        with pytest.raises(DataError, match=r"above the limit of 10,000") as caught:
            read_table(path)
        assert str(path) in caught.value.problems[0].where


def test_a_tsv_file_of_samples_with_too_many_columns_is_refused(logs: Any) -> None:
    """It is streamed, and looked at in the same way."""
    path = logs.text("MMStar.tsv", "\t".join(["image", "question", *WIDE]) + "\n")

    with pytest.raises(DataError, match=r"10,004 columns, above the limit of 10,000"):
        logs.samples(path)


def test_columns_are_found_in_linear_time() -> None:
    """Reading each column of a table, some with cells that cannot be trusted, compares no pair of columns."""

    class Cells(tuple[SuspectCell, ...]):
        __slots__ = ()
        gone_through = 0

        def __iter__(self) -> Any:
            Cells.gone_through += 1
            return super().__iter__()

    header = tuple(f"c{i}" for i in range(300))
    wide = Table(Path("x.tsv"), header, [["1"] * 300], suspects=Cells([SuspectCell(299, 2, "is an error cell", "")]))

    for name in header[:-1]:
        assert wide.column(name) == ["1"]
    with pytest.raises(DataError, match="c299"):
        wide.column("c299")
    assert Cells.gone_through == 1


@pytest.mark.parametrize("form", ["tsv", "json"])
def test_more_cells_than_the_limit_are_refused(logs: Any, monkeypatch: Any, form: str) -> None:
    """A large table is refused while it is read, before its cells fill the memory."""
    monkeypatch.setattr(table, "MAX_CELLS", 100)
    rows = [{"index": i, "prediction": "A"} for i in range(51)]
    text = "index\tprediction\n" + "1\tA\n" * 51 if form == "tsv" else json.dumps(rows)

    with pytest.raises(DataError, match="more than 100 cells"):
        read_table(logs.text(f"x.{form}", text))


def test_objects_with_keys_of_their_own_are_refused_when_they_are_many(logs: Any, monkeypatch: Any) -> None:
    """A small file of objects that share no key would become a vast table of gaps."""
    monkeypatch.setattr(texts, "MAX_GAPS", 1000)

    with pytest.raises(DataError, match="lack 1,560 of the keys"):
        read_table(logs.text("x.json", json.dumps([{f"k{i}": 1} for i in range(40)])))


def _lie(path: Path, name: str, size: int) -> None:
    """Have an archive say that a member is smaller than it is."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        real = archive.getinfo(name).file_size
    path.write_bytes(data.replace(struct.pack("<I", real), struct.pack("<I", size)))


def test_a_workbook_that_lies_about_its_sizes_is_refused(logs: Any) -> None:
    """The limit holds because calamine unpacks no more than a member says it has."""
    path = logs.book("x.xlsx", [{"index": 1, "prediction": "A"}])
    logs.rewrite(path, "xl/sharedStrings.xml", lambda xml: xml + b" " * 1_234_567)
    _lie(path, "xl/sharedStrings.xml", 500)

    with pytest.raises(DataError, match="is not a readable xlsx workbook") as caught:
        read_table(path)
    assert str(path) in caught.value.problems[0].where


def test_a_panic_of_the_reader_is_an_unreadable_workbook(logs: Any, monkeypatch: Any) -> None:
    """A panic of Rust code is no Exception: it would end the process with a traceback."""
    import python_calamine

    class PanicException(BaseException):
        pass

    def panic(*_: object) -> None:
        raise PanicException("index out of bounds")

    path = logs.book("x.xlsx", [{"index": 1, "prediction": "A"}])
    monkeypatch.setattr(python_calamine, "CalamineWorkbook", type("Broken", (), {"from_path": staticmethod(panic)}))

    with pytest.raises(DataError, match="index out of bounds"):
        read_table(path)


@pytest.mark.parametrize("suffix", [".tsv", ".json", ".xlsx"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read(tmp_path: Path, suffix: str, kind: str) -> None:
    """Reading a pipe or a device would never end."""
    path = tmp_path / f"x{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    with pytest.raises(DataError, match="is not a regular file"):
        read_table(path)


@pytest.mark.parametrize("count", [10**12 + 1, 2**53, float(2**50)])
def test_token_counts_beyond_all_use_are_refused(logs: Any, count: float) -> None:
    """They would overflow sums; the index and the file are named."""
    path = logs.text("x.json", json.dumps([{"index": 7, "prediction": "A", "hit": 1, "output_tokens": count}]))

    with pytest.raises(DataError, match="output_tokens of index '7'"):
        logs.outcomes(path, dataset="MMStar")
