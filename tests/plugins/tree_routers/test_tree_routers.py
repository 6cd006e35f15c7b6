"""The routers lightgbm and xgboost: what they learn, how they calibrate, shrink and decide, and what they leave on disk."""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.decide import decide
from vlrb.errors import ConfigError, DataError
from vlrb.images import Images, ImageStore
from vlrb.plugins import Selection, load
from vlrb.types import Candidate, Column, Estimate, Features, Labelled, Queries, Undefined
from vlrb_plugins.tree_routers import PARAMS
from vlrb_plugins.tree_routers.boosters import Stopping, best_rounds, library, threads_for
from vlrb_plugins.tree_routers.calibration import Calibration, calibrate, log_loss, log_odds, sigmoid
from vlrb_plugins.tree_routers.models import Cost
from vlrb_plugins.tree_routers.selection import LAMBDAS, best_lambda, best_shrinkage, shrunken, utilities
from vlrb_plugins.tree_routers.table import Table, safe_names

LIBRARIES = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed"))
    for name in ("lightgbm", "xgboost")
]
both = pytest.mark.parametrize("name", LIBRARIES)
CANDIDATES = tuple(Candidate(n) for n in ("large", "middle", "small", "never"))
COLUMNS = (
    Column("text/0"),
    Column("subject [of] {it}", "categorical"),
    Column("width", "numeric", may_be_missing=True),
    Column("text/0"),
)
QUICK: dict[str, Any] = {"rounds": 60, "min_leaf": 10, "l2": 1.0, "learning_rate": 0.15}


@attrs.frozen
class Context:
    """What the routers use of a context; ``dev_score`` is accuracy less cost unless another is given."""

    dev: Any
    seed: int = 7
    threads: int = 1
    candidates: Any = CANDIDATES
    score: Any = None
    logged: Any = attrs.field(factory=list)
    done: Any = attrs.field(factory=list)

    def dev_score(self, choices: Any) -> Any:
        """Return the selection metric."""
        if self.score is not None:
            return self.score(choices)
        rows = np.arange(len(choices))
        return float(self.dev.quality[rows, choices].mean() - 50 * self.dev.cost[rows, choices].mean())

    def log(self, step: int, values: Any) -> None:
        """Keep what is logged."""
        self.logged.append((step, dict(values)))

    def progress(self, done: int, total: int) -> None:
        """Keep the progress."""
        self.done.append((done, total))


def queries(matrix: Any, columns: Any = COLUMNS, candidates: Any = CANDIDATES) -> Queries:
    """Return queries with these features."""
    matrix = np.asarray(matrix, np.float32)
    matrix.flags.writeable = False
    n = len(matrix)
    ids = [str(i) for i in range(n)]
    images = Images(ImageStore([]), [()] * n, ids)
    return Queries(ids, [""] * n, [()] * n, [""] * n, images, candidates, Features(matrix, columns))


