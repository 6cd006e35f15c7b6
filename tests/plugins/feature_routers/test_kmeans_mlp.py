"""The rules of clusters, and the training of the multilayer perceptron."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.errors import ConfigError, DataError
from vlrb_plugins.feature_routers import mlp
from vlrb_plugins.feature_routers.kmeans import FittedClusters, Kmeans
from vlrb_plugins.feature_routers.kmeans_init import starting_centres
from vlrb_plugins.feature_routers.params import KmeansParams, MlpParams
from vlrb_plugins.feature_routers.rules import RULES
from vlrb_plugins.feature_routers.scaling import ZScore

NO_SCALE = ZScore(np.zeros(2), np.ones(2))
ACCURACY = np.array([[0.9, 0.8, 0.5], [0.2, 0.6, 0.6], [0.5, 0.5, 0.5]])
COST = np.array([[4.0, 1.0, 2.0], [4.0, 1.0, 2.0], [4.0, 2.0, 1.0]]) / 1000
ASKED = [[1.0, 0.1], [-1.0, 0.2], [0.1, -1.0]]


def clusters(**given: Any) -> FittedClusters:
    """Return three clusters of known statistics around (1, 0), (-1, 0) and (0, -1)."""
    centres = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
    return FittedClusters(KmeansParams(**given), NO_SCALE, centres, ACCURACY, COST)


def test_rules(make: Any) -> None:
    """Best accuracy, of equals the cheaper; a balance of accuracy and cost; the budget, or the cheapest."""
    asked = make.queries(ASKED, 3)

    assert clusters().route(asked).tolist() == [0, 1, 2]
    assert clusters(rule="avengers").route(asked).tolist() == [0, 1, 2]
    assert clusters(rule="avengers-code").route(asked).tolist() == [0, 1, 2]
    assert clusters(rule="avengers-pro", top=1).route(asked).tolist() == [1, 1, 2]
    assert clusters(rule="avengers-pro-code", top=1).route(asked).tolist() == [1, 1, 2]
    assert clusters(rule="budget").route(asked).tolist() == [0, 1, 2]
    assert clusters(rule="budget", budget=2e-3).route(asked).tolist() == [1, 1, 2]
    assert clusters(rule="budget", budget=1e-9).route(asked).tolist() == [1, 1, 2]
    assert clusters(lambda_=0.0).route(asked).tolist() == [0, 1, 2]
    assert clusters(lambda_=100.0).route(asked).tolist() == [1, 1, 2]


def test_several_clusters_vote(make: Any) -> None:
    """avengers-code with top 2: softmax(-beta * distance) over the two, times 1 / (place of the model), equals in order of cost."""
    asked = make.queries([[1.0, -0.9]], 3)
    fitted = clusters(rule="avengers-code", top=2, beta=2.0)

    near = 1 - np.array([1.0, 0.9]) / np.sqrt(1.81)
    p = np.exp(-2 * near) / np.exp(-2 * near).sum()
    expected = p[0] * np.array([1, 1 / 2, 1 / 3]) + p[1] * np.array([1 / 3, 1 / 2, 1])
    assert np.allclose(fitted.scores(asked)[0], expected)
    estimate = fitted.estimate(asked)
    assert np.allclose(estimate.p_correct[0], p @ ACCURACY[[0, 2]])
    assert np.allclose(estimate.cost[0], p @ COST[[0, 2]])


def test_the_two_balances(make: Any) -> None:
    """The paper scales cost by its minimum and maximum in the cluster, the code by its maximum; the paper sums over clusters."""
    asked, given = make.queries([[1.0, 0.1]], 3), {"accuracy_weight": 0.4}
    paper = clusters(rule="avengers-pro", top=2, **given)
    code = clusters(rule="avengers-pro-code", top=1, **given)

    first = [0.4 * 1 + 0.6 * 0, 0.4 * 0.75 + 0.6 * 1, 0.4 * 0 + 0.6 * 2 / 3]
    third = [0.4 * 1 + 0.6 * 0, 0.4 * 1 + 0.6 * 2 / 3, 0.4 * 1 + 0.6 * 1]
    assert np.allclose(paper.given()[[0, 2]], [first, third])
    assert np.allclose(paper.scores(asked)[0], np.add(first, third))
    assert np.allclose(code._balance()[0], [0.4, 0.4 * 0.75 + 0.6 * 0.75, 0.6 * 0.5])
    assert np.allclose(code.scores(asked)[0], [1 / 2, 1, 1 / 3])


@pytest.mark.parametrize("rule", ["avengers-pro", "avengers-pro-code"])
def test_flat_clusters_are_balanced_without_division_by_zero(rule: Any) -> None:
    """All models equally accurate count as 1; costs of 0 are as thrifty as can be."""
    fitted = attrs.evolve(clusters(rule=rule), cost=np.zeros((3, 3)))
    assert np.allclose(fitted._balance()[2], 1.0)


def test_clusters_are_found_and_counted(make: Any) -> None:
    """Three separate clouds: a cluster each, with the accuracies and costs of its train samples, unsolved ones included."""
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=300)
    matrix = np.array([[5, 0], [-5, 0], [0, -5]])[label] + 0.1 * rng.standard_normal((300, 2))
    quality = rng.random((300, 3)) < ACCURACY[label]
    train = make.labelled(matrix, quality, COST[label])
    fitted: Any = Kmeans(KmeansParams(clusters=3, n_init=5)).fit(train, train, make.context(train)[0])
    estimate = fitted.estimate(make.queries(ASKED, 3))

    for c in range(3):
        assert np.allclose(estimate.p_correct[c], quality[label == c].mean(axis=0))
        assert np.allclose(estimate.cost[c], COST[c])
    assert not quality.any(axis=1).all()


def test_the_seed_is_the_cells_unless_set(make: Any) -> None:
    """A parameter fixes it (RouterEval: 0, Avengers: 42); else every seed of the experiment has its own clusters."""
    train = make.random(200)
    centres = {}
    for given, seed in ((None, 1), (None, 2), (7, 1), (7, 2)):
        params = KmeansParams(clusters=8, seed=given, n_init=1)
        fitted: Any = Kmeans(params).fit(train, train, make.context(train, seed=seed)[0])
        centres[given, seed] = fitted.centres
    assert np.array_equal(centres[7, 1], centres[7, 2])
    assert not np.array_equal(centres[None, 1], centres[None, 2])


DEFAULTS = {
    "best-accuracy": 3,
    "avengers": 64,
    "avengers-code": 32,
    "avengers-pro": 60,
    "avengers-pro-code": 25,
    "budget": 20,
}


def test_what_each_rule_is_made_of() -> None:
    """Clusters, starts, clusters that count, what they score by and whether they vote, as docs and sources have them."""
    found = {n: (r.clusters, r.starts, r.top, r.balance, r.votes, r.several) for n, r in RULES.items()}

    assert found == {
        "best-accuracy": (3, 1, 1, "accuracy", False, False),
        "avengers": (64, 1, 1, "accuracy", False, False),
        "avengers-code": (32, 10, 1, "accuracy", True, True),
        "avengers-pro": (60, 10, 4, "min-max", False, True),
        "avengers-pro-code": (25, 10, 3, "max", True, True),
        "budget": (20, 1, 1, "accuracy", False, False),
    }


@pytest.mark.parametrize("rule", RULES)
def test_defaults_of_the_rules(make: Any, rule: Any) -> None:
    """The published methods' numbers of clusters, of clusters that count, and their weights."""
    train = make.random(200)
    context = make.context(train)[0]
    fitted: Any = Kmeans(KmeansParams(rule=rule, n_init=1)).fit(train, train, context)
    assert len(fitted.centres) == DEFAULTS[rule]

    written: dict[str, Any] = {
        "avengers-code": {"top": 1},
        "avengers-pro": {"top": 4, "accuracy_weight": 0.7},
        "avengers-pro-code": {"top": 3, "beta": 9.0, "accuracy_weight": 0.7},
    }
    params = KmeansParams(rule=rule, n_init=1, clusters=DEFAULTS[rule], **written.get(rule, {}))
    again: Any = Kmeans(params).fit(train, train, context)
    assert np.array_equal(again.scores(train.queries), fitted.scores(train.queries))


