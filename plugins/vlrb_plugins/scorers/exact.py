"""Exact matching."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from vlrb import Case, Score
from vlrb_plugins.scorers.params import ExactMatchParams
from vlrb_plugins.scorers.verdicts import NO_GOLD, binary


@attrs.frozen
class ExactMatch:
    """An answer is right if it equals the gold answer, apart from surrounding white space."""

    params: ExactMatchParams

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for every case, None for one without a gold answer."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        if not case.answer.strip():
            return NO_GOLD
        return binary(self._form(case.answer) == self._form(case.prediction))

    def _form(self, text: str) -> str:
        return text.strip().casefold() if self.params.ignore_case else text.strip()
