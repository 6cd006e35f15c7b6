"""The curve of a fit: what a router logs, appended line by line, so that a kill loses none of it."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.errors import DataError, StorageError
from vlrb.storage import read_parquet

logger = logging.getLogger("vlrb")

CURVE = "curve.parquet"
"""File of a cell with what its router logged during the fit: columns step (int64), name (string), value (float64, finite)."""

JOURNAL = "curve.jsonl"
"""File of a fit's work folder that the curve is made of."""

Log = Callable[[int, Mapping[str, float]], None]

SCHEMA = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
STEPS = range(-(2**63), 2**63)


def journaling_log(journal: Path, cell: str, log: Log) -> Log:
    """Return a function for routers to log with: it appends to the journal of a fit, then calls ``log``.

    Values that are not finite are left out with a warning, so that none ends a long fit.  The function raises ValueError for
    a step, a name or a value that no curve can hold, and StorageError when the journal cannot be written.
    """

    def keep(step: int, values: Mapping[str, Any]) -> None:
        texts = [k for k, v in values.items() if isinstance(v, str | bytes)]
        if texts or step != int(step):
            what = f"{texts[0]!r} of a curve is a text" if texts else f"step {step!r} of a curve is not an integer"
            raise ValueError(what)
        numbers = {str(k): float(v) for k, v in values.items()}
        bad = {k: v for k, v in numbers.items() if not math.isfinite(v)}
        if bad:
            logger.warning("%s logged %s at step %s, which no curve can show: left out", cell, bad, step)
        good = {k: v for k, v in numbers.items() if k not in bad}
        _append(journal, int(step), good)
        log(int(step), good)

    return keep


def _append(journal: Path, step: int, values: Mapping[str, float]) -> None:
    if step not in STEPS:
        raise ValueError(f"step {step} of a curve is not a 64-bit integer")
    for name in values:
        name.encode()
    try:
        with journal.open("a", encoding="utf-8") as file:
            # the line break comes first: a line that a kill cut off then spoils no other
            file.write("\n" + json.dumps([step, dict(values)], allow_nan=False))
    except FileNotFoundError:  # the work folder goes when the cell has ended
        logger.warning("values were logged at step %s after the fit had ended: left out", step)
    except OSError as error:
        raise StorageError.of(error, journal) from None


def write_curve(journal: Path, folder: Path) -> None:
    """Write ``curve.parquet`` into a cell's folder, unless nothing was logged; of one step and name the last value counts."""
    points: dict[tuple[int, str], float] = {}
    text = journal.read_text(encoding="utf-8", errors="replace") if journal.is_file() else ""
    for line in filter(None, text.split("\n")):
        with contextlib.suppress(ValueError):  # a line that a kill cut off
            step, values = json.loads(line)
            points |= {(step, name): value for name, value in values.items()}
    if points:
        rows = [{"step": s, "name": n, "value": v} for (s, n), v in sorted(points.items())]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / CURVE, compression="zstd")


def read_curve(directory: Path) -> tuple[tuple[int, str, float], ...]:
    """Return (step, name, value) of whatever a cell's router logged during the fit, by step and name; empty if nothing.

    :param directory: of the cell, in a run directory or in the cache
    :raises DataError: naming the file when it is broken
    """
    file = directory / CURVE
    if not file.is_file():
        return ()
    try:
        table = read_parquet(file, ["step", "name", "value"])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), fix="run again with --fresh") from None
    return tuple(sorted(zip(*(column.to_pylist() for column in table.columns), strict=True)))
