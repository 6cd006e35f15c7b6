"""The formulas of knn, prknn, kmeans, ovr and the prototypes, against straightforward loops on small data.

Nothing here calls what the routers compute with: scaling, distances, votes and ties are written out again, sample by sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vlrb_plugins.feature_routers import kmeans
from vlrb_plugins.feature_routers.knn import Knn
from vlrb_plugins.feature_routers.ovr import Ovr
from vlrb_plugins.feature_routers.params import KmeansParams, KnnParams, OvrParams, PrknnParams
from vlrb_plugins.feature_routers.prknn import Prknn
from vlrb_plugins.feature_routers.scaling import ZScore

MODELS = 4


def tied(make: Any, n: int = 60, seed: int = 0) -> Any:
    """Return samples with prices on a coarse grid, so that equally cheap models are frequent; some samples nobody solves."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((n, 3)) * [1.0, 1.5, 0.7] + [0.3, 0.0, -0.2]
    quality = rng.random((n, MODELS)) < np.array([0.4, 0.6, 0.5, 0.6])
    quality[::9] = False
    return make.labelled(matrix, quality, rng.choice([1e-3, 2e-3, 3e-3], (n, MODELS)))


def rows_of(data: Any) -> list[list[float]]:
    """Return the features as lists."""
    return [[float(v) for v in row] for row in data.queries.features.matrix]


def z_scores(rows: list[list[float]], fitted_on: list[list[float]]) -> list[list[float]]:
    """Return the rows less the mean, over the population standard deviation, of some rows."""
    columns = list(zip(*fitted_on, strict=True))
    means = [sum(c) / len(c) for c in columns]
    spreads = [math.sqrt(sum((v - m) ** 2 for v in c) / len(c)) for c, m in zip(columns, means, strict=True)]
    return [[(v - m) / s for v, m, s in zip(row, means, spreads, strict=True)] for row in rows]


def cosine_distance(a: list[float], b: list[float]) -> float:
    """Return 1 - cosine."""
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def first_of(*keys: list[float]) -> int:
    """Return the model with the highest first key, of equals (but for rounding) the highest second, ..., at last the first."""
    left = list(range(len(keys[0])))
    for key in keys:
        best = max(key[m] for m in left)
        left = [m for m in left if key[m] >= best - 1e-11 * abs(best)]
    return left[0]


def neighbourhoods(train: Any, asked: Any, k: int) -> tuple[list[list[tuple[float, int]]], list[float]]:
    """Return (distance, train row) of the k nearest solved rows of every query, and minus the mean train cost per model."""
    rows = rows_of(train)
    kept = [i for i in range(len(rows)) if train.quality[i].any()]
    fitted_on = [rows[i] for i in kept]
    scaled, queries = z_scores(fitted_on, fitted_on), z_scores(rows_of(asked), fitted_on)
    found = [sorted((cosine_distance(q, s), i) for s, i in zip(scaled, kept, strict=True))[:k] for q in queries]
    thrift = [-sum(train.cost[i, m] for i in range(len(rows))) / len(rows) for m in range(MODELS)]
    return found, thrift


def correctness(train: Any, near: list[tuple[float, int]]) -> list[float]:
    """Return on what share of the neighbours each model is right."""
    return [sum(bool(train.quality[i, m]) for _, i in near) / len(near) for m in range(MODELS)]


@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("variant", ["published", "reference"])
def test_knn_is_a_vote_for_the_cheapest_correct_model(make: Any, weights: Any, variant: Any) -> None:
    """Equally cheap ones share a vote, and equals are decided by the neighbours' correctness; the reference takes the first."""
    train, asked = tied(make), tied(make, 40, seed=1)
    fitted = Knn(KnnParams(variant=variant, weights=weights, k=4)).fit(train, asked, make.context(asked)[0])
    found, thrift = neighbourhoods(train, asked, 4)

    choices, ties = fitted.route(asked.queries), 0
    for q, near in enumerate(found):
        votes = [0.0] * MODELS
        for distance, i in near:
            least = min(train.cost[i, m] for m in range(MODELS) if train.quality[i, m])
            labels = [m for m in range(MODELS) if train.quality[i, m] and train.cost[i, m] == least]
            for m in labels if variant == "published" else labels[:1]:
                share = 1 / len(labels) if variant == "published" else 1
                votes[m] += share * (1 / distance if weights == "distance" else 1)
        shares = [v / sum(votes) for v in votes]
        assert np.allclose(fitted.scores(asked.queries)[q], shares, atol=1e-5)
        keys = [shares, correctness(train, near), thrift] if variant == "published" else [shares]
        assert choices[q] == first_of(*keys)
        ties += first_of(*keys) != first_of(shares)
    assert bool(ties) == (variant == "published")


