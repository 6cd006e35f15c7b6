"""Compare two run directories: what was evaluated, chosen and scored; times, keys and paths do not count.

    python benchmarks/compare_runs.py RUN OTHER

Prints a line for each difference, and ends with status 1 if there is any.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TIMED = frozenset({"requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms"})
"""Metrics that measure the machine."""

TABLES = ("split.parquet", "evaluated.parquet", "references.parquet")
CELL_TABLES = ("dev.parquet", "test.parquet", "curve.parquet")


def differences(one: Path, other: Path) -> Iterator[str]:
    """Yield what differs between two runs."""
    first, second = (json.loads((run / "results.json").read_text(encoding="utf-8")) for run in (one, other))
    yield from _values("winners", first["winners"], second["winners"])
    for name in TABLES:
        yield from _tables(name, one / name, other / name)
    yield from _values("split", first["run"]["split"]["digest"], second["run"]["split"]["digest"])
    yield from _values("references", _scores(first["references"]), _scores(second["references"]))
    cells = [{_cell_name(c): c for c in run["cells"]} for run in (first, second)]
    yield from _values("cells", sorted(cells[0]), sorted(cells[1]))
    for name in sorted(cells[0].keys() & cells[1].keys()):
        a, b = cells[0][name], cells[1][name]
        for key in ("status", "choices", "chosen"):
            yield from _values(f"{name}: {key}", a[key], b[key])
        yield from _values(f"{name}: scores", _untimed(a["scores"]), _untimed(b["scores"]))
        for table in CELL_TABLES:
            yield from _tables(f"{name}: {table}", one / a["directory"] / table, other / b["directory"] / table)


def _cell_name(cell: dict[str, Any]) -> str:
    return Path(cell["directory"]).name


def _scores(references: list[dict[str, Any]]) -> dict[str, Any]:
    return {r["name"]: _untimed(r["scores"]) for r in references}


def _untimed(scores: dict[str, Any]) -> dict[str, Any]:
    """Return split -> scope -> metric -> value, without what depends on the machine."""
    return {
        split: {scope: {m: v for m, v in values.items() if m not in TIMED} for scope, values in scopes.items()}
        for split, scopes in scores.items()
    }


def _values(what: str, one: Any, other: Any) -> Iterator[str]:
    if one != other:
        yield f"{what}: {str(one)[:200]} is now {str(other)[:200]}"


def _tables(what: str, one: Path, other: Path) -> Iterator[str]:
    if not one.is_file() and not other.is_file():
        return
    if one.is_file() != other.is_file():
        yield f"{what}: is in one run only"
        return
    a, b = pq.read_table(one), pq.read_table(other)
    if a.column_names != b.column_names:
        yield f"{what}: columns {a.column_names} are now {b.column_names}"
        return
    for name in a.column_names:
        if pa.types.is_dictionary(a.schema.field(name).type):
            a, b = (t.set_column(t.schema.get_field_index(name), name, t[name].cast(pa.string())) for t in (a, b))
        if not a[name].equals(b[name]):
            yield f"{what}: column {name!r} differs"


def main() -> None:
    """Compare the runs that the command line names."""
    found = list(differences(Path(sys.argv[1]), Path(sys.argv[2])))
    for line in found:
        print(line)
    print(f"{len(found)} differences between {sys.argv[1]} and {sys.argv[2]}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
