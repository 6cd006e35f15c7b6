"""Targets, decisions, reference points, fusions and the paper's split, each against a plain loop over its definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vlrb.api.decide import decide
from vlrb.api.routing import Column, Estimate, Features
from vlrb.api.targets import hard_labels, relevance, soft_targets
from vlrb.evaluation import reference
from vlrb_plugins.fusions.fusing import fuse
from vlrb_plugins.shared.sample_split import sample_split

INF = float("inf")
RIGHT = [[1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]]
USD = [
    [0.004, 0.001, 0.0, 0.002],
    [0.01, 0.003, 0.02, 0.02],
    [0.005, 0.002, 0.002, 0.03],
    [0.1, 0.2, 0.3, 0.4],
    [0.0, 1e-5, 0.5, 0.01],
]
QUALITY, COST = np.array(RIGHT, dtype=bool), np.array(USD)


def soft_row(
    right: list[int], usd: list[float], lam: float, scale: float, scheme: str, fallback: str | None
) -> list[float]:
    """Return one row of soft targets: weights of the correct models, divided by their sum."""
    allowed = [m for m, r in enumerate(right) if r]
    if not allowed and fallback == "cheapest":
        return [float(m == usd.index(min(usd))) for m in range(len(usd))]
    if not allowed and fallback == "cost_soft":
        allowed = list(range(len(usd)))
    weights = [0.0] * len(usd)
    for m in allowed:
        weights[m] = math.exp(-lam * scale * usd[m]) if scheme == "exp" else (scale * usd[m] + 1e-12) ** -lam
    total = sum(weights)
    return [w / total if total else 0.0 for w in weights]


@pytest.mark.parametrize("fallback", [None, "cheapest", "cost_soft"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize(("scheme", "lambdas"), [("exp", (0.0, 0.1, 1.0, 5.0)), ("power", (0.0, 0.5, 2.0))])
def test_soft_targets(scheme: Any, lambdas: tuple[float, ...], scale: float, fallback: Any) -> None:
    """Weights exp(-lambda * scale * USD), or (scale * USD + 1e-12) ** -lambda, over the correct models of each sample."""
    for lam in lambdas:
        expected = [soft_row(r, c, lam, scale, scheme, fallback) for r, c in zip(RIGHT, USD, strict=True)]
        found = soft_targets(QUALITY, COST, lam, cost_scale=scale, scheme=scheme, fallback=fallback)

        assert np.allclose(found, expected, atol=1e-12), lam


def test_soft_targets_in_figures() -> None:
    """One row that a pocket calculator gives: lambda 10, 0.4, 0.1 and 0.2 cents weigh exp(-4), exp(-1) and exp(-2)."""
    expected = [0.0351190, 0.7053845, 0.0, 0.2594965]

    assert np.allclose(soft_targets(QUALITY, COST, 10.0)[0], expected, atol=1e-7)


@pytest.mark.parametrize("scale", [3.0, 100.0])
@pytest.mark.parametrize("lam", [0.0, 0.7, 20.0])
def test_relevance(lam: float, scale: float) -> None:
    """exp(-lambda * scale * what a correct model costs more than the cheapest correct one), else 0."""
    expected = [[0.0] * 4 for _ in RIGHT]
    for i, (right, usd) in enumerate(zip(RIGHT, USD, strict=True)):
        for m in range(4):
            if right[m]:
                least = min(usd[j] for j in range(4) if right[j])
                expected[i][m] = math.exp(-lam * scale * (usd[m] - least))

    assert np.allclose(relevance(QUALITY, COST, lam, cost_scale=scale), expected, atol=1e-12)
    expected[2] = [0.0, 1.0, 0.0, 0.0]  # nobody is right: the first of the two cheapest
    assert np.allclose(relevance(QUALITY, COST, lam, cost_scale=scale, fallback="cheapest"), expected, atol=1e-12)


def test_labels_and_the_oracle() -> None:
    """The cheapest correct model, the first of equals; where none is right, no label, and the Oracle takes the cheapest."""
    assert hard_labels(QUALITY, COST).tolist() == [1, 2, -1, 1, 0]
    assert reference.oracle_choices(QUALITY, COST).tolist() == [1, 2, 1, 1, 0]


def test_single_models_and_the_best_of_each_dataset() -> None:
    """Counted by hand: right answers 2, 3, 2, 3; mean costs .0238, .0412, .1644, .0924; in dataset b the fourth leads."""
    train = np.array(["b", "b", "a", "a", "a"])

    assert reference.strongest_model(QUALITY, COST) == 1
    assert reference.cheapest_model(QUALITY, COST) == 0
    assert reference.strongest_per_dataset(np.array(["b", "a", "c"]), train, QUALITY, COST).tolist() == [3, 1, 1]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"lambda_": 0.0}, [0, 1, 2]),
        ({"lambda_": 0.5}, [1, 1, 2]),  # .9 exp(-.5) = .546 < .6 exp(-.05) = .571
        ({"lambda_": 10.0}, [1, 2, 2]),  # .8 exp(-2) = .108 < .3 exp(-.2) = .246
        ({"lambda_": INF}, [1, 2, 2]),  # equally cheap: the likelier
        ({"budget": 0.005}, [1, 1, 2]),
        ({"budget": 0.0001}, [2, 2, 2]),
    ],
)
def test_decisions_in_figures(asked: dict[str, float], expected: list[int]) -> None:
    """The greatest p * exp(-lambda * 100 * USD), or the greatest p within the budget, else the cheapest."""
    p = np.array([[0.9, 0.6, 0.0], [0.2, 0.8, 0.3], [0.1, 0.1, 0.7]])
    usd = np.array([[0.01, 0.001, 0.0005], [0.001, 0.002, 0.0002], [0.0001, 0.0001, 0.0001]])

    assert decide(Estimate(p, usd), **asked).tolist() == expected


# --- fusion ---------------------------------------------------------------------------------------------------------------

TEXT = [[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [1.0, -2.0, 2.0]]
IMAGE = [[0.0, 2.0], [-3.0, 4.0], [0.0, 0.0]]


def unit_length(row: list[float]) -> list[float]:
    """Return a row at length 1; zeros stay."""
    length = math.sqrt(sum(x * x for x in row))
    return [x / length if length else 0.0 for x in row]


def fused_row(fusion: str, text: list[float], image: list[float], weight: float) -> list[float]:
    """Return one row of a fusion."""
    if fusion.startswith("normalize-"):
        text, image, fusion = unit_length(text), unit_length(image), fusion.removeprefix("normalize-")
    pairs = list(zip(text, image, strict=False))  # the columns that both have
    return {
        "concat": text + image,
        "average": [(t + v) / 2 for t, v in pairs],
        "weighted-average": [weight * t + (1 - weight) * v for t, v in pairs],
        "concat-interaction": text + image + [t * v for t, v in pairs] + [abs(t - v) for t, v in pairs],
        "only-text": text,
        "only-image": image,
    }[fusion]


@pytest.mark.parametrize(
    "fusion",
    [
        "concat",
        "normalize-concat",
        "average",
        "weighted-average",
        "concat-interaction",
        "normalize-concat-interaction",
        "only-text",
        "only-image",
    ],
)
def test_fusions(fusion: str) -> None:
    """Every fusion, row by row, with vectors of different width and rows of zeros."""
    parts = [
        Features(np.array(rows, np.float32), tuple(Column(f"{name}/{i}") for i in range(len(rows[0]))))
        for name, rows in (("t", TEXT), ("v", IMAGE))
    ]
    found = fuse(parts, fusion, ["text", "image"], text_weight=0.3).matrix

    assert np.allclose(found, [fused_row(fusion, t, v, 0.3) for t, v in zip(TEXT, IMAGE, strict=True)], atol=1e-6)


def test_fusions_in_figures() -> None:
    """Three rows that can be computed in the head."""
    parts = [Features(np.array([[3.0, 4.0]], np.float32), (Column("t/0"), Column("t/1")))]
    parts += [Features(np.array([[0.0, 2.0]], np.float32), (Column("v/0"), Column("v/1")))]
    both = ["text", "image"]

    assert np.allclose(fuse(parts, "normalize-concat").matrix, [[0.6, 0.8, 0, 1]])
    assert np.allclose(fuse(parts, "weighted-average", both, 0.25).matrix, [[0.75, 2.5]])
    assert np.allclose(fuse(parts, "concat-interaction", both).matrix, [[3, 4, 0, 2, 0, 8, 3, 2]])


# --- the paper's split ----------------------------------------------------------------------------------------------------


def test_the_papers_split_in_figures() -> None:
    """RandomState(42) shuffles 0 to 9 into 8 1 5 0 7 2 9 4 3 6: the first seven are train, the next is dev."""
    parts = sample_split(10, 0.7, 0.1, 42)

    assert [rows.tolist() for rows in parts] == [[0, 1, 2, 5, 7, 8, 9], [4], [3, 6]]


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(10, (7, 1, 2)), (19, (13, 1, 5)), (90, (62, 9, 19)), (99, (69, 9, 21)), (30540, (21378, 3054, 6108))],
)
def test_shares_are_cut_off_not_rounded(n: int, sizes: tuple[int, int, int]) -> None:
    """int(0.7 n) and int(0.1 n) in floating point, so that 90 samples give 62 of train: 0.7 * 90 is 62.99..."""
    parts = sample_split(n, 0.7, 0.1, 42)

    assert tuple(map(len, parts)) == sizes
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
