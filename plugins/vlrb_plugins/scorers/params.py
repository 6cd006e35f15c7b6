"""Parameters of the scorers."""

from __future__ import annotations

import attrs

from vlrb import param


@attrs.frozen
class ExactMatchParams:
    """Parameters of the scorer ``exact-match``."""

    ignore_case: bool = param(default=True, help="whether 'yes' equals 'Yes'")
