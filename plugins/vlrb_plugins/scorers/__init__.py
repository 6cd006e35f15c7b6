"""Scorers: from raw answers to scores."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from vlrb import hookimpl
from vlrb.specs import ScorerSpec, param
from vlrb.types import Case, Score


@attrs.frozen
class ExactMatchParams:
    """Parameters of the scorer ``exact-match``."""

    ignore_case: bool = param(default=True, help="whether 'yes' equals 'Yes'")


@attrs.frozen
class ExactMatch:
    """Right is what equals the gold answer, blanks around it aside."""

    params: ExactMatchParams

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for every case; None where there is no gold answer to compare with."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        if not case.answer.strip():
            return Score(None, "the sample has no gold answer")
        return Score(float(self._form(case.answer) == self._form(case.prediction)))

    def _form(self, text: str) -> str:
        return text.strip().casefold() if self.params.ignore_case else text.strip()


@hookimpl
def vlrb_scorers() -> list[ScorerSpec]:
    """Return the scorer ``exact-match``."""
    return [
        ScorerSpec(
            name="exact-match",
            summary="1 where the answer equals the gold answer, blanks around it aside",
            factory=ExactMatch,
            params=ExactMatchParams,
        )
    ]
