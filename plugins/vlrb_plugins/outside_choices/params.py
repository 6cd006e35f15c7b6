"""Parameters of the router ``choices``."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class ChoicesParams:
    """Where the choices are; the key of a cell holds what the file says, not where it is."""

    path: Path = attrs.field(
        kw_only=True,
        metadata={
            "help": "file of choices, .jsonl or .csv, with split, id and model of every dev and test question",
            "same_numbers": True,
        },
    )
