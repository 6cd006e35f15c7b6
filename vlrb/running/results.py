"""Run directories, the source of truth: what was planned, what came of it, and what can be read back.

A run directory stands on its own: it holds its cells' choices, so that a report needs neither cache nor logs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.json_data import read_record, to_json
from vlrb.api.results import RunInfo, RunResult
from vlrb.errors import ConfigError, did_you_mean
from vlrb.redact import without_secrets, without_secrets_in_toml
from vlrb.storage import write_json, write_text

SCHEMA_VERSION = 1


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- JSON ---------------------------------------------------------------------------------------------------------------


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return a result as JSON data; undefined values carry their reasons, infinity is text, paths are relative.

    Settings are plugins' own objects and may hold addresses with passwords: they are for the running process only.
    """
    run = attrs.evolve(result.run, directory=Path(result.run.directory.name), settings={})
    cells = tuple(attrs.evolve(c, directory=Path("cells", c.directory.name)) for c in result.cells)
    tree = to_json(attrs.evolve(result, run=run, cells=cells))
    del tree["run"]["settings"]
    return {"schema": SCHEMA_VERSION, **without_secrets(tree)}


def read_result(directory: Path) -> RunResult:
    """Read the result of a finished run.

    :raises DataError: when there is none, or it is of another schema version
    """
    other = "read it with the vlrb that wrote it, or run the experiment again with --fresh"
    result = read_record(directory / "results.json", RunResult, SCHEMA_VERSION, other)
    cells = tuple(attrs.evolve(c, directory=directory / c.directory) for c in result.cells)
    return attrs.evolve(result, run=attrs.evolve(result.run, directory=directory), cells=cells)


def write_result(result: RunResult) -> None:
    """Write ``results.json`` into the run's directory."""
    write_json(result.run.directory / "results.json", result_to_json(result))


# --- run directories ------------------------------------------------------------------------------------------------------


def run_directory(runs: Path, name: str, key: str, *, fresh: bool) -> Path:
    """Return the directory of a run: the newest with this key, so that a run goes on where it stopped, else a new one.

    :param fresh: make a new one in any case
    """
    parent = runs / name
    known = [] if fresh else sorted(p for p in parent.glob(f"*-{key[:8]}*") if p.is_dir())
    if known:
        return known[-1]
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    directory = parent / f"{stamp}-{key[:8]}"
    number = 1
    while directory.exists():
        number += 1
        directory = parent / f"{stamp}-{key[:8]}-{number}"
    directory.mkdir(parents=True)
    return directory


def find_run(runs: Path, given: str) -> Path:
    """Return the run directory that a user means: a path, ``NAME/DIRECTORY``, or ``NAME`` for its newest finished run.

    :raises ConfigError: when there is none
    """
    for candidate in (Path(given), runs / given):
        if (candidate / "results.json").is_file():
            return candidate.absolute()
        finished = sorted(p.parent for p in candidate.glob("*/results.json")) if candidate.is_dir() else []
        if finished:
            return finished[-1].absolute()
    for candidate in (Path(given), runs / given):
        if (candidate / "plan.json").is_file():
            raise ConfigError(
                f"the run {given!r} is not finished",
                where=str(candidate),
                fix="give its experiment file to `vlrb run`, which resumes it",
            )
    known = {p.parent.parent.name for p in runs.glob("*/*/results.json")}
    raise ConfigError(f"there is no finished run {given!r} under {runs}", fix=did_you_mean(given, known))


def write_plan(run: RunInfo, source: str, uses: Mapping[str, Sequence[str]]) -> None:
    """Write what was planned: the experiment as resolved and as it stood in its file, the plan, the environment.

    :param uses: kind -> names of the entries of the cache that the run needs
    """
    tree = without_secrets(to_json(attrs.evolve(run, settings={})))
    write_json(run.directory / "experiment.json", tree["experiment"])
    write_json(run.directory / "environment.json", tree["environment"])
    keys = ("name", "key", "protocol", "benchmark", "split", "bounds", "metrics", "cells")
    plan = {"schema": SCHEMA_VERSION, **{k: tree[k] for k in keys}, "cache": {k: list(v) for k, v in uses.items()}}
    write_json(run.directory / "plan.json", plan)
    write_text(run.directory / "experiment.toml", without_secrets_in_toml(source))


def adopt_cell(folder: Path, target: Path) -> None:
    """Put a finished cell's files into a run directory, as links where the file system can."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(p for p in folder.iterdir() if p.is_file()):
        here = target / file.name
        if here.exists() and here.samefile(file):
            continue
        here.unlink(missing_ok=True)
        try:
            os.link(file, here)
        except OSError:
            shutil.copy2(file, here)
