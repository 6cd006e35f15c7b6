"""What a difference says of chance."""

from __future__ import annotations

import pytest

from vlrb import CHANCE, Difference, Undefined

NONE = Undefined("none")


@pytest.mark.parametrize(
    ("value", "p", "p_holm", "decides", "chance"),
    [
        (1.0, 0.01, CHANCE, CHANCE, True),
        (1.0, 0.01, 0.04, 0.04, False),
        (1.0, 0.01, NONE, 0.01, False),
        (1.0, NONE, NONE, None, True),
        (NONE, NONE, NONE, None, False),
    ],
)
def test_the_corrected_p_value_decides(
    value: float | Undefined, p: float | Undefined, p_holm: float | Undefined, decides: float | None, chance: bool
) -> None:
    """Protects every table against deciding by another p-value; without one, equal rows stay equal."""
    difference = Difference(value, NONE, p, p_holm)
    assert (difference.decisive_p, difference.may_be_chance) == (decides, chance)
    assert difference.corrected == (p_holm is not NONE)
