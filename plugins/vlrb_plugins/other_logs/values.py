"""Values in a sample of a log: found by their place, and checked."""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping
from typing import Any

from vlrb import MOST_TOKENS, shorten_list
from vlrb_plugins.shared.log_tables.json_lines import shorten_value
from vlrb_plugins.shared.log_tables.texts import is_unicode

MISSING = object()
"""Marks a missing value; None is null."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_INDEX = 9


class WrongValueError(Exception):
    """A value of a sample cannot be used: what is wrong, and how to fix it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def value_at(row: Any, place: str) -> Any:
    """Return the value at a place such as ``doc.choices.0``, or MISSING.  A key with dots in it is found as a whole."""
    steps = place.split(".")
    for i, step in enumerate(steps):
        if isinstance(row, dict):
            if (rest := ".".join(steps[i:])) in row:
                return row[rest]
            row = row.get(step, MISSING)
        elif isinstance(row, list) and step.isascii() and step.isdigit() and len(step) <= _LONGEST_INDEX:
            row = row[int(step)] if int(step) < len(row) else MISSING
        else:
            return MISSING
    return row


def needed_value(row: Mapping[str, Any], place: str, parameter: str) -> Any:
    """Return the value at a place.

    :param parameter: the key of the experiment file that names the place
    :raises WrongValueError: when there is none
    """
    value = value_at(row, place)
    if value is MISSING:
        raise WrongValueError(
            f"has no {place!r}", f"correct {parameter}; there are: {shorten_list(map(repr, row), 20)}"
        )
    return value


def check_text(value: object, place: str, fix: str) -> str:
    """Return a text.  A whole number becomes one too, as it stands.

    :raises WrongValueError: for anything else
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise WrongValueError(f"{place!r} is {shorten_value(value)}, which is not a text", fix)
    if not is_unicode(value):
        raise WrongValueError(f"{place!r} holds half of a surrogate pair, which is not a text", "write the text again")
    return value


def key_of(value: object, place: str) -> str:
    """Return the key of a sample.

    :raises WrongValueError: when it is neither a number nor a text, or empty
    """
    fix = f"give every sample its {place}"
    key = check_text(value, place, fix)
    if not key:
        raise WrongValueError(f"{place!r} is empty", fix)
    return key


def answer_of(value: object, place: str, parameter: str) -> str | None:
    """Return a gold answer; several become a list in JSON notation.

    :raises WrongValueError: when it is neither a text nor a list of texts
    """
    fix = f"name a text, or a list of texts, by {parameter}"
    if value is None:
        return None
    if isinstance(value, list):
        texts = [check_text(v, place, fix) for v in value]
        return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)
    return check_text(value, place, fix)


def options_of(value: object, place: str) -> list[dict[str, str]] | None:
    """Return options with the letters A, B and so on.

    :raises WrongValueError: when it is not a list of at most 26 texts
    """
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > len(string.ascii_uppercase):
        what = f"{place!r} is {shorten_value(value)}, which is not a list of at most 26 texts"
        raise WrongValueError(what, "name a list of the options' texts")
    texts = [check_text(v, place, "write every option as a text") for v in value]
    return [{"letter": a, "text": t} for a, t in zip(string.ascii_uppercase, texts, strict=False)]


def fields_of(row: Mapping[str, Any], places: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the fields of a sample that are there and not null.

    :raises WrongValueError: for a field that is not a text
    """
    found = ((name, place, value_at(row, place)) for name, place in places.items())
    fix = "name a text or a whole number by fields"
    return [(n, check_text(v, p, fix)) for n, p, v in found if v is not MISSING and v is not None]


def score_of(value: object, place: str, highest: float, named: Mapping[str, float] | None = None) -> float | None:
    """Return a score divided by the highest one, None for null.

    :param named: text -> share of the highest score, beyond true, false and numbers; small letters stand for capitals too
    :raises WrongValueError: when it is not a number in the range
    """
    if isinstance(value, str):
        texts = {"true": 1.0, "false": 0.0} | dict(named or {})
        share = texts.get(value, texts.get(value.lower()))
        written = float(value) if _NUMBER.fullmatch(value) else None
        number = share * highest if share is not None else written
    else:
        number = value * highest if isinstance(value, bool) else _as_float(value)
    if value is None:
        return None
    if number is None:
        fix = "name a number by score (and value); a dotted place reaches into objects and lists"
        raise WrongValueError(f"{place!r} is {shorten_value(value)}, which is not a score", fix)
    if not (math.isfinite(number) and 0 <= number <= highest):
        fix = f"name another score, or set highest to the highest that {place!r} can be"
        raise WrongValueError(f"{place!r} is {shorten_value(value)}, which is not between 0 and {highest:g}", fix)
    return number / highest


def _as_float(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def tokens_of(value: object, place: str) -> int | None:
    """Return a number of tokens, None for null or nothing.

    :raises WrongValueError: when it is not one
    """
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        what = f"{place!r} is {shorten_value(value)}, which is not a number of tokens"
        raise WrongValueError(what, f"write a whole number between 0 and {MOST_TOKENS:,}, or null")
    return value
