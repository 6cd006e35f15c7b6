"""Computing a data report from a benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import Array, Benchmark, Dataset, PairFindings, groups_of, leaking
from vlrb_plugins.data_report.figures import (
    Agreement,
    DataReport,
    DatasetFigures,
    Guessing,
    Leak,
    ModelFigures,
    OutcomeFigures,
    PairAgreement,
)
from vlrb_plugins.shared.sample_split import sample_split

FROM_MANIFEST = (
    *("fingerprint", "synthetic", "total_tokens", "token_counter", "token_parameters"),
    *("policies", "excluded", "ignored_files", "parts", "stages"),
)
SUMMED = ("found", "missing", "unknown", "failed_calls", "failed_judges")

Agreements = Mapping[str, Mapping[str, PairAgreement]]
"""Dataset -> model -> the agreement on their answers."""


def compute_report(benchmark: Benchmark, agreements: Agreements) -> DataReport:
    """Return the figures of a benchmark."""
    manifest = benchmark.manifest
    names = [c.name for c in benchmark.candidates]
    solved = benchmark.quality.any(axis=1)
    outcomes = tuple(
        _outcome(benchmark, pair, names, agreements.get(pair.dataset, {}).get(pair.model)) for pair in manifest.pairs
    )
    return DataReport(
        **{name: getattr(manifest, name) for name in FROM_MANIFEST},
        directory=str(benchmark.directory),
        samples=len(benchmark),
        pairs=len(benchmark) * len(names),
        oracle_correct=int(solved.sum()),
        solved_by_no_model=int((~solved).sum()),
        solved_by_every_model=int(benchmark.quality.all(axis=1).sum()),
        agreement=_total(a for models in agreements.values() for a in models.values()),
        guessing=_guessing(benchmark, np.arange(len(benchmark))),
        leak=leak_of_the_papers_split(benchmark),
        datasets=tuple(_dataset(benchmark, d, names, agreements.get(d.name, {}).values()) for d in manifest.datasets),
        models=tuple(_model(benchmark, j, name, outcomes) for j, name in enumerate(names)),
        outcomes=outcomes,
    )


def leak_of_the_papers_split(benchmark: Benchmark) -> Leak:
    """Return how many test questions of the paper's split are related to its training questions."""
    groups = groups_of(benchmark)
    train, _, test = sample_split(len(benchmark), 0.7, 0.1, 42)
    return Leak(int(test.size), leaking(groups, train, test), int(np.unique(groups).size))


def _total(agreements: Iterable[Agreement]) -> Agreement:
    found = list(agreements)
    return Agreement(**{f.name: sum(getattr(a, f.name) for a in found) for f in attrs.fields(Agreement)})


def _dataset(
    benchmark: Benchmark, record: Dataset, names: list[str], agreements: Iterable[Agreement]
) -> DatasetFigures:
    rows = benchmark.rows_of[record.name]
    quality = benchmark.quality[rows]
    best = int(quality.mean(axis=0).argmax())
    return DatasetFigures(
        name=record.name,
        group=record.group,
        samples=int(rows.size),
        expected_samples=benchmark.manifest.expected_samples.get(record.name),
        images=len({h for i in rows.tolist() for h in benchmark.image_hashes[i]}),
        oracle_correct=int(quality.any(axis=1).sum()),
        oracle_accuracy=float(quality.any(axis=1).mean()),
        best_model=names[best],
        best_accuracy=float(quality[:, best].mean()),
        mean_score=float(benchmark.score[rows].mean()),
        correct={name: int(quality[:, j].sum()) for j, name in enumerate(names)},
        output_tokens={name: _sum(benchmark.output_tokens[rows, j]) for j, name in enumerate(names)},
        agreement=_total(agreements),
        guessing=_guessing(benchmark, rows),
    )


def _model(benchmark: Benchmark, j: int, name: str, outcomes: Sequence[OutcomeFigures]) -> ModelFigures:
    own = [o for o in outcomes if o.model == name]
    return ModelFigures(
        name=name,
        correct=int(benchmark.quality[:, j].sum()),
        accuracy=float(benchmark.quality[:, j].mean()),
        mean_score=float(benchmark.score[:, j].mean()),
        cost_per_10k=1e4 * float(benchmark.cost[:, j].mean()),
        input_tokens=_sum(benchmark.input_tokens[:, j]),
        output_tokens=_sum(benchmark.output_tokens[:, j]),
        **{key: sum(getattr(o, key) for o in own) for key in SUMMED},
    )


def _outcome(
    benchmark: Benchmark, pair: PairFindings, names: list[str], agreement: PairAgreement | None
) -> OutcomeFigures:
    counts = next((p.counts for p in benchmark.manifest.parts if p.part == pair.part), {})
    outcome = OutcomeFigures(**attrs.asdict(pair), counts=counts, agreement=agreement)
    rows = benchmark.rows_of.get(pair.dataset, np.array([], dtype=np.int64))
    if not rows.size or pair.model not in names:
        return outcome
    j = names.index(pair.model)
    return attrs.evolve(
        outcome,
        used=int(rows.size),
        accuracy=float(benchmark.quality[rows, j].mean()),
        mean_score=float(benchmark.score[rows, j].mean()),
        cost_per_10k=1e4 * float(benchmark.cost[rows, j].mean()),
        output_tokens=_sum(benchmark.output_tokens[rows, j]),
    )


def _sum(tokens: Array) -> int | None:
    """Return a sum of tokens; None where some are not known."""
    return None if (tokens < 0).any() else int(tokens.sum())


def _guessing(benchmark: Benchmark, rows: Array) -> Guessing | None:
    """Return what guessing would give on some rows: 1 - (1 - c)^k for k models and the chance c of a question."""
    chances = _chances(benchmark.samples.select(["options", "rotations", "answer"]).take(rows))
    asked = chances > 0
    if not asked.any():
        return None
    quality = benchmark.quality[rows][asked]
    guessed = 1 - (1 - chances[asked]) ** quality.shape[1]
    solved_by_one = int((quality.sum(axis=1) == 1).sum())
    return Guessing(int(asked.sum()), float(quality.any(axis=1).mean()), float(guessed.mean()), solved_by_one)


def _chances(table: pa.Table) -> Array:
    """Return the chance of guessing each question right, float[n]: one over its options, for all rotations; 0 without a choice."""
    options = pc.list_value_length(table.column("options")).fill_null(0).to_numpy()
    turns = 1 + pc.list_value_length(table.column("rotations")).fill_null(0).to_numpy()
    answers = pc.utf8_lower(pc.utf8_trim_whitespace(table.column("answer").fill_null("")))
    yes_or_no = pc.is_in(answers, pa.array(["yes", "no"])).to_numpy()
    options = np.where((options < 2) & yes_or_no, 2, options)
    return np.where(options > 1, np.maximum(options, 1).astype(np.float64) ** -turns.astype(np.float64), 0.0)