def drawn(n: int, seed: int, strength: float = 3.0, novel: bool = False) -> tuple[Labelled, Any]:
    """Return samples and the true chances: ``large`` knows even subjects, ``middle`` what has no width, ``small`` flips a coin.

    ``small`` answers wide images at ten times the cost.  ``never`` is never right.
    """
    rng = np.random.default_rng(seed)
    subject = rng.integers(0, 8, n) * 10 + 3
    width = np.where(rng.random(n) < 0.4, np.nan, rng.normal(0, 1, n))
    matrix = np.column_stack([rng.normal(size=n), subject, width, rng.normal(size=n)])
    even = (subject // 10) % 2 == 0
    odds = np.column_stack([np.where(even, 1, -1), np.where(np.isnan(width), 1, -1), np.zeros(n)]) * strength / 2
    chance = np.column_stack([sigmoid(odds), np.zeros(n)])
    quality = rng.random((n, 4)) < chance
    cost = np.tile([4e-3, 2e-3, 1e-3, 1e-4], (n, 1)) * rng.lognormal(0, 0.2, (n, 4))
    cost[:, 2] *= np.where(np.nan_to_num(width) > 0, 10, 1)
    for array in (quality, cost):
        array.flags.writeable = False
    return Labelled(queries(matrix), quality, quality.astype(float), cost), chance


def fit(name: str, train: Labelled, dev: Labelled, context: Any = None, **params: Any) -> Any:
    """Fit a router, quickly unless other parameters are given."""
    spec = load(Selection()).find("router", name).record
    made = spec.factory(PARAMS[name](**{**QUICK, **params}))
    return made.fit(train, dev, context or Context(dev))


@cache
def standard(name: str) -> Any:
    """Return a router fitted on structured samples."""
    return fit(name, drawn(1200, 0)[0], drawn(300, 1)[0])


# --- learning -------------------------------------------------------------------------------------------------------------


@both
def test_learns_from_categories_gaps_and_numbers(name: str) -> None:
    """Structure in a categorical column, in whether a value is missing, and in a number that decides the cost."""
    test, chance = drawn(1000, 2)
    estimate = standard(name).estimate(test.queries)

    assert np.abs(estimate.p_correct - chance)[:, :2].mean() < 0.1
    wide = np.nan_to_num(test.queries.features.matrix[:, 2]) > 0  # type: ignore[union-attr]
    assert estimate.cost[wide, 2].mean() > 5 * estimate.cost[~wide, 2].mean()
    assert np.allclose(estimate.cost.mean(axis=0), test.cost.mean(axis=0), rtol=0.15)


@both
@pytest.mark.parametrize("calibration", ["none", "platt", "isotonic"])
def test_probabilities_are_calibrated(name: str, calibration: str) -> None:
    """Expected calibration error against the true chances, over all models and ten bins, whatever the calibration."""
    test, chance = drawn(3000, 3)
    train, dev = drawn(1200, 0)[0], drawn(400, 1)[0]
    p = fit(name, train, dev, calibration=calibration, cost="mean").estimate(test.queries).p_correct

    place = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(p[place == b].mean() - chance[place == b].mean()) * (place == b).mean() for b in np.unique(place)]
    assert sum(gaps) < 0.05


@both
def test_a_category_never_seen_counts_as_a_gap(name: str) -> None:
    """An unknown category neither fails nor passes for a known one."""
    matrix = np.array([[0, 999, 0.5, 0], [0, np.nan, 0.5, 0], [0, -1, 0.5, 0], [0, 3, 0.5, 0]])
    p = standard(name).estimate(queries(matrix)).p_correct

    assert p[0].tolist() == p[1].tolist() == p[2].tolist()


@both
def test_a_model_that_is_always_or_never_right_gets_its_smoothed_mean(name: str) -> None:
    """Rule of succession, for every query; a model with few right answers is treated alike, and one trained has trees."""
    train, dev = drawn(300, 0)[0], drawn(100, 1)[0]
    quality = np.array(train.quality)
    quality[:, 0], quality[:, 1] = True, np.arange(300) < 9
    fitted = fit(name, attrs.evolve(train, quality=quality), dev, shrinkage=1.0)
    p = fitted.estimate(drawn(50, 2)[0].queries).p_correct

    assert np.allclose(p[:, 0], 301 / 302)
    assert np.allclose(p[:, 1], 10 / 302)
    assert np.allclose(p[:, 3], 1 / 302)
    assert [c.trees is None for c in fitted.chances] == [True, True, fitted.chances[2].trees is None, True]


@both
def test_few_cases_and_a_tiny_train_split_are_no_error(name: str) -> None:
    """Twelve train samples, two of dev, columns that never change."""
    train, dev = drawn(12, 0)[0], drawn(2, 1)[0]
    flat = np.tile(np.array([[0, 3, np.nan, 0]], np.float32), (12, 1))
    fitted = fit(name, attrs.evolve(train, queries=queries(flat)), dev, min_cases=1)

    assert fitted.route(dev.queries).shape == (2,)
    assert np.isfinite(fitted.estimate(dev.queries).p_correct).all()


@both
def test_costs_that_are_zero_or_never_change(name: str) -> None:
    """A free model costs 0; one of a fixed price costs that; zeros among other costs are no error."""
    train, dev = drawn(300, 0)[0], drawn(100, 1)[0]
    cost = np.array(train.cost)
    cost[:, 0], cost[:, 1], cost[::3, 2] = 0.0, 0.25, 0.0
    estimate = fit(name, attrs.evolve(train, cost=cost), dev).estimate(dev.queries)

    assert (estimate.cost[:, 0] == 0).all()
    assert (estimate.cost[:, 1] == 0.25).all()
    assert ((estimate.cost >= 0) & (estimate.cost <= cost.max())).all()


