"""The file of choices: JSON Lines or CSV, a row per question with its split, its id and the chosen model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb import DataError, did_you_mean
from vlrb_plugins.shared.log_tables.delimited import read_rows
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.json_lines import json_lines, shorten_value

COLUMNS = ("split", "id", "model")


@attrs.frozen
class Choice:
    """A row of the file, and its line."""

    line: int
    split: str
    id: str
    model: str


def read_choices(path: Path) -> list[Choice]:
    """Read a file of choices.

    :raises DataError: when the file cannot be read, is neither .jsonl nor .csv, or has rows that are broken or repeat an id
    """
    rows = _READERS.get(path.suffix.lower())
    if rows is None:
        raise DataError(f"ends in {path.suffix!r}", where=str(path), fix="write a .jsonl or a .csv file")
    if not path.is_file():
        fix = "write it from the questions that `vlrb build FILE --export queries DIR` exports, or correct path"
        raise DataError("there is no such file", where=str(path), fix=fix)
    findings = Findings()
    choices: list[Choice] = []
    lines: dict[tuple[str, str], int] = {}
    for line, row in rows(path, findings):
        choice = _checked(row, line, path, findings)
        if choice is None:
            continue
        if before := lines.get((choice.split, choice.id)):
            what = f"id {choice.id!r} of split {choice.split!r} already has a choice in line {before}"
            findings.add(what, at_line(path, line), "keep one of the two lines")
        lines.setdefault((choice.split, choice.id), line)
        choices.append(choice)
    findings.stop_if_any()
    return choices


def at_line(path: Path, line: int) -> str:
    """Return how a message names a line."""
    return f"{path}, line {line}"


def _checked(row: Mapping[str, Any], line: int, path: Path, findings: Findings) -> Choice | None:
    """Return a row as a choice, or None after noting what is wrong with it."""
    where, before = at_line(path, line), len(findings.problems)
    for name in (n for n in row if n not in COLUMNS):
        fix = "remove it" if len(COLUMNS) <= len(row.keys() & {*COLUMNS}) else did_you_mean(name, COLUMNS)
        findings.add(f"has an unknown key {shorten_value(name)}", where, fix)
    for name in COLUMNS:
        value = row.get(name)
        if not isinstance(value, str) or not value:
            what = "is missing" if value is None else f"is {shorten_value(value)}, not a text" if value else "is empty"
            findings.add(
                f"{name} {what}", where, f"write the question's {name} as a text" if name != "model" else _MODEL
            )
    good = len(findings.problems) == before
    return Choice(line, row["split"], row["id"], row["model"]) if good else None


_MODEL = "write the name of a candidate, as candidates.json has it"


def _of_json(path: Path, findings: Findings) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, _, row in json_lines(path, findings):
        yield line, row


def _of_csv(path: Path, findings: Findings) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a CSV file with a header; of a header with other columns nothing but a note."""
    rows = read_rows(path)
    header = next((row.cells for row in rows), [])
    if sorted(header) != sorted(COLUMNS):
        what = f"the header is {shorten_value(','.join(header))}"
        findings.add(what, at_line(path, 1), f"begin the file with the line {','.join(COLUMNS)}")
        return
    for row in rows:
        yield row.line, dict(zip(header, row.cells, strict=True))


_READERS: Mapping[str, Callable[[Path, Findings], Iterator[tuple[int, Mapping[str, Any]]]]] = {
    ".jsonl": _of_json,
    ".csv": _of_csv,
}
