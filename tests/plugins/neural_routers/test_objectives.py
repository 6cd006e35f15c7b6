"""What is learnt from: targets, tags, clusters and drawn models; none of it depends on the order of the candidates."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
import torch

from vlrb.api.frozen import Array
from vlrb.api.routing import Labelled
from vlrb.testing import make_labelled, make_queries
from vlrb_plugins.neural_routers import clusters, heads, objectives, tags
from vlrb_plugins.neural_routers.objectives import Known
from vlrb_plugins.neural_routers.params import ROUTERS, RouterdcParams, VlcParams, ZooterParams
from vlrb_plugins.neural_routers.recipes import RECIPES

INF = float("inf")


def labelled(quality: Any, cost: Any) -> Labelled:
    """Return train rows of which only quality and cost matter."""
    count, models = np.shape(quality)
    return make_labelled(make_queries([str(i) for i in range(count)], candidates=models), quality, cost)


def known(train: Labelled, features: Array, texts: list[str] | None = None) -> Known:
    """Return what an objective is made from."""
    some = texts or [""] * len(train)
    return Known(train, some, 0, lambda: (features, features[:, :1]), lambda name, make: make())


# --- routerdc: who is compared with whom --------------------------------------------------------------------------------


@pytest.mark.parametrize("lambda_", [0.0, 100.0, 1e9, INF])
def test_every_wrong_model_is_a_negative_equally_often(lambda_: float) -> None:
    """Whatever lambda: of 13 wrong models each is one of three negatives in 3/13 of the draws, and no right one ever is."""
    quality = np.arange(17) % 4 == 1
    train = labelled(np.tile(quality, (2600, 1)), np.linspace(1e-6, 1e-2, 17))
    objective: Any = objectives.dual_contrast(
        known(train, np.eye(2)[np.arange(2600) % 2]), RouterdcParams(lambda_=lambda_), "r"
    )
    negatives = objectives.drawn(np.where(objective.wrong, 0.0, np.inf), 3, np.random.default_rng(0))
    counts = np.bincount(negatives.reshape(-1), minlength=17)

    assert (counts[quality] == 0).all()
    assert np.abs(counts[~quality] - 600).max() < 5 * np.sqrt(2600 * (3 / 13) * (10 / 13))


def test_negatives_are_drawn_anew_at_each_step_and_are_distinct() -> None:
    """The same rows have other negatives at the next step, none twice at one; a generator of the same seed draws the same."""
    tiers = np.zeros((50, 9))
    rng = np.random.default_rng(1)
    first, second = objectives.drawn(tiers, 3, rng), objectives.drawn(tiers, 3, rng)

    assert not np.array_equal(first, second)
    assert all(len(set(row)) == 3 for row in first.tolist())
    assert np.array_equal(objectives.drawn(tiers, 3, np.random.default_rng(1)), first)


def test_with_fewer_models_than_asked_for_nobody_is_drawn() -> None:
    """One wrong model is the only negative, and no right model takes the empty places."""
    found = objectives.drawn(np.array([[np.inf, 0.0, np.inf, np.inf]]), 3, np.random.default_rng(0))

    assert found.tolist() == [[1, -1, -1]]
    assert objectives.drawn(np.zeros((1, 2)), 3, np.random.default_rng(0)).shape == (1, 2)


@pytest.mark.parametrize(
    ("lambda_", "expected"),
    [(0.0, [0, 1, 2, 3]), (1e-300, [0, 1]), (100.0, [0, 1]), (1e9, [0, 1]), (INF, [0])],
)
def test_positives_are_right_models_by_cost(lambda_: float, expected: list[int]) -> None:
    """The cheapest right ones, however small their weight is in a soft target; all alike with 0, only the cheapest with inf."""
    train = labelled([[True, True, True, True, False]], [1e-3, 1e-2, 0.1, 0.1, 1e-6])
    tiers = objectives.positive_tiers(train, lambda_)
    rng = np.random.default_rng(0)
    seen = {m for _ in range(60) for m in objectives.drawn(tiers, 2, rng)[0].tolist() if m >= 0}

    assert sorted(seen) == expected


def test_equal_positives_take_turns() -> None:
    """Of five right models that cost the same, each is one of the three positives equally often."""
    tiers = objectives.positive_tiers(labelled(np.ones((2000, 5)), 1e-3), 100.0)
    counts = np.bincount(objectives.drawn(tiers, 3, np.random.default_rng(0)).reshape(-1))

    assert np.abs(counts - 1200).max() < 5 * np.sqrt(2000 * 0.6 * 0.4)


# --- targets ------------------------------------------------------------------------------------------------------------


def test_equally_cheap_models_share_the_hard_label() -> None:
    """Lambda inf as published does not ask which is named first; the reference does."""
    train = labelled([[True, True, True], [False, False, False]], [2e-3, 1e-3, 1e-3])

    assert objectives.targets_of(train, VlcParams()).tolist() == [[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]]
    assert objectives.targets_of(train, VlcParams(variant="reference")).tolist() == [[0.0, 1.0, 0.0], [0.0] * 3]
    assert objectives.targets_of(train, VlcParams(), unsolved=True)[1].tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("lambda_", [0.0, 100.0, INF])
def test_all_rows_train_zooter(lambda_: float) -> None:
    """A row that no model solves is learnt from too: its models are equally good, and their costs decide."""
    train = labelled([[True, False], [False, False]], [1e-3, 2e-3])
    objective: Any = objectives.distil(known(train, np.zeros((2, 2))), ZooterParams(lambda_=lambda_), "zooter")
    weight = {0.0: 0.5, 100.0: 1 / (1 + np.exp(-10.0)), INF: 1.0}[lambda_]

    assert objective.rows.tolist() == [0, 1]
    assert np.allclose(objective.targets.numpy(), [[1.0, 0.0], [weight, 1 - weight]])


def test_zooter_follows_its_papers_appendix() -> None:
    """Step size and decay of the published variant, and the common ones of the reference; what is set wins, 0 too."""
    published, reference = ZooterParams(), ZooterParams(variant="reference")

    assert (published.rate, published.decay) == (1e-5, 5e-7)
    assert (reference.rate, reference.decay) == (2e-5, 0.01)
    assert ZooterParams(weight_decay=0.0).decay == 0.0
    assert VlcParams().decay == 0.01


# --- tags ---------------------------------------------------------------------------------------------------------------


def test_a_target_averages_over_a_set_of_tags() -> None:
    """A tag's mean is over all rows where the word stands; a row's tags weigh the same; without tags, the row is alone."""
    from scipy import sparse

    targets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    stands = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=np.bool_)  # means: 0.5 and 1 for the first model
    tagged = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=np.bool_)
    found = tags.smoothed(targets, tags.Tags(sparse.csr_array(stands), sparse.csr_array(tagged)), sample_weight=0.2)

    assert np.allclose(found[:, 0], [0.2 + 0.8 * 0.75, 0.8 * 0.5, 1.0, 0.5])
    assert np.allclose(found.sum(axis=1), 1.0)


def test_tags_are_the_most_telling_words() -> None:
    """Rare words before common ones, numbers all alike, too rare words never; empty texts have none."""
    texts = [f"what is the area of triangle {i}" for i in range(30)] + [f"what is the sign {i}" for i in range(30)]
    texts[0] += " hypotenuse"
    found = tags.text_tags([*texts, ""], 3)
    tagged = found.tagged.toarray()

    assert tagged[:30].sum(axis=1).tolist() == [3] * 30
    assert (tagged[:30] == tagged[0]).all()
    assert found.stands.toarray()[:30].sum(axis=1).tolist() == [7] * 30
    assert tagged[30:60].sum(axis=1).max() == 3
    assert not (tagged[0] & tagged[30]).all()
    assert tagged[60].sum() == 0
    assert tags.text_tags(["", " "], 8).tagged.shape == (2, 0)


# --- clusters -----------------------------------------------------------------------------------------------------------


def blobs(count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return points around four centres, and the centre of each."""
    which = rng.integers(0, 4, count)
    return (10 * np.eye(4, 12)[which] + rng.normal(size=(count, 12))).astype(np.float32), which