@both
def test_mean_costs(name: str) -> None:
    """`cost = "mean"`: the mean on train, for every query."""
    train, dev = drawn(300, 0)[0], drawn(100, 1)[0]
    fitted = fit(name, train, dev, cost="mean")

    assert np.allclose(fitted.estimate(dev.queries).cost, train.cost.mean(axis=0))


# --- shrinkage ------------------------------------------------------------------------------------------------------------


@both
def test_noise_is_shrunken_and_shrunken_is_better(name: str) -> None:
    """On a few noisy samples, with trees that overfit, dev chooses a shrinkage below 1, and test agrees."""
    greedy = {
        "rounds": 40,
        "patience": 40,
        "min_leaf": 2,
        "l2": 0.0,
        "leaves": 15,
        "learning_rate": 0.3,
        "columns": 1.0,
    }
    better = []
    for seed in range(3):
        train, dev, (test, chance) = drawn(150, seed, 0.6)[0], drawn(100, seed + 10, 0.6)[0], drawn(2000, 99, 0.6)
        context = Context(dev)
        fitted = fit(name, train, dev, context, calibration="none", cost="mean", **greedy)
        raw = attrs.evolve(fitted, shrinkage=1.0)
        losses = [log_loss(f.estimate(test.queries).p_correct, test.quality).mean() for f in (fitted, raw)]
        errors = [np.abs(f.estimate(test.queries).p_correct - chance).mean() for f in (fitted, raw)]

        assert fitted.shrinkage < 1
        better.append(losses[0] <= losses[1] and errors[0] <= errors[1])
        assert {"shrinkage": fitted.shrinkage}.items() <= context.logged[-2][1].items()
    assert all(better)


@both
def test_signal_is_not_shrunken_away(name: str) -> None:
    """Where there is structure, auto keeps most of it."""
    assert standard(name).shrinkage >= 0.7


@both
def test_shrinkage_0_and_1_are_the_mean_and_the_trees(name: str) -> None:
    """The ends of the scale, as a parameter."""
    train, dev = drawn(300, 0)[0], drawn(100, 1)[0]
    means = (train.quality.sum(axis=0) + 1) / 302

    none = fit(name, train, dev, shrinkage=0.0).estimate(dev.queries).p_correct
    full, half = (fit(name, train, dev, shrinkage=s).estimate(dev.queries).p_correct for s in (1.0, 0.5))
    assert np.allclose(none, means)
    assert np.allclose(half, (full + means) / 2)


def test_equal_shrinkages_go_to_the_smaller() -> None:
    """Probabilities that are the mean already say nothing for more."""
    means = np.array([0.3, 0.6])
    right = np.array([[True, False], [False, True]])

    assert best_shrinkage(np.tile(means, (2, 1)), means, right)[0] == 0.0


def test_shrinking_keeps_the_mean() -> None:
    """In plain probabilities the mean over samples stays: the models' order on the whole is kept."""
    p = np.random.default_rng(0).random((200, 3))
    means = p.mean(axis=0)

    assert np.allclose(shrunken(p, means, 0.3).mean(axis=0), means)


# --- calibration and early stopping ---------------------------------------------------------------------------------------


