"""Parameters of the report ``data-report``."""

from __future__ import annotations

import attrs

from vlrb import param


@attrs.frozen
class DataReportParams:
    """Parameters of the report ``data-report``."""

    review: bool = param(default=True, help="score every answer that the logs judge, and compare; false leaves it out")
