"""Decisions equal to those of VL-RouterBench's implementation, and of the published cluster routers' formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.targets import soft_targets
from vlrb_plugins.feature_routers import kmeans, linear, mlp, ovr, prknn
from vlrb_plugins.feature_routers.knn import Knn
from vlrb_plugins.feature_routers.neighbours import index_of
from vlrb_plugins.feature_routers.params import (
    KmeansParams,
    KnnParams,
    LinearParams,
    MlpParams,
    OvrParams,
    PrknnParams,
)
from vlrb_plugins.feature_routers.scaling import ZScore

Vectors = Callable[[str], dict[str, Any]]
FUSIONS = ("normalize_concat", "concat")
LAMBDAS = ("0", "10", "100", "1000", "10000", "inf")
KNN = [(k, w, "cosine") for k in (1, 5, 10) for w in ("distance", "uniform")] + [(5, "distance", "euclidean")]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("k", "weights", "metric"), KNN)
def test_knn(small: Any, vectors: Vectors, make: Any, k: int, weights: Any, metric: Any, fusion: str) -> None:
    """Every decision on 120 test rows, and the shares of the votes."""
    data, name = small(fusion), f"knn_k{k}_{weights}_{metric}_{fusion}"
    params = KnnParams(variant="reference", k=k, weights=weights, metric=metric)
    fitted = Knn(params).fit(data.train, data.dev, make.context(data.dev)[0])

    expected = vectors("routers_feature")
    assert fitted.route(data.test.queries).tolist() == expected[f"{name}__pred"].tolist()
    assert np.allclose(fitted.scores(data.test.queries), expected[f"{name}__proba"], atol=2e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("weights", ["distance", "uniform"])
@pytest.mark.parametrize("k", [5, 10])
def test_prknn(small: Any, vectors: Vectors, make: Any, k: int, weights: Any, fusion: str) -> None:
    """Every decision of the weighted count of pairwise wins on 120 test rows."""
    data = small(fusion)
    params = PrknnParams(variant="reference", k=k, weights=weights)
    fitted = prknn.Prknn(params).fit(data.train, data.dev, make.context(data.dev)[0])

    expected = vectors("routers_feature")[f"prknn_k{k}_{weights}_cosine_{fusion}__pred"]
    assert fitted.route(data.test.queries).tolist() == expected.tolist()


def test_neighbours(small: Any, vectors: Vectors) -> None:
    """The same neighbours in the same order, at the same distances."""
    data, expected = small("normalize_concat"), vectors("routers_feature")
    kept = expected["filtered_train_rows"]
    index, _ = index_of(data.train.queries.features, kept, "cosine")
    found, _ = index.find(data.test.queries.features, 5)

    assert np.array_equal(found.rows, expected["prknn_k5_neighbor_idx_in_filtered_train"])
    assert np.allclose(found.distances, expected["prknn_k5_neighbor_dist"], atol=1e-6)


def test_knn_on_train_rows(small: Any, vectors: Vectors, make: Any) -> None:
    """Neighbours at distance 0."""
    data = small("normalize_concat")
    fitted = Knn(KnnParams(variant="reference")).fit(data.train, data.dev, make.context(data.dev)[0])

    expected = vectors("routers_feature")["knn_on_first30_train__pred"]
    assert fitted.route(data.train.queries.take(np.arange(30))).tolist() == expected.tolist()


def test_prknn_on_train_rows(small: Any, vectors: Vectors, make: Any) -> None:
    """Neighbours at distance 0 weigh a million: all decisions are equal but where the reference's single precision loses the rest.

    On row 10 two models tie in the row itself, and the other neighbours' say is smaller than a rounding error there.
    """
    data = small("normalize_concat")
    fitted = prknn.Prknn(PrknnParams(variant="reference")).fit(data.train, data.dev, make.context(data.dev)[0])
    asked = data.train.queries.take(np.arange(30))

    expected = vectors("routers_feature")["prknn_on_first30_train__pred"]
    differing = np.flatnonzero(fitted.route(asked) != expected)
    scores = fitted.scores(asked)
    assert differing.tolist() == [10]
    assert 1 - scores[10, expected[10]] / scores[10].max() < np.finfo(np.float32).eps / 2


@pytest.mark.parametrize("fusion", FUSIONS)
def test_ovr(small: Any, vectors: Vectors, make: Any, fusion: str) -> None:
    """Every decision, and scaler, coefficients and probabilities as near as scikit-learn's own tolerance lets them be."""
    data, expected = small(fusion), vectors("routers_feature")
    params = OvrParams(variant="reference", tolerance=1e-7)
    fitted = ovr.Ovr(params).fit(data.train, data.dev, make.context(data.dev)[0])

    name = f"ovr_{fusion}__"
    assert fitted.route(data.test.queries).tolist() == expected[name + "pred"].tolist()
    assert np.allclose(fitted.scaler.mean, expected[name + "scaler_mean"], atol=1e-7)
    assert np.allclose(fitted.scaler.scale, expected[name + "scaler_scale"], atol=1e-7)
    assert np.allclose(fitted.weights.T, expected[name + "coef"], atol=3e-3)
    assert np.allclose(fitted.intercepts, expected[name + "intercept"], atol=3e-3)
    proba = fitted.scores(data.test.queries)
    stored = expected[name + "proba"]
    near = np.allclose(proba, stored, atol=2e-3)
    assert near or np.allclose(proba / proba.sum(axis=1, keepdims=True), stored, atol=2e-3)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("normalize", [True, False])
