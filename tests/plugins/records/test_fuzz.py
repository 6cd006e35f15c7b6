"""Whatever bytes stand in a table, there is a DataError or valid batches."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlrb.errors import DataError
from vlrb_plugins.records.columns import OUTCOME_TABLE, SAMPLE_TABLE

TABLES = {"samples": SAMPLE_TABLE, "outcomes": OUTCOME_TABLE}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
LIKELY = st.sampled_from(
    ["", "a", "dev", 1, 0.5, True, [], ["x"], [{"letter": "A", "text": "b"}], {"a": "b"}, "\ud800"]
)


def rows(kind: str) -> Any:
    """Return rows with right and wrong columns and values."""
    names = st.sampled_from([*TABLES[kind].names, "other"])
    right = (
        {"dataset": "d", "key": "k", "question": "q"}
        if kind == "samples"
        else {"dataset": "d", "key": "k", "model": "m"}
    )
    return st.dictionaries(names, LIKELY | JSON, max_size=4).map(lambda row: right | row)


def try_file(folder: Any, path: Any, kind: str) -> None:
    """Read a file as a table; anything but a DataError fails the test."""
    with contextlib.suppress(DataError):
        folder.file(path, kind)


@pytest.mark.parametrize("kind", TABLES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_lines(folder: Any, kind: str, data: Any) -> None:
    """Rows of any shape, and bytes of any kind between them."""
    lines = data.draw(
        st.lists(
            st.binary(max_size=30) | rows(kind).map(json.dumps).map(str.encode) | JSON.map(json.dumps).map(str.encode)
        )
    )
    path = folder.path / f"{kind}.jsonl"
    path.write_bytes(b"\n".join(lines))
    try_file(folder, path, kind)


@pytest.mark.parametrize("kind", TABLES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_parquet_columns(folder: Any, kind: str, data: Any) -> None:
    """Columns of any type and any values, as far as Parquet can hold them."""
    n = data.draw(st.integers(0, 3))
    names = [*TABLES[kind].required, *data.draw(st.lists(st.sampled_from(TABLES[kind].names), max_size=4, unique=True))]
    columns = {}
    for name in names:
        column = st.lists(LIKELY | st.none() | JSON, min_size=n, max_size=n)
        same = st.sampled_from(
            [["a"], [["a"]], [[]], [None], [1.5], [float("nan")], [2], [{"x": "y"}], [[b"i"]], [[None]]]
        )
        values = data.draw(same.map(lambda v: v * n) | column)
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            columns[name] = pa.array(["a"] * n, pa.string())
    path = folder.path / f"{kind}.parquet"
    try:
        pq.write_table(pa.table(columns), path)
    except pa.ArrowException:  # a struct without fields
        return
    try_file(folder, path, kind)


@pytest.mark.parametrize("kind", TABLES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 4000))
def test_cut_parquet_files(folder: Any, kind: str, cut: int) -> None:
    """A file that is cut anywhere is told to be so."""
    rows = [folder.sample(str(i), hint="x") if kind == "samples" else folder.outcome(str(i)) for i in range(50)]
    path = folder.parquet(kind, pa.Table.from_pylist(rows))
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    with pytest.raises(DataError):
        folder.file(path, kind)
