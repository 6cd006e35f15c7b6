"""The Arrow schemas of what log sources stream: samples and outcomes."""

from __future__ import annotations

import pyarrow as pa

OPTION = pa.struct([("letter", pa.string()), ("text", pa.string())])

SAMPLES = pa.schema(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("question", pa.string()),
        ("options", pa.list_(OPTION)),
        ("hint", pa.string()),
        ("answer", pa.string()),
        ("images", pa.list_(pa.binary())),
    ]
)
"""A sample: its dataset, its key inside the dataset, what is asked, the gold answer, and encoded image files."""

OUTCOMES = pa.schema(
    [
        ("dataset", pa.string()),
        ("key", pa.string()),
        ("prediction", pa.string()),
        ("score", pa.float64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost", pa.float64()),
    ]
)
"""One model's answer to a sample: score in [0, 1], tokens, and USD; null where the logs do not say."""
