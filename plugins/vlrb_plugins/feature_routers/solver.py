"""Regularised logistic regression, many at once: L-BFGS whose line search needs no product with the data.

Along a direction the margins of all samples change linearly, so the step is found, by Newton's method in one dimension, from
margins alone.  A step costs two products with the data, however many problems share it.  The curvature that L-BFGS starts from
is that of equally uncertain samples, once problems turn out not to be easy: features that go together then need no steps to be
told apart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import attrs
import numpy as np

from vlrb import Array, FitContext

logger = logging.getLogger("vlrb")

MEMORY = 20
"""Steps that the curvature is estimated from."""

FLAT = 0.05
"""A step is long enough when the slope along it has fallen to this share."""

TRIALS = 30
"""Most step lengths that are tried."""

NEGLIGIBLE = 1e-15
"""A decrease of the mean loss that is not worth a further step."""


EASY = 15
"""Steps after which the features' products with each other are worth their time; a joint problem is taken for hard at once."""

WIDEST = 4096
"""Most features whose products with each other are used: that takes time that grows with d^3."""

ROUNDING = 1e-6
"""What single precision loses of the largest eigenvalue."""

SMALLEST_BEND = 1e-6
"""Least curvature that is assumed: a column that nearly no sample is of would take steps without end."""


class Loss(Protocol):
    """A mean loss as a function of the margins float64[n, p]."""

    @property
    def joint(self) -> bool:
        """Whether the p columns are one problem, or one each."""

    def slopes(self, margins: Array) -> Array:
        """Return the derivatives by the margins, float64[n, p]."""

    def curvature(self, margins: Array, slopes: Array, along: Array) -> Array:
        """Return the second derivative along a direction of the margins, of every column's share, float64[p]."""

    def bends(self, slopes: Array) -> Array:
        """Return the sum of the second derivatives of the mean loss by each column's margins, float64[p]."""

    def only(self, columns: Array) -> Loss:
        """Return the loss of some of its problems."""


@attrs.frozen(eq=False)
class Binary:
    """Weighted logistic losses of p separate yes-or-no questions: ``right`` is 0 or 1, the columns of ``weights`` add to 1."""

    right: Array
    weights: Array
    joint: bool = attrs.field(default=False, init=False)

    def slopes(self, margins: Array) -> Array:
        """Return the derivatives by the margins."""
        slopes = sigmoid(margins)
        slopes -= self.right
        slopes *= self.weights
        return slopes

    def curvature(self, margins: Array, slopes: Array, along: Array) -> Array:  # noqa: ARG002
        """Return the second derivatives along a direction."""
        return np.asarray(np.einsum("ij,ij->j", self._bends(slopes), along**2))

    def bends(self, slopes: Array) -> Array:
        """Return the sums of weighted p (1 - p)."""
        return np.asarray(self._bends(slopes).sum(axis=0))

    def _bends(self, slopes: Array) -> Array:
        """Return weighted p (1 - p), float64[n, p], in place where it can be: the matrices may be as large as the benchmark."""
        p = slopes / self.weights
        p += self.right
        weighted: Array = self.weights * p
        np.subtract(1, p, out=p)
        weighted *= p
        return weighted

    def only(self, columns: Array) -> Binary:
        """Return some of the questions."""
        return Binary(self.right[:, columns], self.weights[:, columns])


@attrs.frozen(eq=False)
class Softmax:
    """The mean cross-entropy between the softmax of the margins and targets [n, p] whose rows add to 1."""

    targets: Array
    joint: bool = attrs.field(default=True, init=False)

    def slopes(self, margins: Array) -> Array:
        """Return the derivatives by the margins."""
        return np.asarray((softmax(margins) - self.targets) / len(self.targets))

    def curvature(self, margins: Array, slopes: Array, along: Array) -> Array:  # noqa: ARG002
        """Return the second derivative along a direction, by columns."""
        p = slopes * len(self.targets) + self.targets
        mean = np.einsum("ij,ij->i", p, along)[:, None]
        return np.asarray(np.einsum("ij,ij->j", p, along * (along - mean)) / len(self.targets))

    def bends(self, slopes: Array) -> Array:
        """Return the means of p (1 - p)."""
        p = slopes * len(self.targets) + self.targets
        return np.asarray((p * (1 - p)).mean(axis=0))

    def only(self, columns: Array) -> Softmax:  # noqa: ARG002
        """Return itself: there is one problem."""
        return self


