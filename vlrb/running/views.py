"""How a notebook sees a finished run: tables as DataFrames, figures as methods, the leaderboard in HTML."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from vlrb.api.comparison import Comparison
from vlrb.api.results import RouterResult
from vlrb.api.routing import MetricValue, Undefined
from vlrb.api.statistics import Difference, Interval
from vlrb.errors import ConfigError, DataError, did_you_mean
from vlrb.running.cell_files import ROUTED, read_curve
from vlrb.running.leaderboard import Leaderboard, TableCell, TableRow, leaderboard
from vlrb.texts import printable

if TYPE_CHECKING:
    import pandas as pd

    from vlrb.running.finished import FinishedRun

NO_INTERVAL = (math.nan, math.nan)
MOST_ROWS = 50
"""Rows of the leaderboard in HTML; the DataFrame has all."""
_CELL = "padding:.15em .6em"


def leaderboard_frame(run: FinishedRun) -> pd.DataFrame:
    """Return the leaderboard, a row per router and reference point, the best first; see :meth:`FinishedRun.leaderboard`."""
    import pandas as pd

    board = leaderboard(run.result)
    rows = [[r.name, r.kind, *(_number(c.value) for c in r.cells), " ".join(r.tied), r.note] for r in board.rows]
    names = ["name", "kind", *board.headings, "tied", "note"]
    for i, heading in enumerate(board.headings):
        cells = [r.cells[i] for r in board.rows]
        for ending, values in _spreads(cells).items():
            names.append(f"{heading} {ending}")
            for row, value in zip(rows, values, strict=True):
                row.append(value)
    return pd.DataFrame(rows, columns=names)


def _spreads(cells: Sequence[TableCell]) -> dict[str, list[float]]:
    """Return ending of a column's name -> its values, without columns that have none."""
    columns = {
        "low": [c.interval.low if c.interval is not None else math.nan for c in cells],
        "high": [c.interval.high if c.interval is not None else math.nan for c in cells],
        "over seeds": [math.nan if c.over_seeds is None else c.over_seeds for c in cells],
        "over splits": [math.nan if c.over_splits is None else c.over_splits for c in cells],
    }
    return {ending: values for ending, values in columns.items() if not all(map(math.isnan, values))}


def choices_frame(run: FinishedRun, names: Sequence[str], part: str) -> pd.DataFrame:
    """Return a row per name, split, seed and sample; see :meth:`FinishedRun.choices`."""
    import pandas as pd

    if part not in ROUTED:
        raise ConfigError(f"routers choose on dev and on test, not on {part!r}", fix=did_you_mean(str(part), ROUTED))
    names = list(dict.fromkeys(names))
    every = [chosen for name in names for chosen in run.chosen(name, part)]
    samples, sizes = run.samples, [c.rows.size for c in every]
    rows, columns = (
        np.concatenate([np.empty(0, np.intp), *(getattr(c, field) for c in every)]) for field in ("rows", "choices")
    )
    of_references = {r.name for r in run.result.references}

    def repeated(values: Sequence[Any], order: Sequence[str]) -> pd.Categorical:
        codes = [order.index(v) for v in values]
        return pd.Categorical.from_codes(np.repeat(np.array(codes, dtype=np.intp), sizes), list(order))

    kinds = ["reference" if c.name in of_references else "router" for c in every]
    seeds = pd.array([c.seed for c in every], dtype="Int64")
    return pd.DataFrame(
        {
            "name": repeated([c.name for c in every], names),
            "kind": repeated(kinds, ("router", "reference")),
            "split": repeated([c.split for c in every], list(dict.fromkeys(c.split for c in every))),
            "seed": seeds.take(np.repeat(np.arange(len(every)), sizes)),
            "id": np.array(samples.ids, dtype=object)[rows],
            "dataset": pd.Categorical(samples.datasets[rows], np.unique(samples.datasets)),
            "model": pd.Categorical.from_codes(columns, list(samples.models)),
            "right": samples.quality[rows, columns],
            "score": samples.score[rows, columns],
            "cost": samples.cost[rows, columns],
        }
    )


