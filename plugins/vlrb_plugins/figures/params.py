"""Parameters of figures."""

from __future__ import annotations

import attrs

from vlrb import param


def _positive(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name} must be at least 1, not {value}")


@attrs.frozen
class ModelsParams:
    """How many models a figure shows."""

    models: int = param(default=20, help="single models that are shown, at most", validator=_positive)


@attrs.frozen
class SweepParams:
    """What a figure of sweeps shows."""

    metric: str = param(default="", help="metric on the vertical axis; that of the selection unless set")
