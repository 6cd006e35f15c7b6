"""The statistics of a run: what is compared, on which test rows, and where the metrics may mislead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from vlrb.api.results import REFERENCES
from vlrb.api.routing import WithCautions
from vlrb.api.statistics import Statistics
from vlrb.errors import ConfigError, Problem, VlrbError, did_you_mean
from vlrb.evaluation.statistics import MeasuredMetric, Row, Settings, TestedRows, statistics
from vlrb.experiment.plan import Plan
from vlrb.plugins.blame import blame
from vlrb.running.context import RunContext
from vlrb.running.routers import Seen

FEW_GROUPS = 200
"""Below so many test groups, intervals are wide, and percentile intervals begin to be too narrow."""


def check_names(plan: Plan) -> None:
    """Refuse names in ``[statistics]`` that no row of the leaderboard has.

    :raises ConfigError: with all of them
    """
    section = plan.statistics
    known = {*REFERENCES, *(r.label for r in plan.routers)}
    asked = [("baseline", section.baseline), *(("pairs", name) for pair in section.pairs for name in pair)]
    problems = [
        Problem(f"no router or reference point is called {name!r}", plan.document.where(("statistics", key)), did_you_mean(name, known))
        for key, name in asked
        if name not in known
    ]
    if problems:
        raise ConfigError(problems)


def run_statistics(context: RunContext, seen: Mapping[str, Seen], routers: Sequence[str]) -> Statistics:
    """Return the statistics of a run.

    :param seen: name of a row -> what the metrics saw of it
    :param routers: those of the names that are routers
    """
    section, evaluator = context.plan.statistics, context.evaluator
    tests = [_tested_rows(context, number) for number in range(len(context.test_sets()))]
    rows = [Row(name, name in routers, of_row) for name, of_row in seen.items()]
    metrics = [
        MeasuredMetric(m.spec.name, evaluator.made(m), m.spec.higher_is_better, m.spec.per_subset)
        for m in context.plan.metrics
    ]
    settings = Settings(
        section.draws, section.level, section.seed, section.baseline, evaluator.selection.spec.name, section.pairs
    )
    return attrs.evolve(statistics(tests, rows, metrics, settings), cautions=_cautions(context, seen["best-single"]))