def curve_frame(run: FinishedRun) -> pd.DataFrame:
    """Return a row per point and metric of sweeps, learning curves and fits; see :meth:`FinishedRun.curve`."""
    import pandas as pd

    names = ("curve", "name", "cell", "point", "x", "metric", "value", "times_chosen", "low", "high")
    rows = [row for router in run.result.routers for row in (*_sweep_rows(run, router), *_learning_rows(router))]
    for result in run.result.cells:
        logged = read_curve(result.directory) if result.status == "done" else ()
        cell = result.cell
        rows += [("fit", cell.label, cell.name, "", step, name, v, None, *NO_INTERVAL) for step, name, v in logged]
    frame = pd.DataFrame(rows, columns=list(names))
    return frame.astype({"x": "float64", "value": "float64", "times_chosen": "Int64"})


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """Return a row per other run, compared row and metric; see :meth:`FinishedRun.compare`."""
    import pandas as pd

    rows = []
    for pair in comparison.pairs:
        for row in pair.rows:
            share = row.choices.share if row.choices is not None else math.nan
            for metric, (first, other) in row.values.items():
                rows.append(
                    {
                        "run": comparison.names[pair.other],
                        "name": row.name,
                        "other_name": row.other_name,
                        "kind": row.kind,
                        "metric": metric,
                        "value": _number(first),
                        "other": _number(other),
                        **_difference(row.differences.get(metric)),
                        "differing": share,
                    }
                )
    return pd.DataFrame(rows)


def _difference(found: Difference | None) -> dict[str, float]:
    if found is None:
        return dict.fromkeys(("difference", "low", "high", "p", "p_holm"), math.nan)
    low, high = _ends(found.interval)
    p, p_holm = _number(found.p), _number(found.p_holm)
    return {"difference": _number(found.value), "low": low, "high": high, "p": p, "p_holm": p_holm}


def _ends(interval: Interval | Undefined | None) -> tuple[float, float]:
    return (interval.low, interval.high) if isinstance(interval, Interval) else NO_INTERVAL


def _sweep_rows(run: FinishedRun, router: RouterResult) -> Iterator[tuple[Any, ...]]:
    points = {c.point_name: c.point for c in run.result.run.cells if c.label == router.label}
    for point in router.sweep:
        given = list(points.get(point.name, {}).values())
        x = _as_number(given[0]) if len(given) == 1 else math.nan
        for metric, value in point.values.items():
            yield "sweep", router.label, "", point.name, x, metric, _number(value), point.times_chosen, *NO_INTERVAL


def _learning_rows(router: RouterResult) -> Iterator[tuple[Any, ...]]:
    for point in router.curve:
        name = f"train={point.train_fraction:g}"
        for metric, value in point.test.scores.get("overall", {}).items():
            ends = _ends(point.intervals.get(metric))
            yield "learning", router.label, "", name, point.train_fraction, metric, _number(value), None, *ends


