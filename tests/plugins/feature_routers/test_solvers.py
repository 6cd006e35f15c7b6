"""ovr and linear: solutions that scikit-learn and scipy agree with, and what is learnt from models that are always right."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlrb.api.routing import Undefined
from vlrb.api.targets import soft_targets
from vlrb.errors import DataError
from vlrb_plugins.feature_routers.linear import Linear, initial
from vlrb_plugins.feature_routers.ovr import Ovr
from vlrb_plugins.feature_routers.params import LinearParams, OvrParams
from vlrb_plugins.feature_routers.solver import Binary, Softmax, minimise, sigmoid, softmax


def nothing(step: int, slope: float) -> None:
    """Is told of steps."""


@settings(max_examples=25)
@given(
    st.integers(2, 40), st.integers(1, 6), st.integers(1, 4), st.floats(1e-3, 10), st.integers(0, 10**6), st.booleans()
)
def test_every_slope_is_flat_at_the_minimum(n: int, d: int, p: int, penalty: float, seed: int, joint: bool) -> None:
    """On any data, separable or not, the gradient computed afresh is within the tolerance, for every problem."""
    rng = np.random.default_rng(seed)
    matrix = (10 ** rng.uniform(-1, 1) * rng.standard_normal((n, d))).astype(np.float32)
    if joint:
        targets = rng.dirichlet(np.ones(p), n)
        loss: Any = Softmax(targets)
    else:
        right = (rng.random((n, p)) < 0.5).astype(float)
        weights = rng.uniform(0.5, 2, (n, p))
        loss = Binary(right, weights / weights.sum(axis=0))
    found = minimise(matrix, loss, penalty, p, tolerance=1e-5, max_iter=500, progress=nothing)

    slopes = loss.slopes(matrix @ found.weights + found.intercepts)
    inner = 2e-5 + 1e-6 * np.abs(matrix).max()
    assert np.abs(matrix.T @ slopes + penalty * found.weights).max() < inner
    if joint or ((right.sum(axis=0) > 0) & (right.sum(axis=0) < n)).all():
        assert found.converged
        assert np.abs(slopes.sum(axis=0)).max() < inner


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
@pytest.mark.parametrize("c", [0.01, 1.0])
def test_ovr_solves_what_scikit_learn_solves(make: Any, class_weight: Any, c: float) -> None:
    """All heads at once have the coefficients of one regression after another."""
    from sklearn.linear_model import LogisticRegression

    train = make.random(300)
    params = OvrParams(c=c, class_weight=class_weight, tolerance=1e-7)
    fitted = Ovr(params).fit(train, train, make.context(train)[0])

    matrix = fitted.scaler.apply(train.queries.features.matrix).astype(np.float64)
    weight = "balanced" if class_weight == "balanced" else None
    for j in range(4):
        model = LogisticRegression(C=c, class_weight=weight, tol=1e-8, max_iter=1000).fit(matrix, train.quality[:, j])
        assert np.allclose(fitted.weights[:, j], model.coef_[0], atol=1e-4)
        assert np.isclose(fitted.intercepts[j], model.intercept_[0], atol=1e-4)


def test_a_model_that_is_always_or_never_right(make: Any) -> None:
    """Its probability is the rule of succession's, for every query; the others are learnt as without it."""
    train = make.random(200)
    quality = np.array(train.quality)
    quality[:, 1], quality[:, 3] = True, False
    extreme = make.labelled(train.queries.features.matrix, quality, train.cost)
    for variant in ("published", "reference"):
        fitted = Ovr(OvrParams(variant=variant)).fit(extreme, extreme, make.context(extreme)[0])
        estimate, scores = fitted.estimate(extreme.queries), fitted.scores(extreme.queries)
        assert np.allclose(estimate.p_correct[:, 1], 201 / 202)
        assert np.allclose(estimate.p_correct[:, 3], 1 / 202)
        assert np.allclose(scores[:, [1, 3]], estimate.p_correct[:, [1, 3]])
        assert (fitted.route(extreme.queries) != 3).all()
        weighted = OvrParams(class_weight="none" if variant == "published" else "balanced")
        plain = Ovr(weighted).fit(train, train, make.context(train)[0])
        assert np.allclose(fitted.weights[:, [0, 2]], plain.weights[:, [0, 2]], atol=1e-4)


