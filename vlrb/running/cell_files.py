"""The files of a cell: its record, its choices and estimates, and the curve that its router logged."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import Array, sealed
from vlrb.api.returned import INTEGERS
from vlrb.api.routing import Estimate
from vlrb.errors import DataError, StorageError
from vlrb.evaluation.on_demand import OnDemand
from vlrb.storage import read_parquet

logger = logging.getLogger("vlrb")

ROUTED = ("dev", "test")

CURVE = "curve.parquet"
"""File of a cell with what its router logged during the fit: columns step (int64), name (string), value (float64, finite)."""

JOURNAL = "curve.jsonl"
"""File of a fit's work folder that the curve is made of: a line per call of ``log``, so that a kill loses none of them."""

Log = Callable[[int, Mapping[str, float]], None]


@attrs.frozen(eq=False)
class Routed:
    """A router's choices int64[n] on the rows of a split, and what reads its estimates where it gives any."""

    choices: Array
    read_estimate: OnDemand[Estimate] | None

    @property
    def estimate(self) -> Estimate | None:
        """Return the estimates, float64[n, k] each."""
        return self.read_estimate() if self.read_estimate is not None else None


def read_routed(folder: Path, name: str, ids: Sequence[str], models: Sequence[str]) -> Routed:
    """Return the results of a finished cell on dev or test.

    :param ids: of the split's samples, in the order of their rows
    :param models: the candidates' names, in the order of their columns
    :raises DataError: naming a file that is missing, broken, or of other samples
    """
    file = folder / f"{name}.parquet"
    table = _read_columns(file, ("id", "choice"))
    if not table.column("id").cast(pa.string()).equals(pa.chunked_array([pa.array(ids, pa.string())])):
        raise DataError(f"holds other samples than {name}", where=str(file), fix="run again with --fresh")
    return Routed(table.column("choice").to_numpy(), estimate_in(file, models))


@contextlib.contextmanager
def readable(file: Path, fix: str = "run again with --fresh") -> Iterator[None]:
    """Blame a Parquet file for what the system or Arrow raises in a block."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), fix=fix) from None


def _read_columns(file: Path, names: Sequence[str]) -> pa.Table:
    with readable(file):
        return read_parquet(file, names)


def estimate_in(file: Path, models: Sequence[str]) -> OnDemand[Estimate] | None:
    """Return what reads the estimates of a cell's file, float64[n, k] each; None where it has none.

    Where the file cannot be read later, that ends the run, whichever metric asked: StorageError.

    :raises DataError: naming the file when it is broken
    """
    names = [[f"{matrix}:{model}" for model in models] for matrix in ("p_correct", "cost")]

    def read() -> Estimate:
        try:
            tables = [(_read_columns(file, columns), columns) for columns in names]
        except DataError as error:
            raise StorageError(error.problems) from None
        return Estimate(*(sealed(np.column_stack([t.column(c).to_numpy() for c in columns])) for t, columns in tables))

    with readable(file):
        has_estimates = names[0][0] in pq.read_schema(file).names
    return OnDemand(read) if has_estimates else None


def journaling_log(journal: Path, cell: str, log: Log) -> Log:
    """Return a function for routers to log with: it appends to the journal of a fit, then calls ``log``.

    Values that are not finite are left out with a warning, so that none ends a long fit.  The function raises ValueError for
    a step, a name or a value that no curve can hold, and StorageError when the journal cannot be written.
    """

    def keep(step: int, values: Mapping[str, Any]) -> None:
        texts = [k for k, v in values.items() if isinstance(v, str | bytes)]
        if texts:
            raise ValueError(f"{texts[0]!r} of a curve is a text")
        if step != int(step) or int(step) not in INTEGERS:
            raise ValueError(f"step {step!r} of a curve is not a 64-bit integer")
        numbers = {str(k): float(v) for k, v in values.items()}
        good = {k: v for k, v in numbers.items() if math.isfinite(v)}
        if bad := {k: v for k, v in numbers.items() if k not in good}:
            logger.warning("%s logged %s at step %s, which no curve can show: left out", cell, bad, step)
        _append(journal, int(step), good)
        log(int(step), good)

    return keep


def _append(journal: Path, step: int, values: Mapping[str, float]) -> None:
    for name in values:
        name.encode()  # raises for what no file can hold
    try:
        with journal.open("a", encoding="utf-8") as file:
            # the line break comes first: a line that a kill cut off then spoils no other
            file.write("\n" + json.dumps([step, values], allow_nan=False))
    except FileNotFoundError:  # the work folder is removed when the cell has ended
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
        schema = pa.schema([("step", pa.int64()), ("name", pa.string()), ("value", pa.float64())])
        rows = [{"step": s, "name": n, "value": v} for (s, n), v in sorted(points.items())]
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / CURVE, compression="zstd")


def read_curve(directory: Path) -> tuple[tuple[int, str, float], ...]:
    """Return (step, name, value) of whatever a cell's router logged during the fit, by step and name; empty if nothing.

    :param directory: of the cell, in a run directory or in the cache
    :raises DataError: naming the file when it is broken
    """
    if not (directory / CURVE).is_file():
        return ()
    table = _read_columns(directory / CURVE, ("step", "name", "value"))
    return tuple(sorted(zip(*(table.column(c).to_pylist() for c in ("step", "name", "value")), strict=True)))
