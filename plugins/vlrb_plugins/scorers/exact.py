"""Exact matching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from vlrb import Case, Score
from vlrb_plugins.scorers.verdicts import NO_GOLD, binary

if TYPE_CHECKING:
    from vlrb_plugins.scorers import ExactMatchParams


@attrs.frozen
class ExactMatch:
    """Right is what equals the gold answer, blanks around it aside."""

    params: ExactMatchParams

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for every case; None where there is no gold answer to compare with."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        if not case.answer.strip():
            return NO_GOLD
        return binary(self._form(case.answer) == self._form(case.prediction))

    def _form(self, text: str) -> str:
        return text.strip().casefold() if self.params.ignore_case else text.strip()