def test_all_models_always_right_need_no_regression(make: Any) -> None:
    """Then the cheapest is chosen, whatever its column; the reference takes the first."""
    train = make.labelled(np.eye(4), np.ones((4, 3)), np.tile([3e-3, 1e-3, 2e-3], (4, 1)))
    fitted = Ovr(OvrParams()).fit(train, train, make.context(train)[0])

    assert fitted.route(train.queries).tolist() == [1] * 4
    reference = attrs.evolve(fitted, params=OvrParams(variant="reference"))
    assert reference.route(train.queries).tolist() == [0] * 4


def uneven(make: Any, n: int = 4000) -> tuple[Any, Any]:
    """Return samples with models of very different base rates, and their probabilities of being right."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((n, 3))
    p = sigmoid(matrix @ rng.standard_normal((3, 4)) + np.array([-3, -1, 1, 3]))
    return make.labelled(matrix, rng.random(p.shape) < p, np.full(p.shape, 1e-3)), p


@pytest.mark.parametrize("given", [{}, {"class_weight": "balanced"}, {"variant": "reference"}])
def test_the_estimate_is_calibrated_even_where_classes_are_balanced(make: Any, given: Any) -> None:
    """The mean probability is the share of right answers, per model; the reference's balanced scores' is not."""
    train, p = uneven(make)
    fitted = Ovr(OvrParams(**given)).fit(train, train, make.context(train)[0])
    estimate, scores = fitted.estimate(train.queries).p_correct, fitted.scores(train.queries)

    rates = train.quality.mean(axis=0)
    if given.get("variant") != "reference":
        assert np.allclose(estimate.mean(axis=0), rates, atol=0.02)
        assert np.abs(estimate - p).mean() < 0.02
        assert np.allclose(scores, estimate)
    else:
        assert np.abs(scores.mean(axis=0) - 0.5).max() < np.abs(rates - 0.5).min()


def test_base_rates_count(make: Any) -> None:
    """With features that say nothing, published takes the model that is most often right; balanced classes say nothing then."""
    rng = np.random.default_rng(1)
    quality = rng.random((2000, 4)) < np.array([0.3, 0.5, 0.85, 0.4])
    train = make.labelled(rng.standard_normal((2000, 3)), quality, np.full((2000, 4), 1e-3))
    share = {}
    for variant in ("published", "reference"):
        fitted = Ovr(OvrParams(variant=variant)).fit(train, train, make.context(train)[0])
        share[variant] = (fitted.route(train.queries) == 2).mean()
    assert share["published"] == 1.0
    assert share["reference"] < 0.6


@pytest.mark.parametrize("given", [{}, {"class_weight": "balanced"}])
def test_scores_route_and_estimate_rank_alike(make: Any, given: Any) -> None:
    """On uneven base rates, row by row and model by model."""
    train, _ = uneven(make, 600)
    fitted = Ovr(OvrParams(**given)).fit(train, train, make.context(train)[0])
    estimate, scores = fitted.estimate(train.queries).p_correct, fitted.scores(train.queries)

    assert fitted.route(train.queries).tolist() == scores.argmax(axis=1).tolist() == estimate.argmax(axis=1).tolist()
    assert np.array_equal(np.argsort(scores, axis=1), np.argsort(estimate, axis=1))


def test_published_ovr_learns_from_all_samples_the_reference_from_those_solved(make: Any) -> None:
    """Leaving out samples that no model solves makes every model look better than it is."""
    train = make.random(400)
    fitted = {
        v: Ovr(OvrParams(variant=v)).fit(train, train, make.context(train)[0])  # type: ignore[arg-type]
        for v in ("published", "reference")
    }
    assert not train.quality.any(axis=1).all()
    rates = {v: f.estimate(train.queries).p_correct.mean() for v, f in fitted.items()}
    assert rates["reference"] > rates["published"]
    assert np.isclose(rates["published"], train.quality.mean(), atol=0.02)
    assert np.array_equal(fitted["published"].scaler.mean, fitted["reference"].scaler.mean)


# --- linear -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", [0.0, 30.0, float("inf")])
def test_published_linear_is_the_minimum_that_scipy_finds(make: Any, lam: float) -> None:
    """Of C * sum of soft cross-entropies + |W|^2 / 2, intercepts free."""
    from scipy.optimize import minimize

    train = make.random(150)
    fitted = Linear(LinearParams(lambda_=lam, c=0.5, tolerance=1e-8, max_iter=2000)).fit(
        train, train, make.context(train)[0]
    )
    kept = train.quality.any(axis=1)
    targets = soft_targets(train.quality, train.cost, lam)[kept]
    matrix = fitted.scaler.apply(train.queries.features.matrix)[kept].astype(np.float64)

    def objective(flat: Any) -> tuple[float, Any]:
        w, b = flat[:-4].reshape(-1, 4), flat[-4:]
        logits = matrix @ w + b
        top = logits.max(axis=1, keepdims=True)
        log_p = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        slopes = 0.5 * (np.exp(log_p) - targets)
        value = -0.5 * (targets * log_p).sum() + 0.5 * (w**2).sum()
        return value, np.concatenate([(matrix.T @ slopes + w).ravel(), slopes.sum(axis=0)])

    best = minimize(objective, np.zeros(matrix.shape[1] * 4 + 4), jac=True, method="L-BFGS-B", options={"gtol": 1e-9})
    ours = objective(np.concatenate([fitted.weights.ravel(), fitted.intercepts]))[0]
    assert np.isclose(ours, best.fun, rtol=1e-7)
    assert np.allclose(fitted.weights.ravel(), best.x[:-4], atol=2e-3)


def test_lambda_moves_choices_to_cheaper_models(make: Any) -> None:
    """From soft targets at lambda 0 to the hard label, the mean cost of the choices falls."""
    train = make.random(400)
    costs = []
    for lam in (0.0, 10.0, 100.0, float("inf")):
        fitted = Linear(LinearParams(lambda_=lam)).fit(train, train, make.context(train)[0])
        costs.append(train.cost[np.arange(400), fitted.route(train.queries)].mean())

    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.7 * costs[0]


def test_a_solver_that_is_cut_short_says_so(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Too few steps are a warning that names the parameter."""
    train = make.random(200)
    for router in (Ovr(OvrParams(max_iter=1)), Linear(LinearParams(max_iter=1))):
        router.fit(train, train, make.context(train)[0])

    assert [r.message for r in caplog.records] == [
        f"{name}: not solved after 1 steps; set max_iter higher" for name in ("ovr", "linear")
    ]