@pytest.mark.parametrize(("count", "most"), [(60, 1000), (110, 1000), (400, 120)])
def test_clusters_of_questions(monkeypatch: pytest.MonkeyPatch, count: int, most: int) -> None:
    """As they are, on the map, and for rows that are not on it: alike questions have one cluster, others another."""
    monkeypatch.setattr(clusters, "MOST", most)
    points, which = blobs(count, np.random.default_rng(0))
    found = clusters.of_questions([points, np.zeros((count, 3), np.float32)], 4, seed=3)

    pairs = set(zip(which.tolist(), found.tolist(), strict=True))
    assert len(pairs) == 4
    assert np.array_equal(clusters.of_questions([points, np.zeros((count, 3), np.float32)], 4, seed=3), found)


def test_parts_weigh_the_same_and_equal_questions_share_a_cluster() -> None:
    """Images in units a thousand times larger do not drown the texts; two distinct questions cannot make eight clusters."""
    text, image = np.eye(2)[[0, 1, 0, 1]], 1000 * np.eye(2)[[0, 0, 1, 1]]

    assert np.allclose(np.square(clusters._balanced([text, image])).sum(axis=1), 2.0)
    assert clusters.of_questions([text[[0, 1, 0, 1]]], 8, seed=0)[[0, 2, 1, 3]].tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])


