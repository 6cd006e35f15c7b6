"""Reading a table of results in any of the formats that VLMEvalKit writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from vlrb import DataError
from vlrb_plugins.vlmevalkit.table import Table
from vlrb_plugins.vlmevalkit.texts import read_json_table, read_tsv_table
from vlrb_plugins.vlmevalkit.workbook import read_sheet

READERS: Mapping[str, Callable[[Path], Table]] = {
    ".json": read_json_table,
    ".tsv": read_tsv_table,
    ".xlsx": read_sheet,
}
"""Suffix of a file -> its reader."""


def read_table(path: Path) -> Table:
    """Read a table of results.

    :raises DataError: when it cannot be read; a complete pickle beside a broken file is named, and not loaded
    """
    try:
        return READERS[path.suffix](path)
    except DataError as error:
        twin = path.with_suffix(".pkl")
        if not twin.is_file():
            raise
        hint = f"; {twin.name} in the same folder may hold the complete rows: vlrb never loads pickles, convert it to xlsx yourself"
        raise DataError([attrs.evolve(p, fix=p.fix + hint) for p in error.problems]) from None
