"""Data that crosses the edges between the core and the plugins, and the protocols that plugins implement.

Everything here is frozen through and through: tuples instead of lists, mappings that refuse changes, arrays on memory that
cannot be made writable again (:func:`sealed`).  The module imports neither numpy nor pyarrow nor PIL, so that a plugin can be
registered without paying for them.

Shapes: n samples, k candidate models.  The *quality matrix* ``Y[n, k]`` says whether a model's answer counts as correct,
the *cost matrix* ``C[n, k]`` holds US dollars per sample (VL-RouterBench, arXiv 2512.23562, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from vlrb.api.images import Images
    from vlrb.api.specs import Dataset, Model

    Array = npt.NDArray[Any]
else:
    Array = Any


@attrs.frozen
class Undefined:
    """A metric that has no value here, and why.  Never a NaN, 0 or -1."""

    reason: str

    def __str__(self) -> str:
        return f"undefined: {self.reason}"


MetricValue = float | Undefined


class FrozenDict(dict[Any, Any]):
    """A dictionary that cannot be changed: what observers see is what is written."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this is the run's own record: it cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def frozen(value: Any) -> Any:
    """Return a mapping, and whatever mappings and lists it holds, in a form that cannot be changed."""
    if type(value) is FrozenDict:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({k: frozen(v) for k, v in value.items()})
    return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple, which nobody can change."""
    return tuple(values)


# --- log sources ------------------------------------------------------------------------------------------------------


@attrs.frozen
class Part:
    """A piece of a log tree that is read on its own: the samples of a dataset, or one model's outcomes on a dataset.

    ``files`` are the files the part is read from; when none of them changed, it is not read again.  Without ``dataset`` or
    ``model`` the part holds several, and its rows say which.
    """

    id: str
    kind: Literal["samples", "outcomes"]
    files: tuple[Path, ...]
    dataset: str = ""
    model: str = ""


@attrs.frozen
class Catalog:
    """The datasets and models that are known to this experiment: those of plugins and those that the file declares.

    ``wanted_datasets`` and ``wanted_models`` are the names that ``[benchmark]`` asks for, or None for all there are.
    """

    datasets: tuple[Dataset, ...]
    models: tuple[Model, ...]
    wanted_datasets: frozenset[str] | None = None
    wanted_models: frozenset[str] | None = None

    def dataset(self, name: str) -> Dataset | None:
        """Return the dataset with this name or alias, or None."""
        return next((d for d in self.datasets if name == d.name or name in d.aliases), None)

    def model(self, name: str) -> Model | None:
        """Return the candidate model with this name or alias, or None."""
        return next((m for m in self.models if name == m.name or name in m.aliases), None)


@attrs.frozen
class Listing:
    """What a log source found: parts, files passed over (path -> why), and a word on the data if it is synthetic."""

    parts: tuple[Part, ...] = attrs.field(converter=frozen)
    ignored: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    synthetic: str = ""


class LogSource(Protocol):
    """Reads logs.  ``list`` is cheap (names of files only); ``read`` streams one part as Arrow record batches.

    Batches of a part of kind ``samples`` have the columns of :data:`vlrb.api.schemas.SAMPLES` and any of
    :data:`vlrb.api.schemas.SAMPLES_OPTIONAL`: strings, ``options`` a list of {letter, text}, ``images`` a list of encoded image
    files (binary).  Batches of kind ``outcomes`` have those of :data:`vlrb.api.schemas.OUTCOMES` and any of
    :data:`vlrb.api.schemas.OUTCOMES_OPTIONAL`: ``score`` is float64 in [0, 1] or null where the logs hold no verdict;
    ``input_tokens``, ``output_tokens`` (int64) and ``cost`` (float64, USD) are null where the logs do not record them.  ``key``
    identifies a sample inside its dataset.

    The schema metadata of a batch may say under ``verdict`` where the scores come from, or why there are none, and under
    ``counts`` (a JSON object of text -> integer) what is worth counting in the data report; the counts of batches add up.  Under
    ``files`` (a JSON list of absolute paths) it names files beyond ``part.files`` that rows up to here were read from, such as
    pictures that a table names, and files that were looked for and not found: when one of them changes, the part is read again.
    """

    def list(self, catalog: Catalog) -> Listing:
        """List the parts.

        :raises DataError: naming the file or folder, when the logs are missing or belong to nothing known
        """

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream the rows of ``part``.

        :raises DataError: naming file, sheet and row of whatever cannot be trusted
        """


