"""Problems found in files: reading continues after the first, so that several are reported together."""

from __future__ import annotations

import attrs

from vlrb import DataError, Problem

MOST_PROBLEMS = 20
"""Reading stops after this many."""


@attrs.define
class Findings:
    """What is wrong with a file, as far as it has been read."""

    problems: list[Problem] = attrs.Factory(list)

    def __bool__(self) -> bool:
        return bool(self.problems)

    def add(self, message: str, where: str, fix: str = "") -> None:
        """Note a problem.

        :raises DataError: with all of them, when there are too many to continue
        """
        problem = Problem(message, where, fix)
        if problem not in self.problems:
            self.problems.append(problem)
        if len(self.problems) >= MOST_PROBLEMS:
            raise DataError(
                [
                    *self.problems,
                    Problem(f"reading stopped after {MOST_PROBLEMS} problems", where, "correct these first"),
                ]
            )

    def stop_if_any(self) -> None:
        """Raise the problems found.

        :raises DataError: when there are any
        """
        if self.problems:
            raise DataError(self.problems)