@pytest.mark.parametrize("weights", ["distance", "uniform", None])
@pytest.mark.parametrize("rule", ["wins", "majority", "correctness"])
def test_prknn_compares_models_on_the_neighbours(make: Any, rule: Any, weights: Any) -> None:
    """wins: weighted count of pairwise wins; majority: Copeland's; correctness: the (plain) mean; equals by correctness, cost."""
    train, asked = tied(make), tied(make, 40, seed=1)
    fitted = Prknn(PrknnParams(rule=rule, weights=weights, k=4)).fit(train, asked, make.context(asked)[0])
    found, thrift = neighbourhoods(train, asked, 4)
    choices, scores = fitted.route(asked.queries), fitted.scores(asked.queries)
    uniform = weights == "uniform" or (weights is None and rule == "correctness")

    def beats(i: int, a: int, b: int) -> bool:
        right, cost = train.quality[i], train.cost[i]
        return bool((right[a] and not right[b]) or (right[a] == right[b] and cost[a] < cost[b]))

    for q, near in enumerate(found):
        weight = {i: 1.0 if uniform else 1 / (1e-6 + d) for d, i in near}
        total = sum(weight.values())
        won = [[sum(w for i, w in weight.items() if beats(i, a, b)) for b in range(MODELS)] for a in range(MODELS)]
        if rule == "wins":
            expected = [sum(won[a]) / total / (MODELS - 1) for a in range(MODELS)]
        elif rule == "majority":
            lead = [[won[a][b] - won[b][a] for b in range(MODELS)] for a in range(MODELS)]
            expected = [sum((v > 1e-9) - (v < -1e-9) for v in row) / (MODELS - 1) for row in lead]
        else:
            expected = [sum(w for i, w in weight.items() if train.quality[i, m]) / total for m in range(MODELS)]
        assert np.allclose(scores[q], expected, atol=1e-5)
        assert choices[q] == first_of(expected, correctness(train, near), thrift)


def test_prknn_reference_takes_the_first_of_equals(make: Any) -> None:
    """The weighted count of wins, and nothing else: decisions differ from published ones by ties alone."""
    train, asked = tied(make), tied(make, 200, seed=1)
    context = make.context(asked)[0]
    plain, reference = (
        Prknn(PrknnParams(variant=v, weights="uniform", k=4)).fit(train, asked, context)
        for v in ("published", "reference")
    )
    scores = reference.scores(asked.queries)
    differing = np.flatnonzero(plain.route(asked.queries) != reference.route(asked.queries))

    assert reference.route(asked.queries).tolist() == [first_of(list(s)) for s in scores]
    assert 0 < differing.size < 100
    for q in differing:
        assert np.isclose(scores[q, plain.route(asked.queries)[q]], scores[q].max())


# --- clusters ---------------------------------------------------------------------------------------------------------------

CENTRES = [[0.9, 0.1, -0.2], [-0.5, 0.7, 0.1], [0.1, -0.8, 0.3], [-0.2, -0.1, -0.9], [0.3, 0.6, 0.6], [-0.6, -0.6, 0.2]]


def unit(row: list[float]) -> list[float]:
    """Return the row at length 1."""
    length = math.sqrt(sum(v * v for v in row))
    return [v / length for v in row]