def _as_number(value: Any) -> float:
    """Return a parameter of a sweep; NaN for what is not a number; infinite ones are texts in files."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return float(value) if value in ("inf", "-inf") else math.nan


def _number(value: MetricValue) -> float:
    return math.nan if isinstance(value, Undefined) else value


def leaderboard_html(run: FinishedRun) -> str:
    """Return the leaderboard overall, and below it what was evaluated, what failed, and where the results are."""
    board = leaderboard(run.result)
    shown = [i for i, heading in enumerate(board.headings) if not heading.startswith("accuracy ")]
    headings = ["#", "name", "kind", *(board.headings[i] for i in shown), "note"]
    head = "".join(f'<th scope="col" style="{_CELL}">{_escaped(h)}</th>' for h in headings)
    body = "".join(_html_row(i, row, shown) for i, row in enumerate(board.rows[:MOST_ROWS], 1))
    notes = "".join(f"<div>{_escaped(note)}</div>" for note in _notes(run, board))
    return (
        f'<div style="overflow-x:auto"><table><caption>{_escaped(board.title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table><small>{notes}</small></div>"
    )


def _html_row(place: int, row: TableRow, shown: Sequence[int]) -> str:
    tied = f"tied with {' and '.join(row.tied)}" if row.tied else ""
    note = "; ".join(filter(None, (tied, row.note)))
    texts = [_html_text(str(place)), _html_text(row.name, tag='th scope="row"'), _html_text(row.kind)]
    return f"<tr>{''.join(texts)}{''.join(_html_cell(row.cells[i]) for i in shown)}{_html_text(note, '12em')}</tr>"


def _html_text(text: str, width: str = "0", tag: str = "td") -> str:
    return f'<{tag} style="{_CELL};text-align:left;min-width:{width}">{_escaped(text)}</{tag[:2]}>'


def _escaped(text: str) -> str:
    return escape(printable(text, lines=False))


def _html_cell(cell: TableCell) -> str:
    if isinstance(cell.value, Undefined):
        return f'<td style="{_CELL}" title="{_escaped(cell.value.reason)}">–</td>'
    low_high = f"[{cell.interval.low:.3g}, {cell.interval.high:.3g}]" if cell.interval is not None else ""
    interval = f'<br><small style="white-space:nowrap">{low_high}</small>' if low_high else ""
    return f'<td style="{_CELL}">{cell.value:.4g}{interval}</td>'


def _notes(run: FinishedRun, board: Leaderboard) -> Iterator[str]:
    about, failed = run.result.run, [c.cell.name for c in run.result.cells if c.status == "failed"]
    if len(board.rows) > MOST_ROWS:
        yield f"... and {len(board.rows) - MOST_ROWS} more rows: leaderboard() has all"
    if about.benchmark.synthetic:
        yield f"SYNTHETIC DATA: {about.benchmark.synthetic}"
    yield (
        f"benchmark {about.benchmark.fingerprint[:12]}: {about.benchmark.samples:,} samples, "
        f"{len(about.benchmark.datasets)} datasets, {len(about.benchmark.models)} models; "
        f"protocol {about.protocol}; split {about.split.digest[:12]}"
    )
    yield f"[low, high]: {100 * run.result.statistics.level:g} % intervals over the choice of test samples"
    if failed:
        yield f"{len(failed)} of {len(run.result.cells)} cells failed, such as {failed[0]}: see cells/NAME/error.txt"
    yield f"results: {run.directory}"


@attrs.frozen(eq=False, repr=False)
class Plots:
    """The figures that plugins offer, as methods: ``run.plot.pareto()``, with the parameters of ``vlrb list figure``.

    A figure's hyphens are underscores here.  Each call returns a :class:`matplotlib.figure.Figure`, which a notebook shows.
    """

    _run: FinishedRun

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        names = self._names()
        if name not in names:
            what = did_you_mean(name, names) if self._run.registry is not None else "read the run with vlrb.load_run"
            raise AttributeError(f"there is no figure {name!r}: {what}")

        def draw(**parameters: Any) -> Any:
            figure = self._run.figure(names[name], **parameters)
            if isinstance(figure, Undefined):
                fix = f"`vlrb list figure {names[name]}` shows what the figure is made of"
                raise DataError(f"nothing to show: {figure.reason}", where=f"figure {names[name]}", fix=fix)
            figure._repr_png_ = lambda: _png(figure)  # a figure without pyplot is not shown by all notebooks
            return figure

        draw.__name__ = name
        draw.__doc__ = next((f.summary for f in self._run.figures if f.name == names[name]), None)
        return draw

    def __dir__(self) -> list[str]:
        return sorted(self._names())

    def __repr__(self) -> str:
        return f"<figures of {self._run.result.run.id}: {', '.join(dir(self)) or 'none available'}>"

    def _names(self) -> dict[str, str]:
        """Return attribute -> name of a figure."""
        return {figure.name.replace("-", "_"): figure.name for figure in self._run.figures}


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()