def test_platt_finds_the_slope_where_dev_is_large_and_keeps_still_where_it_is_small() -> None:
    """Overconfident log odds are halved by 20,000 samples; ten samples change little."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, 20_000)
    right = rng.random(20_000) < sigmoid(truth)

    large, small = (calibrate("platt", 0.0, 2 * truth[:n], right[:n]) for n in (20_000, 10))
    assert abs(large.slope - 0.5) < 0.03
    assert abs(large.shift) < 0.05
    assert small.slope > 0.55
    assert abs(small.shift) < 0.15


def test_platt_never_turns_the_order_round() -> None:
    """Trees that have it backwards on dev are flattened, not inverted."""
    margins = np.linspace(-4, 4, 400)

    assert calibrate("platt", 0.0, margins, margins < 0).slope == 0.0


def test_isotonic_is_never_certain() -> None:
    """Perfect separation on n samples is no certainty; the order is kept."""
    margins = np.linspace(-1, 1, 50)
    p = calibrate("isotonic", 0.0, margins, margins > 0).apply(np.linspace(-9, 9, 99))

    assert 0 < p.min() <= 0.02
    assert 0.98 <= p.max() < 1
    assert (np.diff(p) >= 0).all()


def test_no_calibration_is_the_identity() -> None:
    """Log odds to probabilities and nothing else; extreme ones neither overflow nor warn."""
    assert np.allclose(Calibration(log_odds(0.2)).apply(np.array([log_odds(0.7)])), 0.7)
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


def test_rounds_stop_where_the_mean_of_the_halves_is_best() -> None:
    """Each half has a best round of its own; no tree at all is best where trees only do harm."""
    losses = np.array([[0.6, 0.7], [0.5, 0.6], [0.4, 0.8]])

    found = best_rounds(losses, np.array([0.9, 0.9]), (0.5, 0.5))
    assert (found.all, found.halves) == (2, (3, 2))
    assert best_rounds(losses, np.array([0.1, 0.1]), (0.5, 0.5)).all == 0
    assert not Stopping(2, (0.5, 0.5)).over(losses)
    assert Stopping(1, (0.5, 0.5)).over(losses)


@both
def test_trees_that_only_do_harm_are_left_out(name: str) -> None:
    """Dev whose labels are turned round stops at no tree: the mean is left."""
    train, dev = drawn(600, 0)[0], drawn(200, 1)[0]
    fitted = fit(name, train, attrs.evolve(dev, quality=~dev.quality), shrinkage=1.0)

    assert fitted.chances[0].trees is None
    assert np.allclose(fitted.estimate(dev.queries).p_correct[:, 0], fitted.chances[0].mean)


# --- deciding -------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("value", [0.0, 3.0, 300.0, float("inf")])
def test_lambda_at_route_time_equals_a_fit_with_it(name: str, value: float) -> None:
    """So a sweep over lambda needs one fit."""
    train, dev, test = drawn(300, 0)[0], drawn(100, 1)[0], drawn(200, 2)[0]
    once = fit(name, train, dev)
    again = fit(name, train, dev, lambda_=value)

    assert decide(once.estimate(test.queries), lambda_=value).tolist() == again.route(test.queries).tolist()


@both
def test_a_budget_is_kept(name: str) -> None:
    """No choice is expected to cost more, unless every model does; the likeliest within it is chosen."""
    train, dev, test = drawn(300, 0)[0], drawn(100, 1)[0], drawn(200, 2)[0]
    fitted = fit(name, train, dev, budget=2.5e-3)
    estimate, choices = fitted.estimate(test.queries), fitted.route(test.queries)

    rows = np.arange(len(choices))
    assert (estimate.cost[rows, choices] <= 2.5e-3).all()
    assert choices.tolist() == decide(estimate, budget=2.5e-3).tolist()
    assert 0 not in choices
    assert set(choices.tolist()) >= {1, 2}
    assert fitted.scores(test.queries).argmax(axis=1).tolist() == choices.tolist()


@both
def test_scores_agree_with_the_choices(name: str) -> None:
    """The highest score is that of the chosen model, at the lambda that dev chose."""
    test = drawn(300, 4)[0]
    fitted = standard(name)

    assert fitted.lambda_ in LAMBDAS
    assert fitted.scores(test.queries).argmax(axis=1).tolist() == fitted.route(test.queries).tolist()


@pytest.mark.parametrize(
    ("lambda_", "budget"), [(0.0, None), (5.0, None), (1e300, None), (float("inf"), None), (None, 0.5), (None, 0.0)]
)
def test_utilities_are_finite_and_agree_with_decide_on_ties(lambda_: Any, budget: Any) -> None:
    """Equal probabilities and costs, extreme lambdas, budgets that nothing fits."""
    rng = np.random.default_rng(0)
    estimate = Estimate(rng.integers(1, 4, (200, 4)) / 4, rng.integers(1, 4, (200, 4)) / 4)

    scores = utilities(estimate, lambda_, budget)
    assert np.isfinite(scores).all()
    assert scores.argmax(axis=1).tolist() == decide(estimate, lambda_=lambda_, budget=budget).tolist()


def test_lambda_is_chosen_by_the_selection_metric() -> None:
    """The best score wins, of equals the smallest; where all are undefined it is 0."""
    estimate = Estimate(np.array([[0.9, 0.5]]), np.array([[1e-2, 1e-4]]))

    assert best_lambda(estimate, lambda choices: float(choices[0])) == (1.0, 1.0)
    assert best_lambda(estimate, lambda choices: 0.5) == (0.0, 0.5)
    assert best_lambda(estimate, lambda choices: Undefined("no bounds"))[0] == 0.0


@both
def test_an_undefined_selection_metric_is_said(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Lambda is 0 then, with a warning that gives the reason."""
    train, dev = drawn(100, 0)[0], drawn(40, 1)[0]
    fitted = fit(name, train, dev, Context(dev, score=lambda _: Undefined("the bounds are equal")))

    assert fitted.lambda_ == 0.0
    assert "the bounds are equal" in caplog.text


