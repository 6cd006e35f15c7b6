"""Finished runs, read from their directories: what reports, figures, comparisons and notebooks look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlrb.api.components import FigureSpec
from vlrb.api.frozen import Array, FrozenDict, sealed
from vlrb.api.results import CellResult, RouterResult, RunResult
from vlrb.api.routing import Estimate, Undefined, given
from vlrb.benchmark.matrices import TYPES, Benchmark, load
from vlrb.errors import ConfigError, DataError, VlrbError, did_you_mean
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.blame import blame
from vlrb.plugins.registry import Registry
from vlrb.running.cell_files import estimate_in, readable
from vlrb.running.results import read_result
from vlrb.running.views import Plots, choices_frame, comparison_frame, curve_frame, leaderboard_frame, leaderboard_html
from vlrb.storage import read_json, read_parquet

if TYPE_CHECKING:
    import pandas as pd


@attrs.frozen(eq=False)
class EvaluatedSamples:
    """What a run knows of its n samples and k candidate models, from ``evaluated.parquet``.

    ``groups`` int[n] are the groups that a split keeps together, ``by`` the columns of ``[statistics] by``, None where a sample has
    no value.  The matrices are as in :class:`vlrb.Benchmark`: ``quality`` bool[n, k], ``score`` float64[n, k], ``cost``
    float64[n, k] in USD per sample, tokens int64[n, k]; each is read when it is asked for.
    """

    ids: tuple[str, ...]
    models: tuple[str, ...]
    datasets: Array
    groups: Array
    by: Mapping[str, tuple[str | None, ...]]
    _matrix: Callable[[str], Array]

    @cached_property
    def quality(self) -> Array:
        """Return Y, bool[n, k]."""
        return self._matrix("quality")

    @cached_property
    def score(self) -> Array:
        """Return the raw scores in [0, 1], float64[n, k]."""
        return self._matrix("score")

    @cached_property
    def cost(self) -> Array:
        """Return C, float64[n, k], USD per sample."""
        return self._matrix("cost")

    @cached_property
    def input_tokens(self) -> Array:
        """Return the input tokens, int64[n, k], -1 where the logs give costs instead."""
        return self._matrix("input_tokens")

    @cached_property
    def output_tokens(self) -> Array:
        """Return the output tokens, int64[n, k], -1 where the logs give costs instead."""
        return self._matrix("output_tokens")

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Return sample id -> row."""
        return FrozenDict({sample: row for row, sample in enumerate(self.ids)})

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.array(self.ids, pa.string())

    def rows(self, ids: pa.ChunkedArray) -> Array:
        """Return the rows of some samples, int[m].

        :raises KeyError: with the first id that is not among them
        """
        rows = pc.index_in(ids, value_set=self._ids)
        if rows.null_count:
            raise KeyError(ids.filter(rows.is_null())[0].as_py())
        return np.asarray(rows.to_numpy(), dtype=np.intp)


@attrs.frozen(eq=False)
class Choices:
    """What a router or a reference point chose on the dev or test rows of one split.

    ``rows`` int[m] and ``choices`` int[m] are rows and columns of :class:`EvaluatedSamples`; ``seed`` is None for a reference
    point.
    """

    name: str
    split: str
    seed: int | None
    rows: Array
    choices: Array
    _estimate: Estimate | Callable[[], Estimate] | None = None

    @property
    def estimate(self) -> Estimate | None:
        """Return the router's estimates, float64[m, k] each, read when they are asked for; None where it gave none."""
        return given(self._estimate)

    @property
    def read_estimate(self) -> Callable[[], Estimate] | None:
        """Return what reads the estimates; None where the router gave none."""
        estimate = self._estimate
        return None if estimate is None else lambda: given(estimate)


RESTORE = "run the experiment again with --fresh, or restore the run's directory"


def _read_matrix(file: Path, models: Sequence[str], name: str) -> Array:
    """Return a matrix of all samples and models, [n, k].

    :raises DataError: when a value is missing or of another type
    """
    names = [f"{name}:{model}" for model in models]
    with readable(file, RESTORE):
        table = read_parquet(file, names)
    matrix = np.empty((table.num_rows, len(models)), TYPES[name])
    for j, column in enumerate(map(table.column, names)):
        values = column.to_numpy()
        if column.null_count or values.dtype != matrix.dtype:
            what = f"holds {column.type} with {column.null_count:,} missing values in {names[j]!r} instead of {matrix.dtype}"
            raise DataError(what, where=str(file), fix=RESTORE)
        matrix[:, j] = values
    return sealed(matrix)


def _equal(table: pa.Table, column: str, value: str) -> Array:
    """Return where a column has a value, bool[m]."""
    return np.asarray(pc.fill_null(pc.equal(table.column(column), value), fill_value=False).to_numpy())


