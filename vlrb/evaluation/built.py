"""A built benchmark with its logs and splits, for reports and exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import attrs
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import PairCounts
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.read import iterate_rows, read_rows
from vlrb.benchmark.score import read_scores, scorer_of
from vlrb.errors import ConfigError, did_you_mean
from vlrb.evaluation.splits import Splitting, make_splits
from vlrb.executor import Progress, quiet
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.storage import Places

ROWS_AT_ONCE = 100_000
ANSWERS = ("id", "dataset", "model", "prediction", "thinking", "judged", "rotations", "failed")


@attrs.frozen(eq=False)
class BuiltBenchmark:
    """A benchmark, the logs that it was made of, and the experiment's splits of it."""

    benchmark: Benchmark
    _plan: Plan
    _places: Places
    _jobs: int | None = None
    _progress: Progress = quiet

    @cached_property
    def _logs(self) -> Logs:
        return Logs(self._plan, self._places)

    @cached_property
    def splitting(self) -> Splitting:
        """Return the experiment's splits, made when they are first asked for."""
        return make_splits(self.benchmark, self._plan.splitter, self._plan.split)

    def verdicts(self) -> Iterator[tuple[str, str, pa.Table]]:
        """Score every answer that the logs hold a verdict of; yield dataset, model, and a row for each of these answers.

        The columns are ``id``, ``stored`` (the logs' score), ``scored`` (our own, null where the scorer cannot decide) and
        ``reason`` (why it cannot).  Datasets without a scorer are left out.
        """
        logs = self._logs
        parts = [p for p in logs.parts("outcomes") if any(p.unjudged < p.rows for p in self._pairs(p.id))]
        logs.score(parts, True, self._jobs or os.cpu_count() or 1, self._progress)
        for part in parts:
            rows = read_rows(logs.folder(part), ["id", "dataset", "model", "score"]).rename_columns({"score": "stored"})
            scores = read_scores(logs.scores(part, every=True))
            rows = rows.append_column("scored", scores.column("value")).append_column("reason", scores.column("reason"))
            rows = rows.filter(pc.is_valid(rows.column("stored")))
            for pair in self._pairs(part.id):
                of_pair = (pc.equal(rows.column(k), getattr(pair, k)) for k in ("dataset", "model"))
                yield pair.dataset, pair.model, rows.filter(pc.and_(*of_pair)).drop_columns(["dataset", "model"])

    def _pairs(self, part: str) -> list[PairCounts]:
        """Return the counts of a part's pairs whose dataset has a scorer."""
        return [p for p in self._logs.findings[part].pairs if scorer_of(self._plan, p.dataset) is not None]

    def answers(self) -> Iterator[pa.RecordBatch]:
        """Yield what the models answered to the benchmark's samples, as the logs have it, in batches of bounded size.

        The columns are ``dataset``, ``key``, ``model``, ``prediction``, ``thinking``, ``judged``, ``rotations`` and ``failed``.
        """
        ids = self.benchmark.samples.column("id").combine_chunks()
        models = pa.array([c.name for c in self.benchmark.candidates])
        for part in self._logs.parts("outcomes"):
            for batch in iterate_rows(self._logs.folder(part), ANSWERS, ROWS_AT_ONCE):
                used = pc.and_(pc.is_in(batch.column("id"), ids), pc.is_in(batch.column("model"), models))
                kept = batch.filter(used)
                names = zip(kept.column("id").to_pylist(), kept.column("dataset").to_pylist(), strict=True)
                keys = pa.array([i[len(d) + 1 :] for i, d in names], pa.string())
                yield kept.drop_columns(["id"]).append_column("key", keys)


def find_export(plan: Plan, name: str, folder: Path) -> ConfiguredComponent:
    """Return the report that writes the form ``name``, before any work is done for it.

    :raises ConfigError: when there is none, or the folder is there and holds something
    """
    forms = {r.name: r for r in plan.registry.all("reporter") if r.record.on == "export"}
    if name not in forms and all(name != r.id for r in forms.values()):
        raise ConfigError(f"{name!r} is not a form to export to", where="--export", fix=did_you_mean(name, forms))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fix = "name a new folder, or empty this one"
        raise ConfigError(f"{folder} exists and is not an empty folder", where="--export", fix=fix)
    found = ConfiguredComponent.default(plan.registry, "reporter", name)
    return next((r for r in plan.reports if r.registered.id == found.registered.id), found)
