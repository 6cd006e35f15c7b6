"""Ids of questions outside vlrb, which export and router both compute from what a router may see."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable

from vlrb import Queries

DIGITS, CHECK_DIGITS = 24, 8


def split_key(train: Iterable[str], dev: Iterable[str]) -> bytes:
    """Return the key of a split's ids: a digest of its train and dev samples.

    A refit, where dev is part of train too, has the key of the first fit; an inner fold has another one.

    :param train: ids of the queries in train
    :param dev: ids of the queries in dev
    """
    parts = list(dev)
    return hashlib.sha256(json.dumps([sorted({*train, *parts}), sorted(parts)]).encode()).digest()


def question_ids(key: bytes, queries: Queries) -> list[str]:
    """Return an id per query, from its sample and all that a router sees of it; the last digits are a checksum."""
    seen = zip(queries.ids, queries.texts, queries.options, queries.hints, queries.images.hashes, strict=True)
    ids = (_digest(key, json.dumps(each))[:DIGITS] for each in seen)
    return [number + _digest(key, number)[:CHECK_DIGITS] for number in ids]


def is_of_split(key: bytes, question: str) -> bool:
    """Return whether an id belongs to a split, without knowing its questions."""
    number, check = question[:DIGITS], question[DIGITS:]
    return len(check) == CHECK_DIGITS and hmac.compare_digest(
        _digest(key, number)[:CHECK_DIGITS].encode(), check.encode()
    )


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
