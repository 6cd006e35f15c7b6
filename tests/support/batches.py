"""What the batches of a log source must be like."""

from __future__ import annotations

import pyarrow as pa

from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL


def check_batch(batch: pa.RecordBatch, kind: str) -> None:
    """A batch has the required columns, and others of the schema only, of exactly these types, and is valid."""
    required, optional = (SAMPLES, SAMPLES_OPTIONAL) if kind == "samples" else (OUTCOMES, OUTCOMES_OPTIONAL)
    have = {f.name: f.type for f in batch.schema}
    assert have.items() <= {f.name: f.type for f in (*required, *optional)}.items()
    assert set(required.names) <= set(have)
    batch.validate(full=True)
    assert not any(batch.column(n).null_count for n in have if n in ("dataset", "key", "question", "model"))
