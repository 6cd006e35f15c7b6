"""Tables on a terminal: whole columns are left out where it is too narrow, and no value is ever cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vlrb import printable

WIDEST = 10_000
"""Characters that no table needs."""

NARROWEST = 8
"""Characters into which a column of texts is folded where a terminal is too narrow for it."""


def console() -> Console:
    """Return the console of stdout; as wide as a table needs where there is no terminal and ``COLUMNS`` says no width."""
    return Console() if sys.stdout.isatty() or os.environ.get("COLUMNS") else Console(width=WIDEST)


def text_for_stdout(show: Callable[[Console], None]) -> str:
    """Return what a function prints on a console that is as wide as stdout."""
    out = console()
    with out.capture() as captured:
        show(out)
    return captured.get()


@attrs.frozen
class TextTable:
    """A table to print: rows of texts under headings.  The first ``kept`` columns are on every terminal.

    ``left`` holds the headings of columns that are set flush left, ``styles`` a style for each row.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kept: int
    left: frozenset[str] = frozenset()
    styles: tuple[str | None, ...] = ()

    def width(self, columns: int, folded: int = WIDEST) -> int:
        """Return the characters that the first columns take, with the lines between them.

        :param folded: characters into which texts may be folded; numbers never are
        """
        cells = list(zip(self.headings, *self.rows, strict=True))[:columns]
        widths = [max(cell_len(text) for text in column) for column in cells]
        limits = [folded if heading in self.left else WIDEST for heading in self.headings]
        return sum(min(w, limit) + 3 for w, limit in zip(widths, limits, strict=False)) + 1


def print_table(out: Console, table: TextTable) -> None:
    """Print as many columns as fit, from the left, and say which are left out."""
    fitting = [n for n in range(table.kept, len(table.headings) + 1) if table.width(n) <= out.width]
    count = max(fitting, default=table.kept)
    shown = Table(title=escape(table.title), title_justify="left")
    for heading in table.headings[:count]:
        text = heading in table.left
        folds = text and not fitting
        shown.add_column(escape(heading), justify="left" if text else "right", no_wrap=not folds, overflow="fold")
    for number, row in enumerate(table.rows):
        shown.add_row(*map(escape, row[:count]), style=table.styles[number] if table.styles else None)
    wide = out.width
    least = table.width(count) if fitting else table.width(count, NARROWEST)
    out.width = max(wide, least)  # rich never prints wider than its console
    out.print(shown)
    out.width = wide
    if count < len(table.headings):
        left_out = ", ".join(table.headings[count:])
        print_line(out, f"columns left out, since the terminal has {out.width} characters: {left_out}")


def print_line(out: Console, line: str) -> None:
    """Print a line as it is, without markup; the terminal wraps it."""
    out.print(printable(line), markup=False, highlight=False, soft_wrap=True)
