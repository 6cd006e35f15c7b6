"""The search for neighbours: exact, with ties, in blocks, and once for all routers that ask."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vlrb.api.routing import Column, Features
from vlrb_plugins.feature_routers import neighbours
from vlrb_plugins.feature_routers.knn import Knn
from vlrb_plugins.feature_routers.neighbours import Index, index_of
from vlrb_plugins.feature_routers.params import KnnParams, PrknnParams
from vlrb_plugins.feature_routers.prknn import Prknn, ranks
from vlrb_plugins.feature_routers.scaling import ZScore, unit


def features(matrix: Any) -> Features:
    matrix = np.asarray(matrix, np.float32)
    return Features(matrix, tuple(Column(str(i)) for i in range(matrix.shape[1])))


def plain(rows: Any, metric: Any) -> Index:
    """Return an index of rows that are not scaled."""
    rows = np.asarray(rows, np.float32)
    scaler = ZScore(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
    return Index(metric, scaler, unit(rows) if metric == "cosine" else rows, np.arange(len(rows)))


def sorted_in_full(asked: Any, rows: Any, k: int, metric: str) -> tuple[Any, Any]:
    """Return distances and rows by sorting all of them, in double precision."""
    left, right = np.asarray(asked, float)[:, None], np.asarray(rows, float)[None]
    if metric == "euclidean":
        full = np.sqrt(((left - right) ** 2).sum(axis=2))
    else:
        lengths = np.sqrt((left**2).sum(axis=2) * (right**2).sum(axis=2))
        full = 1 - np.divide((left * right).sum(axis=2), lengths, out=np.zeros_like(lengths), where=lengths > 0)
    order = np.argsort(full.round(12), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(full, order, 1), order


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [200, 10**7])
def test_search_equals_a_full_sort(metric: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks as in one; 2,000 rows make many groups of products."""
    rng = np.random.default_rng(0)
    rows, asked = rng.standard_normal((2000, 8)), rng.standard_normal((60, 8))
    rows[5], asked[7] = 0, 0
    monkeypatch.setattr(neighbours, "BLOCK_FLOATS", block * 40)
    monkeypatch.setattr(neighbours, "EXACT_FLOATS", block)
    found, _ = plain(rows, metric).find(features(asked), 5)

    distances, expected = sorted_in_full(asked.astype(np.float32), rows.astype(np.float32), 5, metric)
    some = np.flatnonzero(np.arange(60) != 7) if metric == "cosine" else np.arange(60)
    assert found.rows[some].tolist() == expected[some].tolist()
    assert np.allclose(found.distances, distances, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_of_equal_rows_the_first_are_neighbours(metric: str) -> None:
    """However many there are: 700 rows of 3 kinds, among others."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((900, 5))
    rows[100:800] = rng.standard_normal((3, 5))[rng.integers(3, size=700)]
    asked = rows[[100, 101, 102, 103, 850]]
    found, _ = plain(rows, metric).find(features(asked), 6)

    for i, at in enumerate([100, 101, 102, 103]):
        equal = np.flatnonzero((rows == rows[at]).all(axis=1))
        assert found.rows[i].tolist() == equal[:6].tolist()
    assert found.rows[4][0] == 850


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_of_equal_rows_the_first_are_neighbours_of_as_many_queries(metric: str) -> None:
    """The number of queries does not matter: here it is that of the rows, of which three quarters are equal."""
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((400, 5))
    rows[::4] = rows[1::4] = rows[2::4] = rows[0]
    found, _ = plain(rows, metric).find(features(rows), 6)

    equal = np.flatnonzero((rows == rows[0]).all(axis=1))
    assert found.rows[equal].tolist() == [equal[:6].tolist()] * len(equal)


def test_vectors_without_length_are_equally_far_from_all() -> None:
    """A query of zeros (an encoder that saw nothing) has the first rows as neighbours, at distance 1."""
    rows = np.random.default_rng(2).standard_normal((1000, 4))
    found, _ = plain(rows, "cosine").find(features(np.zeros((3, 4))), 4)

    assert found.rows.tolist() == [[0, 1, 2, 3]] * 3
    assert found.distances.tolist() == [[1.0] * 4] * 3


@settings(max_examples=60)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 70), st.integers(1, 3)), elements=st.integers(-3, 3)), st.data()
)
def test_search_equals_a_full_sort_on_any_grid(rows: Any, data: Any) -> None:
    """Small integers make many ties and zero vectors; distances are right, and of equals the first row is taken."""
    asked = data.draw(arrays.arrays(np.float32, (3, rows.shape[1]), elements=st.integers(-3, 3)))
    k = data.draw(st.integers(1, len(rows)))
    metric = data.draw(st.sampled_from(["cosine", "euclidean"]))
    found, _ = plain(rows, metric).find(features(asked), k)

    distances, order = sorted_in_full(asked, rows, k, metric)
    assert np.allclose(found.distances, distances, atol=1e-6)
    if metric == "euclidean":
        assert found.rows.tolist() == order.tolist()
    assert all(len(set(r)) == k for r in found.rows.tolist())


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(320)), elements=st.integers(0, 9)),
    st.integers(1, 320),
)
def test_the_largest_values_are_found_by_groups(values: Any, wanted: int) -> None:
    """Whatever the ties, the values are those of a sort, and the places differ and ascend."""
    places = neighbours._largest(values, wanted)

    assert places.shape == (len(values), wanted)
    assert (np.diff(places, axis=1) > 0).all()
    found = np.sort(np.take_along_axis(values, places, axis=1), axis=1)
    assert np.array_equal(found, np.sort(values, axis=1)[:, 320 - wanted :])


# --- one pass for all routers -------------------------------------------------------------------------------------------------


def test_routers_share_one_pass_and_say_so(make: Any) -> None:
    """Asked about the same Features objects, the second router does no search: it reports the first one's seconds."""
    train, asked = make.random(), make.random(50, seed=1).queries
    first = Knn(KnnParams()).fit(train, train, make.context(train)[0])
    second = Prknn(PrknnParams(k=8)).fit(train, train, make.context(train)[0])

    assert second.index is first.index
    assert (first.borrowed_seconds, second.borrowed_seconds) == (0.0, first.index.seconds)
    first.route(asked)
    assert first.borrowed_seconds == 0.0
    second.route(asked)
    done = first.index.find(asked.features, 5)[0].seconds
    assert second.borrowed_seconds == done > 0
    first.route(asked)
    assert first.borrowed_seconds == done
    first.scores(asked)
    second.scores(asked)
    assert first.borrowed_seconds == done


def test_shared_neighbours_are_those_of_a_search_of_ones_own(make: Any) -> None:
    """Another router's larger or smaller k changes no score."""
    train, asked = make.random(), make.random(50, seed=1).queries
    alone = Knn(KnnParams(k=3)).fit(train, train, make.context(train)[0]).scores(asked)
    copy = attrs.evolve(asked, features=features(asked.features.matrix))
    for k in (25, 3, 12):
        fitted = Knn(KnnParams(k=k)).fit(train, train, make.context(train)[0])
        fitted.route(copy)
        if k == 3:
            assert fitted.borrowed_seconds > 0
            assert np.array_equal(fitted.scores(copy), alone)


def test_what_differs_is_not_shared(make: Any) -> None:
    """Another metric, other kept rows, other features, or queries taken again: each is searched by itself."""
    train, asked = make.random(), make.random(50, seed=1).queries
    context = make.context(train)[0]
    first = Knn(KnnParams()).fit(train, train, context)
    first.route(asked)

    assert Knn(KnnParams(metric="euclidean")).fit(train, train, context).index is not first.index
    quality = np.array(train.quality)
    quality[:10] = False
    fewer = Knn(KnnParams()).fit(attrs.evolve(train, quality=quality), train, context)
    assert fewer.index is not first.index
    assert len(fewer.index.rows) < len(first.index.rows)
    assert Knn(KnnParams()).fit(make.random(), train, context).index is not first.index
    first.route(asked.take(np.arange(50)))
    assert first.borrowed_seconds == 0.0


def test_nothing_is_kept_of_features_that_are_gone() -> None:
    """The shared pass lives as long as the objects it was made for."""
    rng = np.random.default_rng(0)
    train, asked = features(rng.standard_normal((40, 3))), features(rng.standard_normal((5, 3)))
    index, _ = index_of(train, np.arange(40), "cosine")
    index.find(asked, 3)
    gone, index_gone = weakref.ref(asked), weakref.ref(index)
    assert len(index._found) == 1

    del asked
    gc.collect()
    assert gone() is None
    assert len(index._found) == 0
    del train, index
    gc.collect()
    assert index_gone() is None


# --- pairwise comparisons -----------------------------------------------------------------------------------------------------


def test_ranks_say_who_beats_whom() -> None:
    """Right beats wrong, then cheap beats dear; equals beat each other not."""
    quality = np.array([[1, 1, 0, 0], [0, 1, 1, 1]], bool)
    cost = np.array([[2, 1, 1, 1], [0, 5, 5, 6]], float)

    assert ranks(quality, cost).tolist() == [[1, 0, 2, 2], [3, 0, 0, 2]]


def test_majorities_and_counts_of_wins_differ(make: Any) -> None:
    """Three neighbours: m1 beats all others twice, narrowly; m0 wins most comparisons.  The rules disagree."""
    matrix = np.eye(3)
    # cost orders: two samples m1 < m0 < m2 < m3, one m0 < m2 < m3 < m1
    cost = np.array([[2, 1, 3, 4], [2, 1, 3, 4], [1, 4, 2, 3]], float)
    train = make.labelled(matrix, np.ones((3, 4)), cost)
    scores = {}
    for rule in ("majority", "wins"):
        params = PrknnParams(rule=rule, k=3, weights="uniform")
        fitted = Prknn(params).fit(train, train, make.context(train)[0])
        scores[rule] = fitted.scores(make.queries([[1, 1, 1]], 4))[0]

    assert np.allclose(scores["majority"], np.array([1, 3, -1, -3]) / 3)
    assert np.allclose(scores["wins"], np.array([7, 6, 4, 1]) / 9)


def test_soft_targets_spread_a_neighbours_vote(make: Any) -> None:
    """knn with lambda: a neighbour votes for all its correct models, by their soft target."""
    train = make.labelled(np.eye(2), [[1, 1], [0, 1]], [[1e-3, 2e-3], [1e-3, 2e-3]])
    asked = make.queries([[1, 0]], 2)
    for lam, first in ((0.0, 0.5), (10.0, 1 / (1 + np.exp(-1))), (float("inf"), 1.0)):
        fitted = Knn(KnnParams(k=1, lambda_=lam)).fit(train, train, make.context(train)[0])
        assert np.allclose(fitted.scores(asked), [[first, 1 - first]])
