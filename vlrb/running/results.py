"""Run directories, which hold a run's plan, choices and results, so that a report needs neither cache nor logs."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import Array
from vlrb.api.json_data import read_record, to_json
from vlrb.api.results import RunInfo, RunResult
from vlrb.benchmark.matrices import MATRICES, sample_column
from vlrb.errors import ConfigError, DataError, did_you_mean
from vlrb.evaluation.splits import write_split
from vlrb.redact import without_secrets, without_secrets_in_toml
from vlrb.running.context import RunContext
from vlrb.storage import Moment, new_file, write_json, write_text

SCHEMA_VERSION = 2


def result_to_json(result: RunResult) -> dict[str, Any]:
    """Return a result as JSON data; undefined values carry their reasons, infinity is text, paths are relative.

    Settings are plugins' own objects and may hold addresses with passwords: they are for the running process only.
    """
    run = attrs.evolve(result.run, directory=Path(result.run.directory.name), settings={})
    tree = to_json(attrs.evolve(result, run=run, cells=()))
    del tree["run"]["settings"]
    tree = without_secrets(tree)
    for cell in result.cells:  # one by one: there may be thousands
        tree["cells"].append(without_secrets(to_json(attrs.evolve(cell, directory=Path("cells", cell.directory.name)))))
    return {"schema": SCHEMA_VERSION, **tree}


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


def run_directory(runs: Path, name: str, key: str, *, fresh: bool) -> Path:
    """Return the directory of a run: the newest with this key unless it is to be fresh, else a new one."""
    parent = runs / name
    known = [] if fresh else sorted(p for p in parent.glob(f"*-{key[:8]}*") if p.is_dir())
    if known:
        return known[-1]
    parent.mkdir(parents=True, exist_ok=True)
    now = datetime.fromtimestamp(
        Moment.now(parent).there // 10**9, UTC
    )  # names sort by it, whichever machines made them
    first = parent / f"{now:%Y%m%d-%H%M%S}-{key[:8]}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    directory = next(d for d in itertools.chain([first], numbered) if not d.exists())
    directory.mkdir(parents=True)
    return directory


def find_run(runs: Path, given: str) -> Path:
    """Return the run directory that a user means: a path, ``NAME/DIRECTORY``, or ``NAME`` for its newest finished run.

    :raises ConfigError: when there is none
    """
    places = (Path(given), runs / given)
    for place in places:
        finished = [place] if (place / "results.json").is_file() else []
        finished = finished or sorted(p.parent for p in place.glob("*/results.json"))
        if finished:
            return finished[-1].absolute()
    for place in places:
        if (place / "plan.json").is_file():
            fix = "give its experiment file to `vlrb run`, which resumes it"
            raise ConfigError(f"the run {given!r} is not finished", where=str(place), fix=fix)
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


ROWS_AT_ONCE = 100_000
"""Samples whose rows are written together."""


def write_benchmark(context: RunContext, directory: Path) -> None:
    """Write the manifest, the splits, and what is known of every model on all samples, to compute any metric or test.

    ``inner_splits.parquet``, where points are compared on folds, has a column for each inner fold, with train, dev or test for
    each sample, or null for those outside it.
    """
    benchmark = context.benchmark
    write_json(directory / "benchmark.json", without_secrets(to_json(benchmark.manifest)))
    write_split(context.splitting, benchmark, directory / "split.parquet")
    inner = {c.split_name: c for c in context.cells() if c.inner}
    if inner:
        parts = {name: context.split_of(cell).parts(len(benchmark)) for name, cell in inner.items()}
        _write_table(pa.table({"id": benchmark.ids, **parts}), directory / "inner_splits.parquet")
    _write_evaluated(context, directory / "evaluated.parquet")


def _write_evaluated(context: RunContext, file: Path) -> None:
    """Write what is known of every model on all samples, some rows at a time, since columns of matrices are copied."""
    benchmark = context.benchmark
    columns = {"id": benchmark.ids, "dataset": benchmark.datasets, "group": context.splitting.groups}
    for name in context.evaluator.by:
        columns[f"by:{name}"] = sample_column(benchmark.samples, name, "[statistics] by")
    samples, models = pa.table(columns), [c.name for c in benchmark.candidates]

    def rows_from(start: int) -> pa.Table:
        rows = slice(start, start + ROWS_AT_ONCE)
        matrices = {name: getattr(benchmark, name)[rows] for name in MATRICES}
        of_models = {
            f"{name}:{model}": matrix[:, j] for name, matrix in matrices.items() for j, model in enumerate(models)
        }
        some = samples[rows]
        return pa.table({**{name: some.column(name) for name in some.column_names}, **of_models})

    first = rows_from(0)
    with new_file(file) as aside, pq.ParquetWriter(aside, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for start in range(ROWS_AT_ONCE, len(benchmark), ROWS_AT_ONCE):
            writer.write_table(rows_from(start))


def write_references(
    context: RunContext, choices: Mapping[str, Mapping[str, Mapping[str, Array]]], directory: Path
) -> None:
    """Write the choices of the reference points: dev or test -> split -> name -> int[m]."""
    tables = []
    for part, splits in choices.items():
        for split in context.splitting.splits:
            chosen = splits[split.name]
            ids = context.ids(split, part)
            table = pa.table({"id": ids, "split": [part] * len(ids), **chosen})
            tables.append(table.append_column("split_name", pa.array([split.name] * len(ids))) if split.name else table)
    _write_table(pa.concat_tables(tables), directory / "references.parquet")


def _write_table(table: pa.Table, file: Path) -> None:
    with new_file(file) as aside:
        pq.write_table(table, aside, compression="zstd")


def check_directory(directory: Path) -> None:
    """Refuse to write into a run's folder that was removed: that would make it again, without its other files."""
    if not (directory / "plan.json").is_file():
        fix = "run again: fitted routers are in the cache"
        raise DataError("the run's folder, or its files, vanished during the run", where=str(directory), fix=fix)


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