def test_cluster_counts_of_the_variants() -> None:
    """Eight as in RouterDC's notebook, five in the reference, else what is set."""
    assert RouterdcParams().cluster_count == 8
    assert RouterdcParams(variant="reference").cluster_count == 5
    assert RouterdcParams(clusters=3).cluster_count == 3


# --- ties of logits -----------------------------------------------------------------------------------------------------


def test_equal_logits_are_decided_by_train_not_by_column() -> None:
    """The model that is right more often on train, then the cheaper one."""
    train = labelled([[True, False, True, True], [False, True, True, True]], [1e-3, 1e-4, 2e-3, 1e-3])
    order = heads.preference(train)

    assert order.tolist() == [3, 2, 1, 0]
    assert heads.chosen(np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0] * 4]), order).tolist() == [2, 1, 3]


# --- the order of the candidates ----------------------------------------------------------------------------------------


def toy(rng: np.random.Generator, count: int) -> tuple[Array, Labelled]:
    """Return features and rows of five kinds: the first five of twelve models are experts for one each, the others mediocre."""
    kind = rng.integers(0, 5, count)
    chances = np.concatenate([np.where(np.eye(5, dtype=bool), 0.9, 0.2), np.full((5, 7), 0.5)], axis=1)
    quality = rng.random((count, 12)) < chances[kind]
    features = np.eye(5, 8)[kind] + rng.normal(0, 0.35, (count, 8))
    return features.astype(np.float32), labelled(quality, np.tile([1e-4, 2e-4], 6))


def reordered(rows: Labelled, order: Array) -> Labelled:
    """Return rows with their candidates in another order."""
    return attrs.evolve(rows, quality=rows.quality[:, order], score=rows.score[:, order], cost=rows.cost[:, order])


def learnt(name: str, lambda_: float, order: Array, seed: int) -> float:
    """Return how often a router's head and objective are right, with a linear map in the place of bodies."""
    rng = np.random.default_rng([seed, 17])
    (features, train), (asked, test) = toy(rng, 300), toy(rng, 1500)
    params = ROUTERS[name][0](lambda_=lambda_)
    texts = [f"word{k}" for k in features[:, :5].argmax(axis=1)]
    objective = RECIPES[name].objective(known(reordered(train, order), features, texts), params, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torch.nn.ModuleDict({"body": torch.nn.Linear(8, 16), "head": RECIPES[name].head(16, 12, params)})
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
        for _ in range(12):
            for rows in np.array_split(rng.permutation(objective.rows), 8):
                query = network["body"](torch.from_numpy(features[rows]))
                objective.loss(network["head"](query), query, rows, rng).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                optimizer.zero_grad()
        network.eval()
        with torch.no_grad():
            choices = network["head"](network["body"](torch.from_numpy(asked))).argmax(dim=1).numpy()
    return float(reordered(test, order).quality[np.arange(len(asked)), choices].mean())


ORDERED = [("routerdc", 0.0), *((name, INF) for name in ROUTERS)]


@pytest.mark.parametrize(("name", "lambda_"), ORDERED)
def test_the_order_of_the_candidates_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, name: str, lambda_: float
) -> None:
    """Forwards and backwards, over several seeds: better than chance (.43), and apart by noise only.

    Where the first wrong models are the negatives instead of random ones, two orders of routerdc are .08 to .2 apart.
    """
    monkeypatch.setattr(clusters, "FEWEST", 1000)  # the map takes seconds and knows no candidates
    orders = np.arange(12), np.arange(12)[::-1].copy()
    one, other = (np.array([learnt(name, lambda_, order, seed) for seed in range(3)]) for order in orders)
    error = np.sqrt(one.var(ddof=1) / 3 + other.var(ddof=1) / 3)

    assert min(one.mean(), other.mean()) > 0.5
    assert abs(one.mean() - other.mean()) < 3 * error + 0.01
