"""Writing workbooks, TSV files and JSON lists."""

from __future__ import annotations

import base64
import csv
import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vlrb_plugins.demo.rows import Row

CREATED = datetime.datetime(2026, 1, 1)
"""When the workbooks say they were made: always the same, so that equal data give equal files."""

Cell = str | int | float | bool
Columns = Mapping[str, Sequence[Cell]]
"""A table, column by column; an empty text is an empty cell."""


def write_sheet(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a workbook of one sheet; texts stay texts, whatever they begin with."""
    import xlsxwriter

    # Temporary files, which it would write otherwise, take longer to create and remove than everything else.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    path.parent.mkdir(parents=True, exist_ok=True)
    with xlsxwriter.Workbook(str(path), {**options, "strings_to_numbers": False}) as book:
        book.set_properties({"created": CREATED})
        sheet = book.add_worksheet()
        for column, name in enumerate(header):
            sheet.write_string(0, column, name)
        for number, row in enumerate(rows, start=1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    if cell:
                        sheet.write_string(number, column, cell)
                elif isinstance(cell, bool):
                    sheet.write_boolean(number, column, cell)
                else:
                    sheet.write_number(number, column, cell)


def write_tsv(path: Path, rows: Sequence[Row]) -> None:
    """Write a dataset, each picture once as base64 text; other rows give the index of the row that has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "image", *rows[0].cells])
        for row in rows:
            image = row.image_of or base64.b64encode(row.picture.data).decode("ascii")
            writer.writerow([row.index, image, *row.cells.values()])


def write_table(path: Path, columns: Columns) -> None:
    """Write a table in the format that the file's name asks for, as pandas writes it for VLMEvalKit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".xlsx":
        write_sheet(path, list(columns), rows)
    elif path.suffix == ".tsv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            writer.writerows(rows)
    else:
        gap = float("nan")
        listed = [{n: gap if c == "" else c for n, c in zip(columns, row, strict=True)} for row in rows]
        path.write_text(json.dumps(listed, indent=4, ensure_ascii=False), encoding="utf-8")
