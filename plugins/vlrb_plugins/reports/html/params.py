"""Parameters of the report ``html``."""

from __future__ import annotations

import attrs

from vlrb import param

MOST_SAMPLES = 500


def _in_range(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 0 <= value <= MOST_SAMPLES:
        raise ValueError(f"{attribute.name} must be between 0 and {MOST_SAMPLES}, not {value}")


@attrs.frozen
class HtmlParams:
    """Parameters of the report ``html``."""

    samples: int = param(
        default=24,
        help="test samples that the page shows with their questions and choices; 0 leaves them out",
        validator=_in_range,
    )
    figures: tuple[str, ...] | None = param(
        default=None, help="names of the figures, in their order; all that plugins offer unless set"
    )
    png: bool = param(default=True, help="write figures as PNG too")
