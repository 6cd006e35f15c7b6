"""A second look at a benchmark's verdicts: our own scoring against what the logs say, pair by pair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.logs import Part
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.rows import read_rows
from vlrb.benchmark.score import read_scores, scorer_of
from vlrb.executor import Progress, quiet
from vlrb.experiment.plan import Plan
from vlrb.storage import Places, read_json, write_json

EXAMPLES = 3


def agreement_of(
    benchmark: Benchmark, plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet
) -> dict[str, Any]:
    """Return how our own scoring agrees with the verdicts in the logs of a benchmark, from beside it where that is known.

    :param benchmark: of this very plan
    :return: see :func:`review`
    """
    known = benchmark.directory / "agreement.json"
    if not known.is_file():
        found = review(Logs.of(plan, places), plan.benchmark.correct_at, jobs or os.cpu_count() or 1, progress)
        write_json(known, found)
    agreement: dict[str, Any] = read_json(known)
    return agreement


def review(logs: Logs, correct_at: float, jobs: int, progress: Progress) -> dict[str, Any]:
    """Score every answer that the logs hold a verdict of, and compare.

    :param correct_at: score from which an answer counts as correct
    :return: "dataset" -> "model" -> counts: of rows with a stored verdict, ``decided`` and ``undecided`` by the scorer, the decided
        ones ``agreeing``, ``only_stored`` (right in the logs only) and ``only_scored``, and some ids of each kind of disagreement
    """
    parts = [p for p in logs.parts("outcomes") if _comparable(p, logs)]
    logs.score(parts, jobs, progress, every=True)
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        for (dataset, model), counts in _compared(part, logs, correct_at).items():
            found.setdefault(dataset, {})[model] = counts
    return found


def _comparable(part: Part, logs: Logs) -> bool:
    return any(
        pair.unjudged < pair.rows and scorer_of(logs.builder, pair.dataset) is not None
        for pair in logs.findings[part.id].pairs
    )


def _compared(part: Part, logs: Logs, correct_at: float) -> Mapping[tuple[str, str], dict[str, Any]]:
    columns = ["id", "dataset", "model", "score"]
    rows = read_rows(logs.folder(part), columns)
    scores = read_scores(logs.scores(part, every=True))
    table = rows.append_column("own", scores.column("value")).append_column("reason", scores.column("reason"))
    table = table.filter(pc.is_valid(table.column("score")))
    result = {}
    for pair in logs.findings[part.id].pairs:
        here = pc.and_(pc.equal(table.column("dataset"), pair.dataset), pc.equal(table.column("model"), pair.model))
        if scorer_of(logs.builder, pair.dataset) is not None:
            result[pair.dataset, pair.model] = _counts(table.filter(here), correct_at)
    return result


def _counts(table: pa.Table, correct_at: float) -> dict[str, Any]:
    ids = table.column("id").to_pylist()
    stored = table.column("score").to_numpy() >= correct_at
    own = table.column("own").fill_null(np.nan).to_numpy()
    decided = ~np.isnan(own)
    right = own >= correct_at
    only = {"only_stored": decided & stored & ~right, "only_scored": decided & ~stored & right}
    reasons = pc.value_counts(table.column("reason").cast(pa.string()).filter(pa.array(~decided))).to_pylist()
    return {
        "stored": len(ids),
        "decided": int(decided.sum()),
        "undecided": int((~decided).sum()),
        "agreeing": int((decided & (stored == right)).sum()),
        **{name: int(rows.sum()) for name, rows in only.items()},
        "examples": {name: [ids[i] for i in np.flatnonzero(rows)[:EXAMPLES].tolist()] for name, rows in only.items()},
        "undecided_because": {str(r["values"]): r["counts"] for r in reasons},
    }
