"""The quality matrix Y and the cost matrix C, read without pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from vlrb import HIGHEST_COST, Array, DataError, shorten_list
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.messages import first_line

BLOCK_ROWS = 50_000
_HEADER = 64 * 1024
_WIDEST = 16
"""Bytes of the widest number that is read."""


@attrs.frozen(eq=False)
class Asked:
    """What an experiment asks for: bool[n] of the samples' rows, bool[k] of the models' columns."""

    rows: Array
    models: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of samples and models."""
        return len(self.rows), len(self.models)

    def pairs(self, start: int, stop: int) -> Array:
        """Return bool[m, k]: which pairs of some rows are asked for."""
        return np.asarray(self.rows[start:stop, None] & self.models)


def read_quality(path: Path, models: Sequence[str], asked: Asked) -> Array:
    """Read Y, a row per sample and a column per model, with values in [0, 1] wherever it is asked for.

    :raises DataError: naming the file, when it is broken, has another shape, or holds other values
    """
    try:
        _check_size(path, asked.shape)
        with np.load(path, allow_pickle=False) as file:
            if "Y" not in file.files:
                fix = "write it by numpy.savez(path, Y=matrix)"
                raise DataError(f"has no array Y; it holds: {shorten_list(file.files)}", where=str(path), fix=fix)
            matrix = file["Y"]
            if not isinstance(matrix, np.ndarray):  # numpy returns raw bytes where a member is not an array
                raise DataError("Y is not an array", where=str(path), fix="write or copy the file again")
    except DataError:
        raise
    except Exception as error:  # numpy and zipfile raise errors of many kinds; each means that the file is broken
        raise _broken(path, error) from None
    _check_matrix(path, matrix, asked.shape)
    findings = Findings()
    for start, block in blocks(matrix):
        bad = ~((block >= 0) & (block <= 1)) & asked.pairs(start, start + len(block))
        for row, column in np.argwhere(bad)[:3].tolist():
            where = f"{path}, row {start + row}, column {column} (model {models[column]!r})"
            findings.add(f"{matrix[start + row, column]} is not in [0, 1]", where, "write 0, 1 or a fraction")
    findings.stop_if_any()
    return np.asarray(matrix)


def _check_size(path: Path, shape: tuple[int, int]) -> None:
    """Refuse a matrix that would unpack to far more than its shape needs."""
    with zipfile.ZipFile(path) as archive:
        size = max((i.file_size for i in archive.infolist() if i.filename == "Y.npy"), default=0)
    if size > shape[0] * shape[1] * _WIDEST + _HEADER:
        message = f"Y holds {size:,} bytes, too many for {shape[0]:,} samples and {shape[1]:,} models"
        raise DataError(message, where=str(path), fix="use files that were written together")


def open_cost(path: Path, models: Sequence[str], asked: Asked) -> Array:
    """Open C, in USD per sample and model, mapped from the file.

    :raises DataError: naming the file, and per model the number of costs that are not between 0 and HIGHEST_COST
    """
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # as above
        raise _broken(path, error) from None
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise DataError("is an archive, not an array", where=str(path), fix="write it by numpy.save(path, matrix)")
    _check_matrix(path, matrix, asked.shape)
    _check_costs(path, matrix, models, asked)
    return matrix


def _check_costs(path: Path, matrix: Array, models: Sequence[str], asked: Asked) -> None:
    kinds: Mapping[str, Callable[[Array], Array]] = {
        "NaN": np.isnan,
        "infinite": np.isposinf,
        f"above {HIGHEST_COST:,.0f} US dollars": lambda block: (block > HIGHEST_COST) & (block < np.inf),
        "negative": lambda block: np.less(block, 0),
    }
    counts = {kind: np.zeros(len(models), dtype=np.int64) for kind in kinds}
    for start, block in blocks(matrix):
        pairs = asked.pairs(start, start + len(block))
        for kind, test in kinds.items():
            counts[kind] += (test(block) & pairs).sum(axis=0)
    findings = Findings()
    for kind, found in counts.items():
        for j in np.flatnonzero(found).tolist():
            message = f"{found[j]:,} of {asked.rows.sum():,} costs of model {models[j]!r} are {kind}"
            fix = "write the costs in US dollars, or leave the model out by [benchmark] models"
            findings.add(message, f"{path}, column {j}", fix)
    findings.stop_if_any()


def free_models(matrix: Array) -> Array:
    """Return the columns of C whose costs are all 0, int[m]; none of them where all costs are 0."""
    paid = np.zeros(matrix.shape[1], dtype=np.bool_)
    for _, block in blocks(matrix):
        paid |= (block > 0).any(axis=0)
    return np.flatnonzero(~paid) if paid.any() else np.zeros(0, dtype=np.int64)


def blocks(matrix: Array) -> Iterator[tuple[int, Array]]:
    """Yield the number of the first row, and some rows as float64."""
    for start in range(0, len(matrix), BLOCK_ROWS):
        yield start, np.asarray(matrix[start : start + BLOCK_ROWS], dtype=np.float64)


def _check_matrix(path: Path, matrix: Array, shape: tuple[int, int]) -> None:
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"holds {matrix.dtype}, must hold numbers", where=str(path), fix="write the matrix again")
    if matrix.shape != shape:
        found = " x ".join(map(str, matrix.shape)) or "a single number"
        raise DataError(
            f"is {found}, but there are {shape[0]:,} samples and {shape[1]:,} models: it must be {shape[0]} x {shape[1]}",
            where=str(path),
            fix="use files that were written together; a row stands for a sample, a column for a model",
        )


def _broken(path: Path, error: Exception) -> DataError:
    what = f"is not a readable array: {first_line(error)[:200]}"
    return DataError(what, where=str(path), fix="write or copy the file again")
