"""Finished runs, read from their directories."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from split_runs import FOLDS, SWEPT, SplitRun, run_splits

from vlrb.api.components import FigureSpec, NoParams, param
from vlrb.api.routing import Undefined
from vlrb.errors import ConfigError, DataError, PluginError
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry
from vlrb.running.finished import FinishedRun


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run of three folds with two seeds and a sweep."""
    return run_splits(tmp_path_factory.mktemp("finished"), SWEPT, FOLDS, "seeds = [1, 2]")


@pytest.fixture
def run(made: SplitRun) -> FinishedRun:
    return FinishedRun.read(made.files, made.context.places.cache)


def test_choices_give_the_scores_of_the_leaderboard(run: FinishedRun) -> None:
    """Of routers, over folds and seeds, and of reference points: recomputed from rows, columns and the quality matrix."""
    for name, test in [
        *((r.label, r.test) for r in run.result.routers),
        *((r.name, r.test) for r in run.result.references),
    ]:
        found = run.chosen(name)
        seeds = {c.seed for c in found}
        right = [
            np.concatenate([run.samples.quality[c.rows, c.choices] for c in found if c.seed == seed]) for seed in seeds
        ]
        assert {c.split for c in found} == {"fold-1", "fold-2", "fold-3"}
        assert {r.size for r in right} == {len(run.samples.ids)}
        assert test is not None
        assert np.mean([r.mean() for r in right]) == pytest.approx(test.scores["overall"]["accuracy"], abs=1e-12)


def test_samples_are_those_of_the_benchmark(run: FinishedRun, made: SplitRun) -> None:
    """Ids, models, datasets and matrices, in their order; nobody can change them."""
    benchmark, samples = made.context.benchmark, run.samples

    assert samples.ids == benchmark.ids
    assert samples.models == tuple(c.name for c in benchmark.candidates)
    assert (samples.datasets == benchmark.datasets).all()
    for name in ("quality", "score", "cost", "input_tokens", "output_tokens"):
        assert np.array_equal(getattr(samples, name), getattr(benchmark, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(samples, name)[0, 0] = 0


def test_dev_and_estimates_are_there_too(run: FinishedRun) -> None:
    """The rows of dev are other ones than those of test; a router that estimates has its estimates beside its choices."""
    dev, test = run.chosen("keyed", "dev"), run.chosen("keyed")

    assert all(not set(d.rows.tolist()) & set(t.rows.tolist()) for d, t in zip(dev, test, strict=True))
    for choices in test:
        assert choices.estimate is not None
        assert choices.estimate.p_correct.shape == (choices.rows.size, len(run.samples.models))


def test_the_benchmark_is_found_while_the_cache_has_it(run: FinishedRun, tmp_path: Path) -> None:
    """A run directory stands on its own: without a cache, or in one that lacks it, there is none and no error."""
    assert run.benchmark is not None
    assert run.benchmark.fingerprint == run.result.run.benchmark.fingerprint
    assert FinishedRun.read(run.directory, tmp_path).benchmark is None
    assert FinishedRun.read(run.directory).benchmark is None


def test_a_damaged_directory_is_an_error_that_names_the_file(run: FinishedRun, tmp_path: Path) -> None:
    """Missing, broken, of other samples, without a column."""
    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    cell = next(c for c in run.result.cells if c.cell.name == run.router("keyed").cells[0])
    file = copy / "cells" / cell.directory.name / "test.parquet"
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["choice"]), file)
    with pytest.raises(DataError, match=r"(?s)test.parquet.*choice"):
        FinishedRun.read(copy).chosen("keyed")
    file.unlink()
    with pytest.raises(DataError, match="test.parquet"):
        FinishedRun.read(copy).chosen("keyed")
    (copy / "evaluated.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"evaluated.parquet.*cannot be read"):
        _ = FinishedRun.read(copy).samples
    with pytest.raises(DataError, match=r"no router 'keyd'(?s:.*)'keyed'"):
        run.chosen("keyd")


def _changed(file: Path, column: str, value: object) -> None:
    """Write a table with another value in the first row of a column, or without the column."""
    table = pq.read_table(file)
    at = table.column_names.index(column)
    if value is None:
        table = table.drop_columns([column])
    else:
        values = [value, *table.column(column).to_pylist()[1:]]
        table = table.set_column(at, column, pa.array(values, table.schema.field(column).type))
    pq.write_table(table, file)


@pytest.mark.parametrize("name", ["keyed", "oracle"])
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("", 3, "holds choices that are not among the 3 models"),
        ("", -1, "holds choices that are not among the 3 models"),
        ("", None, "there is no column"),
        ("id", "tiny/unknown", "holds a sample that evaluated.parquet lacks"),
    ],
)
def test_choices_that_cannot_be_are_an_error(
    run: FinishedRun, tmp_path: Path, name: str, column: str, value: object, said: str
) -> None:
    """Of a cell and of a reference point alike: -1 does not count as the last model, and nothing ends in a traceback."""
    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    own = name == "oracle"
    file = copy / ("references.parquet" if own else f"cells/{run.router(name).cells[0]}/test.parquet")
    _changed(file, column or ("oracle" if own else "choice"), value)

    with pytest.raises(DataError, match=rf"{file.name}: .*{said}"):
        FinishedRun.read(copy).chosen(name)