def test_prototypes(small: Any, vectors: Vectors, make: Any, normalize: bool, fusion: str) -> None:
    """Every decision of what the reference calls K-means, and its prototypes."""
    data, expected = small(fusion), vectors("routers_feature")
    params = KmeansParams(variant="reference", normalize=normalize)
    fitted: Any = kmeans.Kmeans(params).fit(data.train, data.dev, make.context(data.dev)[0])

    name = f"kmeansproto_norm{int(normalize)}_{fusion}__"
    assert fitted.route(data.test.queries).tolist() == expected[name + "pred"].tolist()
    assert np.allclose(fitted.prototypes, expected[name + "prototypes"], atol=1e-5)


@pytest.mark.parametrize("clusters", [3, 8])
def test_clusters(small: Any, vectors: Vectors, make: Any, clusters: int) -> None:
    """Given the stored centres: clusters, statistics, the most accurate model, and the balance of Avengers-Pro's code.

    Where models of a cluster are equally accurate, the vectors take the first, and the router the cheaper.
    """
    data, expected, k = small("normalize_concat"), vectors("cluster_routers"), f"k{clusters}_"
    best = _clusters(data, expected[k + "centers"], KmeansParams())
    code = _clusters(data, expected[k + "centers"], KmeansParams(rule="avengers-pro-code", top=1))
    vote = _clusters(data, expected[k + "centers"], KmeansParams(rule="avengers-code"))

    asked = data.test.queries
    assert best._distances(asked).argmin(axis=1).tolist() == expected[k + "test_labels"].tolist()
    assert best._distances(data.train.queries).argmin(axis=1).tolist() == expected[k + "train_labels"].tolist()
    assert np.allclose(best.accuracy, expected[k + "perf"])
    assert np.allclose(best.cost, expected[k + "cost"])
    assert np.allclose(code._balance(), expected[k + "balance_scores"])
    assert best.accuracy[expected[k + "test_labels"], best.route(asked)].tolist() == _best(
        best, expected[k + "test_labels"]
    )
    nearest = vote._distances(asked).argmin(axis=1)
    assert vote.accuracy[nearest, vote.route(asked)].tolist() == _best(vote, nearest)
    nearest, balance = code._distances(asked).argmin(axis=1), code._balance()
    assert np.allclose(balance[nearest, code.route(asked)], balance.max(axis=1)[nearest])


@pytest.mark.parametrize(("clusters", "compared"), [(3, range(2, 15)), (8, range(7, 34))])
def test_budget_curve(small: Any, vectors: Vectors, clusters: int, compared: range) -> None:
    """MMR-Bench's curve, where every cluster has one most accurate model within the budget.

    Where a cluster has none within it, MMR-Bench takes the first model and ``decide`` the cheapest; of equally accurate ones (a
    cluster of k = 8 has two, from budget 34 on) MMR-Bench takes the first and ``decide`` the cheaper.
    """
    data, expected, k = small("normalize_concat"), vectors("cluster_routers"), f"k{clusters}_"
    fitted = _clusters(data, expected[k + "centers"], KmeansParams(rule="budget"))
    rows, equal = np.arange(len(data.test)), []

    for i, (budget, cost, accuracy) in enumerate(expected[k + "mmr_curve"]):
        # the budgets are the clusters' own costs, which another order of adding up moves by a rounding error
        params = KmeansParams(rule="budget", budget=float(budget) * (1 + 1e-9))
        chosen = attrs.evolve(fitted, params=params).route(data.test.queries)
        same_cost = np.isclose(data.test.cost[rows, chosen].mean(), cost, rtol=1e-5)
        if same_cost and np.isclose(data.test.quality[rows, chosen].mean(), accuracy):
            equal.append(i)
    assert equal == list(compared)


def _clusters(data: Any, centres: Any, params: KmeansParams) -> Any:
    features = data.train.queries.features.matrix
    scaler = ZScore.fit(features, np.arange(len(features)))
    return kmeans.from_centres(centres, kmeans.prepared(features, params), data.train, scaler, params)


def _best(fitted: Any, clusters: Any) -> Any:
    return fitted.accuracy.max(axis=1)[clusters].tolist()