@attrs.frozen(eq=False)
class Solution:
    """Weights float64[d, p] and intercepts float64[p]; how many steps were made, and whether these were enough.

    They were when every slope is flat, or when no step makes the loss smaller by more than rounding does.
    """

    weights: Array
    intercepts: Array
    steps: int
    converged: bool


@attrs.frozen(eq=False)
class _Spectrum:
    """The mean products of features with each other, [d, d], as eigenvalues float32[d] and, by column, eigenvectors float32[d, d].

    Features that go together would otherwise cost most of the steps, which are spent on telling them apart.  Without vectors the
    values are the features' mean squares.
    """

    values: Array
    vectors: Array | None

    @classmethod
    def of(cls, matrix: Array) -> _Spectrum:
        """Return those of a matrix; of a very wide one only the diagonal."""
        from scipy.linalg import eigh

        n, width = matrix.shape
        if width > WIDEST:
            values, vectors = np.einsum("ij,ij->j", matrix, matrix) / n, None
        else:
            values, vectors = eigh(matrix.T @ matrix / n, overwrite_a=True, check_finite=False)
        return cls(np.maximum(values, ROUNDING * values.max(initial=1.0)), vectors)


@attrs.define(eq=False)
class _State:
    """The problems that are being solved: parameters and gradient [d + 1, p], margins [n, p], and what the steps told."""

    columns: Array
    loss: Loss
    point: Array
    margins: Array
    gradient: Array
    bends: Array
    penalty: float
    spectrum: _Spectrum | None = None
    history: list[tuple[Array, Array]] = attrs.field(factory=list)

    def dot(self, a: Array, b: Array) -> Array:
        """Return inner products by problem, [1, p] or [1, 1]."""
        return self.totals(np.einsum("ij,ij->j", a, b))

    def totals(self, shares: Array) -> Array:
        """Add up what the columns of a problem contribute."""
        return np.asarray(shares.sum(keepdims=True) if self.loss.joint else shares)[None]

    def steepest(self) -> Array:
        """Return the largest slope of every problem."""
        largest = np.abs(self.gradient).max(axis=0)
        return np.asarray(largest.max(keepdims=True) if self.loss.joint else largest)

    def keep(self, mask: Array) -> None:
        """Go on with some of the problems."""
        index = np.flatnonzero(mask)
        self.columns, self.loss = self.columns[index], self.loss.only(index)
        self.point, self.margins, self.gradient = self.point[:, index], self.margins[:, index], self.gradient[:, index]
        self.bends = self.bends[index]
        self.history = [(s[:, index], y[:, index]) for s, y in self.history]

    def straightened(self, vectors: Array) -> Array:
        """Return vectors [d + 1, p] times the inverse of about the curvature: that of samples that are all alike to a column."""
        if self.spectrum is None:
            return vectors
        bends, among = np.maximum(self.bends, SMALLEST_BEND), vectors[:-1].astype(np.float32)
        axes = self.spectrum.vectors
        among = among if axes is None else axes.T @ among
        among /= (self.spectrum.values[:, None] * bends + self.penalty).astype(np.float32)
        return np.vstack([among if axes is None else axes @ among, vectors[-1:] / bends])

    def direction(self) -> Array:
        """Return minus the gradient, times the inverse curvature that the history tells of."""
        step = -self.gradient
        shares = []
        for moved, change in reversed(self.history):
            share = self.dot(moved, step) / self.dot(moved, change)
            step = step - share * change
            shares.append(share)
        if self.history:
            moved, change = self.history[-1]
            step = step * (self.dot(moved, change) / self.dot(change, self.straightened(change)))
        step = self.straightened(step)
        for (moved, change), share in zip(self.history, reversed(shares), strict=True):
            step = step + moved * (share - self.dot(change, step) / self.dot(moved, change))
        return np.asarray(step)


class Solvable(Protocol):
    """Parameters that say how long to look for the minimum."""

    @property
    def c(self) -> float:
        """The inverse strength of the penalty, as scikit-learn has it."""

    @property
    def tolerance(self) -> float:
        """The largest slope at which a problem is solved."""

    @property
    def max_iter(self) -> int:
        """Most steps."""


def solve(matrix: Array, loss: Loss, problems: int, params: Solvable, context: FitContext, router: str) -> Solution:
    """Minimise as a router's parameters ask for it, and tell of the progress; a warning says when ``max_iter`` is too low.

    :param matrix: float32[n, d]
    """
    most = params.max_iter

    def progress(step: int, slope: float) -> None:
        context.progress(min(step, most), most)
        context.log(step, {"slope": slope})

    penalty = 1.0 / (params.c * len(matrix))
    solution = minimise(matrix, loss, penalty, problems, tolerance=params.tolerance, max_iter=most, progress=progress)
    if not solution.converged:
        logger.warning("%s: not solved after %d steps; set max_iter higher", router, most)
    return solution


