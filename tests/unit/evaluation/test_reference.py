"""Reference points: what each learns on train, and chooses on the rows asked for."""

from __future__ import annotations

from pathlib import Path

import attrs
import handmade
import numpy as np
import pytest

from vlrb.api.results import REFERENCES
from vlrb.evaluation import reference
from vlrb.evaluation.reference import (
    cheapest_model,
    oracle_choices,
    reference_choices,
    strongest_model,
    strongest_per_dataset,
)


def test_reference_points_learn_on_train_and_choose_for_other_rows(tmp_path: Path) -> None:
    """On train middle is best, and small in Books, and small is cheapest; none of it holds on test or on all rows.

    The model that is best by the selection metric is given.
    """
    made = handmade.make(tmp_path)
    split = handmade.split_of(made)
    found = reference_choices(made, split, split.test, 0)

    assert {name: choices.tolist() for name, choices in found.items()} == {
        "oracle": [0, 1, 2, 2, 0, 1],
        "strongest-per-dataset": [1, 1, 2, 2, 1, 1],
        "best-single": [1] * 6,
        "best-single-by-metric": [0] * 6,
        "cheapest-single": [2] * 6,
    }
    assert list(found) == list(REFERENCES)


def test_what_reference_points_learn_does_not_depend_on_the_rows_asked_for(tmp_path: Path) -> None:
    """The same rows have the same choices, whichever others are asked for with them."""
    made = handmade.make(tmp_path)
    split = handmade.split_of(made)
    every = reference_choices(made, split, np.arange(18), 2)
    for rows in (split.train, split.dev, split.test, np.array([17, 3, 8])):
        for name, choices in reference_choices(made, split, rows, 2).items():
            assert choices.tolist() == every[name][rows].tolist()


def test_a_dataset_without_train_samples_gets_the_best_model_of_all(tmp_path: Path) -> None:
    """Books has none here: it is routed as if its name were unknown."""
    made = handmade.make(tmp_path)
    split = attrs.evolve(handmade.split_of(made), train=np.array([0, 1, 2, 12, 13, 14]))

    assert reference_choices(made, split, np.array([10, 11]), 0)["strongest-per-dataset"].tolist() == [1, 1]


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_the_oracle_takes_the_cheapest_right_model_else_the_cheapest(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of equally cheap ones the first, however many rows are looked at together."""
    monkeypatch.setattr(reference, "ROWS_AT_ONCE", at_once)
    quality = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1]], dtype=bool)
    cost = np.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 2.0, 2.0]])

    assert oracle_choices(quality, cost).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("quality", "best"), [([[1, 0, 1], [0, 0, 1]], 2), ([[0, 1, 1], [0, 1, 1]], 1), ([[0, 0, 0]], 0)]
)
def test_the_strongest_model_is_right_most_often(quality: list[list[int]], best: int) -> None:
    """Of equals the first."""
    right = np.array(quality, dtype=bool)
    assert strongest_model(right, np.ones(right.shape)) == best


def test_the_cheapest_model_costs_least_on_average() -> None:
    """Not on most samples; of equals the first."""
    assert cheapest_model(np.ones((3, 2), bool), np.array([[1.0, 3.0], [1.0, 3.0], [9.0, 3.0]])) == 1
    assert cheapest_model(np.ones((1, 3), bool), np.array([[2.0, 1.0, 1.0]])) == 1


def test_ties_do_not_go_by_column() -> None:
    """Of equally accurate models the cheaper, of equally cheap ones the more accurate; the first only where both are equal."""
    quality = np.array([[1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]], dtype=bool)
    cost = np.array([[3.0, 2.0, 1.0, 2.0]] * 3)

    assert strongest_model(quality, cost) == 1
    assert strongest_model(quality[:, ::-1], cost[:, ::-1]) == 0
    level = np.ones((3, 4))
    assert cheapest_model(quality, level) == 0
    assert cheapest_model(quality[:, [2, 3, 0]], level[:, :3]) == 1
    datasets = np.array(["a", "b", "a"])
    assert strongest_per_dataset(datasets, datasets, quality, cost).tolist() == [1, 2, 1]


def test_datasets_are_told_by_name_not_by_place() -> None:
    """Train and the rows asked for need not stand in the same order."""
    quality = np.array([[1, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)
    chosen = strongest_per_dataset(
        np.array(["b", "a", "c"]), np.array(["a", "b", "a", "b"]), quality, np.ones(quality.shape)
    )

    assert chosen.tolist() == [1, 0, 0]
