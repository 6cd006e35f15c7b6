"""A run in the functions that make it up."""

from __future__ import annotations

import pytest
from cell_work import Work

from vlrb.evaluation.metrics import cost_bounds
from vlrb.experiment.resolve import make_plan
from vlrb.running.run import prepare


@pytest.mark.parametrize(
    ("top", "rows"), [("", "train"), ('cost_bounds = "all"', "all"), ('protocol = "paper"', "all")]
)
def test_a_run_takes_its_bounds_from_the_rows_that_it_names(work: Work, top: str, rows: str) -> None:
    """Train unless the experiment, or the paper's protocol, asks for all rows."""
    context = prepare(make_plan(work.experiment(top=top)), work.places, jobs=1)

    assert context.evaluator.bounds == cost_bounds(context.benchmark, context.split, rows)
    other = "all" if rows == "train" else "train"
    assert context.evaluator.bounds.low != cost_bounds(context.benchmark, context.split, other).low
