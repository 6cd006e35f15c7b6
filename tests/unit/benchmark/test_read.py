"""Reading the parts of a log source: what is refused of their rows, what is kept, under which key, and how it is read back."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_logs import LARGE, SMALL, Counter, Rows, Work, answer, answers, batch, questions

from vlrb.api.logs import Part
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL
from vlrb.benchmark.read import (
    PartBuilder,
    iterate_rows,
    key_with_named_files,
    read_rows,
    rows_writer,
    stamp,
    write_named_files,
)
from vlrb.errors import DataError
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Moment, Places, read_json


def _number(**values: Any) -> list[dict[str, Any]]:
    return [answer("a"), answer("b", **values)]


@pytest.mark.parametrize(
    "values",
    [{"score": 1.001}, {"score": -0.001}, {"score": float("nan")}, {"cost": -0.001}, {"cost": float("inf")}],
)
def test_figures_outside_their_range_are_refused(work: Work, values: dict[str, float]) -> None:
    """The sample and the figure are named."""
    (problem,) = work.refused(questions("TinyA", "ab"), answers(_number(**values)))
    assert problem.message.startswith(f"{next(iter(values))} of sample 'TinyA/b' is")


def test_figures_at_the_ends_of_their_range_are_taken(work: Work) -> None:
    """0 and 1, a free answer, and one that costs more than a dollar."""
    rows = [answer("a", 0.0, cost=0.0), answer("b", 1.0, cost=2.5)]
    made = work.build(questions("TinyA", "ab"), answers(rows))
    assert (made.score[:, 0].tolist(), made.cost[:, 0].tolist()) == ([0, 1], [0, 2.5])


def _bare(rows: Rows, *, without: str = "", **types: pa.DataType) -> list[pa.RecordBatch]:
    schema = pa.schema([(f.name, types.get(f.name, f.type)) for f in OUTCOMES if f.name != without])
    return [
        pa.RecordBatch.from_pylist([{k: v for k, v in r.items() if k in schema.names} for r in rows], schema=schema)
    ]


BROKEN: dict[str, list[Any]] = {
    "no batch": [{"key": "a"}],
    "score: missing": _bare([answer("a")], without="score"),
    "cost: string": _bare([answer("a")], cost=pa.string()),
    "key: nulls": _bare([{**answer("a"), "key": None}]),
    "rows of dataset 'TinyB'": _bare([answer("a", dataset="TinyB")]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_batches_that_break_their_schema_are_blamed_on_the_source(work: Work, what: str) -> None:
    """The part and what is wrong with it are named."""
    part, _ = answers([answer("a")])
    (problem,) = work.refused(questions("TinyA", "a"), (part, BROKEN[what]))

    assert "tiny/tiny" in problem.message
    assert problem.where == part.id
    assert (what in problem.message) == (what != "no batch")


def test_a_part_of_several_models_says_whose_its_rows_are(work: Work) -> None:
    """It must have the column; one of a single model need not, and its rows are that model's."""
    several = Part("outcomes/TinyA", "outcomes", (), "TinyA")
    rows = [answer("a", 0.25, model=SMALL), answer("a", 0.75, model=LARGE)]
    made = work.build(questions("TinyA", "a"), (several, [batch(rows, OUTCOMES, OUTCOMES_OPTIONAL)]))
    assert made.score.tolist() == [[0.75, 0.25]]
    assert {p.model: p.found for p in made.manifest.pairs} == {LARGE: 1, SMALL: 1}

    for rows in ([answer("a")], [answer("a", model=LARGE), answer("a", model=None)]):
        (problem,) = work.refused(questions("TinyA", "a"), (several, [batch(rows, OUTCOMES, OUTCOMES_OPTIONAL)]))
        assert "model: " in problem.message


def test_a_part_without_rows_is_refused(work: Work) -> None:
    """A file that is cut off must not pass for a model that answered nothing."""
    part, _ = answers([answer("a")])
    (problem,) = work.refused(questions("TinyA", "a"), (part, [batch([], OUTCOMES, OUTCOMES_OPTIONAL)]))
    assert problem.where == part.id


@pytest.mark.parametrize(
    "tokens",
    [
        lambda n: np.ones(n + 1, dtype=int),
        lambda n: np.ones(n),
        lambda n: -np.ones(n, dtype=int),
        lambda n: np.array([5, -1, 5])[:n],
        lambda n: pa.array([1.0] * n),
    ],
)
def test_tokens_are_whole_numbers_one_for_each_row(work: Work, tokens: Any) -> None:
    """A counter that returns others is refused before anything is priced."""
    rows = [answer("a"), answer("b")]
    (problem,) = work.refused(questions("TinyA", "ab"), answers(rows), counter=Counter(shared=tokens))
    assert "2 integers" in problem.message


def test_a_part_is_read_once(work: Work) -> None:
    """What stands in the cache is not read again, and holds what was read."""
    part, rows = answers([answer("a")], files=["/nowhere"])
    plan, places = work.builder([questions("TinyA", "a"), (part, rows)])
    builder = PartBuilder(plan, places)
    builder.read(part, "k" * 64)
    builder.source.parts[part].clear()  # type: ignore[attr-defined]
    builder.read(part, "k" * 64)

    folder = builder.folder("k" * 64)
    assert read_json(folder / "part.json")["rows"] == 1
    assert read_json(folder / "named-files.json") == {"/nowhere": None}
    with pytest.raises(DataError, match="no rows"):
        builder.read(part, "l" * 64)


# --- the files in a part's key -------------------------------------------------------------------------------------------

KEY = "k" * 64
LATER = 7200 * 10**9
"""Nanoseconds after which nothing in the test changes."""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture"
    file.write_bytes(b"1")
    return file


