"""Datasets and models as plugins declare them: what is refused, and the group of a sample."""

from __future__ import annotations

import pytest

from vlrb.api.records import Model


@pytest.mark.parametrize("size", [0, -1.0, float("nan"), float("inf"), 10**400])
def test_a_models_size_is_a_number_that_can_be_shown(size: float) -> None:
    """Billions of parameters: neither nothing nor more than any table can print."""
    with pytest.raises(ValueError, match="billions"):
        Model(name="m", parameters=size)
    assert Model(name="m", parameters=7).parameters == 7
