"""What is read from logs: parts, token counts, cases to score, and who reads, counts and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import attrs

from vlrb.api.frozen import Array, frozen

if TYPE_CHECKING:
    import pyarrow as pa

    from vlrb.api.records import Dataset, Model


@attrs.frozen
class Part:
    """A piece of a log tree that is read on its own: the samples of a dataset, or one model's outcomes on a dataset.

    It is read again when one of its ``files`` changes.  Without ``dataset`` or ``model`` it holds several, and its rows say which.
    """

    id: str
    kind: Literal["samples", "outcomes"]
    files: tuple[Path, ...]
    dataset: str = ""
    model: str = ""


@attrs.frozen
class Catalog:
    """The datasets and models of plugins and of the experiment file.

    ``wanted_datasets`` and ``wanted_models`` are the names that ``[benchmark]`` asks for, or None for all.
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
    """What a log source found: parts, files passed over (path -> why), and what the data are if synthetic."""

    parts: tuple[Part, ...] = attrs.field(converter=frozen)
    ignored: Mapping[str, str] = attrs.field(factory=dict, converter=frozen)
    synthetic: str = ""


class LogSource(Protocol):
    """Reads logs.  ``list`` is cheap (names of files only); ``read`` streams one part as Arrow record batches.

    Both leave out what is not among the catalog's ``wanted_datasets`` and ``wanted_models``, where these are given.

    Batches of a part of kind ``samples`` have the columns of :data:`vlrb.api.schemas.SAMPLES` and any of
    :data:`vlrb.api.schemas.SAMPLES_OPTIONAL`, those of kind ``outcomes`` the columns of :data:`vlrb.api.schemas.OUTCOMES` and any
    of :data:`vlrb.api.schemas.OUTCOMES_OPTIONAL`.

    The schema metadata of a batch may hold ``verdict`` (where the scores come from, or why there are none), ``counts`` (a JSON
    object of text -> integer for the data report, added up over batches) and ``files``: a JSON list of absolute paths beyond
    ``part.files`` that rows up to here were read from, or that were looked for and not found.  When one changes, the part is read
    again.
    """

    def list(self, catalog: Catalog) -> Listing:
        """List the parts.

        :raises DataError: naming the file or folder, when logs are missing or of an unknown dataset or model
        """

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream the rows of ``part``.

        :raises DataError: naming file, sheet and row of invalid data
        """


class TokenCounter(Protocol):
    """Counts tokens of questions and answers."""

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> Array | None:
        """Return input tokens int64[n] that hold for every model, or None when ``outcome_tokens`` gives them.

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
        """Return the tokens int64[n] that this model needs in addition to ``sample_tokens``.

        :param sizes: width and height of every image of every sample, in pixels
        """


@attrs.frozen
class Rotation:
    """A question with its options in another order (MMBench); ``prediction`` is None where the model was not asked."""

    options: tuple[tuple[str, str], ...]
    answer: str
    prediction: str | None


@attrs.frozen
class Case:
    """What a scorer judges: a question, its gold answer, and what one model answered.

    ``fields`` are further columns of the sample (``category``, ``answer_type`` ...), ``judged`` what an earlier judge extracted
    from the answer (``res`` of MathVista and MathVision, ``extract`` of MathVerse).
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

    ``unscorable``: no answer to this sample can be judged, such as one without a gold answer; none is counted as wrong.
    """

    value: float | None
    reason: str = ""
    unscorable: bool = False


class Scorer(Protocol):
    """Turns raw answers of one model on one dataset into scores."""

    def score(self, cases: Sequence[Case]) -> Sequence[Score]:
        """Return one score per case, in order."""
