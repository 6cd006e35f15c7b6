"""The figures of a data report, as records; accuracies and shares are in [0, 1], tokens are sums, costs are USD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from vlrb import Excluded, PairFindings, PartSummary, Policies, Stages

SCHEMA_VERSION = 2


@attrs.frozen
class Agreement:
    """How our own scoring agrees with the verdicts in the logs.

    Of the ``stored`` verdicts, our scoring decides ``decided``; of these it is ``agreeing``, or the answer counts as correct in
    the logs only (``only_stored``) or in our scoring only (``only_scored``).
    """

    stored: int = 0
    decided: int = 0
    undecided: int = 0
    agreeing: int = 0
    only_stored: int = 0
    only_scored: int = 0

    @property
    def share(self) -> float | None:
        """Return the share of decided answers on which both agree; None where none is decided."""
        return self.agreeing / self.decided if self.decided else None


@attrs.frozen
class PairAgreement(Agreement):
    """The agreement on a dataset and a model, with ids of some disagreements by kind, and why answers are undecided."""

    examples: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    undecided_because: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Guessing:
    """What guessing alone would give on multiple-choice questions.

    ``oracle`` is the share that some model answers right, ``guessing_oracle`` the share expected if all models guessed;
    ``solved_by_one`` counts questions that a single model answers right, where guessing is likeliest.
    """

    questions: int
    oracle: float
    guessing_oracle: float
    solved_by_one: int


@attrs.frozen
class Leak:
    """How many test questions of the paper's sample-level split have a relative among its training questions."""

    test_samples: int
    test_samples_with_a_relative_in_train: int
    groups: int


@attrs.frozen(kw_only=True)
class DatasetFigures:
    """A dataset: its samples and what the models reach on it."""

    name: str
    group: str
    samples: int
    expected_samples: int | None
    images: int
    oracle_correct: int
    oracle_accuracy: float
    best_model: str
    best_accuracy: float
    mean_score: float
    correct: Mapping[str, int]
    output_tokens: Mapping[str, int | None]
    agreement: Agreement
    guessing: Guessing | None


@attrs.frozen(kw_only=True)
class ModelFigures:
    """A candidate model on all samples, and what the logs hold of it."""

    name: str
    correct: int
    accuracy: float
    mean_score: float
    cost_per_10k: float
    input_tokens: int | None
    output_tokens: int | None
    found: int
    missing: int
    unknown: int
    failed_calls: int
    failed_judges: int


@attrs.frozen(kw_only=True)
class OutcomeFigures(PairFindings):
    """A model on a dataset: what the logs hold, and the figures of the samples in the benchmark (None for none)."""

    used: int = 0
    accuracy: float | None = None
    mean_score: float | None = None
    cost_per_10k: float | None = None
    output_tokens: int | None = None
    counts: Mapping[str, int] = attrs.field(factory=dict)
    agreement: PairAgreement | None = None


@attrs.frozen(kw_only=True)
class DataReport:
    """A benchmark's figures; those from its manifest have the same names there."""

    schema: int = SCHEMA_VERSION
    fingerprint: str
    synthetic: str
    total_tokens: int | None
    token_counter: str
    token_parameters: Mapping[str, Any]
    policies: Policies
    excluded: tuple[Excluded, ...]
    ignored_files: Mapping[str, str]
    parts: tuple[PartSummary, ...]
    stages: Stages
    directory: str
    samples: int
    pairs: int
    oracle_correct: int
    solved_by_no_model: int
    solved_by_every_model: int
    agreement: Agreement
    guessing: Guessing | None
    leak: Leak
    datasets: tuple[DatasetFigures, ...]
    models: tuple[ModelFigures, ...]
    outcomes: tuple[OutcomeFigures, ...]
