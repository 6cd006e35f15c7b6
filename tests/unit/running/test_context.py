"""What the cells of a run share: which there are, what a router is given, and where results are kept."""

from __future__ import annotations

import numpy as np
import pytest
from cell_work import COUNTING, SWEPT, Fitted, Work, estimated


def test_every_point_and_seed_is_a_cell_of_its_own(work: Work) -> None:
    """No two cells of an experiment share a folder."""
    context = work.context(COUNTING + "sweep = { choice = [0, 1, 2] }\n", "seeds = [1, 2]")
    cells = context.cells()

    assert len({context.folder(cell) for cell in cells}) == len({cell.name for cell in cells}) == 6


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_router_sees_rows_in_an_order_that_does_not_tell_their_dataset(work: Work, split: str) -> None:
    """In the order of hashes, in which datasets stand mixed; labels go with their questions."""
    context = work.context()
    labelled = context.labelled(context.cells()[0], split, None)
    ids = list(labelled.queries.ids)

    assert ids == sorted(ids)
    rows = [context.benchmark.opaque_ids.index(i) for i in ids]
    assert sorted(rows) == context.splitting.splits[0].rows(split).tolist()
    assert labelled.queries.texts == tuple(context.benchmark.samples.column("question")[i].as_py() for i in rows)
    assert np.array_equal(labelled.quality, context.benchmark.quality[rows])
    assert np.array_equal(labelled.cost, context.benchmark.cost[rows])
    assert np.array_equal(labelled.score, context.benchmark.score[rows])


def test_a_finished_cell_is_not_fitted_again(work: Work) -> None:
    """Until it is forgotten, with its work."""
    context = work.context()
    (cell,) = context.cells()
    first, again, forced = Fitted(), Fitted(), Fitted()
    assert not context.finished(cell)
    folder = work.run(first, context)
    assert context.finished(cell)
    work.run(again, context)
    context.work_folder(cell).mkdir(parents=True)
    context.forget(cell)
    assert not context.finished(cell)
    assert not folder.exists()
    assert not context.work_folder(cell).exists()
    work.run(forced, context)

    assert (len(first.seen), len(again.seen), len(forced.seen)) == (5, 0, 5)


def test_what_cells_use_of_the_cache_is_told(work: Work) -> None:
    """The folders that a run needs, of each fit once, and no others."""
    context = work.context(SWEPT)
    cells = context.cells()
    uses = context.uses(cells)

    folders = {context.folder(c).name for c in cells}
    assert set(uses["cells"]) == set(uses["work"]) == folders | {cells[0].fit_key[:20]}
    assert len(uses["cells"]) == 4
    assert (uses["benchmarks"], uses["features"]) == (["handmade"], [])
    assert {f.name for f in (work.folder / "cache").iterdir()} >= {"benchmarks"}


def test_a_forgotten_point_forgets_the_fit_that_it_shares(work: Work) -> None:
    """Otherwise it would decide by old estimates."""
    context = work.context(SWEPT)
    cell = context.cells()[1]
    work.run(Fitted(more={"estimate": estimated}), context, cell)
    base = work.folder / "cache" / "cells" / cell.fit_key[:20]
    assert (base / "cell.json").is_file()
    context.forget(cell)
    assert not base.exists()