class TokenCounter(Protocol):
    """Counts tokens of questions and answers."""

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> Array | None:
        """Return input tokens int64[n] that hold for every model, or None when they stand in the outcomes.

        :param images: int64[n], the number of images of each sample
        """

    def outcome_tokens(self, outcomes: pa.RecordBatch) -> tuple[Array | pa.Array | None, Array | pa.Array]:
        """Return input tokens int64[n] (None if ``sample_tokens`` gives them) and output tokens int64[n].

        An Arrow array may have nulls where the logs give a cost instead.
        """


@runtime_checkable
class WithModelTokens(Protocol):
    """A token counter whose input tokens depend on the model too, while ``per_model`` is true."""

    per_model: bool

    def model_tokens(self, name: str, model: Model | None, sizes: Sequence[tuple[tuple[int, int], ...]]) -> Array:
        """Return the tokens int64[n] that come on top of those of ``sample_tokens`` for this model.

        :param sizes: width and height of every image of every sample, in pixels
        """


@attrs.frozen
class Rotation:
    """One more asking of a question with its options in another order (MMBench); None where the model was not asked."""

    options: tuple[tuple[str, str], ...]
    answer: str
    prediction: str | None


@attrs.frozen
class Case:
    """What a scorer judges: a question, its gold answer, and what one model answered.

    ``fields`` are further columns of the sample that a scorer may need (``category``, ``answer_type`` ...), ``judged`` what an
    earlier judge extracted from the answer (``res`` of MathVista and MathVision, ``extract`` of MathVerse), ``rotations`` the
    further passes of a circular question.
    """

    id: str
    question: str
    options: tuple[tuple[str, str], ...]
    answer: str
    prediction: str
    fields: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    judged: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    rotations: tuple[Rotation, ...] = ()


@attrs.frozen
class Score:
    """A verdict in [0, 1], or None where the scorer's rules cannot decide, and the reason.

    ``unscorable``: the sample is the reason, not the answer, such as one without a gold answer: no answer to it can be judged,
    and none is counted as wrong.
    """

    value: float | None
    reason: str = ""
    unscorable: bool = False


class Scorer(Protocol):
    """Turns raw answers of one model on one dataset into scores."""

    def score(self, cases: Sequence[Case]) -> Sequence[Score]:
        """Return one score per case, in order."""


# --- routing ----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Candidate:
    """A model that may be chosen, with its prices in USD per million tokens (None where the logs gave costs instead)."""

    name: str
    input_price: float | None = None
    output_price: float | None = None
    parameters: float | None = None


@attrs.frozen
class Column:
    """One column of a feature matrix.

    A categorical column holds codes 0, 1 ...; ``categories`` is how many there are, 0 where the encoder does not say.
    """

    name: str
    kind: Literal["dense", "numeric", "categorical"] = "dense"
    may_be_missing: bool = False
    categories: int = 0


@attrs.frozen(eq=False)
class Features:
    """A float32 matrix [n, d] and its d columns.  NaN only in columns that may be missing."""

    matrix: Array
    columns: tuple[Column, ...]

    def take(self, rows: Array) -> Features:
        """Return the features of some rows."""
        return Features(sealed(self.matrix[rows]), self.columns)


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

        def pick(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[i] for i in index)

        return attrs.evolve(
            self,
            ids=pick(self.ids),
            texts=pick(self.texts),
            options=pick(self.options),
            hints=pick(self.hints),
            images=self.images.take(rows),
            features=self.features.take(rows) if self.features is not None else None,
        )


@attrs.frozen(eq=False)
class Labelled:
    """Queries with what is known of every candidate on them: Y (bool[n, k]), raw score and cost (float64[n, k], USD)."""

    queries: Queries
    quality: Array
    score: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.queries)