@pytest.mark.parametrize(("column", "value"), [("split", None), ("split_name", "fold-9")])
def test_reference_points_are_of_the_splits_of_the_run(
    run: FinishedRun, tmp_path: Path, column: str, value: object
) -> None:
    """A file without the column, or with a split that the results lack, is named."""
    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    _changed(copy / "references.parquet", column, value)

    with pytest.raises(DataError, match="references.parquet"):
        FinishedRun.read(copy).chosen("oracle")


@pytest.mark.parametrize(
    ("file", "column", "values"),
    [
        ("evaluated.parquet", "quality:", pa.array([None] * 120, pa.bool_())),
        ("evaluated.parquet", "input_tokens:", pa.array([None] * 120, pa.int64())),
        ("evaluated.parquet", "cost:", pa.array([1] * 120, pa.int64())),
        ("references.parquet", "id", pa.array([1] * 120, pa.int64())),
        ("references.parquet", "split", pa.array([1] * 120, pa.int64())),
    ],
)
def test_values_of_another_kind_are_an_error(
    run: FinishedRun, tmp_path: Path, file: str, column: str, values: pa.Array
) -> None:
    """A missing value does not become a number, and Arrow's errors name the file."""
    copy = tmp_path / "copy"
    shutil.copytree(run.directory, copy)
    table = pq.read_table(copy / file)
    name = next(c for c in table.column_names if c.startswith(column))
    values = pa.concat_arrays([values] * (table.num_rows // 120 + 1))[: table.num_rows]
    pq.write_table(table.set_column(table.column_names.index(name), name, values), copy / file)
    damaged = FinishedRun.read(copy)

    with pytest.raises(DataError, match=rf"{file}: (holds|cannot be read)"):
        for matrix in ("quality", "cost", "input_tokens"):
            getattr(damaged.samples, matrix)
        damaged.chosen("oracle")


def with_figure(run: FinishedRun, spec: FigureSpec) -> FinishedRun:
    """Return a run with a plugin that offers one figure."""
    record = Registered(spec, Plugin("mine", "mine", "1", "here"))
    return FinishedRun(run.result, registry=Registry((), {"figure": (record,)}, Selection.of(())))


def test_a_figure_is_drawn_by_name_with_its_parameters(run: FinishedRun) -> None:
    """What a plugin's function returns, or the reason why there is nothing to show."""
    import attrs

    @attrs.frozen
    class Params:
        reason: str = param(default="nothing")

    spec = FigureSpec(
        name="empty", title="Empty", summary="s", params=Params, factory=lambda p: lambda _run: Undefined(p.reason)
    )
    drawing = with_figure(run, spec)

    assert drawing.figures == (spec,)
    assert drawing.figure("empty") == Undefined("nothing")
    assert drawing.figure("mine/empty", reason="why") == Undefined("why")
    with pytest.raises(ConfigError, match="wrong parameters of figure 'empty'"):
        drawing.figure("empty", resaon="why")
    with pytest.raises(ConfigError, match="no plugins are loaded"):
        run.figure("empty")


def test_a_figure_that_fails_is_its_plugins_fault(run: FinishedRun) -> None:
    """It raises, or returns something other than a figure."""
    for draw in (lambda _run: 1 / 0, lambda _run: "a picture"):
        spec = FigureSpec(name="bad", title="Bad", summary="s", params=NoParams, factory=lambda _, draw=draw: draw)
        with pytest.raises(PluginError, match="'mine'"):
            with_figure(run, spec).figure("bad")
