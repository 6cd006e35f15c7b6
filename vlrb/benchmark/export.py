"""Writing a benchmark in the form of a log source, so that others can use it without the logs it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from vlrb.benchmark.logs import Logs
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.rows import iterate_rows
from vlrb.errors import ConfigError, did_you_mean
from vlrb.experiment.plan import Plan
from vlrb.plugins.blame import blame
from vlrb.plugins.registry import Registered
from vlrb.storage import Places

ROWS_AT_ONCE = 100_000
ANSWERS = ("id", "dataset", "model", "prediction", "thinking", "judged", "rotations", "failed")


def exporter(plan: Plan, name: str, folder: Path) -> Registered:
    """Return the log source that writes the form ``name``, before any work is done for it.

    :raises ConfigError: when there is none, or the folder is there and holds something
    """
    forms = {r.name: r for r in plan.registry.all("log-source") if r.record.export is not None}
    if name not in forms:
        raise ConfigError(f"{name!r} is not a form to export to", where="--export", fix=did_you_mean(name, forms))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} exists and is not an empty folder", where="--export", fix="name a new folder, or empty this one"
        )
    return forms[name]


def export_benchmark(
    form: Registered, benchmark: Benchmark, plan: Plan, places: Places, folder: Path
) -> tuple[Path, ...]:
    """Write a benchmark into a folder.

    :param benchmark: of this very plan
    :raises PluginError: when the log source fails
    """
    with blame(form.plugin, f"exporting to {folder}"):
        return tuple(form.record.export(benchmark, folder, answers(benchmark, Logs.of(plan, places))))


def answers(benchmark: Benchmark, logs: Logs) -> Iterator[pa.RecordBatch]:
    """Yield what the models answered to the benchmark's samples, as the logs have it, in batches of bounded size.

    The columns are ``dataset``, ``key``, ``model``, ``prediction``, ``thinking``, ``judged``, ``rotations`` and ``failed``.
    """
    ids = benchmark.samples.column("id").combine_chunks()
    models = pa.array([c.name for c in benchmark.candidates])
    for part in logs.parts("outcomes"):
        for batch in iterate_rows(logs.folder(part), ANSWERS, ROWS_AT_ONCE):
            used = pc.and_(pc.is_in(batch.column("id"), ids), pc.is_in(batch.column("model"), models))
            yield _keyed(batch.filter(used))


def _keyed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with samples named by their keys inside their datasets."""
    names = zip(batch.column("id").to_pylist(), batch.column("dataset").to_pylist(), strict=True)
    keys = pa.array([i[len(d) + 1 :] for i, d in names], pa.string())
    return batch.drop_columns(["id"]).append_column("key", keys)
