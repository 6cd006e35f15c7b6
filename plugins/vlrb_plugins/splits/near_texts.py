"""Texts that are nearly the same: MinHash to find candidates, then the true Jaccard similarity of their words in threes.

Broder, On the resemblance and containment of documents (1997).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from vlrb import Array

HASHES = 128
ROWS_PER_BAND = 4
"""Two texts of similarity s are compared with probability 1 - (1 - s**4)**32: 0.9998 at 0.7, 0.87 at 0.5."""

_WORD = re.compile(r"\w+")
_PRIME = np.uint64(2**31 - 1)


def near_pairs(texts: Sequence[str], least: float) -> Iterator[tuple[int, int]]:
    """Yield pairs of texts whose similarity is at least ``least``; enough of them to join all that belong together.

    :param least: Jaccard similarity of the sets of three words in a row, in (0, 1]
    """
    sets = [_shingles(t) for t in texts]
    signatures = _signatures(sets)
    for start in range(0, HASHES, ROWS_PER_BAND):
        band = np.ascontiguousarray(signatures[:, start : start + ROWS_PER_BAND])
        keys = band.view([("", band.dtype)] * ROWS_PER_BAND).ravel()
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        for i, j in zip(order[same].tolist(), order[same + 1].tolist(), strict=True):
            if similarity(sets[i], sets[j]) >= least:
                yield i, j


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Return the Jaccard similarity of two sets; 0 where both are empty."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def _shingles(text: str) -> frozenset[int]:
    words = _WORD.findall(text.casefold())
    threes = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()
    return frozenset(int.from_bytes(hashlib.blake2b(t.encode(), digest_size=4).digest()) for t in threes)


def _signatures(sets: Sequence[frozenset[int]]) -> Array:
    """Return uint64[n, HASHES]; texts without words get signatures of their own, so that they are near nothing."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, int(_PRIME), (2, HASHES), dtype=np.uint64)
    signatures = np.empty((len(sets), HASHES), dtype=np.uint64)
    for i, shingles in enumerate(sets):
        if shingles:
            values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles)) % _PRIME
            signatures[i] = ((values[:, None] * a + b) % _PRIME).min(axis=0)
        else:
            signatures[i] = np.uint64(2**32 + i)
    return signatures
