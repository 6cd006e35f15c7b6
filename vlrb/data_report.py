"""What a benchmark holds, per dataset and model, as JSON data."""

from __future__ import annotations

from typing import Any

import numpy as np

from vlrb.benchmark import Benchmark


def data_report(benchmark: Benchmark) -> dict[str, Any]:
    """Return counts, accuracies, tokens and costs; tokens are summed over the samples, costs are USD."""
    manifest = benchmark.manifest
    keys = (
        "fingerprint",
        "synthetic",
        "total_tokens",
        "token_counter",
        "policies",
        "excluded",
        "ignored_files",
        "parts",
    )
    names = [c.name for c in benchmark.candidates]
    solved = benchmark.quality.any(axis=1)
    return {
        **{k: manifest[k] for k in keys},
        "directory": str(benchmark.directory),
        "samples": len(benchmark),
        "pairs": len(benchmark) * len(names),
        "oracle_correct": int(solved.sum()),
        "solved_by_no_model": int((~solved).sum()),
        "solved_by_every_model": int(benchmark.quality.all(axis=1).sum()),
        "datasets": [_dataset(benchmark, record, names) for record in manifest["datasets"]],
        "models": [_model(benchmark, j, name) for j, name in enumerate(names)],
    }


def _dataset(benchmark: Benchmark, record: dict[str, Any], names: list[str]) -> dict[str, Any]:
    rows = np.flatnonzero(benchmark.datasets == record["name"])
    quality = benchmark.quality[rows]
    best = int(quality.mean(axis=0).argmax())
    expected = benchmark.manifest["expected_samples"]
    return {
        "name": record["name"],
        "group": record["group"],
        "samples": int(rows.size),
        "expected_samples": expected.get(record["name"]),
        "images": len({h for i in rows.tolist() for h in benchmark.image_hashes[i]}),
        "oracle_correct": int(quality.any(axis=1).sum()),
        "oracle_accuracy": float(quality.any(axis=1).mean()),
        "best_model": names[best],
        "best_accuracy": float(quality[:, best].mean()),
        "correct": {name: int(quality[:, j].sum()) for j, name in enumerate(names)},
        "output_tokens": {name: int(benchmark.output_tokens[rows, j].sum()) for j, name in enumerate(names)},
    }


def _model(benchmark: Benchmark, j: int, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "correct": int(benchmark.quality[:, j].sum()),
        "accuracy": float(benchmark.quality[:, j].mean()),
        "mean_score": float(benchmark.score[:, j].mean()),
        "cost_per_10k": 1e4 * float(benchmark.cost[:, j].mean()),
        "input_tokens": int(benchmark.input_tokens[:, j].sum()),
        "output_tokens": int(benchmark.output_tokens[:, j].sum()),
    }
