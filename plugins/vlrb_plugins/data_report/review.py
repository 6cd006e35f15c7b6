"""A second look at a benchmark's verdicts: our own scoring against what the logs say, pair by pair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import BuiltBenchmark, read_record, write_record
from vlrb_plugins.data_report.figures import PairAgreement

EXAMPLES = 3


def agreements_of(built: BuiltBenchmark) -> dict[str, dict[str, PairAgreement]]:
    """Return dataset -> model -> how our own scoring agrees with the logs, from the benchmark's folder where that is known."""
    known = built.benchmark.directory / "agreement.json"
    if not known.is_file():
        correct_at = built.benchmark.manifest.policies.correct_at
        found: dict[str, dict[str, PairAgreement]] = {}
        for dataset, model, answers in built.verdicts():
            found.setdefault(dataset, {})[model] = _compared(answers, correct_at)
        write_record(known, found)
    return read_record(known, dict[str, dict[str, PairAgreement]])


def _compared(answers: pa.Table, correct_at: float) -> PairAgreement:
    ids = answers.column("id").to_pylist()
    stored = answers.column("stored").to_numpy() >= correct_at
    scored = answers.column("scored").fill_null(np.nan).to_numpy()
    decided = ~np.isnan(scored)
    right = scored >= correct_at
    only = {"only_stored": decided & stored & ~right, "only_scored": decided & ~stored & right}
    reasons = pc.value_counts(answers.column("reason").cast(pa.string()).filter(pa.array(~decided))).to_pylist()
    return PairAgreement(
        stored=len(ids),
        decided=int(decided.sum()),
        undecided=int((~decided).sum()),
        agreeing=int((decided & (stored == right)).sum()),
        **{name: int(rows.sum()) for name, rows in only.items()},
        examples={name: tuple(ids[i] for i in np.flatnonzero(rows)[:EXAMPLES]) for name, rows in only.items()},
        undecided_because={str(r["values"]): r["counts"] for r in reasons},
    )
