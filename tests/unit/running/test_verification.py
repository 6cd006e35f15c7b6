"""A run's results, recomputed from its directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_runs import OTHER, copy_of, make_run
from split_runs import KEYED, SWEPT

from vlrb.errors import ConfigError, DataError
from vlrb.running.finished import FinishedRun
from vlrb.running.verification import verify_run

LABELLED = OTHER.replace("spread = 0.3", 'label = "other"')


@pytest.fixture
def copy(first: FinishedRun, tmp_path: Path) -> FinishedRun:
    return copy_of(first, tmp_path)


@pytest.mark.parametrize(
    ("routers", "more"),
    [
        (SWEPT + LABELLED, "[split]\nfolds = 3\n[statistics]\npairs = [['other', 'keyed']]\n"),
        (SWEPT, '[split]\nfolds = 3\n[selection]\non = "folds"\nfolds = 2\nrule = "one-standard-error"\nrefit = true\n'),
        (SWEPT, '[split]\nuse = "samples"\nseeds = [1, 2]\n[selection]\nrule = "predicted"\n'),
        (KEYED, "[split]\ntrain_fraction = [0.5, 1]\n"),
        (KEYED + 'fail = 84\n[[router]]\nuse = "cheapest"\n', "[split]\nuse = 'samples'\n"),
    ],
)  # fmt: skip
def test_every_value_is_found_again(routers: str, more: str, tmp_path: Path) -> None:
    """Folds, repeated splits, inner folds, refits, learning curves, failed cells: bit by bit, without cache and logs."""
    found = verify_run(make_run(tmp_path, routers, more))

    assert found.disagreements == ()
    assert found.identical == found.values > 200
    assert found.left_out == {}


def test_what_measures_time_is_named(first: FinishedRun) -> None:
    """Its seconds cannot be computed again."""
    assert verify_run(first).timed == ("requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms")


@pytest.mark.parametrize(
    "path",
    [
        ("cells", 0, "scores", "dev", "overall", "accuracy"),
        ("cells", 3, "scores", "test", "dataset/tinyb", "rank-score"),
        ("routers", 0, "test", "over_seeds", "overall", "accuracy"),
        ("routers", 0, "sweep", 1, "values", "accuracy"),
        ("references", 1, "test", "scores", "overall", "cost-per-10k"),
        ("statistics", "rows", "keyed", "intervals", "overall", "accuracy", "low"),
        ("statistics", "rows", "keyed", "against", "best-single", "rank-score", "p"),
        ("statistics", "rows", "keyed", "ranks", "rank-score", 0),
        ("run", "bounds", "low"),
    ],
)
def test_a_changed_value_is_found(path: tuple[Any, ...], copy: FinishedRun) -> None:
    """It alone, wherever it stands, with what is stored and what should be; a change below the tolerance is none."""
    file = copy.directory / "results.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    inside = tree
    for key in path[:-1]:
        inside = inside[key]
    right = inside[path[-1]]
    inside[path[-1]] = right + 1
    file.write_text(json.dumps(tree), encoding="utf-8")
    found = verify_run(FinishedRun.read(copy.directory, None, copy.registry)).disagreements

    assert [(d.stored, d.found) for d in found] == [(right + 1, right)]
    if isinstance(right, float):
        inside[path[-1]] = right + 1e-14
        file.write_text(json.dumps(tree), encoding="utf-8")
        again = verify_run(FinishedRun.read(copy.directory, None, copy.registry))
        assert again.disagreements == ()


def test_a_changed_choice_is_found(copy: FinishedRun) -> None:
    """In the cell's counts and scores, in its router's row, and in the statistics."""
    cell = copy.result.routers[0].cells[0]
    _change(copy.directory / "cells" / cell / "test.parquet", "choice", lambda v: [(x + 1) % 3 for x in v])
    places = {d.place[:2] for d in verify_run(copy).disagreements}

    assert {("cell", cell), ("router", "keyed"), ("statistics", "rows")} <= places
    assert {place[1] for place in places if place[0] == "cell"} == {cell}


def test_a_changed_choice_of_a_reference_point_is_found(copy: FinishedRun) -> None:
    """It decides no value, since reference points are recomputed."""
    _change(copy.directory / "references.parquet", "oracle", lambda v: [2, *v[1:]] if v[0] != 2 else [0, *v[1:]])

    assert [d.place[:2] for d in verify_run(copy).disagreements] == [("references.parquet", "oracle")]


def test_a_changed_outcome_is_found(copy: FinishedRun) -> None:
    """Whether an answer is right counts in the scores of whoever chose it."""
    _change(copy.directory / "evaluated.parquet", "quality:tiny-large", lambda v: [not x for x in v])

    assert len(verify_run(copy).disagreements) > 100


def _change(file: Path, column: str, change: Any) -> None:
    table = pq.read_table(file)
    values = pa.array(change(table.column(column).to_pylist()), table.schema.field(column).type)
    pq.write_table(table.set_column(table.column_names.index(column), column, values), file)


@pytest.mark.parametrize("name", ["split.parquet", "evaluated.parquet", "benchmark.json", "references.parquet"])
def test_missing_files_are_named(name: str, copy: FinishedRun) -> None:
    """Nothing can be computed without them."""
    (copy.directory / name).unlink()

    with pytest.raises(DataError, match=name):
        verify_run(copy)


def test_broken_files_are_named(copy: FinishedRun) -> None:
    """A cell's record or choices, and another split than the results were computed on."""
    cell = copy.result.cells[0].directory
    record = (cell / "cell.json").read_text(encoding="utf-8")
    (cell / "cell.json").write_text('{"timing": {"dev": 3}}', encoding="utf-8")
    with pytest.raises(DataError, match="cell.json: is damaged"):
        verify_run(copy)
    (cell / "cell.json").write_text(record, encoding="utf-8")
    _change(cell / "dev.parquet", "choice", lambda v: [7, *v[1:]])
    with pytest.raises(DataError, match="dev.parquet: holds choices that are not among the 3 models"):
        verify_run(copy)
    _change(copy.directory / "split.parquet", "split", lambda v: list(reversed(v)))
    with pytest.raises(DataError, match="split.parquet: holds another split 'fold-1' than results.json"):
        verify_run(FinishedRun.read(copy.directory, None, copy.registry))


def test_metrics_without_a_plugin_are_left_out(first: FinishedRun) -> None:
    """The others are still compared; without the selection metric nothing can be chosen."""
    registry = first.registry
    assert registry is not None

    def without(name: str) -> FinishedRun:
        metrics = tuple(r for r in registry.records["metric"] if r.name != name)
        records = {**registry.records, "metric": metrics}
        return attrs.evolve(first, registry=attrs.evolve(registry, records=records))

    found = verify_run(without("mean-score"))
    assert (set(found.left_out), found.disagreements) == ({"mean-score"}, ())
    with pytest.raises(ConfigError, match=r"(?s)the selection metric 'rank-score' cannot be computed.*file with -p"):
        verify_run(without("rank-score"))
