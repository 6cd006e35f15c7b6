"""Checks of values, block by block: nulls, empty texts, values out of range, duplicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import HIGHEST_COST, SPLITS, Array, did_you_mean
from vlrb_plugins.records.columns import Block, TableSchema
from vlrb_plugins.records.nested import list_elements, map_entries, rows_of
from vlrb_plugins.shared.log_tables.arrays import nulls_of, true_values
from vlrb_plugins.shared.log_tables.findings import Findings

SHOWN_ROWS = 3
"""How many rows with the same fault in a block are named."""

_OTHERS = {"val": "dev", "validation": "dev", "valid": "dev"}


def note_rows(
    block: Block, column: str, bad: Array, message: Callable[[int], str] | str, fix: str, findings: Findings
) -> None:
    """Note the first bad rows, and how many more there are."""
    rows = np.flatnonzero(bad).tolist()
    for row in rows[:SHOWN_ROWS]:
        findings.add(message if isinstance(message, str) else message(row), block.where(row, column), fix)
    if len(rows) > SHOWN_ROWS:
        more = f"{len(rows) - SHOWN_ROWS:,} more rows up to {block.unit} {block.numbers[rows[-1]]} are like this"
        findings.add(more, f"{block.file}, column {column}", "correct them too")


def check_names(block: Block, column: str, findings: Findings) -> None:
    """Note rows without a dataset, model or key."""
    array = block.columns[column]
    note_rows(block, column, nulls_of(array), "is null", f"give every row its {column}", findings)
    empty = true_values(pc.equal(array, ""))
    note_rows(block, column, empty, "is empty", f"give every row its {column}", findings)


def check_block(block: Block, table: TableSchema, findings: Findings) -> None:
    """Note what is wrong with the values of a block."""
    for column in table.columns:
        if column.name not in block.columns:
            continue
        array = block.columns[column.name]
        if column.kind == "name":
            check_names(block, column.name, findings)
        elif column.not_null:
            note_rows(block, column.name, nulls_of(array), "is null", "write a text", findings)
        elif column.kind in ("score", "cost"):
            _check_range(block, column.name, 1.0 if column.kind == "score" else HIGHEST_COST, findings)
        elif column.kind == "split":
            _check_split(block, findings)
        elif column.kind == "fields":
            _check_fields(block, column.name, findings)
        elif column.kind in ("options", "images", "texts", "rotations"):
            _check_elements(block, column.name, findings)
        if column.kind == "options":
            _check_options(block, column.name, array, np.arange(len(block)), findings)
        elif column.kind == "rotations":
            _check_rotations(block, findings)
    if table.kind == "outcomes":
        _check_answers(block, findings)


def _check_range(block: Block, column: str, high: float, findings: Findings) -> None:
    array = block.columns[column]
    values = array.fill_null(0.0).to_numpy(zero_copy_only=False)
    good = (values >= 0) & (values <= high) & np.isfinite(values)
    if not good.all():
        limits = "in [0, 1]" if high == 1.0 else f"between 0 and {HIGHEST_COST:,.0f} US dollars"
        fix = "write null where there is no verdict" if high == 1.0 else "write null where the cost is not known"
        if high == 1.0 and (values[~good] > 1).all() and (values[~good] <= 100).all():
            fix = "scores are shares in [0, 1], and these look like per cent: divide all of them by 100"
        note_rows(block, column, ~good, lambda row: f"{values[row]!s} is not {limits}", fix, findings)


def _check_split(block: Block, findings: Findings) -> None:
    values = block.columns["split"]
    bad = ~true_values(pc.is_in(values, pa.array([*SPLITS, None])))
    for name in sorted(pc.unique(values.filter(pa.array(bad))).to_pylist()) if bad.any() else []:
        fix = f"write {_OTHERS[name]!r}" if name in _OTHERS else did_you_mean(name, SPLITS)
        note_rows(block, "split", true_values(pc.equal(values, name)), f"{name!r} is not a split", fix, findings)


def _check_elements(block: Block, column: str, findings: Findings) -> None:
    array = block.columns[column]
    lengths, values = list_elements(array)
    if values.null_count:
        bad = np.zeros(len(array), dtype=np.bool_)
        bad[rows_of(lengths)[nulls_of(values)]] = True
        note_rows(block, column, bad, "the list holds a null", "leave it out of the list", findings)


def _check_options(block: Block, column: str, lists: pa.Array, owner: Array, findings: Findings) -> None:
    """Note options without a letter or text, and letters that appear twice.

    :param lists: of options
    :param owner: the row of the block that each list belongs to, int[len(lists)]
    """
    lengths, values = list_elements(lists)
    of = rows_of(lengths)
    letter, text = values.field("letter"), values.field("text")
    bad = np.zeros(len(lists), dtype=np.bool_)
    bad[of[true_values(pc.equal(letter, "")) | nulls_of(letter) | nulls_of(text)]] = True
    twice = _repeated(of, letter, len(lists)) & ~bad
    for wrong, message, fix in (
        (bad, "an option has no letter or no text", "give every option both"),
        (twice, "two options have one letter", "give each its own"),
    ):
        note_rows(block, column, np.isin(np.arange(len(block)), owner[wrong]), message, fix, findings)


def _check_rotations(block: Block, findings: Findings) -> None:
    """Note rotations that are incomplete or share a key; their options are checked like a sample's."""
    lengths, values = list_elements(block.columns["rotations"])
    rows, there = rows_of(lengths), ~nulls_of(values)
    names = [f.name for f in values.type]
    bad = np.zeros(len(block), dtype=np.bool_)
    for name in names:
        bad[rows[there & nulls_of(values.field(name))]] = True
    bad[rows[there & true_values(pc.equal(values.field("key"), ""))]] = True
    note_rows(
        block, "rotations", bad, f"a rotation lacks its {' or its '.join(names)}", "give every rotation all", findings
    )
    twice = _repeated(rows, values.field("key"), len(block)) & ~bad
    note_rows(block, "rotations", twice, "two rotations have one key", "give each its own", findings)
    if "options" in names:
        _check_options(block, "rotations", values.field("options"), rows, findings)


def _check_fields(block: Block, column: str, findings: Findings) -> None:
    """Note maps in which a name appears twice: one of its values would be lost."""
    lengths, names, _ = map_entries(block.columns[column])
    twice = _repeated(rows_of(lengths), names, len(block))
    note_rows(block, column, twice, "a name stands twice in the map", "keep one of its values", findings)


def _repeated(owner: Array, values: pa.Array, n: int) -> Array:
    """Return bool[n]: which of n owners have a value more than once; nulls are ignored.

    :param owner: of every value, int[len(values)]
    """
    there = ~nulls_of(values)
    codes = values.dictionary_encode().indices.filter(pa.array(there)).to_numpy(zero_copy_only=False).astype(np.int64)
    width = codes.max(initial=0) + 1
    pairs, counts = np.unique(owner[there] * width + codes, return_counts=True)
    repeated = np.zeros(n, dtype=np.bool_)
    repeated[pairs[counts > 1] // width] = True
    return repeated


def _check_answers(block: Block, findings: Findings) -> None:
    """Note outcomes that hold neither a score nor a prediction."""
    nothing = np.ones(len(block), dtype=np.bool_)
    for name in ("score", "prediction"):
        if name in block.columns:
            nothing &= nulls_of(block.columns[name])
    fix = "leave the row out where the model was not asked"
    note_rows(block, "score", nothing, "there is neither a score nor a prediction", fix, findings)