@attrs.frozen
class CostBounds:
    """Smallest and largest mean cost (USD per sample) over the candidates, and the rows they were taken from.

    ``free`` names the candidates whose mean cost is 0.
    """

    low: float
    high: float
    rows: str = "train"
    free: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class FitContext:
    """What ``fit`` may use besides the data.

    ``dev_score(choices)`` is the selection metric on the dev split; larger is better, whatever the metric.  ``rng`` is seeded by
    the seed and the router's label, so that adding a router to an experiment moves nobody else's numbers.
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


@attrs.frozen(eq=False)
class Estimate:
    """Probability of a correct answer and expected cost (USD), both float64[n, k]."""

    p_correct: Array
    cost: Array


class Fitted(Protocol):
    """A fitted router.  It may also have ``scores(queries) -> float[n, k]`` whose argmax equals ``route``, and
    ``estimate(queries) -> Estimate``."""

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
    """A fitted router that estimates."""

    def estimate(self, queries: Queries) -> Estimate:
        """Return the probability of being right and the expected cost."""


@runtime_checkable
class WithChosen(Protocol):
    """A fitted router whose fit chose some of its own parameters, such as lambda, on dev.

    ``chosen`` maps their names, as in TOML, to JSON scalars; an infinite number is allowed.  It is kept with the cell and shown
    in every table, so that nobody has to guess which lambda a router ran at.
    """

    chosen: Mapping[str, str | float | int | bool | None]


@runtime_checkable
class WithBorrowedTime(Protocol):
    """A fitted router that may use work done for another router before.

    The harness adds ``borrowed_seconds``, the time which that work took, to the time of the fit or route that came before.
    """

    borrowed_seconds: float


class Router(Protocol):
    """Learns to choose."""

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> Fitted:
        """Learn from ``train``; ``dev`` is for early stopping and selection only."""


class Encoder(Protocol):
    """Turns queries into features.  Stateless: whatever must be fitted belongs to a router."""

    def encode(self, queries: Queries) -> Features:
        """Return one row of features per query, whatever other queries stand beside it."""


@attrs.frozen
class Timing:
    """Seconds that routing and encoding took for ``requests`` queries."""

    requests: int
    route_seconds: float
    encode_seconds: float


@attrs.frozen(eq=False)
class Evaluation:
    """What a metric sees: a router's choices int[n] on some rows, and what is known of these rows.

    ``quality`` is bool[n, k]; ``score`` and ``cost`` are float64[n, k]; the tokens are integers [n, k].  ``best_single`` is the
    accuracy on these rows of the model that is most accurate on train, ``oracle`` that of the Oracle.  ``estimate`` is what the
    router estimated on these rows, None where it gives no estimates.
    """

    choices: Array
    quality: Array
    score: Array
    cost: Array
    input_tokens: Array
    output_tokens: Array
    bounds: CostBounds
    best_single: float
    oracle: float
    timing: Timing | None = None
    estimate: Estimate | None = None

    def chosen(self, matrix: Array) -> Array:
        """Return the entries [n] of a matrix [n, k] at the chosen models."""
        import numpy as np

        return np.take_along_axis(matrix, self.choices[:, None].astype(np.intp), axis=1)[:, 0]


class Metric(Protocol):
    """A number over an evaluation."""

    def __call__(self, evaluation: Evaluation, /) -> MetricValue:
        """Return the value, or Undefined with a reason."""


# --- what observers and reporters see ---------------------------------------------------------------------------------

Scores = Mapping[str, Mapping[str, MetricValue]]
"""Scope -> metric -> value.  Scopes: ``overall``, ``group/SLUG``, ``dataset/SLUG``."""


@attrs.frozen
class CellInfo:
    """One router with one set of parameters and one seed.

    ``point`` holds the parameters that a sweep gave it.  ``fit_key`` is the key of the cell whose fit it shares, where the
    sweep only changes what is made of a fitted router's estimates; empty otherwise.
    """

    key: str
    label: str
    router: str
    parameters: Mapping[str, Any] = attrs.field(converter=frozen)
    seed: int
    features: str | None
    plugin: str
    dist: str
    sources: str
    point: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)
    fit_key: str = ""

    @property
    def point_name(self) -> str:
        """Return the point of a sweep in words, such as ``lambda=100``; empty without a sweep."""
        return ",".join(f"{name}={value}" for name, value in self.point.items())

    @property
    def name(self) -> str:
        """Return the name that tells the cells of a run apart, which is that of their folders too."""
        point = "".join(c if c.isalnum() or c in "=,.-+_" else "_" for c in self.point_name)
        return f"{self.label}-{point}-seed{self.seed}" if point else f"{self.label}-seed{self.seed}"


@attrs.frozen
class CellResult:
    """A cell's result: ``scores`` per split (dev, test), or an error and no scores.

    ``chosen`` holds the parameters that the fit itself chose (:class:`WithChosen`); empty where it chose none.
    """

    cell: CellInfo
    status: Literal["done", "failed"]
    reused: bool
    directory: Path
    scores: Mapping[str, Scores] = attrs.field(converter=frozen)
    error: str = ""
    fit_seconds: float = 0.0
    timing: Timing | None = None
    choices: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict, converter=frozen)
    hardware: str = ""
    chosen: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class ReferenceResult:
    """A reference point: what a rule that is no router reaches on the same rows."""

    name: str
    summary: str
    scores: Mapping[str, Scores] = attrs.field(converter=frozen)


@attrs.frozen
class MetricInfo:
    """How to show a metric."""

    name: str
    unit: str
    higher_is_better: bool
    summary: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict, converter=frozen)


@attrs.frozen
class BenchmarkInfo:
    """A benchmark in a few words.

    ``synthetic`` is empty for real logs, else says what the data are.  ``total_tokens`` is None where the logs give costs instead.
    """

    fingerprint: str
    samples: int
    models: tuple[str, ...]
    datasets: Mapping[str, int] = attrs.field(converter=frozen)
    synthetic: str
    excluded: Mapping[str, int] = attrs.field(converter=frozen)
    total_tokens: int | None


@attrs.frozen
class RunInfo:
    """A run that has been planned.  ``settings`` holds the validated ``[plugin.NAME]`` tables by plugin."""

    name: str
    key: str
    directory: Path
    protocol: str
    experiment: Mapping[str, Any] = attrs.field(converter=frozen)
    benchmark: BenchmarkInfo
    split: Mapping[str, Any] = attrs.field(converter=frozen)
    bounds: CostBounds
    metrics: tuple[MetricInfo, ...]
    cells: tuple[CellInfo, ...]
    settings: Mapping[str, Any] = attrs.field(converter=frozen)
    environment: Mapping[str, Any] = attrs.field(converter=frozen)

    @property
    def id(self) -> str:
        """Return the identity of the run, the name of its directory."""
        return f"{self.name}/{self.directory.name}"


@attrs.frozen
class RunResult:
    """A finished run.

    ``winners`` holds, by label, the point of each router's sweep that the selection chose, as :attr:`CellInfo.point_name`; it is
    empty for a router without a sweep.  A sweep whose every point has a failed cell has none.  ``decided_by`` holds, by label,
    the metric that decided where the selection metric had no value at any point.
    """

    run: RunInfo
    cells: tuple[CellResult, ...]
    references: tuple[ReferenceResult, ...]
    started: str
    finished: str
    winners: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    decided_by: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)

    def selected(self, cell: CellInfo) -> bool:
        """Tell whether a cell is of the point that stands for its router."""
        return self.winners.get(cell.label) == cell.point_name


def sealed(array: Array) -> Array:
    """Return an array with the same content whose memory cannot be made writable again; large arrays are not copied.

    ``flags.writeable = False`` alone can be undone by whoever holds the array.  A view of an Arrow buffer cannot: the buffer
    is immutable, and does not lead back to the array that it was made from.

    :param array: the caller's own; it becomes read-only, and must not be changed through another view
    """
    import numpy as np
    import pyarrow as pa

    if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous:
        return sealed(array.T).T
    flat = np.ascontiguousarray(array).reshape(-1)
    flat.flags.writeable = False
    if flat.size:
        flat = np.frombuffer(pa.py_buffer(flat.view(np.uint8)), dtype=flat.dtype)
    return flat.reshape(array.shape)
