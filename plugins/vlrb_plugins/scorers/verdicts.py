"""Verdicts that all scorers share.

Reasons are few and fixed: each is about a rule, never about one sample, so that equal reasons can be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from vlrb import Case, NoParams, Score

RIGHT = Score(1.0)
WRONG = Score(0.0)
NO_GOLD = Score(None, "the sample has no gold answer", unscorable=True)


def binary(right: bool) -> Score:
    """Return 1 or 0."""
    return RIGHT if right else WRONG


@attrs.frozen
class EachCase:
    """A scorer that judges every case on its own, by a function."""

    judge: Callable[[Case], Score]
    params: NoParams = NoParams()

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return one score per case, in order."""
        return [self.judge(case) for case in cases]
