"""What every feature-level router promises, each in both variants and with each way to decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.decide import decide
from vlrb.api.routing import Column, Features, WithEstimate
from vlrb.errors import ConfigError, DataError
from vlrb.experiment.strict import unstructure
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb_plugins.feature_routers.inputs import with_indicators
from vlrb_plugins.feature_routers.storage import SCHEMA_VERSION

INF = float("inf")
SPECS = {r.record.name: r.record for r in load(Selection()).all("router") if r.plugin.name == "feature-routers"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "knn": ("knn", {}),
    "knn-reference": ("knn", {"variant": "reference"}),
    "knn-euclidean-soft": ("knn", {"k": 7, "metric": "euclidean", "weights": "uniform", "lambda_": 10.0}),
    "prknn": ("prknn", {}),
    "prknn-majority": ("prknn", {"rule": "majority"}),
    "prknn-correctness": ("prknn", {"rule": "correctness"}),
    "prknn-reference": ("prknn", {"variant": "reference", "metric": "euclidean"}),
    "ovr": ("ovr", {}),
    "ovr-reference": ("ovr", {"variant": "reference"}),
    "ovr-balanced": ("ovr", {"class_weight": "balanced"}),
    "ovr-lambda": ("ovr", {"lambda_": 30.0}),
    "ovr-budget": ("ovr", {"budget": 2e-3}),
    "kmeans": ("kmeans", {"clusters": 5}),
    "kmeans-raw": ("kmeans", {"clusters": 5, "normalize": False, "lambda_": INF}),
    "kmeans-avengers": ("kmeans", {"rule": "avengers", "clusters": 8}),
    "kmeans-avengers-code": ("kmeans", {"rule": "avengers-code", "clusters": 8, "top": 3}),
    "kmeans-avengers-code-lambda": ("kmeans", {"rule": "avengers-code", "clusters": 8, "top": 3, "lambda_": 5.0}),
    "kmeans-avengers-pro": ("kmeans", {"rule": "avengers-pro", "clusters": 8}),
    "kmeans-avengers-pro-code": ("kmeans", {"rule": "avengers-pro-code", "clusters": 8}),
    "kmeans-budget": ("kmeans", {"rule": "budget", "clusters": 8, "budget": 2e-3}),
    "kmeans-reference": ("kmeans", {"variant": "reference"}),
    "linear": ("linear", {}),
    "linear-soft": ("linear", {"lambda_": 100.0, "c": 0.1}),
    "linear-reference": ("linear", {"variant": "reference", "lambda_": 0.0, "patience": 10}),
    "mlp": ("mlp", {"hidden": (8, 4), "max_iter": 20, "batch_size": 32, "learning_rate": 0.03, "patience": 20}),
    "mlp-reference": (
        "mlp",
        {"variant": "reference", "hidden": (8,), "max_iter": 4, "early_stopping": False, "lambda_": 10.0},
    ),
}


def fitted(case: str, make: Any, train: Any = None, dev: Any = None, **more: Any) -> Any:
    """Return a fitted router."""
    name, given = CASES[case]
    if name == "mlp":
        pytest.importorskip("torch")
    train = make.random() if train is None else train
    dev = make.random(60, seed=1) if dev is None else dev
    params = SPECS[name].params(**{**given, **more})
    return SPECS[name].factory(params).fit(train, dev, make.context(dev)[0])


@pytest.fixture(scope="session")
def routers(make: Any) -> Any:
    """Return a function that fits each case once."""
    known: dict[str, Any] = {}

    def get(case: str) -> Any:
        if case not in known:
            known[case] = fitted(case, make)
        return known[case]

    return get


def test_all_cases_are_of_this_plugin_and_all_its_routers_are_cases() -> None:
    """No router of the plugin goes without these checks."""
    assert {name for name, _ in CASES.values()} == set(SPECS) == {"knn", "prknn", "ovr", "kmeans", "linear", "mlp"}


@pytest.mark.parametrize("case", CASES)
def test_choices_are_integers_in_range_and_scores_agree(case: str, routers: Any, make: Any) -> None:
    """route gives int[n]; scores are finite floats whose argmax is the choice; features decide, not all queries alike."""
    router, asked = routers(case), make.random(90, seed=2).queries
    choices, scores = router.route(asked), router.scores(asked)

    assert choices.shape == (90,)
    assert choices.dtype.kind == "i"
    assert scores.shape == (90, 4)
    assert scores.dtype.kind == "f"
    assert np.isfinite(scores).all()
    assert scores.argmax(axis=1).tolist() == choices.tolist()
    if CASES[case][1].get("lambda_") != INF:
        assert len(set(choices.tolist())) > 1


@pytest.mark.parametrize("case", [c for c, (name, _) in CASES.items() if name not in ("kmeans", "ovr")])
def test_it_learns(case: str, make: Any) -> None:
    """On data that features explain, choices are better than the best single model is at the same task: being the label."""
    if CASES[case][0] == "mlp":
        pytest.importorskip("torch")
    train, test = make.random(400, seed=3), make.random(300, seed=4)
    more = {"max_iter": 60, "early_stopping": False} if CASES[case][0] == "mlp" else {}
    choices = fitted(case, make, train, make.random(100, seed=5), **more).route(test.queries)
    hits = test.quality[np.arange(300), choices].mean()
    assert hits > test.quality.mean(axis=0).mean() + 0.1


@pytest.mark.parametrize("case", CASES)
def test_saving_and_loading_is_exact(case: str, routers: Any, make: Any, tmp_path: Path) -> None:
    """Without pickle; the loaded router has the same parameters, scores to the last bit, and estimate."""
    router, asked = routers(case), make.random(40, seed=6).queries
    router.save(tmp_path)
    again: Any = SPECS[CASES[case][0]].load(tmp_path)

    assert again.params == router.params
    assert np.array_equal(again.scores(asked), router.scores(asked))
    assert again.route(asked).tolist() == router.route(asked).tolist()
    if isinstance(router, WithEstimate):
        assert np.array_equal(again.estimate(asked).p_correct, router.estimate(asked).p_correct)
        assert np.array_equal(again.estimate(asked).cost, router.estimate(asked).cost)
    content = json.loads((tmp_path / "router.json").read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA_VERSION
    assert content["parameters"] == unstructure(router.params)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arrays.npz", "router.json"]


@pytest.mark.parametrize("case", CASES)
def test_it_is_deterministic_and_changes_no_input(case: str, routers: Any, make: Any) -> None:
    """The same seed and data, made again, give the same router; numpy's and torch's global generators are not touched."""
    asked = make.random(40, seed=6).queries
    state = np.random.get_state()[1].tolist()  # type: ignore[union-attr,index]  # noqa: NPY002
    again = fitted(case, make)

    assert np.array_equal(again.scores(asked), routers(case).scores(asked))
    assert np.random.get_state()[1].tolist() == state  # type: ignore[union-attr,index]  # noqa: NPY002


@settings(max_examples=15)
@given(st.data())
@pytest.mark.parametrize("case", CASES)
def test_a_choice_depends_on_its_query_alone(case: str, routers: Any, make: Any, data: Any) -> None:
    """Whatever stands beside a query, and in whatever order, its choice and (but for rounding) its scores stay."""
    router, asked = routers(case), make.random(50, seed=7).queries
    rows = np.array(data.draw(st.lists(st.integers(0, 49), min_size=1, max_size=60)))
    some = asked.take(rows)

    assert np.allclose(router.scores(some), router.scores(asked)[rows], atol=1e-5)
    assert router.route(some).tolist() == router.route(asked)[rows].tolist()


@pytest.mark.parametrize("case", CASES)
def test_no_queries_have_no_choices(case: str, routers: Any, make: Any) -> None:
    """An empty batch is answered, not refused."""
    asked = make.random(3).queries.take(np.array([], dtype=int))

    assert routers(case).route(asked).shape == (0,)
    assert routers(case).scores(asked).shape == (0, 4)


@pytest.mark.parametrize("case", CASES)
def test_gaps_count_as_the_mean(case: str, make: Any) -> None:
    """NaN in columns that may be missing, in train, dev and queries, is what the column's train mean would be."""
    full = make.random(200, seed=8)
    matrix = np.array(full.queries.features.matrix)
    gaps = np.random.default_rng(0).random(matrix.shape) < 0.1
    matrix[gaps] = np.nan
    train = make.labelled(matrix, full.quality, full.cost, missing=True)
    router = fitted(case, make, train, train)

    assert np.isfinite(router.scores(train.queries)).all()
    mean = router.index.scaler.mean if hasattr(router, "index") else router.scaler.mean
    filled = make.queries(np.where(gaps, mean.astype(np.float32), matrix), 4)
    assert np.allclose(router.scores(train.queries), router.scores(filled), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_constant_columns_and_one_candidate(case: str, make: Any) -> None:
    """Neither divides by zero (warnings are errors)."""
    one = make.labelled(np.ones((30, 3)), np.arange(30)[:, None] % 2, np.full((30, 1), 1e-3))
    router = fitted(case, make, one, one, **({"clusters": 2} if "clusters" in CASES[case][1] else {}))

    assert router.route(one.queries).tolist() == [0] * 30


# --- decisions on estimates -----------------------------------------------------------------------------------------------

ESTIMATES = [c for c, (name, g) in CASES.items() if name in ("ovr", "kmeans") and g.get("variant") != "reference"]


@settings(max_examples=40)
@given(st.data())
@pytest.mark.parametrize("case", [*ESTIMATES, "ovr-reference"])
def test_lambda_and_budget_decide_on_the_estimate(case: str, routers: Any, make: Any, data: Any) -> None:
    """route equals decide(estimate), and the argmax of scores equals route, at any lambda or budget from one fit."""
    asked = make.random(60, seed=9).queries
    amount = st.one_of(st.sampled_from([0.0, INF, 1.0, 1e-3]), st.floats(0, 1e5))
    given = {data.draw(st.sampled_from(["lambda_", "budget"])): data.draw(amount)}
    router = routers(case)
    params = attrs.evolve(router.params, **{"lambda_": None, "budget": None, **given})
    router = attrs.evolve(router, params=params)

    expected = decide(router.estimate(asked), **given)
    assert router.route(asked).tolist() == expected.tolist()
    assert router.scores(asked).argmax(axis=1).tolist() == expected.tolist()
    assert np.isfinite(router.scores(asked)).all()


@pytest.mark.parametrize("case", ESTIMATES)
def test_the_estimate_does_not_depend_on_how_it_is_used(case: str, routers: Any, make: Any) -> None:
    """Probabilities in [0, 1], costs above 0; lambda and budget change none of them."""
    router, asked = routers(case), make.random(60, seed=9).queries
    plain = attrs.evolve(router, params=attrs.evolve(router.params, lambda_=None, budget=None))
    estimate = router.estimate(asked)

    assert ((estimate.p_correct >= 0) & (estimate.p_correct <= 1)).all()
    assert (estimate.cost > 0).all()
    assert np.array_equal(plain.estimate(asked).p_correct, estimate.p_correct)
    assert np.array_equal(plain.estimate(asked).cost, estimate.cost)


@pytest.mark.parametrize("case", ESTIMATES)
def test_a_larger_budget_never_loses_expected_accuracy(case: str, routers: Any, make: Any) -> None:
    """One fit gives a whole curve, from the cheapest model to the most accurate."""
    router, asked = routers(case), make.random(60, seed=9).queries
    estimate, rows = router.estimate(asked), np.arange(60)
    curve = [estimate.p_correct[rows, decide(estimate, budget=b)].mean() for b in (2e-4, 1e-3, 3e-3, 1e-1)]

    assert curve == sorted(curve)
    assert curve[0] < curve[-1]


def test_only_routers_that_estimate_have_an_estimate(routers: Any) -> None:
    """A vote, a cosine or a predicted label is no probability of being right."""
    having = {case for case in CASES if isinstance(routers(case), WithEstimate)}
    assert having == {*ESTIMATES, "ovr-reference"}


def test_lambda_and_budget_together_are_refused() -> None:
    """They are two ways to decide."""
    for name in ("ovr", "kmeans"):
        with pytest.raises(ValueError, match="set one of them"):
            SPECS[name].params(lambda_=1.0, budget=1.0)


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_no_right_model_is_an_error(case: str, make: Any) -> None:
    """It names the router and the number of samples."""
    train = make.random(20)
    hopeless = make.labelled(train.queries.features.matrix, np.zeros((20, 4)), train.cost)
    with pytest.raises(DataError, match=rf"{CASES[case][0]}: no model is right on any of 20 train samples"):
        fitted(case, make, hopeless)


@pytest.mark.parametrize("case", CASES)
def test_no_features_is_an_error(case: str, routers: Any, make: Any) -> None:
    """In fit and in route; it says what to set."""
    bare = attrs.evolve(make.random(20), queries=make.queries(None))
    for ask in (lambda: fitted(case, make, bare), lambda: routers(case).route(bare.queries)):
        with pytest.raises(DataError, match=r"needs features\n.*fix: set features"):
            ask()


@pytest.mark.parametrize("case", CASES)
def test_other_features_than_in_fit_is_an_error(case: str, routers: Any, make: Any) -> None:
    """It names both numbers of columns."""
    with pytest.raises(DataError, match="was fitted on 6 feature columns, but the queries have 7"):
        routers(case).route(make.queries(np.zeros((2, 7)), 4))


@pytest.mark.parametrize("name", SPECS)
def test_what_another_version_or_router_saved_is_refused(name: str, routers: Any, tmp_path: Path) -> None:
    """So is a truncated file."""
    routers(name).save(tmp_path)
    file = tmp_path / "router.json"
    text = file.read_text(encoding="utf-8")
    for old, new, message in (
        (f'"schema": {SCHEMA_VERSION}', '"schema": 99', f"schema version 99, not {SCHEMA_VERSION}"),
        (f'"router": "{name}"', '"router": "other"', f"holds a router 'other', not '{name}'"),
    ):
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            SPECS[name].load(tmp_path)
    file.write_text(text, encoding="utf-8")
    (tmp_path / "arrays.npz").write_bytes((tmp_path / "arrays.npz").read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        SPECS[name].load(tmp_path)


def test_a_router_saved_under_former_names_is_read(routers: Any, tmp_path: Path) -> None:
    """``early_stopping`` was ``monitor``: the folder that an older version wrote still loads."""
    routers("linear").save(tmp_path)
    file = tmp_path / "router.json"
    text = file.read_text(encoding="utf-8")
    assert '"early_stopping"' in text
    file.write_text(text.replace('"early_stopping"', '"monitor"'), encoding="utf-8")

    assert SPECS["linear"].load(tmp_path).params == routers("linear").params


@pytest.mark.parametrize("name", ["knn", "prknn"])
def test_k_larger_than_the_train_samples_is_an_error(name: str, make: Any) -> None:
    """Only samples with a right model count; the fix names the largest k."""
    train = make.random(30)
    quality = np.array(train.quality)
    quality[3:] = False
    quality[:3, 0] = True
    few = make.labelled(train.queries.features.matrix, quality, train.cost)
    with pytest.raises(DataError, match=r"k is 5, but only 3 train samples.*\n.*set k to at most 3"):
        fitted(name, make, few)


def test_prototypes_cannot_decide_by_cost(make: Any) -> None:
    """The reference's K-means knows no costs: lambda and budget are refused, not ignored."""
    with pytest.raises(ConfigError, match="prototypes estimate neither probability nor cost"):
        fitted("kmeans-reference", make, lambda_=1.0)


def test_parameters_are_checked() -> None:
    """Ranges of the parameters that the experiment file sets."""
    bad = [("knn", "lambda_", -1.0), ("ovr", "c", 0.0), ("kmeans", "clusters", 0), ("mlp", "hidden", (4, 0))]
    for name, field, value in bad:
        with pytest.raises(ValueError, match=field.removesuffix("_")):
            SPECS[name].params(**{field: value})


USELESS: list[tuple[str, dict[str, Any], str]] = [
    ("kmeans", {"top": 2}, "top"),
    ("kmeans", {"rule": "avengers", "top": 2}, "top"),
    ("kmeans", {"rule": "budget", "top": 1}, "top"),
    ("kmeans", {"rule": "avengers", "beta": 3.0}, "beta"),
    ("kmeans", {"rule": "avengers-pro", "beta": 3.0}, "beta"),
    ("kmeans", {"rule": "avengers-code", "beta": 3.0}, "beta"),
    ("kmeans", {"rule": "avengers-pro-code", "top": 1, "beta": 3.0}, "beta"),
    ("kmeans", {"accuracy_weight": 0.5}, "accuracy_weight"),
    ("kmeans", {"rule": "avengers-code", "accuracy_weight": 0.5}, "accuracy_weight"),
    ("kmeans", {"rule": "avengers-pro", "accuracy_weight": 0.5, "lambda_": 1.0}, "accuracy_weight"),
    ("kmeans", {"rule": "avengers-pro", "accuracy_weight": 1.5}, "accuracy_weight"),
    ("kmeans", {"variant": "reference", "rule": "avengers"}, "rule"),
    *[
        ("kmeans", {"variant": "reference", key: 4}, key)
        for key in ("clusters", "n_init", "max_iter", "seed", "top", "beta", "accuracy_weight")
    ],
    ("prknn", {"variant": "reference", "rule": "majority"}, "rule"),
]


@pytest.mark.parametrize(("name", "given", "named"), USELESS)
def test_a_parameter_without_effect_is_refused(name: str, given: dict[str, Any], named: str) -> None:
    """What a rule or a variant makes no use of cannot be set, so that no sweep varies nothing; the message names it."""
    with pytest.raises(ValueError, match=named):
        SPECS[name].params(**given)


EFFECTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *[("kmeans-avengers-code", {}, {key: value}) for key, value in (("top", 1), ("beta", 1.0), ("clusters", 6))],
    *[
        ("kmeans-avengers-pro", {}, {key: value})
        for key, value in (("top", 1), ("accuracy_weight", 0.2), ("clusters", 6))
    ],
    *[
        ("kmeans-avengers-pro-code", {}, {key: value})
        for key, value in (("top", 1), ("beta", 1.0), ("accuracy_weight", 0.2), ("clusters", 6))
    ],
    *[("kmeans-avengers-pro", {"lambda_": 1.0}, {"top": top}) for top in (1, 2)],
    *[("kmeans-avengers", {}, {key: value}) for key, value in (("clusters", 6), ("seed", 3), ("normalize", False))],
    *[("prknn-correctness", {}, {key: value}) for key, value in (("k", 3), ("weights", "distance"))],
    *[("prknn", {}, {key: value}) for key, value in (("k", 3), ("weights", "uniform"), ("rule", "majority"))],
    ("ovr", {}, {"class_weight": "balanced"}),
    ("ovr-reference", {}, {"class_weight": "none"}),
]


@pytest.mark.parametrize(("case", "given", "changed"), EFFECTS)
def test_every_parameter_that_is_taken_has_an_effect(
    case: str, given: dict[str, Any], changed: dict[str, Any], make: Any
) -> None:
    """Scores differ from those without it."""
    asked = make.random(60, seed=2).queries
    plain, other = (fitted(case, make, **given, **more).scores(asked) for more in ({}, changed))

    assert not np.allclose(plain, other, atol=1e-9)


def test_categories_become_columns_of_their_own() -> None:
    """A code is no quantity: each category has a column of 0 and 1, a gap none, and other columns stay as they are."""
    columns = (
        Column("width", "numeric"),
        Column("kind", "categorical", may_be_missing=True, categories=3),
        Column("unknown", "categorical"),
    )
    matrix = np.array([[1.5, 2, 7], [2.5, np.nan, 8], [3.5, 0, 9]], np.float32)
    found = with_indicators(Features(matrix, columns))

    assert [c.name for c in found.columns] == ["width", "unknown", "kind=0", "kind=1", "kind=2"]
    assert found.matrix.tolist() == [[1.5, 7, 0, 0, 1], [2.5, 8, 0, 0, 0], [3.5, 9, 1, 0, 0]]


def test_routers_share_their_neighbours_with_categories_too(make: Any) -> None:
    """Features with categories become one object, so that knn and prknn share an index and what is found in it."""
    data = make.random()
    features = Features(
        np.hstack([data.queries.features.matrix, np.arange(120, dtype=np.float32)[:, None] % 3]),
        (*data.queries.features.columns, Column("c", "categorical", categories=3)),
    )
    data = attrs.evolve(data, queries=attrs.evolve(data.queries, features=features))
    first, second = fitted("knn", make, data, data), fitted("prknn", make, data, data)

    assert first.index is second.index
    first.route(data.queries)
    second.route(data.queries)
    assert second.borrowed_seconds > 0


@pytest.mark.parametrize("case", ["knn", "prknn", "ovr", "kmeans", "linear"])
def test_the_order_of_categories_does_not_count(make: Any, case: str) -> None:
    """Codes dealt out otherwise give the same choices: no router takes them for numbers."""
    rng = np.random.default_rng(0)
    codes = rng.integers(4, size=200)
    quality = np.eye(4, dtype=bool)[codes]
    choices = []
    for dealt in ([0, 1, 2, 3], [2, 0, 3, 1]):
        data = make.labelled(np.zeros((200, 1)), quality, np.full((200, 4), 1e-3))
        matrix = np.array(dealt, np.float32)[codes][:, None]
        features = Features(matrix, (Column("c", "categorical", categories=4),))
        data = attrs.evolve(data, queries=attrs.evolve(data.queries, features=features))
        choices.append(np.asarray(fitted(case, make, data, data).route(data.queries)))
    assert (choices[0] == codes).all()
    assert (choices[1] == codes).all()
