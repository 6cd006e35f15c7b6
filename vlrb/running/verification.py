"""Recomputing everything that a run directory says from its choices, and comparing it with ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import frozen
from vlrb.api.json_data import to_json
from vlrb.api.results import CellResult, RunResult
from vlrb.api.routing import Timing
from vlrb.errors import ConfigError, DataError
from vlrb.evaluation.metrics import Chosen, cost_bounds
from vlrb.evaluation.splits import leaking
from vlrb.executor import Progress, quiet
from vlrb.running.cell_files import ROUTED
from vlrb.running.finished import FinishedRun
from vlrb.running.routers import reference_choices_of, reference_results, router_results
from vlrb.running.selection import select_points
from vlrb.running.statistics import run_statistics, with_intervals_of_curves
from vlrb.running.stored import StoredRun
from vlrb.storage import read_json

TOLERANCE = 1e-12
"""Numbers whose difference is at most this, or this share of them, are equal: another machine may add in another order."""

Place = tuple[str, ...]
"""Where a value stands: its kind, the name of the row, then the keys below it, such as scope and metric."""


@attrs.frozen
class Disagreement:
    """A value of a run directory, and what its other files say it should be; None where one of them has no such value."""

    place: Place
    stored: Any = attrs.field(converter=frozen)
    found: Any = attrs.field(converter=frozen)


@attrs.frozen
class Verification:
    """How the results of a run, recomputed, agree with those that it stored.

    ``values`` were compared, of which ``identical`` agree to the last bit, and those in ``disagreements`` by more than
    :data:`TOLERANCE`.  ``left_out``: metric -> why it cannot be computed.  ``timed`` metrics are computed from measured seconds,
    which are taken as stored.
    """

    values: int
    identical: int
    disagreements: tuple[Disagreement, ...]
    left_out: Mapping[str, str] = attrs.field(converter=frozen)
    timed: tuple[str, ...] = ()


def verify_run(finished: FinishedRun, progress: Progress = quiet) -> Verification:
    """Recompute the results of a run from its choices, splits and outcomes, and compare them with what it stored.

    :raises DataError: naming a file that is missing or broken
    :raises ConfigError: when the plugin of the selection metric is missing
    """
    stored = StoredRun.of(finished)
    result, chosen_by = finished.result, finished.result.run.selection_metric
    if reason := stored.left_out.get(chosen_by):
        what = f"the selection metric {chosen_by!r} cannot be computed: {reason}"
        fix = "install its plugin or name its file with -p, and do not block it"
        raise ConfigError(what, where=str(finished.directory), fix=fix)
    cells = []
    for number, cell in enumerate(result.cells):
        cells.append(_recomputed_cell(stored, cell) if cell.status == "done" else cell)
        progress("cells", number + 1, len(result.cells))
    again = _recomputed_run(stored, tuple(cells))
    found = [(place, a, b) for place, a, b in _compared(_facts(result), _facts(again)) if not _skipped(stored, place)]
    found += _files(stored)
    differing = [(place, a, b) for place, a, b in found if not _equal(a, b)]
    return Verification(
        values=len(found),
        identical=sum(a == b for _, a, b in found),
        disagreements=tuple(Disagreement(*each) for each in differing),
        left_out=stored.left_out,
        timed=_timed(stored, cells),
    )


def _recomputed_cell(stored: StoredRun, result: CellResult) -> CellResult:
    """Return a cell's result with the scores and counts of the choices in its files."""
    context = stored.context
    split, models = context.scored_split(result.cell), [c.name for c in context.benchmark.candidates]
    try:
        timings = {name: Timing(**t) for name, t in read_json(result.directory / "cell.json")["timing"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        fix = "run the experiment again with --fresh, or restore the run's directory"
        raise DataError(f"is damaged: {error!r}", where=str(result.directory / "cell.json"), fix=fix) from None
    scores, counts = {}, {}
    for name in ROUTED:
        routed = stored.finished.cell_choices(result, name)
        if not np.array_equal(routed.rows, split.rows(name)):
            file = f"cells/{result.directory.name}/{name}.parquet"
            raise stored.finished.broken(file, f"holds other samples than {name}")
        on = context.evaluated([split], name)
        (scores[name],) = context.evaluator.scores(
            on, [Chosen(routed.choices, timings.get(name), routed.read_estimate)]
        )
        counts[name] = dict(zip(models, np.bincount(routed.choices, minlength=len(models)).tolist(), strict=True))
    return attrs.evolve(result, scores=scores, choices=counts)


def _recomputed_run(stored: StoredRun, cells: tuple[CellResult, ...]) -> RunResult:
    """Return the result that follows from the cells' choices."""
    context, result = stored.context, stored.finished.result
    selected = select_points(context, [c for c in cells if not c.cell.refit])
    routers, seen, curves = router_results(context, cells, selected)
    references, seen_references = reference_results(context, reference_choices_of(context)["test"])
    statistics = run_statistics(context, {**seen, **seen_references}, tuple(seen))
    routers = with_intervals_of_curves(context, routers, curves, statistics)
    trains = [s.train for s in context.splitting.splits]
    bounds = cost_bounds(context.benchmark, trains, context.plan.general.cost_bounds)
    splits = [
        attrs.evolve(
            s.info,
            samples={part: int(s.rows(part).size) for part in s.info.samples},
            group_also_in_train={part: leaking(s.groups, s.train, s.rows(part)) for part in ROUTED},
        )
        for s in context.splitting.each
    ]
    split = attrs.evolve(result.run.split, each=tuple(splits), groups=int(np.unique(context.splitting.groups).size))
    run = attrs.evolve(result.run, bounds=bounds, split=split, benchmark=context.benchmark.info())
    return attrs.evolve(result, run=run, cells=cells, routers=routers, references=references, statistics=statistics)


def _facts(result: RunResult) -> dict[str, Any]:
    """Return what is compared, as JSON data."""
    return {
        "benchmark": to_json(result.run.benchmark),
        "split": to_json(result.run.split),
        "cost bounds": to_json(result.run.bounds),
        "cell": {c.cell.name: {"scores": to_json(c.scores), "choices": to_json(c.choices)} for c in result.cells},
        "router": {r.label: to_json(r) for r in result.routers},
        "reference": {r.name: to_json(r) for r in result.references},
        "statistics": to_json(result.statistics),
    }


def _compared(stored: Any, found: Any, place: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """Yield place, stored and found of every value in either; an undefined value is one value."""
    if all(isinstance(v, Mapping) and "undefined" not in v for v in (stored, found)):
        for key in dict.fromkeys((*stored, *found)):
            yield from _compared(stored.get(key), found.get(key), (*place, str(key)))
    elif isinstance(stored, list | tuple) and isinstance(found, list | tuple) and len(stored) == len(found):
        for number, (a, b) in enumerate(zip(stored, found, strict=True)):
            name = a.get("name") if isinstance(a, Mapping) else None
            yield from _compared(a, b, (*place, str(name or number + 1)))
    else:
        yield place, stored, found


def _equal(stored: Any, found: Any) -> bool:
    if isinstance(stored, float | int) and isinstance(found, float | int):
        return stored == found or math.isclose(stored, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(stored == found)


def _skipped(stored: StoredRun, place: Place) -> bool:
    """Tell whether a value is of a metric that cannot be computed, or a sentence of one of them."""
    return any(name in place for name in stored.left_out) or (bool(stored.left_out) and "cautions" in place)


def _files(stored: StoredRun) -> list[tuple[Place, Any, Any]]:
    """Return the choices of reference points and the inner folds, as their files have them and as computed."""
    context, finished = stored.context, stored.finished
    found: list[tuple[Place, Any, Any]] = []
    for part, again in reference_choices_of(context).items():
        for reference in finished.result.references:
            for kept in finished.chosen(reference.name, part):
                expected = again[kept.split][reference.name]
                rows = next(s for s in context.splitting.splits if s.name == kept.split).rows(part)
                same = np.array_equal(kept.rows, rows) and np.array_equal(kept.choices, expected)
                place = ("references.parquet", reference.name, *filter(None, [kept.split]), part)
                found.append((place, "its choices" if same else "other choices", "its choices"))
    inner = {c.cell.split_name: c.cell for c in finished.result.cells if c.cell.inner}
    if inner:
        table = finished.table("inner_splits.parquet")
        for name, cell in inner.items():
            parts = context.split_of(cell).parts(len(context.benchmark)).to_pylist()
            same = name in table.column_names and table.column(name).to_pylist() == parts
            found.append((("inner_splits.parquet", name), "this fold" if same else "another fold", "this fold"))
    return found


def _timed(stored: StoredRun, cells: list[CellResult]) -> tuple[str, ...]:
    """Return the metrics that measure time."""
    evaluator = stored.context.evaluator
    one = next((c for c in cells if c.status == "done"), None)
    if one is None:
        return ()
    split = stored.context.scored_split(one.cell)
    on = stored.context.evaluated([split], "test")
    without = evaluator.overall(evaluator.evaluation(on, Chosen(np.zeros(on.rows.size, dtype=np.int64))))
    return tuple(
        n
        for n, v in one.scores["test"]["overall"].items()
        if isinstance(v, float) and not isinstance(without[n], float)
    )
