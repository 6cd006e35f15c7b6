"""Parameters of the router ``choices``."""

from __future__ import annotations

from pathlib import Path

import attrs


@attrs.frozen
class ChoicesParams:
    """Where the choices are; a cell's key depends on the file's content, not on its path."""

    path: Path = attrs.field(
        kw_only=True,
        metadata={
            "help": "file of choices, .jsonl or .csv, with split, id and model of every dev and test question",
            "same_numbers": True,
        },
    )