# --- linear and mlp, from the stored initial weights ----------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("lam", LAMBDAS)
def test_linear(small: Any, vectors: Vectors, make: Any, lam: str, early_stopping: bool, monkeypatch: Any) -> None:
    """Every decision of the torch path on 120 test rows, its weights, its dev curve and the epoch that it stops at."""
    data, expected = small("normalize_concat"), vectors("routers_torch")
    name = f"linear_lam{lam}_{'mon3' if early_stopping else 'nomon'}__"
    init = expected[name + "init__linear.weight"], expected[name + "init__linear.bias"]
    monkeypatch.setattr(linear, "initial", lambda *_: np.hstack([init[0], init[1][:, None]]))
    params = LinearParams(variant="reference", lambda_=float(lam), early_stopping=early_stopping)
    context, logged = make.context(data.dev, low=data.low, high=data.high)
    fitted = linear.Linear(params).fit(data.train, data.dev, context)

    assert fitted.route(data.test.queries).tolist() == expected[name + "pred"].tolist()
    assert np.allclose(fitted.weights.T, expected[name + "final__linear.weight"], atol=2e-5)
    assert np.allclose(fitted.intercepts, expected[name + "final__linear.bias"], atol=2e-5)
    assert np.allclose(fitted.scaler.mean, expected["linear_scaler_mean_ddof1"][0], atol=1e-6)
    assert np.allclose(fitted.scaler.scale, expected["linear_scaler_scale_ddof1"][0], atol=1e-6)
    if early_stopping:
        found = [v["dev_score"] for _, v in logged.curves]
        assert np.allclose(found, expected[name + "dev_rank_curve"], atol=1e-6)


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("lam", LAMBDAS)
def test_mlp(small: Any, vectors: Vectors, make: Any, lam: str, early_stopping: bool) -> None:
    """With the reference's seed: its initial weights, every decision, its dev curve and the epoch that it stops at."""
    pytest.importorskip("torch")
    data, expected = small("normalize_concat"), vectors("routers_torch")
    name = f"mlp_lam{lam}_{'mon3' if early_stopping else 'nomon'}__"
    params = MlpParams(
        variant="reference", lambda_=float(lam), hidden=(32, 16), max_iter=60, early_stopping=early_stopping
    )
    context, logged = make.context(data.dev, low=data.low, high=data.high)

    drawn = mlp.Training(params, context)._drawn(28, 5)
    for i, (weight, bias) in enumerate(drawn):
        assert np.array_equal(weight, expected[f"{name}init__network.{2 * i}.weight"])
        assert np.array_equal(bias, expected[f"{name}init__network.{2 * i}.bias"])
    fitted = mlp.Mlp(params).fit(data.train, data.dev, context)
    assert fitted.route(data.test.queries).tolist() == expected[name + "pred"].tolist()
    for i, (weight, bias) in enumerate(fitted.layers):
        assert np.allclose(weight, expected[f"{name}final__network.{2 * i}.weight"], atol=1e-4)
        assert np.allclose(bias, expected[f"{name}final__network.{2 * i}.bias"], atol=1e-4)
    if early_stopping:
        found = [v["dev_score"] for _, v in logged.curves]
        assert np.allclose(found, expected[name + "dev_rank_curve"], atol=1e-6)


def test_permutations(vectors: Vectors, make: Any, small: Any) -> None:
    """The order of the samples in the first three epochs is the reference's."""
    torch = pytest.importorskip("torch")
    data = small("normalize_concat")
    training = mlp.Training(MlpParams(hidden=(32, 16)), make.context(data.dev)[0])
    training._drawn(28, 5)

    expected = vectors("routers_torch")["first_three_randperms_after_mlp_init_seed42"]
    found = [torch.randperm(389, generator=training.generator).tolist() for _ in range(3)]
    assert found == expected.tolist()


@pytest.mark.parametrize(("name", "c"), [("linear_default_no_torch_hard", 1.0), ("linear_lbfgs_hard_C0.1", 0.1)])
def test_published_linear_equals_scikit_learn_on_hard_labels(
    small: Any, vectors: Vectors, make: Any, name: str, c: float
) -> None:
    """The reference's path without torch: the same decisions, coefficients as near as its tolerance lets them be.

    Equally cheap models share a hard label here, and the first has it there: the first is made the cheaper by next to nothing.
    """
    data, expected = small("normalize_concat"), vectors("routers_sklearn_cpu_path")
    train = attrs.evolve(data.train, cost=data.train.cost * (1 + 1e-12 * np.arange(5)))
    params = LinearParams(c=c, tolerance=1e-8, max_iter=2000)
    fitted = linear.Linear(params).fit(train, data.dev, make.context(data.dev)[0])

    assert fitted.route(data.test.queries).tolist() == expected[name + "__pred"].tolist()
    assert np.allclose(fitted.weights.T, expected[name + "__coef"], atol=2e-2)
    assert np.allclose(fitted.scores(data.test.queries), expected[name + "__proba"], atol=2e-3)


def test_soft_targets_of_one_model_are_hard_labels(small: Any) -> None:
    """The data has rows with several correct models, so the cases above do tell the lambdas apart."""
    data = small("normalize_concat")
    soft, hard = (soft_targets(data.train.quality, data.train.cost, v) for v in (0.0, float("inf")))

    assert (soft != hard).any(axis=1).mean() > 0.3