def test_fits_report_progress_and_curves(make: Any) -> None:
    """Progress never passes its total; the reference logs loss and dev score per epoch, the others the slope."""
    train, dev = make.random(200), make.random(60, seed=1)
    for router, key in (
        (Ovr(OvrParams()), "slope"),
        (Linear(LinearParams()), "slope"),
        (Linear(LinearParams(variant="reference")), "dev_score"),
    ):
        context, logged = make.context(dev)
        router.fit(train, dev, context)
        assert logged.progress
        assert all(done <= total for done, total in logged.progress)
        assert all(key in values for _, values in logged.curves)
        assert [step for step, _ in logged.curves] == sorted({step for step, _ in logged.curves})


def test_the_reference_stops_early_and_keeps_the_best_epoch(make: Any) -> None:
    """With a dev score that only falls, the first epoch's weights, after patience + 1 epochs."""
    train, dev = make.random(100), make.random(40, seed=1)
    falling = iter(np.linspace(0.9, 0.1, 100).tolist())
    seen = []

    def dev_score(choices: Any) -> float:
        seen.append(choices)
        return float(next(falling))

    context = attrs.evolve(make.context(dev)[0], dev_score=dev_score)
    fitted = Linear(LinearParams(variant="reference", patience=4)).fit(train, dev, context)
    assert len(seen) == 5
    assert fitted.route(dev.queries).tolist() == seen[0].tolist()


def test_initial_weights_are_bounded_and_drawn_from_the_given_generator() -> None:
    """Uniform within 1 / sqrt(inputs), as torch draws them."""
    drawn = initial(100, 5, np.random.default_rng(1))

    assert drawn.shape == (5, 101)
    assert 0.09 < np.abs(drawn).max() <= 0.1
    assert np.array_equal(drawn, initial(100, 5, np.random.default_rng(1)))


def test_a_dev_score_that_is_undefined_selects_nothing(make: Any) -> None:
    """If it always is, there is no model, and the error says why and what to do."""
    train = make.random(60)
    context = attrs.evolve(make.context(train)[0], dev_score=lambda _: Undefined("the mean cost is 0"))
    with pytest.raises(
        DataError, match=r"linear: no epoch could be selected on dev: the mean cost is 0\n.*early_stopping = false"
    ):
        Linear(LinearParams(variant="reference")).fit(train, train, context)


def test_margins_of_any_size_have_a_softmax() -> None:
    """Row by row, without overflow; margins that are large in one row take nothing from another."""
    margins = np.array([[1e4, 1e4 - 1.0], [-1e4, -1e4 - 1.0], [0.0, -1.0]])
    assert np.allclose(softmax(margins), [[1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(1.0))]] * 3)
