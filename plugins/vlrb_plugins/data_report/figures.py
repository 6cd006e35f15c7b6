"""What a benchmark holds, per dataset and model, and how far its verdicts can be trusted, as JSON data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import Array, Benchmark, Dataset, PairFindings, groups_of, leaking, to_json
from vlrb_plugins.shared.sample_split import sample_split

SCHEMA_VERSION = 2
KEPT = (
    "fingerprint",
    "synthetic",
    "total_tokens",
    "token_counter",
    "token_parameters",
    "policies",
    "excluded",
    "ignored_files",
    "parts",
    "stages",
)


def report_figures(benchmark: Benchmark, agreement: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return counts, accuracies, tokens and costs; tokens are summed over the samples, costs are USD.

    :param agreement: dataset -> model -> what :func:`vlrb_plugins.data_report.review.agreement_of` found
    """
    manifest = to_json(benchmark.manifest)
    names = [c.name for c in benchmark.candidates]
    solved = benchmark.quality.any(axis=1)
    agreement = agreement or {}
    pairs = [_pair(benchmark, p, names, agreement.get(p.dataset, {}).get(p.model)) for p in benchmark.manifest.pairs]
    return {
        "schema": SCHEMA_VERSION,
        **{k: manifest[k] for k in KEPT},
        "directory": str(benchmark.directory),
        "samples": len(benchmark),
        "pairs": len(benchmark) * len(names),
        "oracle_correct": int(solved.sum()),
        "solved_by_no_model": int((~solved).sum()),
        "solved_by_every_model": int(benchmark.quality.all(axis=1).sum()),
        "agreement": _total_agreement(agreement),
        "guessing": _guessing(benchmark, np.arange(len(benchmark))),
        "leak": leak_of_the_papers_split(benchmark),
        "datasets": [_dataset(benchmark, record, names, agreement) for record in benchmark.manifest.datasets],
        "models": [_model(benchmark, j, name, pairs) for j, name in enumerate(names)],
        "outcomes": pairs,
    }


def leak_of_the_papers_split(benchmark: Benchmark) -> dict[str, int]:
    """Return how many test questions of the paper's sample-level split have a relative among its training questions."""
    groups = groups_of(benchmark)
    train, _, test = sample_split(len(benchmark), 0.7, 0.1, 42)
    return {
        "test_samples": int(test.size),
        "test_samples_with_a_relative_in_train": leaking(groups, train, test),
        "groups": int(np.unique(groups).size),
    }


def _total_agreement(agreement: Mapping[str, Any]) -> dict[str, int]:
    keys = ("stored", "decided", "undecided", "agreeing", "only_stored", "only_scored")
    return {k: sum(c[k] for models in agreement.values() for c in models.values()) for k in keys}


def _dataset(benchmark: Benchmark, record: Dataset, names: list[str], agreement: Mapping[str, Any]) -> dict[str, Any]:
    rows = benchmark.rows_of[record.name]
    quality = benchmark.quality[rows]
    best = int(quality.mean(axis=0).argmax())
    return {
        "name": record.name,
        "group": record.group,
        "samples": int(rows.size),
        "expected_samples": benchmark.manifest.expected_samples.get(record.name),
        "images": len({h for i in rows.tolist() for h in benchmark.image_hashes[i]}),
        "oracle_correct": int(quality.any(axis=1).sum()),
        "oracle_accuracy": float(quality.any(axis=1).mean()),
        "best_model": names[best],
        "best_accuracy": float(quality[:, best].mean()),
        "mean_score": float(benchmark.score[rows].mean()),
        "correct": {name: int(quality[:, j].sum()) for j, name in enumerate(names)},
        "output_tokens": {name: _sum(benchmark.output_tokens[rows, j]) for j, name in enumerate(names)},
        "agreement": _total_agreement({"": agreement.get(record.name, {})}),
        "guessing": _guessing(benchmark, rows),
    }


def _model(benchmark: Benchmark, j: int, name: str, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    own = [p for p in pairs if p["model"] == name]
    return {
        "name": name,
        "correct": int(benchmark.quality[:, j].sum()),
        "accuracy": float(benchmark.quality[:, j].mean()),
        "mean_score": float(benchmark.score[:, j].mean()),
        "cost_per_10k": 1e4 * float(benchmark.cost[:, j].mean()),
        "input_tokens": _sum(benchmark.input_tokens[:, j]),
        "output_tokens": _sum(benchmark.output_tokens[:, j]),
        **{key: sum(p[key] for p in own) for key in ("found", "missing", "unknown", "failed_calls", "failed_judges")},
    }


def _pair(
    benchmark: Benchmark, noted: PairFindings, names: list[str], agreement: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what the logs hold of a pair, and what has become of it."""
    rows = benchmark.rows_of.get(noted.dataset, np.array([], dtype=np.int64))
    used = rows.size and noted.model in names
    j = names.index(noted.model) if used else 0
    counts: Mapping[str, int] = next((p.counts for p in benchmark.manifest.parts if p.part == noted.part), {})
    return {
        **to_json(noted),
        "used": int(rows.size) if used else 0,
        "accuracy": float(benchmark.quality[rows, j].mean()) if used else None,
        "mean_score": float(benchmark.score[rows, j].mean()) if used else None,
        "cost_per_10k": 1e4 * float(benchmark.cost[rows, j].mean()) if used else None,
        "output_tokens": _sum(benchmark.output_tokens[rows, j]) if used else None,
        "counts": dict(counts),
        "agreement": dict(agreement) if agreement else None,
    }


def _sum(tokens: Array) -> int | None:
    """Return a sum of tokens; None where some are not known."""
    return None if (tokens < 0).any() else int(tokens.sum())


def _guessing(benchmark: Benchmark, rows: Array) -> dict[str, Any] | None:
    """Return what guessing alone would give on the multiple-choice questions among some rows.

    ``oracle`` is the share of them that some model answers right, ``guessing_oracle`` the share expected if all k models guessed:
    1 - (1 - c)^k with the chance c of one over the number of options (of all rotations, for a circular question).
    ``solved_by_one`` counts questions that a single model answers right, where guessing is likeliest.
    """
    chances = _chances(benchmark.samples.select(["options", "rotations", "answer"]).take(rows))
    asked = chances > 0
    if not asked.any():
        return None
    quality = benchmark.quality[rows][asked]
    guessed = 1 - (1 - chances[asked]) ** quality.shape[1]
    return {
        "questions": int(asked.sum()),
        "oracle": float(quality.any(axis=1).mean()),
        "guessing_oracle": float(guessed.mean()),
        "solved_by_one": int((quality.sum(axis=1) == 1).sum()),
    }


def _chances(table: pa.Table) -> Array:
    """Return the chance of guessing each question right, float[n]; 0 for one that offers no choice."""
    options = pc.list_value_length(table.column("options")).fill_null(0).to_numpy()
    turns = 1 + pc.list_value_length(table.column("rotations")).fill_null(0).to_numpy()
    answers = pc.utf8_lower(pc.utf8_trim_whitespace(table.column("answer").fill_null("")))
    yes_or_no = pc.is_in(answers, pa.array(["yes", "no"])).to_numpy()
    options = np.where((options < 2) & yes_or_no, 2, options)
    return np.where(options > 1, np.maximum(options, 1).astype(np.float64) ** -turns.astype(np.float64), 0.0)
