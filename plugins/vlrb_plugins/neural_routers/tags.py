"""Tags of questions, and targets that are averaged over them (ZOOTER)."""

from __future__ import annotations

import re
from typing import Any

import attrs
import numpy as np

from vlrb import Array

RAREST = 20
"""Fewest questions that contain a word for it to be a tag: means of fewer rows are mostly noise."""


@attrs.frozen(eq=False)
class Tags:
    """Words as tags: the questions that contain each, and those that it is a tag of; both are sparse, bool[n, t]."""

    stands: Any
    tagged: Any


def text_tags(texts: list[str], most: int) -> Tags:
    """Return the tags of every text: up to ``most`` words with the highest tf-idf.

    Only words in at least ``RAREST`` texts count, and all numbers count as one word.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    plain = [re.sub(r"\d+", "0", t.lower()) for t in texts]
    if not any(re.search(r"\w", t) for t in plain):
        none = sparse.csr_array((len(texts), 0), dtype=np.bool_)
        return Tags(none, none)
    weights = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\w+").fit_transform(plain).tocsc()
    weights = sparse.csr_array(weights[:, np.diff(weights.indptr) >= RAREST])
    weights.sort_indices()
    tagged = weights.copy()
    for row in range(len(texts)):
        held = slice(weights.indptr[row], weights.indptr[row + 1])
        tagged.data[held] = np.argsort(np.argsort(-weights.data[held], kind="stable")) < most
    tagged.eliminate_zeros()
    return Tags(weights.astype(np.bool_), tagged.astype(np.bool_))


def smoothed(targets: Array, tags: Tags, sample_weight: float) -> Array:
    """Return targets averaged with those of their tags, float64[n, k].

    A tag's target is the mean over the questions that contain it; a row's tags have equal weights, and a row without tags keeps
    its own target.

    :param targets: float64[n, k]
    :param sample_weight: weight of a row's own target; the tags have the rest
    """
    stands, tagged = tags.stands.astype(np.float64), tags.tagged.astype(np.float64)
    means = (stands.T @ targets) / stands.sum(axis=0).reshape(-1, 1)
    many = tagged.sum(axis=1).reshape(-1, 1)
    shared = (tagged @ means) / np.maximum(many, 1)
    return np.where(many > 0, sample_weight * targets + (1 - sample_weight) * shared, targets)