# --- promises to the harness ----------------------------------------------------------------------------------------------


@both
def test_two_fits_are_equal_whatever_the_threads_and_another_seed_is_not(name: str) -> None:
    """Same seed, same bytes of estimate, on one thread or three; the seed draws rows and columns."""
    train, dev, test = drawn(3000, 0)[0], drawn(100, 1)[0], drawn(200, 2)[0]
    import vlrb_plugins.tree_routers.boosters as module

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CELLS_PER_THREAD", 1)
        for seed, threads in ((1, 1), (1, 3), (2, 1)):
            fitted = fit(name, train, dev, Context(dev, seed=seed, threads=threads), rounds=15)
            estimate = fitted.estimate(test.queries)
            found[seed, threads] = (estimate.p_correct.tobytes(), estimate.cost.tobytes())
    assert found[1, 1] == found[1, 3]
    assert found[1, 1] != found[2, 1]


@both
def test_a_choice_depends_neither_on_the_order_nor_on_the_batch(name: str) -> None:
    """Alone, reversed, or among others: the same estimate, bit by bit; an empty batch is fine."""
    asked = drawn(60, 5)[0].queries
    fitted = standard(name)
    whole = fitted.estimate(asked)
    backwards = fitted.estimate(asked.take(np.arange(60)[::-1]))
    alone = [fitted.estimate(asked.take(np.array([i]))) for i in range(60)]

    assert (backwards.p_correct[::-1] == whole.p_correct).all()
    assert (backwards.cost[::-1] == whole.cost).all()
    assert (np.vstack([e.p_correct for e in alone]) == whole.p_correct).all()
    assert (np.vstack([e.cost for e in alone]) == whole.cost).all()
    assert fitted.route(asked.take(np.arange(0))).shape == (0,)
    assert fitted.scores(asked.take(np.arange(0))).shape == (0, 4)


@both
def test_saving_and_loading_is_exact_and_without_pickle(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit the same estimate and scores, with pickle out of order; every file is JSON or the library's own format."""
    import pickle

    asked = drawn(200, 6)[0].queries
    fitted = standard(name)
    for module in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, module, None)
    fitted.save(tmp_path / "router")
    again = load(Selection()).find("router", name).record.load(tmp_path / "router")

    assert (again.estimate(asked).p_correct == fitted.estimate(asked).p_correct).all()
    assert (again.estimate(asked).cost == fitted.estimate(asked).cost).all()
    assert (again.scores(asked) == fitted.scores(asked)).all()
    assert again.params == fitted.params
    suffix = {"lightgbm": ".txt", "xgboost": ".ubj"}[name]
    assert {p.suffix for p in (tmp_path / "router").iterdir()} == {".json", suffix}
    again.save(tmp_path / "twice")
    assert {p.name: p.read_bytes() for p in (tmp_path / "twice").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "router").iterdir()
    }


