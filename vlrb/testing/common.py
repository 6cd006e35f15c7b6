"""Promises that several kinds have in common, and how results are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlrb.testing.promises import Table, breach
from vlrb.testing.surroundings import same_random_state, silent
from vlrb.texts import short_repr

Results = Mapping[str, Any]
"""What is compared by name: arrays or lists with a row for each query, case or sample."""


def refuse_other(expected: Results, now: Results, when: str, tolerance: float = 0.0, row: str = "query") -> None:
    """Refuse results that differ; choices, and whatever is not an array of floats, must be equal.

    :param tolerance: relative and absolute, of floats; NaN equals NaN
    :param row: what a row is called
    """
    for name, was in expected.items():
        found = now[name]
        if len(was) != len(found):
            breach(f"{name} has {len(found)} rows {when}, and {len(was)} otherwise")
        for i, (before, after) in enumerate(zip(was, found, strict=True)):
            if not _same(before, after, tolerance):
                breach(
                    f"{name} of {row} {i} is {short_repr(_plain(after))} {when}, and {short_repr(_plain(before))} otherwise"
                )


def _same(before: Any, after: Any, tolerance: float) -> bool:
    one, other = np.asarray(before), np.asarray(after)
    if one.dtype.kind != "f" or other.dtype.kind != "f":
        return one.shape == other.shape and bool(np.all(one == other))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def join_rows(parts: list[Results]) -> dict[str, Any]:
    """Return the rows of several results, one after the other."""
    return {name: [row for part in parts for row in part[name]] for name in parts[0]}


def add_calm(table: Table, doing: str) -> None:
    """Add the promises that a component's work, ``subject.work()``, has no side effects.

    :param doing: what the work is, in the sentences
    """

    def random_state_untouched(subject: Any) -> None:
        with same_random_state():
            subject.work()

    def prints_nothing(subject: Any) -> None:
        with silent():
            subject.work()

    random_state_untouched.__doc__ = f"The global random states of Python, numpy and torch are the same after {doing}."
    prints_nothing.__doc__ = f"Nothing is written to stdout and stderr by {doing}."
    table.promise("use a generator of your own, np.random.default_rng(seed)")(random_state_untouched)
    table.promise("return or log messages, and turn a library's own messages off")(prints_nothing)


def add_rowwise(table: Table, row: str, fix: str, tolerance: float = 0.0) -> None:
    """Add the promises that each row, ``subject.of_rows(rows)`` of ``subject.count``, depends on itself alone.

    :param row: what a row is called
    """

    def order_does_not_matter(subject: Any) -> None:
        n = subject.count
        expected = subject.of_rows(np.arange(n))
        for order in (np.arange(n)[::-1], np.random.default_rng(5).permutation(n)):
            now = subject.of_rows(order)
            back = np.argsort(order).tolist()
            again = {name: [rows[i] for i in back] for name, rows in now.items()}
            refuse_other(expected, again, "in another order", tolerance, row)

    def batch_does_not_matter(subject: Any) -> None:
        n = subject.count
        expected = subject.of_rows(np.arange(n))
        for size in (1, 7):
            parts = [subject.of_rows(np.arange(i, min(i + size, n))) for i in range(0, n, size)]
            refuse_other(expected, join_rows(parts), f"in batches of {size}", tolerance, row)

    order_does_not_matter.__doc__ = f"The result of a {row} does not depend on its place among the others."
    batch_does_not_matter.__doc__ = f"The result of a {row} is the same alone and among others."
    table.promise(fix)(order_does_not_matter)
    table.promise(fix)(batch_does_not_matter)


ODD_TEXTS = (
    "",
    " \n\t ",
    "x" * 5000,
    "long " * 2000,
    "日本語の質問です。色は？",
    "¿Qué número? ½ ≥ ∑ \U0001f600 é",
    "a\u200bb\x00c\x1b[31m",
    "\\frac{1}{2} {{}} <b>&amp;</b> %s %d",
    "-1e400",
    "[1, 2",
)
"""Texts that occur in logs and that code often does not expect."""
