"""What routers, encoders and metrics get and return.

Shapes: n samples, k candidate models.  The *quality matrix* ``Y[n, k]`` says whether a model's answer counts as correct, the
*cost matrix* ``C[n, k]`` holds US dollars per sample (VL-RouterBench, arXiv 2512.23562, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import attrs

from vlrb.api.frozen import Array, as_tuple, sealed

if TYPE_CHECKING:
    import numpy as np

    from vlrb.api.images import Images

T = TypeVar("T")


@attrs.frozen
class Undefined:
    """A metric without a value, and why; ``kind`` is ``failed`` where the metric raised."""

    reason: str
    kind: Literal["undefined", "failed"] = "undefined"

    def __str__(self) -> str:
        return f"undefined: {self.reason}"


MetricValue = float | Undefined


@attrs.frozen
class Candidate:
    """A model that may be chosen, with its prices in USD per million tokens (None where the logs gave costs instead)."""

    name: str
    input_price: float | None = None
    output_price: float | None = None
    parameters: float | None = None


@attrs.frozen
class Column:
    """A column of a feature matrix; a categorical one holds codes below ``categories`` (0: the encoder does not say)."""

    name: str
    kind: Literal["dense", "numeric", "categorical"] = "dense"
    may_be_missing: bool = False
    categories: int = 0


@attrs.frozen(eq=False)
class Features:
    """A float32 matrix [n, d] and its d columns.  NaN only in columns that may be missing.

    Rows and columns that were taken of a matrix are copied when ``matrix`` is first asked for, and not before: a router that works
    on few samples at a time, or needs few columns, needs memory for these only.
    """

    _whole: Array = attrs.field(alias="matrix")
    columns: tuple[Column, ...]
    _rows: Array | None = attrs.field(default=None, init=False)
    _places: Array | None = attrs.field(default=None, init=False)

    @cached_property
    def matrix(self) -> Array:
        """The values, float32[n, d]."""
        matrix = self._whole
        if self._rows is None and self._places is None:
            return matrix
        if self._places is not None:
            rows = slice(None) if self._rows is None else self._rows[:, None]
            return sealed(matrix[rows, self._places])
        return sealed(matrix[self._rows])

    def take(self, rows: Array) -> Features:
        """Return the features of some rows."""
        import numpy as np

        of_whole = np.arange(len(self._whole)) if self._rows is None else self._rows
        return self._part(self.columns, of_whole[rows], self._places)

    def select(self, places: Sequence[int]) -> Features:
        """Return some of the columns, by their places."""
        import numpy as np

        kept = np.asarray(places, dtype=np.intp)
        columns = tuple(self.columns[j] for j in kept.tolist())
        return self._part(columns, self._rows, kept if self._places is None else self._places[kept])

    def _part(self, columns: tuple[Column, ...], rows: Array | None, places: Array | None) -> Features:
        part = Features(self._whole, columns)
        object.__setattr__(part, "_rows", rows)
        object.__setattr__(part, "_places", places)
        return part


@attrs.frozen(eq=False)
class Queries:
    """What a router sees of n samples: never an answer, a score, a cost or a dataset name.

    ``ids`` are hashes of the sample ids, which would name the dataset.
    """

    ids: tuple[str, ...] = attrs.field(converter=as_tuple)
    texts: tuple[str, ...] = attrs.field(converter=as_tuple)
    options: tuple[tuple[tuple[str, str], ...], ...] = attrs.field(converter=as_tuple)
    hints: tuple[str, ...] = attrs.field(converter=as_tuple)
    images: Images
    candidates: tuple[Candidate, ...]
    features: Features | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Array) -> Queries:
        """Return some of the queries, in the order of ``rows``."""
        index = rows.tolist()
        taken: dict[str, Any] = {n: [getattr(self, n)[i] for i in index] for n in ("ids", "texts", "options", "hints")}
        features = self.features.take(rows) if self.features is not None else None
        return attrs.evolve(self, images=self.images.take(rows), features=features, **taken)


@attrs.frozen(eq=False)
class Labelled:
    """Queries with the outcomes of every candidate: Y (bool[n, k]), raw score and cost (float64[n, k], USD)."""

    queries: Queries
    quality: Array
    score: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.queries)


@attrs.frozen
class CostBounds:
    """Smallest and largest mean cost (USD per sample) of the candidates on ``rows``; ``free`` are those with mean cost 0."""

    low: float
    high: float
    rows: str = "train"
    free: tuple[str, ...] = ()


Scalar = str | float | int | bool | None
"""A JSON value other than a list or an object; infinite numbers are allowed."""


@attrs.frozen(eq=False)
class FitContext:
    """What ``fit`` may use in addition to the data.

    ``dev_score(choices)`` is the selection metric on the dev split, turned so that larger is better.  ``rng`` is seeded by the seed
    and the router's label, so that adding a router to an experiment changes no other router's numbers.

    ``kept`` is None in a first fit; in a refit, on train and dev together, it holds what the first fit's ``kept`` said
    (:class:`WithKept`): dev is then part of train, and may decide nothing.
    """

    candidates: tuple[Candidate, ...]
    bounds: CostBounds
    dev_score: Callable[[Array], MetricValue]
    rng: np.random.Generator
    seed: int
    device: str
    threads: int
    work_directory: Path
    progress: Callable[[int, int], None]
    log: Callable[[int, Mapping[str, float]], None]
    kept: Mapping[str, Scalar] | None = None


@attrs.frozen(eq=False)
class Estimate:
    """Probability of a correct answer and expected cost (USD), both float64[n, k]."""

    p_correct: Array
    cost: Array


class Fitted(Protocol):
    """A fitted router; it may also have what the protocols ``WithScores``, ``WithEstimate`` ... below declare."""

    def route(self, queries: Queries) -> Array:
        """Return the index of the chosen candidate for every query, int[n]."""

    def save(self, directory: Path) -> None:
        """Write the fitted router without pickle."""


@runtime_checkable
class WithScores(Protocol):
    """A fitted router that ranks the candidates."""

    def scores(self, queries: Queries) -> Array:
        """Return float[n, k], whose argmax equals ``route``."""


@runtime_checkable
class WithEstimate(Protocol):
    """A fitted router that estimates probabilities and costs."""

    def estimate(self, queries: Queries) -> Estimate:
        """Return the estimates of every candidate on every query."""


@runtime_checkable
class WithChosen(Protocol):
    """A fitted router whose fit chose some of its parameters on dev, such as lambda.

    ``chosen`` maps their names, as in TOML, to JSON scalars, infinite numbers included; every table shows it.
    """

    chosen: Mapping[str, Scalar]


@runtime_checkable
class WithKept(Protocol):
    """A fitted router whose fit decided more on dev than parameters: how long it trained, how it is calibrated.

    ``kept`` maps names to JSON scalars, such as ``{"epochs": 12}``; a refit gets them as :attr:`FitContext.kept`.
    """

    kept: Mapping[str, Scalar]


@runtime_checkable
class WithBorrowedTime(Protocol):
    """A fitted router that reuses another router's work, whose ``borrowed_seconds`` are added to the last fit's or route's time.

    None after ``route`` says that the choices were made elsewhere in an unknown time: metrics of time are then undefined.
    """

    borrowed_seconds: float | None


class Router(Protocol):
    """Learns to choose."""

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
        """Learn from ``train``; ``dev`` is for early stopping and selection only."""


@attrs.frozen(eq=False)
class EncodedFeatures:
    """The features of some samples by one encoder, and what it looks at."""

    features: Features
    modality: Literal["text", "image", "both"]


class Fusion(Protocol):
    """Makes one feature matrix of what several encoders made of the same samples."""

    def __call__(self, parts: Sequence[EncodedFeatures], /) -> Features:
        """Return the fused features, a row per sample, which does not depend on the other samples: they come in blocks.

        :raises DataError: when there are no encoders to fuse
        """


class Encoder(Protocol):
    """Turns queries into features.  Stateless: whatever must be fitted belongs to a router."""

    def encode(self, queries: Queries) -> Features:
        """Return a row of features per query, which does not depend on the other queries."""


@attrs.frozen
class Timing:
    """Seconds that routing and encoding took for ``requests`` queries."""

    requests: int
    route_seconds: float
    encode_seconds: float


def given(value: T | Callable[[], T]) -> T:
    """Return a value that may be given as a function that returns it."""
    return value() if callable(value) else value


@attrs.frozen(eq=False)
class Evaluation:
    """What a metric sees: a router's choices int[n] on some rows, and the outcomes of all candidates on them.

    ``models`` are the candidates' names.  ``quality`` is bool[n, k]; ``score`` and ``cost`` are float64[n, k]; the tokens are
    integers [n, k].  ``best_single`` is the accuracy on these rows of the model that is most accurate on train, ``oracle`` that
    of the Oracle; ``best_single_choices`` and ``oracle_choices`` int[n] are what these two choose.  Instead of what few metrics
    look at, a function that returns it may be given: scores, tokens and estimates are copied or read when a metric asks for them.

    Where points of a sweep are compared by ``rule = "predicted"``, ``quality`` and ``score`` are the router's calibrated estimates,
    float64[n, k], and the Oracle chooses by them.
    """

    choices: Array
    quality: Array
    _score: Array | Callable[[], Array]
    cost: Array
    _input_tokens: Array | Callable[[], Array]
    _output_tokens: Array | Callable[[], Array]
    bounds: CostBounds
    best_single: float
    oracle: float
    best_single_choices: Array
    oracle_choices: Array
    models: tuple[str, ...]
    timing: Timing | None = None
    _estimate: Estimate | Callable[[], Estimate] | None = None

    @property
    def has_estimate(self) -> bool:
        """Whether the router gives estimates."""
        return self._estimate is not None

    @property
    def estimate(self) -> Estimate | None:
        """What the router estimated, None where it gives no estimates."""
        return given(self._estimate)

    @property
    def score(self) -> Array:
        """The scores, float64[n, k]."""
        return given(self._score)

    @property
    def input_tokens(self) -> Array:
        """The input tokens, int[n, k]; -1 where the logs give costs instead."""
        return given(self._input_tokens)

    @property
    def output_tokens(self) -> Array:
        """The output tokens, int[n, k]; -1 where the logs give costs instead."""
        return given(self._output_tokens)

    def chosen(self, matrix: Array) -> Array:
        """Return the entries [n] of a matrix [n, k] at the chosen models."""
        import numpy as np

        return np.take_along_axis(matrix, self.choices[:, None].astype(np.intp), axis=1)[:, 0]


class Metric(Protocol):
    """A number over an evaluation."""

    def __call__(self, evaluation: Evaluation, /) -> MetricValue:
        """Return the value, or Undefined with a reason."""


@runtime_checkable
class OfMeans(Protocol):
    """A metric that is a function of means of per-sample columns: its intervals cost one matrix product for all draws.

    Other metrics are computed again on the rows of every draw.
    """

    def columns(self, evaluation: Evaluation) -> Mapping[str, Array]:
        """Return name -> finite float64[n], the columns whose means the metric is a function of."""

    def of_means(self, means: Mapping[str, Array], bounds: CostBounds) -> Array:
        """Return float64 of the shape that the means of the columns have, NaN where the metric is undefined."""


@runtime_checkable
class WithCautions(Protocol):
    """A metric that knows where it misleads."""

    def cautions(self, evaluation: Evaluation) -> Sequence[str]:
        """Return a sentence for each thing that makes the metric misleading on these samples, whatever a router chooses.

        :param evaluation: of the best single model
        """