@both
@pytest.mark.parametrize("more", [{"calibration": "isotonic"}, {"lambda_": float("inf")}, {"budget": 0.002}])
def test_every_kind_of_fit_is_saved(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    """Isotonic points, an infinite lambda and a budget come back."""
    train, dev = drawn(200, 0)[0], drawn(60, 1)[0]
    fitted = fit(name, train, dev, rounds=10, **more)
    fitted.save(tmp_path)
    again = load(Selection()).find("router", name).record.load(tmp_path)

    assert again.route(dev.queries).tolist() == fitted.route(dev.queries).tolist()
    assert (again.estimate(dev.queries).p_correct == fitted.estimate(dev.queries).p_correct).all()
    assert (again.params, again.lambda_) == (fitted.params, fitted.lambda_)


@both
def test_what_cannot_be_loaded_is_said(name: str, tmp_path: Path) -> None:
    """Another schema version, the other library, a booster that is broken or missing: each names the place."""
    loader = load(Selection()).find("router", name).record.load
    standard(name).save(tmp_path)
    file = next(tmp_path.glob("right-0.*"))
    content = file.read_bytes()

    file.write_bytes(content[:40])
    with pytest.raises(DataError, match=r"right-0\..*cannot be read"):
        loader(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"right-0\..*cannot be read"):
        loader(tmp_path)
    router = json.loads((tmp_path / "router.json").read_text(encoding="utf-8"))
    for key, value, message in (("library", "forest", "is a router of 'forest'"), ("schema", 99, "schema version 99")):
        router[key] = value
        (tmp_path / "router.json").write_text(json.dumps(router), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            loader(tmp_path)


@both
def test_importances_say_which_columns_matter(name: str, tmp_path: Path) -> None:
    """By the names of the feature set, per model, as shares; what decides a model is on top for it."""
    standard(name).save(tmp_path)
    found = json.loads((tmp_path / "importances.json").read_text(encoding="utf-8"))["columns"]

    assert [c["mean"] for c in found] == sorted((c["mean"] for c in found), reverse=True)
    assert max(found, key=lambda c: c["models"].get("large", 0))["column"] == "subject [of] {it}"
    assert max(found, key=lambda c: c["models"].get("middle", 0))["column"] == "width"
    assert abs(sum(c["models"].get("large", 0) for c in found) - 1) < 1e-4


@both
def test_progress_and_curves(name: str) -> None:
    """Every model is counted, and what dev chose is logged."""
    train, dev = drawn(120, 0)[0], drawn(40, 1)[0]
    context = Context(dev)
    fitted = fit(name, train, dev, context, rounds=5)

    assert context.done == [(i, 4) for i in (1, 2, 3, 4)]
    values = {k: v for _, found in context.logged for k, v in found.items()}
    assert values.keys() >= {"trees", "shrinkage", "lambda", "dev_log_loss", "dev_selection"}
    assert values["lambda"] == fitted.lambda_


# --- what is refused ------------------------------------------------------------------------------------------------------


@both
def test_features_that_are_missing_or_others_are_an_error(name: str) -> None:
    """No features, fewer columns, another column, other candidates: each says what is wrong."""
    train, dev = drawn(60, 0)[0], drawn(20, 1)[0]
    fitted, asked = standard(name), drawn(5, 2)[0].queries
    assert asked.features is not None
    matrix = asked.features.matrix

    with pytest.raises(DataError, match="needs features"):
        fit(name, attrs.evolve(train, queries=attrs.evolve(train.queries, features=None)), dev)
    with pytest.raises(DataError, match="needs features"):
        fitted.route(attrs.evolve(asked, features=None))
    with pytest.raises(DataError, match="fitted on 4 feature columns, not 3"):
        fitted.route(queries(matrix[:, :3], COLUMNS[:3]))
    with pytest.raises(DataError, match=r"column 0 is 'other' \(dense\), in the fit 'text/0' \(dense\)"):
        fitted.route(queries(matrix, (Column("other"), *COLUMNS[1:])))
    with pytest.raises(DataError, match="fitted for the models large, middle, small, never, not large"):
        fitted.route(queries(matrix, candidates=CANDIDATES[:1]))
    with pytest.raises(DataError, match="at least 2 dev samples"):
        fit(name, train, attrs.evolve(dev, queries=dev.queries.take(np.arange(1))))


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError("libgomp.so.1: cannot open shared object file"), "libgomp1"),
        (ImportError("no such module"), r"vlrb\[trees\]"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_an_error_with_a_way_out(
    name: str, raised: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing OpenMP runtime names Debian's package, a missing Python package the extra."""
    real = builtins.__import__

    def fail(asked: str, *rest: Any, **more: Any) -> Any:
        if asked == name:
            raise raised
        return real(asked, *rest, **more)

    monkeypatch.delitem(sys.modules, f"vlrb_plugins.tree_routers.with_{name}", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ConfigError, match=message):
        library(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shrinkage": 1.5}, "from 0 to 1"),
        ({"lambda_": -1.0}, "lambda must be at least 0"),
        ({"budget": -1.0}, "budget must be at least 0"),
        ({"lambda_": 1.0, "budget": 1.0}, "give one of them"),
        ({"columns": 0.0}, "columns"),
        ({"bins": 1}, "bins"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    """Each says what it may be."""
    with pytest.raises(ValueError, match=message):
        PARAMS["lightgbm"](**wrong)


# --- small parts ----------------------------------------------------------------------------------------------------------


def test_names_are_safe_and_unique() -> None:
    """Signs that a library refuses are replaced, and names that become equal are told apart."""
    assert safe_names(["a/0", "a 0", "a_0", 'x"[]{}<>:,é', ""]) == ["a_0", "a_0_1", "a_0_2", "x_", "column"]
    names = safe_names(["a", "a", "a_1", "a"])
    assert len(set(names)) == 4


def test_categories_of_a_column_without_any_are_gaps() -> None:
    """A categorical column that is empty on train stays unknown."""
    columns = (Column("c", "categorical", may_be_missing=True),)
    table = Table.of(queries([[np.nan]], columns), "r")

    assert np.isnan(table.matrix(queries([[1.0]], columns), "r")).all()


def test_threads_are_worth_it_only_on_large_data() -> None:
    """Small matrices take one thread; never more than there are."""
    assert [threads_for(c, 4) for c in (10, 2**23, 2**30)] == [1, 2, 4]


def test_a_cost_without_trees_is_the_mean() -> None:
    """For every query, however many."""
    assert Cost(0.5).predict(None, 3, 1).tolist() == [0.5] * 3


# --- the whole way --------------------------------------------------------------------------------------------------------


@both
def test_a_whole_run(name: str, project: Any) -> None:
    """Through the command line, with features: estimates on disk, importances beside them, and a sweep over lambda."""
    routers = f'[[router]]\nuse = "{name}"\nfeatures = "default"\nrounds = 5\nsweep = {{ lambda = [0, 100, inf] }}\n'
    routers += f'[[router]]\nuse = "{name}"\nlabel = "own"\nfeatures = "default"\nrounds = 5\nshrinkage = "auto"\n'
    features = '[features.default]\nencoders = ["image-statistics"]\n'
    file = project.experiment(routers=routers, more=features)
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    assert "[LightGBM]" not in shown.out
    found = list(project.folder.glob(".vlrb-cache/cells/*/router/importances.json"))
    assert found
    assert all("columns" in json.loads(f.read_text(encoding="utf-8")) for f in found)


@both
def test_wrong_parameters_are_told_with_their_place(name: str, project: Any) -> None:
    """All in one report: a word that is no shrinkage, two ways to decide."""
    routers = f'[[router]]\nuse = "{name}"\nfeatures = "default"\nshrinkage = "some"\n'
    file = project.experiment(routers=routers, more='[features.default]\nencoders = ["image-statistics"]\n')
    shown = project.vlrb("check", file)

    assert shown.status == 4
    assert "shrinkage" in shown.err


@both
def test_real_logs(name: str, project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small real log the router runs through and is at least as accurate as the cheapest model."""
    logs = shared("real-logs/mathvision")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = project.file(
        f'name = "m"\nrequires = []\ninclude = ["{logs}/prices.toml"]\n[logs]\nuse = "vlmevalkit"\npath = "{logs}"\n'
        '[benchmark]\ndatasets = ["MathVision_MINI"]\n[tokens]\ncounter = "cl100k"\n'
        '[[dataset]]\nname = "MathVision"\ngroup = "stem"\n[features.default]\nencoders = ["image-statistics"]\n'
        f'[[router]]\nuse = "{name}"\nfeatures = "default"\nrounds = 20\n'
    )
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
