"""What the cache holds, which runs need it, and removing what none of them does.

An entry is needed while a run under the runs folder names it, or while it was used of late; what a needed benchmark was made of is
needed too.  Entries go one by one under their locks, all at once each, so that other processes may be at work meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb import CACHE_KINDS, USES, DataError, Moment, Places, discard_unless_used, lock_if_free, read_json, remove_lock

DAY = 86400.0
STALE = 3600.0
"""Seconds after which a file that was being written is a leftover."""

_PARTIAL = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.partial")


@attrs.frozen
class Entry:
    """An entry of the cache.

    ``bytes`` are those of its files, ``freed`` of these the ones that no run directory holds too; ``age`` is in seconds since
    the last use; ``runs`` need the entry.
    """

    kind: str
    name: str
    path: Path
    bytes: int
    freed: int
    age: float
    runs: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        about = {"kind": self.kind, "name": self.name, "bytes": self.bytes, "runs": list(self.runs)}
        return {**about, "days_since_last_use": round(self.age / DAY, 3), "of_a_plugin": self.kind not in CACHE_KINDS}


@attrs.frozen
class Pruned:
    """What was removed (or would be): entries and leftovers, with their bytes; and entries that other processes are using."""

    entries: tuple[Entry, ...]
    leftovers: tuple[Path, ...]
    freed: int
    in_use: tuple[Entry, ...]


def entries_of(places: Places) -> list[Entry]:
    """Return the entries of the cache.

    :raises DataError: when it cannot be told what a run needs
    """
    runs, now = _needs(places.runs), _now(places.cache)
    found = [
        _entry(path, runs.get((folder.name, path.name), set()), now)
        for folder in _folders(places.cache)
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and path.suffix != ".lock"
    ]
    by_part: dict[tuple[str, str], set[str]] = {}
    for entry in found:
        for part in entry.parts:
            by_part.setdefault(part, set()).update(entry.runs)
    return [attrs.evolve(e, runs=tuple(sorted({*e.runs, *by_part.get((e.kind, e.name), ())}))) for e in found]


def prune(places: Places, days: float, *, dry_run: bool = False) -> Pruned:
    """Remove entries that no run needs and that were not used for some days, and what killed processes left.

    :param dry_run: remove nothing, and return what would be removed
    :raises DataError: when it cannot be told what a run needs
    """
    limit = _now(places.cache) - days * DAY
    entries = entries_of(places)
    kept = [e for e in entries if e.runs or e.age < days * DAY]
    needed = {part for e in kept for part in e.parts} | {(e.kind, e.name) for e in kept}
    unneeded = [e for e in entries if e.kind in CACHE_KINDS and (e.kind, e.name) not in needed]
    gone: list[Entry] = []
    in_use: list[Entry] = []
    for entry in sorted(unneeded, key=lambda e: CACHE_KINDS.index(e.kind)):
        with contextlib.ExitStack() as locks:
            held = all(locks.enter_context(lock_if_free(path, to_read=dry_run)) for path in _guarded(entry))
            if held and (dry_run or discard_unless_used(entry.path, limit)):
                gone.append(entry)
            elif not held:
                in_use.append(entry)
    left, size = _clean(places.cache, dry_run)
    return Pruned(tuple(gone), tuple(left), sum(e.freed for e in gone) + size, tuple(in_use))


def _guarded(entry: Entry) -> list[Path]:
    """Return the paths whose locks are held while an entry is made.

    A fit holds that of its cell, whose name its work has; encoding holds that of a group, beside the encoder's folder.
    """
    if entry.kind == "work":
        return [entry.path.parent.with_name("cells") / entry.name]
    groups = entry.path.parent.glob(f"{entry.name}.group-*.lock") if entry.kind == "features" else ()
    return [entry.path, *(g.with_suffix("") for g in groups)]


# --- what is there ------------------------------------------------------------------------------------------------------


def _folders(cache: Path) -> list[Path]:
    return sorted(p for p in cache.iterdir() if p.is_dir() and not p.name.startswith(".")) if cache.is_dir() else []


def _needs(runs: Path) -> dict[tuple[str, str], set[str]]:
    """Return (kind, name) of an entry -> the runs that need it."""
    needs: dict[tuple[str, str], set[str]] = {}
    for file in sorted(runs.glob("*/*/plan.json")):
        plan = read_json(file)
        if not isinstance(plan, dict):
            raise DataError("holds no plan", where=str(file), fix="remove the folder of the run")
        run = f"{file.parent.parent.name}/{file.parent.name}"
        for kind, names in _used_by(plan).items():
            for name in names:
                needs.setdefault((kind, name), set()).add(run)
    return needs


def _used_by(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return kind -> entries that a run needs; plans of earlier versions of vlrb name their cells only."""
    if "cache" in plan:
        uses: Mapping[str, Any] = plan["cache"]
        return uses
    keys = [c.get(k) for c in plan.get("cells", ()) for k in ("key", "fit_key")]
    return {"cells": [k[:20] for k in keys if k], "work": [k[:20] for k in keys if k]}