def squared(a: list[float], b: list[float]) -> float:
    """Return the squared distance."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def statistics_of(train: Any) -> tuple[list[list[float]], list[list[float]]]:
    """Return the accuracy and the mean cost of every model in every cluster."""
    rows = [unit(r) for r in rows_of(train)]
    nearest = [min(range(len(CENTRES)), key=lambda c: squared(r, CENTRES[c])) for r in rows]
    members = [[i for i, c in enumerate(nearest) if c == cluster] for cluster in range(len(CENTRES))]
    assert all(members)
    accuracy, cost = (
        [[sum(float(v[i, m]) for i in rows) / len(rows) for m in range(MODELS)] for rows in members]
        for v in (train.quality, train.cost)
    )
    return accuracy, cost


def balance(accuracy: list[float], cost: list[float], weight: float, least: float) -> list[float]:
    """Return w * accuracy scaled to [0, 1] + (1 - w) * (1 - cost, of which ``least`` is 0 and the maximum 1)."""
    low, high, most = min(accuracy), max(accuracy), max(cost)
    quality = [(a - low) / (high - low) if high > low else 1.0 for a in accuracy]
    return [weight * q + (1 - weight) * (1 - (c - least) / (most - least)) for q, c in zip(quality, cost, strict=True)]


def places(scores: list[float], accuracy: list[float], cost: list[float]) -> list[float]:
    """Return 1 / the place of every model; of equals the more accurate comes first, then the cheaper."""
    order: list[int] = []
    while len(order) < MODELS:
        left = [m for m in range(MODELS) if m not in order]
        keys = [[v[m] for m in left] for v in (scores, accuracy, [-c for c in cost])]
        order.append(left[first_of(*keys)])
    return [1 / (order.index(m) + 1) for m in range(MODELS)]


def expected_of(rule: str, near: list[int], far: list[float], top: int, stats: Any, weight: float, beta: float) -> Any:
    """Return the scores of one query, and the accuracy and mean cost in the clusters that count.

    :param near: the clusters, nearest first
    :param far: 1 - the product with each
    """
    accuracy, cost = stats
    shares = dict.fromkeys(near[:top], 1 / top)
    if rule.endswith("-code"):
        raw = {c: math.exp(-beta * far[c]) for c in near[:top]}
        shares = {c: v / sum(raw.values()) for c, v in raw.items()}
    if rule == "avengers-pro":
        given = {c: [v * top for v in balance(accuracy[c], cost[c], weight, min(cost[c]))] for c in shares}
    elif rule == "avengers-pro-code":
        given = {c: places(balance(accuracy[c], cost[c], weight, 0.0), accuracy[c], cost[c]) for c in shares}
    elif rule == "avengers-code":
        given = {c: places(accuracy[c], accuracy[c], cost[c]) for c in shares}
    else:
        given = {c: accuracy[c] for c in shares}
    sums = [[sum(shares[c] * v[c][m] for c in shares) for m in range(MODELS)] for v in (given, accuracy, cost)]
    return sums[0], sums[1], [-v for v in sums[2]]


RULED: list[tuple[str, dict[str, Any], int]] = [
    ("best-accuracy", {}, 1),
    ("avengers", {}, 1),
    ("budget", {}, 1),
    ("avengers-code", {}, 1),
    ("avengers-code", {"top": 3, "beta": 2.0}, 3),
    ("avengers-pro", {}, 4),
    ("avengers-pro", {"top": 1, "accuracy_weight": 0.3}, 1),
    ("avengers-pro", {"top": 2, "accuracy_weight": 0.0}, 2),
    ("avengers-pro-code", {}, 3),
    ("avengers-pro-code", {"top": 5, "beta": 1.0, "accuracy_weight": 0.45}, 5),
]


@pytest.mark.parametrize(("rule", "given", "top"), RULED)
def test_clusters_decide_by_their_rules(make: Any, rule: Any, given: Any, top: int) -> None:
    """Given the centres: statistics, nearest clusters, scores, choices and the estimate, as each method's source has them."""
    train, asked = tied(make, 90), tied(make, 60, seed=1)
    params, matrix = KmeansParams(rule=rule, **given), np.array([unit(r) for r in rows_of(train)], np.float32)
    plain = ZScore(np.zeros(3), np.ones(3))
    fitted = kmeans.from_centres(np.array(CENTRES), matrix, train, plain, params)
    stats = statistics_of(train)
    scores, choices, estimate = (
        fitted.scores(asked.queries),
        fitted.route(asked.queries),
        fitted.estimate(asked.queries),
    )

    for q, row in enumerate(unit(r) for r in rows_of(asked)):
        far = [1 - sum(x * y for x, y in zip(row, c, strict=True)) for c in CENTRES]
        key = far if rule.endswith("-code") else [squared(row, c) for c in CENTRES]
        near = sorted(range(len(CENTRES)), key=lambda c: key[c])
        weight, beta = given.get("accuracy_weight", 0.7), given.get("beta", 9.0)
        expected = expected_of(rule, near, far, top, stats, weight, beta)
        assert np.allclose(scores[q], expected[0], atol=1e-6)
        assert choices[q] == first_of(*expected)
        assert np.allclose(estimate.p_correct[q], expected[1], atol=1e-6)
        assert np.allclose(estimate.cost[q], [-v for v in expected[2]], atol=1e-9)