def test_fewer_distinct_samples_than_clusters(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Clusters that no sample is in are left out, and it is said; more clusters than samples is an error."""
    matrix = np.eye(2)[np.arange(20) % 2]
    train = make.labelled(matrix, np.ones((20, 3)), np.ones((20, 3)))
    fitted: Any = Kmeans(KmeansParams(clusters=5)).fit(train, train, make.context(train)[0])

    assert len(fitted.centres) == 2
    assert "distinct clusters" in caplog.text
    with pytest.raises(
        DataError, match=r"clusters is 21, but there are only 20 train samples\n.*set clusters to at most 20"
    ):
        Kmeans(KmeansParams(clusters=21)).fit(train, train, make.context(train)[0])


def test_starts_are_spread_over_the_data() -> None:
    """Every start has a row of each of 12 far clouds, and starts differ; equal rows are no division by zero."""
    rng = np.random.default_rng(0)
    label = np.arange(600) % 12
    matrix = (50 * rng.standard_normal((12, 4))[label] + 0.01 * rng.standard_normal((600, 4))).astype(np.float32)
    centres = starting_centres(matrix, 12, 5, np.random.default_rng(1))
    rows = [[int(np.flatnonzero((matrix == c).all(axis=1))[0]) for c in start] for start in centres]

    assert [sorted({row % 12 for row in start}) for start in rows] == [list(range(12))] * 5
    assert len({tuple(sorted(start)) for start in rows}) == 5
    assert (starting_centres(np.ones((9, 2), np.float32), 4, 3, rng) == 1).all()


def test_a_prototype_is_the_mean_of_the_rows_on_which_its_model_is_right(make: Any) -> None:
    """Of a single row it is that row."""
    quality = np.array([[True, False], [True, False], [True, True], [True, False]])
    matrix = np.array([[0.0, 1.0], [2.0, 0.0], [4.0, 5.0], [1.0, -1.0]])
    train = make.labelled(matrix, quality, np.full((4, 2), 1e-3))
    params = KmeansParams(variant="reference", normalize=False)
    fitted: Any = Kmeans(params).fit(train, train, make.context(train)[0])
    rows = fitted.scaler.apply(train.queries.features.matrix)

    assert np.allclose(fitted.prototypes, [rows.mean(axis=0), rows[2]], atol=1e-6)


def test_prototypes_of_models_never_right_are_the_mean_of_all(make: Any) -> None:
    """As the reference has it; and with normalize they have length 1."""
    train = make.random(100)
    quality = np.array(train.quality)
    quality[:, 2] = False
    train = make.labelled(train.queries.features.matrix, quality, train.cost)
    for normalize in (True, False):
        params = KmeansParams(variant="reference", normalize=normalize)
        fitted: Any = Kmeans(params).fit(train, train, make.context(train)[0])
        rows = fitted.scaler.apply(train.queries.features.matrix)[quality.any(axis=1)].astype(float)
        if normalize:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        mean = rows.mean(axis=0)
        expected = mean / np.linalg.norm(mean) if normalize else mean
        assert np.allclose(fitted.prototypes[2], expected, atol=1e-5)


# --- mlp ----------------------------------------------------------------------------------------------------------------------


def train_mlp(make: Any, dev_score: Any = None, seed: int = 42, **given: Any) -> tuple[Any, Any]:
    """Return a fitted network and what its context was told."""
    pytest.importorskip("torch")
    train, dev = make.random(200), make.random(60, seed=1)
    context, logged = make.context(dev, seed=seed)
    if dev_score is not None:
        context = attrs.evolve(context, dev_score=dev_score)
    params = MlpParams(**{"hidden": (8,), "max_iter": 6, "batch_size": 64, **given})
    return mlp.Mlp(params).fit(train, dev, context), logged


def test_the_seed_alone_decides_and_torch_is_left_as_it_was(make: Any) -> None:
    """Weights are equal for equal seeds, different for others; torch's generator and threads are not changed."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    weights = [train_mlp(make, seed=s)[0].layers[0][0] for s in (1, 1, 2)]

    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_it_stops_by_dev_and_keeps_the_best_epoch(make: Any) -> None:
    """Best in its second epoch of five: the weights are those after two, and what is routed is what dev saw."""
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    seen: list[Any] = []

    def dev_score(choices: Any) -> float:
        seen.append(choices.tolist())
        return next(scores)

    fitted, logged = train_mlp(make, dev_score, learning_rate=0.05)
    two, _ = train_mlp(make, learning_rate=0.05, max_iter=2, early_stopping=False)
    assert [v["dev_score"] for _, v in logged.curves] == [0.1, 0.5, 0.4, 0.3, 0.2]
    assert logged.progress == [(e, 6) for e in range(1, 6)]
    assert np.array_equal(fitted.layers[0][0], two.layers[0][0])
    assert fitted.route(make.random(60, seed=1).queries).tolist() == seen[1]


def test_without_early_stopping_it_stops_by_the_loss(make: Any) -> None:
    """A step size of almost nothing: the loss does not fall, and after loss_patience epochs it ends; dev is not looked at."""

    def dev_score(choices: Any) -> float:
        raise AssertionError("dev is not to be looked at")

    _, logged = train_mlp(
        make, dev_score, early_stopping=False, learning_rate=1e-12, loss_patience=3, max_iter=50, batch_size=200
    )
    assert len(logged.curves) == 4


def test_the_penalty_spares_biases_unless_it_is_the_reference(make: Any) -> None:
    """With a huge penalty all that is penalised goes to 0: weights in both variants, biases in the reference's only."""
    given = {"alpha": 1e4, "max_iter": 150, "early_stopping": False, "learning_rate": 0.02, "loss_patience": 200}
    for variant, spared in (("published", True), ("reference", False)):
        fitted, _ = train_mlp(make, variant=variant, **given)
        assert np.abs(fitted.layers[-1][0]).max() < 0.05
        assert bool(np.abs(fitted.layers[-1][1]).max() > 0.3) == spared


def test_the_losses_logged_are_mean_cross_entropies(make: Any) -> None:
    """The first epoch's is near log(4), that of guessing; the reference divides by a batch too many where batches fill evenly."""
    losses = {}
    for variant in ("published", "reference"):
        _, logged = train_mlp(make, variant=variant, alpha=0.0, learning_rate=1e-9, max_iter=1, batch_size=10**6)
        losses[variant] = logged.curves[0][1]["loss"]
    assert np.isclose(losses["published"], np.log(4), atol=0.3)
    assert np.isclose(losses["reference"], losses["published"] / 2, rtol=1e-5)


def test_a_device_that_is_not_there_is_an_error(make: Any) -> None:
    """Named as asked for; auto takes what there is."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(ConfigError, match=r'there is no CUDA device here\n.*device = "cpu"'):
        train_mlp(make, device="cuda")
    auto, cpu = (train_mlp(make, device=d)[0] for d in ("auto", "cpu"))
    assert np.array_equal(auto.layers[0][0], cpu.layers[0][0])
