"""The schema of the tables of samples and outcomes: the columns and what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs
import pyarrow as pa

from vlrb import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL, Array, Part

VERSION_KEY = b"vlrb.records"
VERSION = b"1"
"""Key of a Parquet file's metadata that holds the version of the schema; optional."""

SYNTHETIC_KEY = b"vlrb.synthetic"
"""Key of a Parquet file's metadata that describes synthetic data."""

ColumnKind = Literal[
    "name", "text", "split", "score", "cost", "count", "flag", "options", "images", "fields", "texts", "rotations"
]

EXPECTED: Mapping[ColumnKind, str] = {
    "name": "text",
    "text": "text",
    "split": "text: train, dev or test",
    "score": "a number in [0, 1], or true or false",
    "cost": "a number",
    "count": "a whole number",
    "flag": "true or false",
    "options": "a list of texts or of {letter, text}",
    "images": "a list of paths (texts) or of image files (binary)",
    "fields": "a map of text to text",
    "texts": "a list of texts",
    "rotations": "a list of {key, options, answer} in samples, of {key, prediction} in outcomes",
}
"""What a column holds, in the words of messages."""


@attrs.frozen
class Column:
    """A column of a table, with the type in which it is yielded."""

    name: str
    kind: ColumnKind
    type: pa.DataType
    required: bool = False
    not_null: bool = False


@attrs.frozen
class TableSchema:
    """The columns of a table; ``always`` are those that every batch has."""

    kind: Literal["samples", "outcomes"]
    columns: tuple[Column, ...]
    always: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Return the names of all columns."""
        return [c.name for c in self.columns]

    @property
    def required(self) -> list[str]:
        """Return the names of the columns that a file must have."""
        return [c.name for c in self.columns if c.required]


_KINDS: Mapping[str, ColumnKind] = {
    "dataset": "name",
    "key": "name",
    "model": "name",
    "split": "split",
    "score": "score",
    "cost": "cost",
    "input_tokens": "count",
    "output_tokens": "count",
    "failed": "flag",
    "judge_failed": "flag",
    "options": "options",
    "images": "images",
    "fields": "fields",
    "judged": "fields",
    "groups": "texts",
    "rotations": "rotations",
}


def _table(kind: Literal["samples", "outcomes"], always: pa.Schema, optional: pa.Schema) -> TableSchema:
    required = {"dataset", "key", "model", "question"}
    columns = (
        Column(f.name, _KINDS.get(f.name, "text"), f.type, f.name in required, f.name in required)
        for f in (*always, *optional)
    )
    return TableSchema(kind, tuple(columns), (*always.names, *(["model"] if kind == "outcomes" else [])))


SAMPLE_TABLE = _table("samples", SAMPLES, SAMPLES_OPTIONAL)
OUTCOME_TABLE = _table("outcomes", OUTCOMES, OUTCOMES_OPTIONAL)


def table_of(part: Part) -> TableSchema:
    """Return the schema of a part's table."""
    return SAMPLE_TABLE if part.kind == "samples" else OUTCOME_TABLE


@attrs.frozen(eq=False)
class Block:
    """Some rows of a file, by column.

    ``unit`` and ``numbers`` say how messages name a row: ``row 3`` of a Parquet file, ``line 3`` of JSON lines.
    """

    file: str
    unit: Literal["row", "line"]
    numbers: Array
    columns: Mapping[str, pa.Array]

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, row: int, column: str) -> str:
        """Return file, row and column."""
        return f"{self.file}, {self.unit} {self.numbers[row]}, column {column}"

    def filter(self, keep: Array) -> Block:
        """Return some of the rows."""
        if keep.all():
            return self
        mask = pa.array(keep)
        return attrs.evolve(
            self, numbers=self.numbers[keep], columns={n: c.filter(mask) for n, c in self.columns.items()}
        )