@attrs.frozen(eq=False, repr=False)
class FinishedRun:
    """A finished run: its result, and the files of its directory, each read when it is asked for.

    ``cache``: where the benchmark may still be, for questions and images, which a run directory does not hold.  ``registry``: the
    plugins whose figures can be drawn.
    """

    result: RunResult
    cache: Path | None = None
    registry: Registry | None = None

    @classmethod
    def read(cls, directory: Path, cache: Path | None = None, registry: Registry | None = None) -> FinishedRun:
        """Read the result of a finished run.

        :raises DataError: when there is none, or it is of another schema version
        """
        return cls(read_result(directory), cache, registry)

    @property
    def directory(self) -> Path:
        """Return the run's directory."""
        return self.result.run.directory

    @cached_property
    def benchmark(self) -> Benchmark | None:
        """Return the benchmark, if the cache still has it with its images."""
        if self.cache is None:
            return None
        try:
            names = read_json(self.directory / "plan.json")["cache"]["benchmarks"]
            built = load(self.cache / "benchmarks" / names[0])
        except (VlrbError, OSError, LookupError, TypeError, ValueError):
            return None
        if self.result.run.limited:
            built = built.take(np.flatnonzero(np.isin(built.ids, self.samples.ids)))
        there = built.fingerprint == self.result.run.benchmark.fingerprint
        return built if there and all((self.cache / f).is_file() for f in built.manifest.images) else None

    @cached_property
    def samples(self) -> EvaluatedSamples:
        """Return what is known of every sample.

        :raises DataError: naming the file that is missing or broken
        """
        file = "evaluated.parquet"
        by = [name for name in self._column_names(file) if name.startswith("by:")]
        table = self.table(file, ("id", "dataset", "group", *by))
        return EvaluatedSamples(
            ids=tuple(table.column("id").to_pylist()),
            models=self.result.run.benchmark.models,
            datasets=sealed(np.array(table.column("dataset").to_pylist(), dtype=np.str_)),
            groups=sealed(table.column("group").to_numpy()),
            by={name.removeprefix("by:"): tuple(table.column(name).to_pylist()) for name in by},
            matrix=partial(_read_matrix, self.directory / file, self.result.run.benchmark.models),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all routers and reference points."""
        return tuple(r.label for r in self.result.routers) + tuple(r.name for r in self.result.references)

    def router(self, label: str) -> RouterResult:
        """Return the result of a router.

        :raises DataError: when there is none of this label
        """
        routers = {r.label: r for r in self.result.routers}
        if label not in routers:
            fix = did_you_mean(label, routers)
            raise DataError(f"there is no router {label!r}", where=str(self.directory), fix=fix)
        return routers[label]

    def chosen(self, name: str, part: str = "test") -> tuple[Choices, ...]:
        """Return what a router or reference point chose on dev or test: per split, and per seed of a router.

        A router's are those of the cells that its row of the leaderboard is made of, failed ones left out.

        :raises DataError: when there is no such name, or a file is missing or broken
        """
        if any(r.name == name for r in self.result.references):
            return self._reference_choices(name, part)
        standing = set(self.router(name).cells)
        cells = [c for c in self.result.cells if c.cell.name in standing and c.status == "done"]
        return tuple(self.cell_choices(cell, part) for cell in cells)

    def cell_choices(self, result: CellResult, part: str = "test") -> Choices:
        """Return what a cell chose on dev or test.

        :raises DataError: naming a file that is missing or broken
        """
        file = f"cells/{result.directory.name}/{part}.parquet"
        _, rows, choices = self._choices_of(file, "choice")
        cell, estimate = result.cell, estimate_in(self.directory / file, self.samples.models)
        return Choices(cell.label, cell.outer_name, cell.seed, rows, sealed(choices), estimate)

    def _reference_choices(self, name: str, part: str) -> tuple[Choices, ...]:
        file = "references.parquet"
        several = ["split_name"] if "split_name" in self._column_names(file) else []
        table, rows, chosen = self._choices_of(file, name, "split", *several)
        with readable(self.directory / file, RESTORE):  # a column that holds no texts
            inside = {"": _equal(table, "split", part)}
        if several:
            splits = table.column("split_name").unique().to_pylist()
            if unknown := set(splits) - {s.name for s in self.result.run.split.each}:
                raise self.broken(file, f"names a split that results.json lacks: {unknown.pop()!r}")
            inside = {split: inside[""] & _equal(table, "split_name", split) for split in splits}
        return tuple(
            Choices(name, split, None, sealed(rows[own]), sealed(chosen[own]))
            for split, own in inside.items()
            if own.any()
        )

    def _choices_of(self, file: str, column: str, *others: str) -> tuple[pa.Table, Array, Array]:
        """Return a table of choices, the rows of its samples, and one of its columns, whose models exist.

        :param others: columns that it must have too
        """
        table, models = self.table(file, ("id", column, *others)), len(self.samples.models)
        try:
            rows = self.samples.rows(table.column("id"))
        except KeyError as error:
            raise self.broken(file, f"holds a sample that evaluated.parquet lacks: {error}") from None
        except pa.ArrowException as error:
            raise self.broken(file, f"holds ids that are not texts: {error}") from None
        chosen = table.column(column).to_numpy()
        if chosen.dtype.kind not in "iu" or (chosen.size and not 0 <= chosen.min() <= chosen.max() < models):
            raise self.broken(file, f"holds choices that are not among the {models} models")
        return table, rows, chosen

    def leaderboard(self) -> pd.DataFrame:
        """Return the leaderboard as a DataFrame: a row per router and reference point, the best first.

        Values are as in ``results.json`` (shares, not percent), NaN where undefined.  After ``name``, ``kind``, the columns of the
        leaderboard, ``tied`` and ``note`` come ``COLUMN low``, ``COLUMN high`` (the interval) and ``COLUMN over seeds``, ``COLUMN
        over splits`` (standard deviations), where there are any.
        """
        return leaderboard_frame(self)

    def choices(self, *names: str, part: str = "test") -> pd.DataFrame:
        """Return who chose what as a DataFrame: a row per router or reference point, split, seed and sample.

        Columns: ``name``, ``kind``, ``split``, ``seed`` (missing for a reference point), ``id``, ``dataset``, ``model`` (the one
        that was chosen), and of this model on this sample ``right``, ``score`` and ``cost`` in USD.

        :param names: of routers and reference points; default: all
        :param part: ``test`` or ``dev``
        :raises DataError: when there is no such name, or a file is missing or broken
        """
        return choices_frame(self, names or self.names, part)

    def curve(self) -> pd.DataFrame:
        """Return the points of all curves as a DataFrame: a row per point and metric.

        ``curve`` is ``sweep`` (points where they were compared; ``x`` is the parameter, where one was swept), ``learning``
        (``x`` is the share of train; ``low`` and ``high`` are the ends of the interval) or ``fit`` (what the router of ``cell``
        logged; ``x`` is the step).

        :raises DataError: naming a file that is broken
        """
        return curve_frame(self)

    def compare(self, *others: FinishedRun) -> pd.DataFrame:
        """Return how other runs differ from this one as a DataFrame: a row per other run, row of both leaderboards and metric.

        ``difference`` is the other's value less this one's, with ``low``, ``high``, ``p`` and ``p_holm``, on the test samples that
        both have; NaN where the runs are not paired.  ``differing`` is the share of choices that name another model.
        :func:`vlrb.compare_runs` returns more: settings that differ, calls per model, notes.

        :raises ConfigError: without another run, or for the same run twice
        :raises DataError: when a file is missing or broken, or two runs have nothing in common
        """
        from vlrb.running.comparison import compare_runs

        return comparison_frame(compare_runs((self, *others)))

    @property
    def plot(self) -> Plots:
        """Return the figures that plugins offer, as methods: ``run.plot.pareto()``."""
        return Plots(self)

    def __repr__(self) -> str:
        return f"<FinishedRun {self.result.run.id}: {', '.join(r.label for r in self.result.routers)}>"

    def _repr_html_(self) -> str:
        return leaderboard_html(self)

    @property
    def figures(self) -> tuple[FigureSpec, ...]:
        """Return the figures that plugins offer."""
        found = self.registry.all("figure") if self.registry is not None else ()
        return tuple(registered.record for registered in found)

    def figure(self, name: str, **parameters: Any) -> Any:
        """Draw a figure: a :class:`matplotlib.figure.Figure`, or :class:`vlrb.Undefined` where there is nothing to show.

        :param parameters: as in ``vlrb list figure NAME``
        :raises VlrbError: when no plugin offers the figure, or it fails
        """
        if self.registry is None:
            raise ConfigError("no plugins are loaded", fix="read the run with vlrb.load_run")
        registered = self.registry.find("figure", name)
        try:
            params = registered.record.params(**parameters)
        except (TypeError, ValueError) as error:
            fix = f"`vlrb list figure {name}` shows its parameters"
            raise ConfigError(f"wrong parameters of figure {name!r}: {error}", fix=fix) from None
        draw = ConfiguredComponent("figure", registered, params).make("__call__")
        with blame(registered.plugin, f"drawing figure {registered.id!r}"):
            drawn = draw(self)
            if not isinstance(drawn, Undefined) and not hasattr(drawn, "savefig"):
                raise TypeError(f"it returned {type(drawn).__name__} instead of a matplotlib Figure")
        return drawn

    def _column_names(self, name: str) -> list[str]:
        """Return the names of the columns of a Parquet file of the directory; errors are those of :meth:`table`."""
        with readable(self.directory / name, RESTORE):
            return list(pq.read_schema(self.directory / name).names)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a Parquet file of the directory, or some of its columns.

        :raises DataError: when it is missing or broken, or lacks a column
        """
        with readable(self.directory / name, RESTORE):
            return read_parquet(self.directory / name, columns)

    def broken(self, name: str, what: str) -> DataError:
        """Return an error about a file of the directory."""
        return DataError(what, where=str(self.directory / name), fix=RESTORE)
