"""The files of a finished cell."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.frozen import Array, sealed
from vlrb.api.routing import Estimate
from vlrb.errors import DataError
from vlrb.running.context import DEVICE
from vlrb.storage import read_json, read_parquet

ROUTED = ("dev", "test")


def hardware(device: object = None) -> str:
    """Return the machine in a few words, for throughput figures.

    :param device: of a fitted router, by name or as a mapping to names
    """
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    named = device.values() if isinstance(device, Mapping) else () if device is None else (device,)
    where = ", ".join(text for value in named if value is not None and (text := str(value)))
    return f"{name}, {os.cpu_count()} CPUs, {where or DEVICE}"


@attrs.frozen(eq=False)
class Routed:
    """A router's choices int64[n] on the rows of a split, and its estimates where it gives any."""

    choices: Array
    estimate: Estimate | None


def read_cell(
    folder: Path, ids: Mapping[str, Sequence[str]], models: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Routed]]:
    """Return the record of a finished cell (``cell.json``), and its results on dev and test.

    :param ids: the sample ids of dev and test, in the order of their rows
    :param models: the candidates' names, in the order of their columns
    :raises DataError: naming a file that is missing, broken, or of other samples
    """
    about = read_json(folder / "cell.json")
    return about, {name: _read_routed(folder / f"{name}.parquet", ids[name], models) for name in ROUTED}


def _read_routed(file: Path, ids: Sequence[str], models: Sequence[str]) -> Routed:
    try:
        table = read_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), fix="run again with --fresh") from None
    lacking = sorted({"id", "choice"} - set(table.column_names))
    if lacking or table.column("id").to_pylist() != list(ids):
        what = f"has no column {lacking[0]!r}" if lacking else f"holds other samples than {file.stem}"
        raise DataError(what, where=str(file), fix="run again with --fresh")
    return Routed(table.column("choice").to_numpy(), estimate_of(table, models))


def estimate_of(table: pa.Table, models: Sequence[str]) -> Estimate | None:
    """Return the estimates of a cell's table, float64[n, k] each; None where it has none."""
    if f"p_correct:{models[0]}" not in table.column_names:
        return None
    p, cost = (
        sealed(np.column_stack([table.column(f"{kind}:{m}").to_numpy() for m in models]))
        for kind in ("p_correct", "cost")
    )
    return Estimate(p, cost)