def at(nanoseconds: int) -> Moment:
    """Return a moment that all clocks agree on."""
    return Moment(nanoseconds, nanoseconds, 0)


def key(folder: Path) -> str:
    return key_with_named_files(KEY, lambda k: folder / k)


def test_a_key_holds_while_the_files_that_rows_name_do(tmp_path: Path, picture: Path) -> None:
    """Another size or time, a file that is gone or has come: another key; as before again: the first."""
    missing = tmp_path / "missing"
    times = picture.stat().st_mtime_ns
    write_named_files(tmp_path / KEY, [str(picture), str(missing)], at(time.time_ns() + LATER))
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
    write_named_files(tmp_path / KEY, [str(picture)], at(picture.stat().st_mtime_ns - 1))

    assert key(tmp_path) != KEY


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_clock_that_differs_hides_no_change(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """A picture that changes while it is read, on a server whose clock is not this machine's; one from before counts as read."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + ahead * 10**9)
    time.sleep(0.1)
    began = Moment.now(tmp_path)
    write_named_files(tmp_path / KEY, [str(picture)], began)
    assert key(tmp_path) == KEY
    picture.write_bytes(b"2")
    write_named_files(tmp_path / KEY, [str(picture)], began)
    assert key(tmp_path) != KEY


def test_a_second_reading_may_name_other_files(tmp_path: Path, picture: Path) -> None:
    """Its files are followed in turn."""
    write_named_files(tmp_path / KEY, [str(picture)], at(time.time_ns() + LATER))
    picture.unlink()
    second = key(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"1")
    write_named_files(tmp_path / second, [str(other)], at(time.time_ns() + LATER))
    assert key(tmp_path) == second

    other.write_bytes(b"12")
    assert key(tmp_path) not in (KEY, second)


def test_nothing_is_written_of_a_part_that_names_no_file(tmp_path: Path) -> None:
    """Its key is that of its own files."""
    write_named_files(tmp_path / KEY, [], at(0))

    assert list(tmp_path.iterdir()) == []
    assert key(tmp_path) == KEY


def test_an_own_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A dangling link, with the fix for one."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError) as caught:
        stamp(link)

    assert (caught.value.problems[0].where, "link" in caught.value.problems[0].fix) == (str(link), True)


SCHEMA = pa.schema([("id", pa.string()), ("score", pa.float64()), ("failed", pa.bool_())])


def write(folder: Path, sizes: list[int]) -> int:
    """Write batches of these sizes; return the number of their rows."""
    start = 0
    with rows_writer(folder, SCHEMA) as writer:
        for size in sizes:
            rows = range(start, start + size)
            columns = [[f"d/{i}" for i in rows], [float(i) for i in rows], [i % 2 == 0 for i in rows]]
            writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
            start += size
    return start


@given(sizes=st.lists(st.integers(0, 40), max_size=8), about=st.integers(1, 50))
def test_no_row_is_lost_or_moved(sizes: list[int], about: int) -> None:
    """All rows come in order; every batch but the last has at least so many, and less than twice as many."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        count = write(folder, sizes)
        batches = list(iterate_rows(folder, ["score", "id"], about))

        assert [b.schema.names for b in batches] == [["score", "id"]] * len(batches)
        assert [i for b in batches for i in b.column("id").to_pylist()] == [f"d/{i}" for i in range(count)]
        assert [s for b in batches for s in b.column("score").to_pylist()] == [float(i) for i in range(count)]
        assert all(about <= b.num_rows < 2 * about for b in batches[:-1])
        assert all(b.num_rows < 2 * about for b in batches)


def test_columns_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    """Some columns or all of them."""
    write(tmp_path, [2, 1])
    assert read_rows(tmp_path, ["failed", "id"]).to_pydict() == {
        "failed": [True, False, True],
        "id": ["d/0", "d/1", "d/2"],
    }
    assert read_rows(tmp_path).schema.names == SCHEMA.names


COUNTERS = (
    "",
    'counter = "cl100k"\n',
    'counter = "cl100k"\nimage_tokens = 300\n',
    'counter = "cl100k"\nimage_rule = "per-model"\nwithout_rule = 5\n',
)


def test_a_part_is_read_again_for_another_token_counter(project: Any) -> None:
    """Tokens are counted while a part is read: another counter, or another parameter of it, is another part."""
    keys = []
    for counter in COUNTERS:
        plan = make_plan(project.experiment(more=f"[tokens]\n{counter}"))
        builder = PartBuilder(plan, Places.of())
        keys.append(builder.keys(builder.list()))

    assert {frozenset(k) for k in keys} == {frozenset(keys[0])}
    assert all(len({k[part] for k in keys}) == len(COUNTERS) for part in keys[0])
    assert len({builder.folder(key) for k in keys for key in k.values()}) == len(COUNTERS) * len(keys[0])


def test_a_part_is_read_again_for_another_reader(project: Any) -> None:
    """So are the source's parameters and the files' stamps, while a name of a run or a price changes no part."""

    def keys(**more: str) -> dict[str, str]:
        builder = PartBuilder(make_plan(project.experiment(**more)), Places.of())
        return builder.keys(builder.list())

    price = '[[model]]\nname = "tiny-large"\ninput_price_per_million = 1\noutput_price_per_million = 1\n'
    some = '[benchmark]\nmodels = ["tiny-large"]\ndatasets = ["TinyA"]\n'
    assert keys() == keys() == keys(top="seeds = [1]") == keys(more=price)
    assert keys(more=some).items() < keys().items()
    assert not set(keys().values()) & set(keys(logs="samples = 50").values())
