"""What ``vlrb cache list`` and ``vlrb cache prune`` do and print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlrb import Places, echo, echo_json, printable

if TYPE_CHECKING:
    from vlrb_plugins.cache_commands.pruning import Entry, Pruned

MOST_RUNS = 5
"""Runs that a row of the table names."""


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(name="cache")
def cache() -> None:
    """Show what the cache holds, and remove what no run needs."""


def cache_group() -> click.Command:
    """Return the command ``vlrb cache``."""
    return cache


@cache.command(name="list")
@as_json
def list_(as_json: bool) -> None:
    """List what the cache holds: kinds, sizes, last use, and the runs that need it."""
    from vlrb_plugins.cache_commands.pruning import entries_of

    folder = Places.of().cache
    entries = entries_of(Places.of())
    if as_json:
        echo_json({"cache": str(folder), "entries": [e.document() for e in entries]})
    elif not entries:
        echo(f"{folder} holds nothing")
    else:
        _print_entries(folder, entries)


@cache.command(name="prune")
@click.option(
    "--older-than", "days", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="DAYS",
    help="Keep what was used in the last DAYS.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Remove nothing, and tell what would be removed.")
@as_json
def prune_(days: float, dry_run: bool, as_json: bool) -> None:
    """Remove what no run under the runs folder needs and nothing has used of late, and what killed processes left."""
    from vlrb_plugins.cache_commands.pruning import prune

    pruned = prune(Places.of(), days, dry_run=dry_run)
    if as_json:
        entries = {"removed": [e.document() for e in pruned.entries], "in_use": [e.document() for e in pruned.in_use]}
        left = [str(p) for p in pruned.leftovers]
        echo_json({**entries, "leftovers": left, "freed_bytes": pruned.freed, "dry_run": dry_run})
    else:
        _print_pruned(pruned, dry_run=dry_run)


def _print_entries(folder: Path, entries: Sequence[Entry]) -> None:
    """Print a row per kind of what a cache holds."""
    from vlrb_plugins.shared.text_table import TextTable, console, print_table

    headings = ("kind", "entries", "size", "needed by no run", "last used", "runs")
    kinds = dict.fromkeys(e.kind for e in entries)
    rows = tuple(_row(kind, [e for e in entries if e.kind == kind]) for kind in kinds)
    print_table(console(), TextTable(printable(folder), headings, rows, 3, frozenset({"kind", "runs"})))


def _row(kind: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    spare = [e for e in entries if not e.runs]
    runs = sorted({r for e in entries for r in e.runs})
    more = f" and {len(runs) - MOST_RUNS} more" if len(runs) > MOST_RUNS else ""
    last = min(e.age for e in entries), max(e.age for e in entries)
    used = " to ".join(dict.fromkeys(map(_age, last)))
    unneeded = f"{len(spare)} ({_size(sum(e.bytes for e in spare))})"
    size = _size(sum(e.bytes for e in entries))
    named = printable(", ".join(runs[:MOST_RUNS]) + more, lines=False)
    return printable(kind, lines=False), str(len(entries)), size, unneeded, used, named or "-"


def _print_pruned(pruned: Pruned, *, dry_run: bool) -> None:
    counts = Counter(e.kind for e in pruned.entries)
    kinds = [f"{kind}: {n}" for kind, n in counts.items()]
    kinds += [f"leftovers: {len(pruned.leftovers)}"] if pruned.leftovers else []
    done = "would be removed" if dry_run else "removed"
    echo(f"{done}: {', '.join(kinds) or 'nothing'} ({_size(pruned.freed)})")
    if pruned.in_use:
        echo(f"kept, as other processes are using them: {len(pruned.in_use)}")


def _age(seconds: float) -> str:
    days = int(seconds / 86400)
    return "today" if days == 0 else f"{days} day{'' if days == 1 else 's'} ago"


def _size(count: float) -> str:
    """Return a number of bytes in the unit in which it is read most easily."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