def _entry(path: Path, runs: set[str], now: float) -> Entry:
    sizes = [(s.st_size, s.st_nlink) for s in _files(path)]
    parts: list[tuple[str, str]] = []
    if (path / USES).is_file():
        parts = [(kind, name) for kind, names in read_json(path / USES).items() for name in names]
    return Entry(
        kind=path.parent.name,
        name=path.name,
        path=path,
        bytes=sum(size for size, _ in sizes),
        freed=sum(size for size, links in sizes if links == 1),
        age=max(0.0, now - _changed(path, now)),
        runs=tuple(sorted(runs)),
        parts=tuple(parts),
    )


def _now(cache: Path) -> float:
    """Return the time by the clock of the cache's file system, which sets the times of entries."""
    try:
        return Moment.now(cache).there / 1e9
    except OSError:  # read-only, or not there
        return time.time()


def _changed(path: Path, now: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has just removed it
        return now


def _files(path: Path) -> Iterator[os.stat_result]:
    """Yield what is known of a file, or of the files in a folder, as far as they are there."""
    below = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    for file in below or [path]:
        with contextlib.suppress(OSError):
            if file.is_file():
                yield file.lstat()


# --- leftovers ----------------------------------------------------------------------------------------------------------


def _clean(cache: Path, dry_run: bool) -> tuple[list[Path], int]:
    """Remove what killed processes left: half-made folders and files, and locks of what is not there."""
    gone: list[Path] = []
    freed = 0
    for path in _leftovers(cache, dry_run):
        size = sum(s.st_size for s in _files(path))
        if dry_run or _removed(path):
            gone.append(path)
            freed += size
    return gone, freed


def _leftovers(cache: Path, dry_run: bool) -> Iterator[Path]:
    """Yield half-made folders that nobody is working on, old half-written files, and locks of nothing."""
    now = _now(cache)
    for folder in _folders(cache):
        for path in sorted(folder.iterdir()):
            half = _PARTIAL.fullmatch(path.name)
            if half and path.is_dir():
                with lock_if_free(path.with_name(half["name"]), to_read=dry_run) as held:
                    if held:
                        yield path
            elif path.suffix == ".lock" and not path.with_suffix("").exists():
                yield path
    if cache.is_dir():
        own = [f for kind in CACHE_KINDS for f in (cache / kind).glob("*/.*.partial")]
        yield from (f for f in [*cache.glob(".*.partial"), *own] if f.is_file() and _changed(f, now) < now - STALE)


def _removed(path: Path) -> bool:
    """Remove a leftover; one that another process works on stays.  The lock of a half-made folder is held by the caller."""
    if path.suffix == ".lock":
        return remove_lock(path.with_suffix(""))
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return True
