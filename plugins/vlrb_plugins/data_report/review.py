"""A second look at a benchmark's verdicts: our own scoring against what the logs say, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import BuiltBenchmark, read_json, write_json

EXAMPLES = 3


def agreement_of(built: BuiltBenchmark) -> dict[str, Any]:
    """Return how our own scoring agrees with the verdicts in the logs of a benchmark, from beside it where that is known.

    :return: "dataset" -> "model" -> counts: of rows with a stored verdict, ``decided`` and ``undecided`` by the scorer, the decided
        ones ``agreeing``, ``only_stored`` (right in the logs only) and ``only_scored``, and some ids of each kind of disagreement
    """
    known = built.benchmark.directory / "agreement.json"
    if not known.is_file():
        correct_at = built.benchmark.manifest.policies.correct_at
        found: dict[str, dict[str, Any]] = {}
        for dataset, model, answers in built.verdicts():
            found.setdefault(dataset, {})[model] = _counts(answers, correct_at)
        write_json(known, found)
    agreement: dict[str, Any] = read_json(known)
    return agreement


def _counts(answers: pa.Table, correct_at: float) -> dict[str, Any]:
    ids = answers.column("id").to_pylist()
    stored = answers.column("stored").to_numpy() >= correct_at
    scored = answers.column("scored").fill_null(np.nan).to_numpy()
    decided = ~np.isnan(scored)
    right = scored >= correct_at
    only = {"only_stored": decided & stored & ~right, "only_scored": decided & ~stored & right}
    reasons = pc.value_counts(answers.column("reason").cast(pa.string()).filter(pa.array(~decided))).to_pylist()
    return {
        "stored": len(ids),
        "decided": int(decided.sum()),
        "undecided": int((~decided).sum()),
        "agreeing": int((decided & (stored == right)).sum()),
        **{name: int(rows.sum()) for name, rows in only.items()},
        "examples": {name: [ids[i] for i in np.flatnonzero(rows)[:EXAMPLES].tolist()] for name, rows in only.items()},
        "undecided_because": {str(r["values"]): r["counts"] for r in reasons},
    }
