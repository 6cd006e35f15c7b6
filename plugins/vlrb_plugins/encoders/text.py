"""Hashed n-grams of the text."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from vlrb import Array, Column, Features, Queries
from vlrb_plugins.encoders.params import HashedTextParams


class HashedText:
    """Words, pairs of words and 3- to 5-grams of characters, hashed and projected.

    Question, options and hint are one text.  The projection is a Gaussian matrix drawn from the seed, so nothing is fitted
    and every query is encoded by itself.
    """

    def __init__(self, params: HashedTextParams) -> None:
        self.params = params

    @cached_property
    def _projection(self) -> Array:
        rng = np.random.default_rng(self.params.seed)
        shape = (2 * self.params.buckets, self.params.dimension)
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(self.params.dimension))

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, dimension]."""
        from scipy import sparse
        from sklearn.feature_extraction.text import HashingVectorizer

        texts = [_text(*t) for t in zip(queries.texts, queries.options, queries.hints, strict=True)]
        kinds = (("word", (1, 2)), ("char_wb", (3, 5)))
        vectorizers = [HashingVectorizer(n_features=self.params.buckets, analyzer=a, ngram_range=r) for a, r in kinds]
        counts = sparse.hstack([v.transform(texts) for v in vectorizers], format="csr", dtype=np.float32)
        matrix = np.asarray(counts @ self._projection, dtype=np.float32)
        return Features(matrix, tuple(Column(f"hashed-text/{i}") for i in range(self.params.dimension)))


def _text(question: str, options: tuple[tuple[str, str], ...], hint: str) -> str:
    return "\n".join([question, *(f"{letter}. {option}" for letter, option in options), hint])