def minimise(
    matrix: Array,
    loss: Loss,
    penalty: float,
    problems: int,
    *,
    tolerance: float,
    max_iter: int,
    progress: Callable[[int, float], None],
) -> Solution:
    """Return the minimum of ``loss(matrix @ w + b) + penalty / 2 * |w|^2``; intercepts are not penalised.

    :param matrix: float32[n, d]
    :param tolerance: a problem is solved when no slope is larger
    :param progress: is told, before each step, how many were made and the largest slope
    """
    point = np.zeros((matrix.shape[1] + 1, problems))
    margins = np.zeros((len(matrix), problems))
    slopes = loss.slopes(margins)
    state = _State(np.arange(problems), loss, point.copy(), margins, point, loss.bends(slopes), penalty)
    state.gradient = _gradient(matrix, state, slopes)
    step = 0
    while True:
        point[:, state.columns] = state.point
        steep = state.steepest() > tolerance
        progress(step, float(state.steepest().max(initial=0.0)))
        if not steep.any() or step == max_iter:
            break
        if not steep.all():
            state.keep(steep)
        if step == (0 if loss.joint else EASY):
            state.spectrum = _Spectrum.of(matrix)
        moving = _move(matrix, state)
        step += 1
        if not moving.all():
            point[:, state.columns] = state.point
            if not moving.any():
                break
            state.keep(moving)
    solved = step < max_iter or not steep.any()
    return Solution(point[:-1], point[-1], step, solved)


def _move(matrix: Array, state: _State) -> Array:
    """Make one step; return which of the problems still get anywhere."""
    direction = state.direction()
    along = matrix @ direction[:-1].astype(np.float32) + direction[-1]
    weights, towards = state.point[:-1], direction[:-1]
    bend = state.penalty * state.dot(towards, towards)
    tilt = state.penalty * state.dot(weights, towards)
    first = state.dot(state.gradient, direction)
    length, slopes = _length(state, along, first, tilt, bend)
    state.point = state.point + length * direction
    state.margins = state.margins + length * along
    state.bends = state.loss.bends(slopes)
    gradient = _gradient(matrix, state, slopes)
    change = gradient - state.gradient
    moved = np.asarray(length * direction)
    state.gradient = gradient
    good = (state.dot(moved, change) > 0).all()
    state.history = [*state.history, (moved, change)][-MEMORY:] if good else []
    return np.asarray((-first * length / 2 > NEGLIGIBLE)[0])


def _length(state: _State, along: Array, first: Array, tilt: Array, bend: Array) -> tuple[Array, Array]:
    """Return how far to go, by problem, and the derivatives by the margins there.

    The slope along a convex function grows: its zero lies between lengths where it is below and above.
    """
    length, low, high = np.ones_like(first), np.zeros_like(first), np.full_like(first, np.inf)
    for _ in range(TRIALS):
        margins = state.margins + length * along
        slopes = state.loss.slopes(margins)
        slope = state.dot(slopes, along) + tilt + length * bend
        done = np.abs(slope) <= FLAT * np.abs(first)
        if done.all():
            break
        curve = state.totals(state.loss.curvature(margins, slopes, along)) + bend
        low, high = np.where(slope < 0, length, low), np.where(slope < 0, high, length)
        newton = length - slope / np.maximum(curve, 1e-300)
        middle = np.where(np.isinf(high), 10.0 * length, 0.5 * (low + np.minimum(high, 1e300)))
        inside = (newton > low) & (newton < np.minimum(high, 10.0 * length + 1e-300))
        length = np.where(done, length, np.where(inside, newton, middle))
    else:
        slopes = state.loss.slopes(state.margins + length * along)
    return length, slopes


def _gradient(matrix: Array, state: _State, slopes: Array) -> Array:
    gradient = np.empty_like(state.point)
    gradient[:-1] = matrix.T @ slopes.astype(np.float32)
    gradient[:-1] += state.penalty * state.point[:-1]
    gradient[-1] = slopes.sum(axis=0)
    return gradient


def sigmoid(margins: Array) -> Array:
    """Return 1 / (1 + exp(-margin)), without overflow."""
    from scipy.special import expit

    return np.asarray(expit(margins))


def softmax(margins: Array) -> Array:
    """Return the softmax of every row."""
    weights = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
