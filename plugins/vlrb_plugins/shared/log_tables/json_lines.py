"""Files of JSON objects, one on a line, streamed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vlrb import DataError
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.limits import MAX_COLUMNS, refuse_special

LONGEST_LINE = 256 * 1024**2
_SHOWN = 60


def json_lines(path: Path, findings: Findings) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield number, length in bytes, and object of every line; empty lines are skipped, broken ones are noted.

    :raises DataError: when the file cannot be read, or a line is too long
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    fix = "write a JSON object per line"
                    raise DataError(f"is longer than {LONGEST_LINE:,} bytes", where=f"{path}, line {number}", fix=fix)
                row = _object(line, path, number, findings) if line.strip() else None
                if row is not None:
                    yield number, len(line), row
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the file's permissions"
        ) from None


def _object(line: bytes, path: Path, number: int, findings: Findings) -> dict[str, Any] | None:
    where = f"{path}, line {number}"
    try:
        value = DECODER.decode(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        findings.add(f"is not encoded as UTF-8: {error}", where, "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        findings.add(f"is not JSON: {error}", where, "write the line again; the file may be cut off")
    else:
        if isinstance(value, dict):
            return value
        findings.add(f"is not a JSON object but {shorten_value(value)}", where, "write an object {...} per line")
    return None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(pairs) > MAX_COLUMNS:
        raise ValueError(f"an object has {len(pairs):,} keys, above the limit of {MAX_COLUMNS:,}")
    if len(value) < len(pairs):
        twice = next(n for n, count in Counter(n for n, _ in pairs).items() if count > 1)
        raise ValueError(f"{shorten_value(twice)} appears twice in one object")
    return value


DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def shorten_value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
