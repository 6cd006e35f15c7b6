"""The routers linear and mlp, and early stopping, each against plain loops over their definitions."""

from __future__ import annotations

import copy
import math
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb_plugins.feature_routers import linear, mlp
from vlrb_plugins.feature_routers.params import LinearParams, MlpParams

Rows = list[list[float]]

FEATURES = [[1.0, -2.0], [0.0, 1.0], [3.0, 0.5], [-1.0, 0.0], [2.0, 2.0], [0.5, -1.0], [9.0, 9.0]]
RIGHT = [[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 0]]  # nobody is right on the last
USD = [[0.02, 0.01, 0.001], [0.02, 0.01, 0.002], [0.03, 0.01, 0.001], [0.02, 0.01, 0.001], [0.02, 0.02, 0.01]] + [
    [0.02, 0.01, 0.001]
] * 2
SOLVED = range(6)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def standardised(ddof: int) -> Rows:
    """Return the solved rows, less the mean of each column, over its standard deviation."""
    columns = []
    for j in range(2):
        values = [FEATURES[i][j] for i in SOLVED]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - ddof))
        columns.append([(v - mean) / deviation for v in values])
    return [list(row) for row in zip(*columns, strict=True)]


def targets(price: float) -> Rows:
    """Return for each solved row exp(-price * USD) over the correct models, divided by their sum; inf: the cheapest alone."""
    rows = []
    for i in SOLVED:
        allowed = [m for m in range(3) if RIGHT[i][m]]
        if math.isinf(price):
            best = min(allowed, key=lambda m, i=i: USD[i][m])  # type: ignore[misc]
            rows.append([float(m == best) for m in range(3)])
        else:
            weights = [math.exp(-price * USD[i][m]) if m in allowed else 0.0 for m in range(3)]
            rows.append([w / sum(weights) for w in weights])
    return rows


def layer(weights: Rows, biases: list[float], row: list[float]) -> list[float]:
    """Return weights times a row, plus biases."""
    return [sum(w * x for w, x in zip(ws, row, strict=True)) + b for ws, b in zip(weights, biases, strict=True)]


def shares(logits: list[float]) -> list[float]:
    """Return the softmax."""
    powers = [math.exp(x) for x in logits]
    return [p / sum(powers) for p in powers]


class Adam:
    """Adam's steps on a list of numbers."""

    def __init__(self, numbers: int, rate: float) -> None:
        self.rate, self.t = rate, 0
        self.first, self.second = [0.0] * numbers, [0.0] * numbers

    def step(self, point: list[float], gradient: list[float]) -> list[float]:
        """Return the point after a step."""
        self.t += 1
        moved = []
        for i, (x, g) in enumerate(zip(point, gradient, strict=True)):
            self.first[i] = BETA1 * self.first[i] + (1 - BETA1) * g
            self.second[i] = BETA2 * self.second[i] + (1 - BETA2) * g * g
            mean, square = self.first[i] / (1 - BETA1**self.t), self.second[i] / (1 - BETA2**self.t)
            moved.append(x - self.rate * mean / (math.sqrt(square) + EPSILON))
        return moved


@pytest.fixture
def train(make: Any) -> Any:
    """Return the samples above."""
    return make.labelled(FEATURES, RIGHT, USD)


# --- linear -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("lam", [0.0, 1.0, math.inf])
def test_published_linear_is_where_every_slope_is_0(make: Any, train: Any, lam: float, c: float) -> None:
    """Of C * sum of cross-entropies + |W|^2 / 2, which is convex: flat is the minimum.  Soft targets price at lambda * 100."""
    params = LinearParams(lambda_=lam, c=c, tolerance=1e-10, max_iter=1000)
    fitted = linear.Linear(params).fit(train, train, make.context(train)[0])
    weights, intercepts = fitted.weights.T.tolist(), fitted.intercepts.tolist()

    slopes, free = copy.deepcopy(weights), [0.0] * 3
    for row, target in zip(standardised(ddof=0), targets(100 * lam), strict=True):
        for m, p in enumerate(shares(layer(weights, intercepts, row))):
            free[m] += c * (p - target[m])
            for j in range(2):
                slopes[m][j] += c * (p - target[m]) * row[j]
    assert np.allclose(slopes, 0, atol=1e-5)
    assert np.allclose(free, 0, atol=1e-5)
    assert fitted.scores(train.queries)[0].tolist() == pytest.approx(
        shares(layer(weights, intercepts, standardised(ddof=0)[0])), abs=1e-6
    )


