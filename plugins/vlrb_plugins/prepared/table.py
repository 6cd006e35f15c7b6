"""The rows and columns of a prepared benchmark: which sample is which row, which model is which column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import SPLITS, Array, DataError, did_you_mean, shorten_list
from vlrb_plugins.prepared.tree import Tree
from vlrb_plugins.shared.log_tables.arrays import is_text, nulls_of
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.json_lines import json_lines
from vlrb_plugins.shared.log_tables.limits import refuse_special
from vlrb_plugins.shared.log_tables.parquet_files import Expected, check_schema, open_parquet, parquet_batches
from vlrb_plugins.shared.log_tables.texts import is_unicode

_UNKNOWN = ("", "unknown")
"""What the scripts write where a sample has no split."""


_META = (
    Expected("sample_id", "text", is_text),
    Expected("dataset", "text", is_text),
    Expected("split", "text", lambda t: is_text(t) or bool(pa.types.is_null(t)), required=False),
)
"""The columns of meta.parquet that are read."""


@attrs.frozen(eq=False)
class Rows:
    """The samples in the order of the rows of Y and C.

    ``splits`` are train, dev, test or null; None where no file has splits.
    """

    ids: pa.Array
    datasets: pa.Array
    splits: pa.Array | None
    source: Path

    @cached_property
    def keys(self) -> pa.Array:
        """Return the ids without their datasets: ``DATASET/key``."""
        pairs = zip(self.ids.to_pylist(), self.datasets.to_pylist(), strict=True)
        return pa.array([i[len(d) + 1 :] for i, d in pairs], pa.string())

    def find(self, ids: pa.Array) -> pa.Array:
        """Return the rows of samples, null where a sample is not there."""
        return pc.index_in(ids, value_set=self.ids)


def read_names(path: Path, what: str) -> list[str]:
    """Read a list of names: JSON, or a text file with one on a line.

    :raises DataError: naming the file and what is wrong: no list of texts, an empty name, one that appears twice
    """
    refuse_special(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        names = json.loads(text) if path.suffix == ".json" else text.removesuffix("\n").split("\n") if text else []
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), fix="write the file again") from None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        found = next((repr(n)[:60] for n in names if not isinstance(n, str)), "") if isinstance(names, list) else ""
        shown = f"holds {found}" if found else f"holds a {type(names).__name__}"
        raise DataError(f"must be a list of {what} (texts), but {shown}", where=str(path), fix='write ["a", "b"]')
    names = [n.removesuffix("\r") for n in names] if path.suffix == ".txt" else names
    _check_names(path, names, what)
    return names


def _check_names(path: Path, names: Sequence[str], what: str) -> None:
    findings = Findings()
    if not names:
        findings.add(f"holds no {what}", str(path), "write the file again")
    seen: dict[str, int] = {}
    unit = "line" if path.suffix == ".txt" else "item"
    for i, name in enumerate(names):
        where = f"{path}, {unit} {i + 1}"
        if not name:
            findings.add("is empty", where, f"write the {what} in the order of the matrices, without gaps")
        elif not is_unicode(name):
            findings.add(f"{name!r} is not a text that can be written as UTF-8", where, "write the file again")
        elif seen.setdefault(name, i) != i:
            findings.add(f"{name!r} is already there, in place {seen[name] + 1}", where, "the names must be distinct")
    findings.stop_if_any()


# --- rows ---------------------------------------------------------------------------------------------------------------


def read_rows(tree: Tree) -> Rows:
    """Join the list of ids with meta.parquet and the split files, by sample id.

    :raises DataError: naming ids that one file has and another has not, that appear twice, or contradict each other
    """
    meta = _read_meta(tree.meta)
    ids = meta["sample_id"]
    source = tree.meta
    if tree.ids is not None:
        source = tree.ids
        ids = pa.array(read_names(tree.ids, "sample ids"), pa.string())
        _same_ids(ids, source, meta["sample_id"], tree.meta)
    order = pc.index_in(ids, value_set=meta["sample_id"])
    datasets = meta["dataset"].take(order)
    _check_prefixes(ids, datasets, tree.meta)
    rows = Rows(ids, datasets, None, source)
    splits = meta["split"].take(order) if "split" in meta else None
    if tree.splits:
        splits = _merged(rows, splits, _read_splits(tree.splits, rows), tree)
    if splits is not None and splits.null_count == len(splits):
        splits = None
    return attrs.evolve(rows, splits=splits)


def _read_meta(path: Path) -> dict[str, pa.Array]:
    """Read the columns of meta.parquet that are used: sample_id, dataset, and split where it is there."""
    file = open_parquet(path)
    findings = Findings()
    check_schema(path, file.schema_arrow, _META, findings)
    findings.stop_if_any()
    used = [c.name for c in _META if c.name in file.schema_arrow.names]
    try:
        table = pa.Table.from_batches([b.cast(_texts(used)) for b in parquet_batches(path, file, used)], _texts(used))
        table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), fix="write the file again") from None
    columns = {n: table.column(n).combine_chunks() for n in used}
    _check_meta(path, columns, findings)
    findings.stop_if_any()
    return columns


def _texts(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(n, pa.string()) for n in names])


def _check_meta(path: Path, columns: dict[str, pa.Array], findings: Findings) -> None:
    if not len(columns["sample_id"]):
        findings.add("holds no rows", str(path), "write the file again")
    for name in ("sample_id", "dataset"):
        empty = np.flatnonzero(columns[name].fill_null("").to_numpy(zero_copy_only=False) == "")
        for row in empty[:3].tolist():
            findings.add("is empty", f"{path}, row {row + 1}, column {name}", f"give every sample its {name}")
    twice = repeated(columns["sample_id"])
    if twice:
        message = f"{len(twice):,} sample ids appear twice: {shorten_list(map(repr, twice))}"
        findings.add(message, f"{path}, column sample_id", "keep one row of each")
    if "split" in columns:
        known = pc.if_else(pc.is_in(columns["split"], pa.array(_UNKNOWN)), None, columns["split"])
        columns["split"] = known
        for row in np.flatnonzero(~nulls_of(known) & ~_among(known, SPLITS))[:3].tolist():
            message = f"{known[row].as_py()!r} is not a split"
            fix = did_you_mean(known[row].as_py(), SPLITS)
            findings.add(message, f"{path}, row {row + 1}, column split", fix)


def _among(values: pa.Array, names: Sequence[str]) -> Array:
    return np.asarray(pc.is_in(values, pa.array(names)).to_numpy(zero_copy_only=False), dtype=np.bool_)


def repeated(values: pa.Array) -> list[str]:
    """Return the texts that appear more than once."""
    counts = pc.value_counts(values)
    return list(counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist())


def _same_ids(first: pa.Array, first_path: Path, second: pa.Array, second_path: Path) -> None:
    findings = Findings()
    for some, path, others, other in (
        (first, first_path, second, second_path),
        (second, second_path, first, first_path),
    ):
        extra = some.filter(pc.invert(pc.is_in(some, value_set=others)))
        if len(extra):
            message = f"{len(extra):,} sample ids are not in {other}: {shorten_list(map(repr, extra.to_pylist()))}"
            findings.add(message, str(path), "use files that were written together")
    findings.stop_if_any()


def _check_prefixes(ids: pa.Array, datasets: pa.Array, path: Path) -> None:
    """Check that a sample id is its dataset, a slash, and the key inside the dataset.

    :raises DataError: naming ids that are not
    """
    findings = Findings()
    for sample, dataset in zip(ids.to_pylist(), datasets.to_pylist(), strict=True):
        start = f"{dataset}/"
        if not sample.startswith(start) or sample == start:
            message = f"sample id {sample!r} is not {start!r} and a key, though its dataset is {dataset!r}"
            findings.add(message, f"{path}, column dataset", "write the ids as DATASET/key")
    findings.stop_if_any()


# --- splits -------------------------------------------------------------------------------------------------------------


def _read_splits(files: Sequence[Path], rows: Rows) -> pa.Array:
    """Return the split of every row as the split files say it.

    :raises DataError: naming file and line of an id that is not known or stands in two places, and samples without a split
    """
    findings = Findings()
    position = {name: i for i, name in enumerate(rows.ids.to_pylist())}
    found: list[str | None] = [None] * len(position)
    for path in files:
        for number, _, row in json_lines(path, findings):
            name, where = row.get("sample_id"), f"{path}, line {number}"
            if not isinstance(name, str):
                findings.add("has no text sample_id", where, 'write {"sample_id": "DATASET/key"}')
            elif name not in position:
                findings.add(f"sample {name!r} is not in {rows.source}", where, "use files that were written together")
            elif found[position[name]] is not None:
                message = f"sample {name!r} is in {found[position[name]]!r} already"
                findings.add(message, where, "a sample is in one split, once")
            else:
                found[position[name]] = path.stem
    findings.stop_if_any()
    splits = pa.array(found, pa.string())
    if splits.null_count:
        lacking = rows.ids.filter(splits.is_null()).to_pylist()
        message = f"{len(lacking):,} samples are in none of the splits: {shorten_list(map(repr, lacking))}"
        raise DataError(message, where=str(files[0].parent), fix="use files that were written together")
    return splits


def _merged(rows: Rows, meta: pa.Array | None, files: pa.Array, tree: Tree) -> pa.Array:
    """Return the splits of the split files, unless meta.parquet contradicts them."""
    if meta is None:
        return files
    other = pc.not_equal(meta, files).fill_null(False)
    ids = rows.ids.filter(other).to_pylist()
    if ids:
        said, instead = meta.filter(other)[0].as_py(), files.filter(other)[0].as_py()
        message = f"{len(ids):,} samples have another split in {tree.meta}: {shorten_list(map(repr, ids))}"
        detail = f"{message} (the first is in {instead!r} here and in {said!r} there)"
        raise DataError(
            detail, where=str(tree.splits[0].parent), fix="move the folder SPLITS away, or correct one of them"
        )
    return files
