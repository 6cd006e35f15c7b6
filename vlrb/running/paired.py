"""Rows of two runs on the same test samples: paired differences, and which choices changed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from vlrb.api.comparison import ChangedChoices, ComparedRow
from vlrb.api.frozen import Array
from vlrb.api.routing import Evaluation, MetricValue, Undefined
from vlrb.api.statistics import Statistics
from vlrb.evaluation.drawn_values import Row
from vlrb.evaluation.intervals import Settings, table_statistics
from vlrb.evaluation.metrics import Chosen, EvaluatedRows
from vlrb.running.pooled import joined_estimates, test_set
from vlrb.running.routers import aggregate_scores
from vlrb.running.statistics import is_binary
from vlrb.running.stored import StoredRun

if TYPE_CHECKING:
    from vlrb.running.finished import Choices, FinishedRun


@attrs.frozen(eq=False)
class SameTests:
    """Test rows that both runs evaluate together, in the first run's order, and the splits of each run that they are of."""

    on: EvaluatedRows
    splits: tuple[frozenset[str], frozenset[str]]


Seeds = Mapping[int | None, Evaluation]
"""Seed -> what the metrics see of a row on some test rows; a reference point's seed is None."""


def paired_rows(
    first: StoredRun, other: FinishedRun, tests: Sequence[SameTests], rows: Sequence[ComparedRow]
) -> tuple[tuple[ComparedRow, ...], int]:
    """Return the rows with statistics on the same samples, and the number of groups that are drawn.

    A row that has no choices, since cells failed, stays as it is.

    :param rows: with the values of their own runs
    """
    runs = first.finished, other
    names = [dict.fromkeys(r.name for r in rows), dict.fromkeys(r.other_name for r in rows)]
    seen = {
        (place, name): found
        for place, run in enumerate(runs)
        for name in names[place]
        if (found := _evaluations(first, run, name, tests, place)) is not None
    }
    known = [r for r in rows if (0, r.name) in seen and (1, r.other_name) in seen]
    if not known:
        return tuple(rows), 0
    labels = {r.label for run in runs for r in run.result.routers}
    table = {
        key: Row(f"{key[0]} {key[1]}", key[1] in labels, [tuple(seeds.values()) for seeds in sets])
        for key, sets in seen.items()
    }
    statistics = _statistics(first, tests, known, list(table.values()))
    values = {key: _values(first, row) for key, row in table.items()}
    done = []
    for row in rows:
        keys = (0, row.name), (1, row.other_name)
        if row in known:
            row = _with_statistics(row, [values[k] for k in keys], statistics)
            row = attrs.evolve(row, choices=_changed_choices(seen[keys[0]], seen[keys[1]]))
        done.append(row)
    return tuple(done), statistics.groups


def _evaluations(
    first: StoredRun, run: FinishedRun, name: str, tests: Sequence[SameTests], place: int
) -> list[Seeds] | None:
    """Return what the metrics see of a row on each set of test rows; None where no seed has all of its choices."""
    chosen = run.chosen(name)
    found: list[Seeds] = []
    for test in tests:
        splits = test.splits[place]
        inside = [c for c in chosen if c.split in splits]
        seeds = dict.fromkeys(c.seed for c in inside)
        of = {seed: [c for c in inside if c.seed == seed] for seed in seeds}
        of = {seed: those for seed, those in of.items() if len(those) == len(splits)}
        if not of:
            return None
        found.append({seed: _evaluation(first, test.on, those) for seed, those in of.items()})
    return found


def _evaluation(first: StoredRun, on: EvaluatedRows, chosen: Sequence[Choices]) -> Evaluation:
    """Return what the metrics see of choices, put into the order of the rows."""
    rows = np.concatenate([c.rows for c in chosen])
    order = np.argsort(rows)
    places = order[np.searchsorted(rows[order], on.rows)]
    choices: Array = np.concatenate([c.choices for c in chosen])[places]
    estimate = joined_estimates([c.read_estimate for c in chosen], places)
    return first.context.evaluator.evaluation(on, Chosen(choices, estimate=estimate))


def _statistics(
    first: StoredRun, tests: Sequence[SameTests], known: Sequence[ComparedRow], table: Sequence[Row]
) -> Statistics:
    """Return the statistics of the rows of both runs, from the same draws."""
    evaluator, stored = first.context.evaluator, first.finished.result.statistics
    measured = [evaluator.measured(m) for m in evaluator.metrics if m.spec.name in known[0].values]
    measured = [attrs.evolve(m, paired_binary=is_binary(m, table)) for m in measured]
    pairs = tuple((f"1 {r.other_name}", f"0 {r.name}") for r in known)
    settings = Settings((), evaluator.selection.spec.name, stored.draws, stored.level, stored.seed, pairs)
    sets = [attrs.evolve(test_set(first.context, t.on), scopes={}) for t in tests]
    return table_statistics(sets, table, measured, settings)


def _values(first: StoredRun, row: Row) -> Mapping[str, MetricValue]:
    """Return the value of every metric, the mean over sets of test rows of the mean over seeds."""
    overall = first.context.evaluator.overall
    return aggregate_scores([[{"overall": overall(e)} for e in of_set] for of_set in row.evaluations]).scores["overall"]


def _with_statistics(
    row: ComparedRow, found: Sequence[Mapping[str, MetricValue]], statistics: Statistics
) -> ComparedRow:
    """Return a row with values, intervals and differences on the same samples.

    A metric that measures time has no value here, and keeps those of the two runs.
    """
    first, other = statistics.rows[f"0 {row.name}"], statistics.rows[f"1 {row.other_name}"]
    timed = {
        m
        for m, (stored, _) in row.values.items()
        if isinstance(found[0][m], Undefined) and not isinstance(stored, Undefined)
    }
    own = [m for m in row.values if m not in timed]
    of = [r.intervals["overall"] for r in (first, other)]
    return attrs.evolve(
        row,
        values={m: (found[0][m], found[1][m]) if m in own else stored for m, stored in row.values.items()},
        intervals={m: (of[0].get(m), of[1].get(m)) for m in own},
        differences={m: d for m, d in other.against[f"0 {row.name}"].items() if m in own},
    )


def _changed_choices(first: Sequence[Seeds], other: Sequence[Seeds]) -> ChangedChoices:
    """Return how choices differ: of equal seeds, or, where the rows have none in common, of every pair of seeds."""
    compared = differing = gained = lost = 0
    models = next(iter(first[0].values())).models
    calls = np.zeros((2, len(models)))
    for one, two in zip(first, other, strict=True):
        common = [(s, s) for s in one if s in two] or list(itertools.product(one, two))
        for a, b in ((one[s], two[t]) for s, t in common):
            right, now = (np.take_along_axis(e.quality, e.choices[:, None], axis=1)[:, 0].astype(bool) for e in (a, b))
            compared += a.choices.size
            differing += int((a.choices != b.choices).sum())
            gained += int((now & ~right).sum())
            lost += int((right & ~now).sum())
        for place, seeds in enumerate((one, two)):
            calls[place] += np.mean([np.bincount(e.choices, minlength=len(models)) for e in seeds.values()], axis=0)
    return ChangedChoices(
        compared, differing, gained, lost, dict(zip(models, map(tuple, calls.T.tolist()), strict=True))
    )