def reference_linear(start: list[float], price: float, penalty: float, rate: float, epochs: int) -> list[float]:
    """Return two weights and an intercept per model after steps of Adam on the mean cross-entropy + penalty * |all|^2 / 2."""
    rows, goals = standardised(ddof=1), targets(price)
    point, adam = start, Adam(9, rate)
    for _ in range(epochs):
        gradient = [penalty * x for x in point]
        for row, goal in zip(rows, goals, strict=True):
            extended = [*row, 1.0]
            logits = [sum(point[3 * m + j] * extended[j] for j in range(3)) for m in range(3)]
            for m, p in enumerate(shares(logits)):
                for j in range(3):
                    gradient[3 * m + j] += (p - goal[m]) * extended[j] / len(rows)
        point = adam.step(point, gradient)
    return point


START = [[0.3, -0.2, 0.1], [0.0, 0.4, -0.3], [-0.5, 0.1, 0.2]]


@pytest.mark.parametrize("lam", [0.0, 50.0, math.inf])
def test_the_references_linear(make: Any, train: Any, lam: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps of Adam on all rows; the penalty holds intercepts too, deviations divide by n - 1, and lambda prices a dollar."""
    monkeypatch.setattr(linear, "initial", lambda *_: np.array(START))
    params = LinearParams(
        variant="reference", lambda_=lam, c=2.0, learning_rate=0.05, max_iter=10, early_stopping=False
    )
    fitted = linear.Linear(params).fit(train, train, make.context(train)[0])

    expected = np.array(reference_linear(sum(START, []), lam, 0.5, 0.05, 10)).reshape(3, 3)  # noqa: RUF017
    assert np.allclose(fitted.weights.T, expected[:, :2], atol=1e-5)
    assert np.allclose(fitted.intercepts, expected[:, 2], atol=1e-5)


def test_the_references_linear_logs_its_loss(make: Any, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each step: the mean cross-entropy, and the penalty on all weights and intercepts."""
    monkeypatch.setattr(linear, "initial", lambda *_: np.array(START))
    context, logged = make.context(train)
    params = LinearParams(
        variant="reference", lambda_=50.0, c=2.0, learning_rate=0.05, max_iter=3, early_stopping=False
    )
    linear.Linear(params).fit(train, train, context)

    expected = []
    for epochs in range(3):
        point, total = reference_linear(sum(START, []), 50.0, 0.5, 0.05, epochs), 0.0  # noqa: RUF017
        for row, goal in zip(standardised(ddof=1), targets(50.0), strict=True):
            logits = [sum(point[3 * m + j] * [*row, 1.0][j] for j in range(3)) for m in range(3)]
            total -= sum(g * math.log(p) for g, p in zip(goal, shares(logits), strict=True))
        expected.append(total / len(standardised(ddof=1)) + 0.5 * 0.5 * sum(x * x for x in point))
    assert [step for step, _ in logged.curves] == [1, 2, 3]
    assert [values["loss"] for _, values in logged.curves] == pytest.approx(expected, abs=1e-5)


def test_the_references_linear_keeps_the_best_epoch(make: Any, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the best dev score in its third epoch, the weights are those after three steps."""
    monkeypatch.setattr(linear, "initial", lambda *_: np.array(START))
    scores = iter([0.1, 0.1, 0.6, 0.5, 0.6, 0.6, 0.9])
    context = attrs.evolve(make.context(train)[0], dev_score=lambda _: next(scores))
    params = LinearParams(variant="reference", c=2.0, learning_rate=0.05, max_iter=10)
    fitted = linear.Linear(params).fit(train, train, context)

    expected = np.array(reference_linear(sum(START, []), math.inf, 0.5, 0.05, 3)).reshape(3, 3)  # noqa: RUF017
    assert np.allclose(fitted.weights.T, expected[:, :2], atol=1e-5)


# --- mlp --------------------------------------------------------------------------------------------------------------------


class Network:
    """One hidden layer of rectified units; all numbers in one list: weights and biases of the one layer, then of the other."""

    def __init__(self, hidden: int, numbers: list[float]) -> None:
        self.hidden, self.numbers = hidden, numbers
        first = hidden * 2
        self.biases = {*range(first, first + hidden), *range(len(numbers) - 3, len(numbers))}

    def layers(self) -> tuple[Rows, list[float], Rows, list[float]]:
        """Return the weights and biases."""
        h, x = self.hidden, self.numbers
        w2 = 3 * h
        rows = [x[2 * i : 2 * i + 2] for i in range(h)], [x[w2 + h * m : w2 + h * m + h] for m in range(3)]
        return rows[0], x[2 * h : w2], rows[1], x[w2 + 3 * h :]

    def gradient(self, rows: Rows, goals: Rows) -> list[float]:
        """Return the slopes of the mean cross-entropy, by the chain rule."""
        w1, b1, w2, b2 = self.layers()
        h, slopes = self.hidden, [0.0] * len(self.numbers)
        for row, goal in zip(rows, goals, strict=True):
            before = layer(w1, b1, row)
            units = [max(0.0, v) for v in before]
            errors = [(p - g) / len(rows) for p, g in zip(shares(layer(w2, b2, units)), goal, strict=True)]
            for m, error in enumerate(errors):
                slopes[len(slopes) - 3 + m] += error
                for i in range(h):
                    slopes[3 * h + h * m + i] += error * units[i]
            for i in range(h):
                back = sum(error * w2[m][i] for m, error in enumerate(errors)) if before[i] > 0 else 0.0
                slopes[2 * h + i] += back
                for j in range(2):
                    slopes[2 * i + j] += back * row[j]
        return slopes


@pytest.mark.parametrize("variant", ["published", "reference"])
@pytest.mark.parametrize(("lam", "batch"), [(1.0, 100), (math.inf, 4), (0.0, 2)])
def test_mlp(make: Any, train: Any, variant: Any, lam: float, batch: int) -> None:
    """Three epochs of Adam with weight decay, from the weights and in the order that torch draws for the seed."""
    torch = pytest.importorskip("torch")
    hidden, decay, rate, epochs = 4, 0.1, 0.05, 3
    with torch.random.fork_rng():
        torch.manual_seed(42)
        drawn = [torch.nn.Linear(2, hidden), torch.nn.Linear(hidden, 3)]
        orders = [torch.randperm(len(SOLVED)).tolist() for _ in range(epochs)]
    start = [x for module in drawn for p in (module.weight, module.bias) for x in p.detach().flatten().tolist()]
    network, adam = Network(hidden, start), Adam(len(start), rate)
    rows, goals = standardised(ddof=0), targets(100 * lam)
    for order in orders:
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            slopes = network.gradient([rows[i] for i in some], [goals[i] for i in some])
            for i, x in enumerate(network.numbers):
                if variant == "reference" or i not in network.biases:
                    slopes[i] += decay * x
            network.numbers = adam.step(network.numbers, slopes)

    given = {"alpha": decay, "learning_rate": rate, "max_iter": epochs, "batch_size": batch, "early_stopping": False}
    params = MlpParams(variant=variant, lambda_=lam, hidden=(hidden,), **given)  # type: ignore[arg-type]
    fitted = mlp.Mlp(params).fit(train, train, make.context(train, seed=42)[0])
    w1, b1, w2, b2 = network.layers()
    for (weight, bias), expected in zip(fitted.layers, ((w1, b1), (w2, b2)), strict=True):
        assert np.allclose(weight, expected[0], atol=1e-5)
        assert np.allclose(bias, expected[1], atol=1e-5)
    scores = [shares(layer(w2, b2, [max(0.0, v) for v in layer(w1, b1, row)])) for row in rows]
    assert np.allclose(fitted.scores(train.queries)[: len(rows)], scores, atol=1e-5)
