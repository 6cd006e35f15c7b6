"""Cells: what their keys hold, and what a router is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import handmade
import numpy as np
import pytest

from vlrb.api.routing import CostBounds
from vlrb.evaluation.metrics import Evaluator, cost_bounds
from vlrb.experiment.resolve import make_plan
from vlrb.running.context import RunContext
from vlrb.running.run import prepare
from vlrb.storage import Places

TINY = Path(__file__).parents[2] / "support" / "tiny.py"
ROUTER = '[[router]]\nuse = "counting"\n'


@attrs.frozen
class Case:
    """Makes the cells of an experiment on the handmade benchmark."""

    folder: Path

    def experiment(self, routers: str = ROUTER, top: str = "") -> Path:
        """Write an experiment."""
        head = f'name = "t"\nplugins = ["{TINY}"]\nrequires = []\n{top}\n[logs]\nuse = "tiny"\n'
        path = self.folder / "experiment.toml"
        path.write_text(head + routers, encoding="utf-8")
        return path

    @property
    def places(self) -> Places:
        """Return the places of this folder."""
        return Places(self.folder / "runs", self.folder / "cache")

    def context(
        self,
        routers: str = ROUTER,
        top: str = "",
        *,
        bounds: CostBounds | None = None,
        digest: str = "d",
        **matrices: Any,
    ) -> RunContext:
        """Return what the cells share."""
        plan = make_plan(self.experiment(routers, top))
        made = handmade.make(self.folder, **matrices)
        split = handmade.split_of(made, digest)
        evaluator = Evaluator(
            made, split, bounds or CostBounds(1.0, 2.0, "train"), plan.metrics, plan.selection_metric()
        )
        return RunContext(plan, self.places, made, split, evaluator)

    def folder_of(self, *arguments: Any, **more: Any) -> Path:
        """Return where the only cell's result is kept."""
        context = self.context(*arguments, **more)
        (cell,) = context.cells()
        return context.folder(cell)


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Case(tmp_path)


BETA = '[[metric]]\nuse = "rank-score"\nbeta = {}\n'

OTHERS: dict[str, Callable[[Case], Path]] = {
    "low bound": lambda c: c.folder_of(bounds=CostBounds(0.5, 2.0, "train")),
    "high bound": lambda c: c.folder_of(bounds=CostBounds(1.0, 2.5, "train")),
    "rows of the bounds": lambda c: c.folder_of(bounds=CostBounds(1.0, 2.0, "all")),
    "selection metric": lambda c: c.folder_of(top='[selection]\nmetric = "accuracy"'),
    "parameters of the selection metric": lambda c: c.folder_of(BETA.format(0.5) + ROUTER),
    "split": lambda c: c.folder_of(digest="other"),
    "quality": lambda c: c.folder_of(quality=np.ones((18, 3), dtype=bool)),
    "seed": lambda c: c.folder_of(top="seeds = [43]"),
    "label": lambda c: c.folder_of(ROUTER + 'label = "other"\n'),
    "router": lambda c: c.folder_of('[[router]]\nuse = "peeking"\nlabel = "counting"\n'),
    "parameters": lambda c: c.folder_of(ROUTER + "choice = 1\n"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_may_change_a_cells_result_is_another_cell(case: Case, what: str) -> None:
    """Each of these reaches ``fit``, or what it is measured by, so that the result kept for the other must not be taken."""
    assert OTHERS[what](case) != case.folder_of()


def test_other_features_are_another_cell(case: Case) -> None:
    """Another encoder, another size of its features and another fusion."""
    table = '[features.f]\nencoders = [{}]\nfusion = "{}"\n[[router]]\nuse = "knn"\nfeatures = "f"\n'
    text, wide = '"hashed-text"', '{ use = "hashed-text", dimension = 64 }'
    sets = [(text, "concat"), (text, "normalize-concat"), (wide, "concat"), ('"image-statistics"', "concat")]

    assert len({case.folder_of(table.format(*s)) for s in sets}) == len(sets)


@pytest.mark.parametrize(
    "same",
    [
        {"routers": '[[metric]]\nuse = "rank-score"\n[[metric]]\nuse = "accuracy"\n' + ROUTER},
        {"routers": '[[report]]\nuse = "leaderboard"\n' + ROUTER},
        {"top": '[selection]\non = "dev"'},
    ],
)
def test_what_cannot_change_a_cells_result_is_the_same_cell(case: Case, same: dict[str, str]) -> None:
    """Metrics that do not select, and reports, are made of choices, so that no router is fitted again for them."""
    assert case.folder_of(**same) == case.folder_of()


def test_every_point_and_seed_is_a_cell_of_its_own(case: Case) -> None:
    """No two cells of an experiment share a folder."""
    context = case.context(ROUTER + "sweep = { choice = [0, 1, 2] }\n", "seeds = [1, 2]")
    cells = context.cells()

    assert len({context.folder(cell) for cell in cells}) == len({cell.name for cell in cells}) == 6


@pytest.mark.parametrize(
    ("top", "rows"), [("", "train"), ('cost_bounds = "all"', "all"), ('protocol = "paper"', "all")]
)
def test_a_run_takes_its_bounds_from_the_rows_that_it_names(case: Case, top: str, rows: str) -> None:
    """Train unless the experiment, or the paper's protocol, asks for all rows."""
    context = prepare(make_plan(case.experiment(top=top)), case.places, jobs=1)

    assert context.evaluator.bounds == cost_bounds(context.benchmark, context.split, rows)
    other = "all" if rows == "train" else "train"
    assert context.evaluator.bounds.low != cost_bounds(context.benchmark, context.split, other).low


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_router_sees_rows_in_an_order_that_does_not_tell_their_dataset(case: Case, split: str) -> None:
    """In the order of hashes, in which datasets stand mixed; labels go with their questions."""
    context = case.context()
    labelled = context.labelled(split, None, None)
    ids = list(labelled.queries.ids)

    assert ids == sorted(ids)
    rows = [context.benchmark.opaque_ids.index(i) for i in ids]
    assert sorted(rows) == context.split.rows(split).tolist()
    assert labelled.queries.texts == tuple(context.benchmark.samples.column("question")[i].as_py() for i in rows)
    assert np.array_equal(labelled.quality, context.benchmark.quality[rows])
    assert np.array_equal(labelled.cost, context.benchmark.cost[rows])
    assert np.array_equal(labelled.score, context.benchmark.score[rows])
