"""Counting tokens."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.errors import DataError, shortened
from vlrb.types import Array

VOCABULARY = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""Name of cl100k_base's vocabulary file in tiktoken's cache folder."""


class Usage:
    """Takes input and output tokens from the logs' usage columns."""

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> None:
        """Return None: the tokens stand in the outcomes."""

    def outcome_tokens(self, outcomes: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """Return the recorded tokens.

        :raises DataError: when the logs record none for some answers
        """
        return _recorded(outcomes, "input_tokens"), _recorded(outcomes, "output_tokens")


def _recorded(outcomes: pa.RecordBatch, name: str) -> pa.Array:
    """Return a usage column; where the logs give a cost, tokens may be missing."""
    column = outcomes.column(name)
    lacking = outcomes.filter(pc.and_(column.is_null(), outcomes.column("cost").is_null()))
    if lacking.num_rows:
        ids = pc.binary_join_element_wise(lacking.column("dataset"), lacking.column("key"), "/")
        raise DataError(
            f"the logs record no {name} for {lacking.num_rows} answers: {shortened(ids.to_pylist())}",
            where="[tokens] counter",
            fix=f'add a column {name} to the logs, or count tokens with counter = "cl100k"',
        )
    return column


class Cl100k:
    """Counts the tokens of cl100k_base; text such as ``<|endoftext|>`` is ordinary text."""

    def __init__(self, image_tokens: int) -> None:
        self.image_tokens = image_tokens
        self._failure: DataError | None = None

    @cached_property
    def _encoding(self) -> Any:
        """The vocabulary, loaded when something is counted: what was counted before needs none."""
        import tiktoken

        if self._failure is None:
            try:
                return tiktoken.get_encoding("cl100k_base")
            except Exception as error:
                self._failure = _no_vocabulary(error)
        raise self._failure

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> Array:
        """Return the tokens of the questions plus a constant per image, the same for every model (VL-RouterBench)."""
        return np.asarray(self._count(samples.column("question")) + self.image_tokens * images)

    def outcome_tokens(self, outcomes: pa.RecordBatch) -> tuple[None, Array]:
        """Return the tokens of the answers."""
        return None, self._count(outcomes.column("prediction"))

    def _count(self, texts: pa.Array) -> Array:
        encode = self._encoding.encode
        return np.array([len(encode(t, disallowed_special=())) for t in texts.to_pylist()], dtype=np.int64)


def _no_vocabulary(error: Exception) -> DataError:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    said = f"TIKTOKEN_CACHE_DIR is {folder!r}" if folder else "TIKTOKEN_CACHE_DIR is not set"
    return DataError(
        f"the vocabulary of cl100k_base cannot be loaded ({type(error).__name__}: {error}); {said}",
        where="[tokens] counter",
        fix="connect to the internet once, or put the file cl100k_base.tiktoken under the name "
        f"{VOCABULARY} into a folder and set TIKTOKEN_CACHE_DIR to that folder",
    )
