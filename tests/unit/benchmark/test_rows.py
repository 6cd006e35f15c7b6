"""The rows of parts: what was written in batches of any size comes back whole, in order, in batches of about one size."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from vlrb.benchmark.read import PartBuilder, iterate_rows, read_rows, rows_writer
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places

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
