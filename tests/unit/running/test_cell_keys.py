"""What the key of a cell holds: everything that decides its numbers, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cell_work import COUNTING, Work

from vlrb.api.routing import CostBounds

BETA = '[[metric]]\nuse = "rank-score"\nbeta = {}\n'


OTHERS: dict[str, Callable[[Work], Path]] = {
    "low bound": lambda c: c.folder_of(bounds=CostBounds(5e-4, 4e-3, "train")),
    "high bound": lambda c: c.folder_of(bounds=CostBounds(1e-3, 5e-3, "train")),
    "rows of the bounds": lambda c: c.folder_of(top='cost_bounds = "all"'),
    "selection metric": lambda c: c.folder_of(top='[selection]\nmetric = "accuracy"'),
    "parameters of the selection metric": lambda c: c.folder_of(BETA.format(0.5) + COUNTING),
    "split": lambda c: c.folder_of(digest="other"),
    "quality": lambda c: c.folder_of(quality=np.ones((18, 3), dtype=bool)),
    "seed": lambda c: c.folder_of(top="seeds = [43]"),
    "label": lambda c: c.folder_of(COUNTING + 'label = "other"\n'),
    "router": lambda c: c.folder_of('[[router]]\nuse = "peeking"\nlabel = "counting"\n'),
    "parameters": lambda c: c.folder_of(COUNTING + "choice = 1\n"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_may_change_a_cells_result_is_another_cell(work: Work, what: str) -> None:
    """Each of these reaches ``fit``, or what it is measured by, so that the result kept for the other must not be taken."""
    assert OTHERS[what](work) != work.folder_of()


def test_other_features_are_another_cell(work: Work) -> None:
    """Another encoder, another size of its features and another fusion."""
    table = '[features.f]\nencoders = [{}]\nfusion = "{}"\n[[router]]\nuse = "knn"\nfeatures = "f"\n'
    text, wide = '"hashed-text"', '{ use = "hashed-text", dimension = 64 }'
    sets = [(text, "concat"), (text, "normalize-concat"), (wide, "concat"), ('"image-statistics"', "concat")]

    assert len({work.folder_of(table.format(*s)) for s in sets}) == len(sets)


@pytest.mark.parametrize(
    "same",
    [
        {"routers": '[[metric]]\nuse = "rank-score"\n[[metric]]\nuse = "accuracy"\n' + COUNTING},
        {"routers": '[[report]]\nuse = "leaderboard"\n' + COUNTING},
        {"top": '[selection]\non = "dev"'},
    ],
)
def test_what_cannot_change_a_cells_result_is_the_same_cell(work: Work, same: dict[str, str]) -> None:
    """Metrics that do not select, and reports, are made of choices, so that no router is fitted again for them."""
    assert work.folder_of(**same) == work.folder_of()
