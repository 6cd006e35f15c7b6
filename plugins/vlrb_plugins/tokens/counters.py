"""Counting tokens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import Array, DataError, NoParams, shorten_list
from vlrb_plugins.tokens.images import image_tokens
from vlrb_plugins.tokens.params import Cl100kParams

if TYPE_CHECKING:
    from vlrb import Model

VOCABULARY = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""Name of cl100k_base's vocabulary file in tiktoken's cache folder."""


@attrs.frozen
class Usage:
    """Takes input and output tokens from the logs' usage columns."""

    params: NoParams = NoParams()

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> None:
        """Return None, since the tokens are in the outcomes."""

    def outcome_tokens(self, outcomes: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
        """Return the recorded tokens.

        :raises DataError: when the logs record none for some answers
        """
        return _recorded(outcomes, "input_tokens"), _recorded(outcomes, "output_tokens")


def _recorded(outcomes: pa.RecordBatch, name: str) -> pa.Array:
    """Return a usage column; for answers with a cost, tokens may be missing."""
    column = outcomes.column(name)
    lacking = outcomes.filter(pc.and_(column.is_null(), outcomes.column("cost").is_null()))
    if lacking.num_rows:
        ids = pc.binary_join_element_wise(lacking.column("dataset"), lacking.column("key"), "/")
        raise DataError(
            f"the logs record no {name} for {lacking.num_rows:,} answers: {shorten_list(ids.to_pylist())}",
            where="[tokens] counter",
            fix=f'add a column {name} or cost to the logs, or count tokens with counter = "cl100k"',
        )
    return column


class Cl100k:
    """Counts tokens of cl100k_base; ``<|endoftext|>`` and the like are ordinary text."""

    def __init__(self, params: Cl100kParams) -> None:
        self.params = params
        self.per_model = params.image_rule == "per-model"
        self._failure: DataError | None = None

    @cached_property
    def _encoding(self) -> Any:
        """The vocabulary, loaded when something is counted, since cached counts need none."""
        import tiktoken

        if self._failure is None:
            try:
                return tiktoken.get_encoding("cl100k_base")
            except Exception as error:
                self._failure = _no_vocabulary(error)
        raise self._failure

    def sample_tokens(self, samples: pa.RecordBatch, images: Array) -> pa.Array:
        """Return the tokens of the questions plus a constant per image, the same for every model (VL-RouterBench).

        With ``image_rule = "per-model"`` the images count in :meth:`model_tokens`.
        """
        tokens = self._count(samples.column("question"))
        return tokens if self.per_model else pc.add(tokens, pa.array(self.params.image_tokens * images))

    def model_tokens(self, name: str, model: Model | None, sizes: Sequence[tuple[tuple[int, int], ...]]) -> Array:
        """Return the tokens of every sample's images by the model's published rule.

        :raises DataError: for a model without a rule if ``without_rule`` is not set
        """
        rule = model.image_tokens if model is not None else None
        if rule is None and self.params.without_rule is None:
            raise DataError(
                f"no rule is published for the image tokens of {name!r}",
                where="[tokens] image_rule",
                fix="set without_rule to the tokens per image of such models, or register the model with image_tokens",
            )
        if rule is None:
            return np.array([(self.params.without_rule or 0) * len(s) for s in sizes], dtype=np.int64)
        return np.array([sum(image_tokens(rule, *size) for size in s) for s in sizes], dtype=np.int64)

    def outcome_tokens(self, outcomes: pa.RecordBatch) -> tuple[None, pa.Array]:
        """Return the tokens of the answers, those of the model's thinking included."""
        thinking = outcomes.column("thinking").fill_null("")
        return None, self._count(pc.binary_join_element_wise(thinking, outcomes.column("prediction"), ""))

    def _count(self, texts: pa.Array) -> pa.Array:
        """Return the tokens of texts; each distinct text is encoded once, and nulls stay null."""
        encode = self._encoding.encode_ordinary
        texts = texts.dictionary_encode()
        counts = pa.array([len(encode(t)) for t in texts.dictionary.to_pylist()], pa.int64())
        return counts.take(texts.indices)


def _no_vocabulary(error: Exception) -> DataError:
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    said = f"TIKTOKEN_CACHE_DIR is {folder!r}" if folder else "TIKTOKEN_CACHE_DIR is not set"
    return DataError(
        f"the vocabulary of cl100k_base cannot be loaded ({type(error).__name__}: {error}); {said}",
        where="[tokens] counter",
        fix="connect to the internet once, or save the file cl100k_base.tiktoken under the name "
        f"{VOCABULARY} in a folder and set TIKTOKEN_CACHE_DIR to that folder",
    )