def test_the_two_avengers_pro_differ(make: Any) -> None:
    """With the same clusters: paper and code choose differently on some queries."""
    train, asked = tied(make, 90), tied(make, 60, seed=1)
    matrix, plain = np.array([unit(r) for r in rows_of(train)], np.float32), ZScore(np.zeros(3), np.ones(3))
    choices = [
        kmeans.from_centres(np.array(CENTRES), matrix, train, plain, KmeansParams(rule=rule, top=3)).route(
            asked.queries
        )
        for rule in ("avengers-pro", "avengers-pro-code")
    ]
    assert (choices[0] != choices[1]).any()


def test_prototypes_are_means_of_scaled_rows(make: Any) -> None:
    """What the reference calls K-means: per model, the mean of the unit z-scored rows it is right on, by cosine."""
    train, asked = tied(make), tied(make, 40, seed=1)
    fitted: Any = kmeans.Kmeans(KmeansParams(variant="reference")).fit(train, asked, make.context(asked)[0])
    rows = rows_of(train)
    kept = [i for i in range(len(rows)) if train.quality[i].any()]
    scaled = dict(zip(kept, map(unit, z_scores([rows[i] for i in kept], [rows[i] for i in kept])), strict=True))
    prototypes = []
    for m in range(MODELS):
        members = [scaled[i] for i in kept if train.quality[i, m]]
        prototypes.append(unit([sum(c) / len(members) for c in zip(*members, strict=True)]))

    for q, row in enumerate(map(unit, z_scores(rows_of(asked), [rows[i] for i in kept]))):
        expected = [sum(x * y for x, y in zip(row, p, strict=True)) for p in prototypes]
        assert np.allclose(fitted.scores(asked.queries)[q], expected, atol=1e-5)
        assert fitted.route(asked.queries)[q] == first_of(expected)


# --- regressions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["published", "reference"])
def test_ovr_is_a_regression_per_model(make: Any, variant: Any) -> None:
    """Newton's method on one model at a time: no weights and all rows, or balanced weights and the solved rows."""
    train, asked = tied(make, 120), tied(make, 40, seed=1)
    fitted = Ovr(OvrParams(variant=variant, tolerance=1e-9)).fit(train, asked, make.context(asked)[0])
    rows = rows_of(train)
    used = [i for i in range(len(rows)) if variant == "published" or train.quality[i].any()]
    design = np.array([[*z, 1.0] for z in z_scores([rows[i] for i in used], rows)])
    queries = np.array([[*z, 1.0] for z in z_scores(rows_of(asked), rows)])

    expected = np.empty((len(queries), MODELS))
    for m in range(MODELS):
        right = np.array([float(train.quality[i, m]) for i in used])
        hits, n = right.sum(), len(used)
        weights = np.ones(n) if variant == "published" else np.where(right > 0, n / (2 * hits), n / (2 * (n - hits)))
        point = np.zeros(4)
        penalty = np.diag([1.0, 1.0, 1.0, 0.0])
        for _ in range(30):
            p = 1 / (1 + np.exp(-design @ point))
            gradient = design.T @ (weights * (p - right)) + penalty @ point
            point -= np.linalg.solve((design.T * (weights * p * (1 - p))) @ design + penalty, gradient)
        expected[:, m] = 1 / (1 + np.exp(-queries @ point))
    assert np.allclose(fitted.scores(asked.queries), expected, atol=1e-4)
    assert fitted.route(asked.queries).tolist() == expected.argmax(axis=1).tolist()
