"""The Arrow schemas of what log sources stream: samples and outcomes; a missing optional column is null in every row."""

from __future__ import annotations

import pyarrow as pa

HIGHEST_COST = 1e9
"""Most US dollars that one answer may cost: sums stay finite."""
MOST_TOKENS = 10**12
"""Most tokens of one question or answer: sums stay within 64 bits."""
OPTION = pa.struct([("letter", pa.string()), ("text", pa.string())])
ROTATION = pa.struct([("key", pa.string()), ("options", pa.list_(OPTION)), ("answer", pa.string())])
TEXTS = pa.map_(pa.string(), pa.string())

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
"""A sample: its dataset, its key inside the dataset, the question, the gold answer, and encoded image files.

The metadata of a batch of one dataset may say which samples a source has left out, as JSON under ``left_out``: their ``keys``, the
``reason`` ("have no image ..."), the ``fix``, and ``drop_answers``, whether answers to them are left out too or an error.
"""

SAMPLES_OPTIONAL = pa.schema(
    [
        ("fields", TEXTS),
        ("rotations", pa.list_(ROTATION)),
        ("groups", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
"""``fields``: further columns for scorers.  ``rotations``: the same question with its options in another order.  ``groups``: names
of what samples share, such as a figure: a split keeps these together.  ``split``: train, dev or test, if prescribed."""

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

OUTCOMES_OPTIONAL = pa.schema(
    [
        ("model", pa.string()),
        ("thinking", pa.string()),
        ("judged", TEXTS),
        ("rotations", pa.list_(pa.struct([("key", pa.string()), ("prediction", pa.string())]))),
        ("failed", pa.bool_()),
        ("judge_failed", pa.bool_()),
    ]
)
"""``model``: required where a part holds several models.  ``thinking``: what the model wrote before its answer; it costs tokens
and is not scored.  ``judged``: what an earlier judge extracted, by column, an empty text where it found nothing; also under
``COLUMN:number`` where it is stored as a number that is not whole.  ``rotations``: the answers to the sample's rotations, by key.
``failed``: the prediction marks a failed call; it counts like any other answer.  ``judge_failed``: the judge failed on this answer,
which counts; ``judged`` lacks what the judge did not give, and ``score`` is null."""
