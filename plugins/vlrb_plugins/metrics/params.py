"""Parameters of the metrics."""

from __future__ import annotations

import attrs
from attrs import validators

from vlrb import param


@attrs.frozen
class RankScoreParams:
    """Parameters of the metric ``rank-score``."""

    beta: float = param(default=0.1, validator=validators.gt(0), help="weight of accuracy against normalised cost")
