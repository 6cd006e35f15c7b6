"""Limits of tables: wide tables, large rows, special files; reading takes linear time in the columns."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from vlrb.errors import DataError
from vlrb_plugins.records import mmr_bench, parquet
from vlrb_plugins.records.columns import OUTCOME_TABLE
from vlrb_plugins.shared.log_tables import delimited, json_lines, names, parquet_files
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.limits import MAX_COLUMNS


class Counted(str):
    """A text that counts how often it is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@pytest.fixture
def counted() -> type[Counted]:
    """Return the class, with its count at 0."""
    Counted.compared = 0
    return Counted


N = 500
MOST = 30 * N
"""Comparisons of N names that are fine; for each pair there would be N * N."""


def test_a_header_is_taken_apart_in_linear_time(counted: type[Counted]) -> None:
    """Looking for names that stand twice compares no name with each other, nor does finding a model's columns."""
    models = [counted(f"m{i}_{s}") for i in range(N // 4) for s in mmr_bench.SUFFIXES]
    header = [*mmr_bench.FIXED, *models]

    found = delimited.header_of(Path("x.csv"), iter([delimited.CsvRow(1, 1, header)]), mmr_bench.FIXED)
    layout = mmr_bench.layout_of(Path("x.csv"), found)

    assert len(layout.models) == N // 4
    assert counted.compared < MOST


def test_models_of_columns_are_resolved_in_linear_time(folder: Any, counted: type[Counted]) -> None:
    """Looking for two columns of one model compares no model with each other."""
    findings = Findings()
    some = [counted(f"m{i}") for i in range(N)]

    assert names.Names(folder.catalog).columns(some, "x.csv", findings) == some
    assert counted.compared < MOST


def test_columns_of_a_parquet_file_are_checked_in_linear_time() -> None:
    """Arrow makes the list of names again each time it is asked for."""

    class Schema:
        asked = 0
        metadata = None

        @property
        def names(self) -> list[str]:
            Schema.asked += 1
            return ["dataset", "key", "model", "score", *(f"c{i}" for i in range(15))]

        def field(self, _: str) -> pa.Field:
            return pa.field("x", pa.null())

    parquet.check_columns(Path("x.parquet"), Schema(), OUTCOME_TABLE, Findings())

    assert Schema.asked <= 2


def wide(folder: Any, form: str) -> Path:
    """Write a table with a column too many."""
    row = folder.outcome() | {f"c{i}": "1" for i in range(MAX_COLUMNS)}
    if form == "parquet":
        return Path(folder.parquet("outcomes", pa.table({n: [v] for n, v in row.items()})))
    return Path(folder.jsonl("outcomes", [row]))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_more_columns_than_the_limit_are_refused(folder: Any, form: str) -> None:
    """The number and the limit are named, rather than each unknown column."""
    error = folder.refused(wide(folder, form), "outcomes")

    assert len(error.problems) == 1
    assert "above the limit of 10,000" in str(error)


def test_a_csv_file_with_too_many_columns_is_refused(tmp_path: Path) -> None:
    """Before any row is read."""
    path = tmp_path / "x.csv"
    path.write_text(",".join(f"c{i}" for i in range(MAX_COLUMNS + 1)) + "\n", encoding="utf-8")

    with pytest.raises(DataError, match=r"10,001 columns, above the limit of 10,000"):
        delimited.header_of(path, delimited.read_rows(path), ())


def test_a_row_group_that_unpacks_to_too_much_is_refused(folder: Any, monkeypatch: Any) -> None:
    """What a file says of its sizes is looked at before its rows are read."""
    monkeypatch.setattr(parquet_files, "MAX_ROW_BYTES", 1000)
    path = folder.parquet("samples", pa.Table.from_pylist([folder.sample(question=os.urandom(9000).hex())]))

    error = folder.refused(path, "samples")

    assert "row group 1 unpacks to" in str(error)


def test_a_text_that_many_rows_share_does_not_fill_the_memory(folder: Any, monkeypatch: Any) -> None:
    """Such a text stands once in the file: the size of a batch follows from the rows as they are read."""
    monkeypatch.setattr(parquet_files, "BATCH_BYTES", 1_000_000)
    rows = [folder.sample(str(i), question="x" * 10_000) for i in range(1000)]
    path = folder.parquet("samples", pa.Table.from_pylist(rows))

    batches = list(parquet_files.parquet_batches(path, parquet_files.open_parquet(path)))

    assert sum(b.num_rows for b in batches) == len(rows)
    assert max(b.num_rows for b in batches) <= 100


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("reader", ["jsonl", "csv", "parquet"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str, reader: str) -> None:
    """Reading a pipe or a device would never end."""
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    readers: dict[str, Any] = {
        "jsonl": lambda: list(json_lines.json_lines(path, Findings())),
        "csv": lambda: list(delimited.read_rows(path)),
        "parquet": lambda: parquet_files.open_parquet(path),
    }

    with pytest.raises(DataError, match="is not a regular file") as caught:
        readers[reader]()
    assert str(path) in caught.value.problems[0].where


def test_a_long_object_with_a_key_twice_is_refused_at_once(tmp_path: Path, counted: type[Counted]) -> None:
    """Finding the key takes no time per pair of keys."""
    pairs = [(counted(f"k{i}"), 1) for i in range(N)] + [(counted("k499"), 2)]

    with pytest.raises(ValueError, match="'k499' appears twice"):
        json_lines._unique(pairs)
    assert counted.compared < MOST


@pytest.mark.parametrize("name", ["a\0b", "\0", "\x1b[31mred\x1b[0m", "\u202e", "|", "=1+1"])
def test_odd_names_are_read_as_they_stand(folder: Any, name: str) -> None:
    """NUL and escape codes in names, keys and texts are nothing to stumble over."""
    for path in folder.both_forms("outcomes", [folder.outcome(key=name, model=name, prediction=name)]):
        (row,) = folder.file(path, "outcomes")
        assert (row["key"], row["model"], row["prediction"]) == (name, name, name)
    path = folder.jsonl("samples", [json.dumps(folder.sample(images=[name]))])
    assert "line 1" in str(folder.refused(path, "samples"))
