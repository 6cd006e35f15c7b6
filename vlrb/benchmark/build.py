"""From logs to a benchmark: parts are read once each and cached, scored where that is asked for, then joined by sample id
and model name.

Whatever is left out is left out by a policy that the experiment names, and counted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

from vlrb import __version__, executor
from vlrb.api.frozen import Array
from vlrb.api.logs import Listing
from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.costs import add_model_tokens, fill_costs
from vlrb.benchmark.join import join_parts, pairs_of
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import manifest_of
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.policies import apply_missing, apply_unknown
from vlrb.errors import DataError
from vlrb.executor import Progress, quiet
from vlrb.experiment.plan import Plan, digest_of
from vlrb.plugins.sources import core_digest
from vlrb.storage import USES, Places, locked, mark_used, new_directory, read_json, write_json

NO_CHANGE = frozenset({"datasets", "models", "expect"})
"""Keys of ``[benchmark]`` that are not in its key: names stand in the parts, and ``expect`` only refuses."""


def build(plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet) -> Benchmark:
    """Return the benchmark of an experiment, from the cache where nothing it depends on has changed.

    :param jobs: processes that read and score logs; default: one per CPU
    :raises DataError: with everything that is wrong with the logs
    """
    logs = Logs.of(plan, places)
    target = places.cache / "benchmarks" / _benchmark_key(plan, logs.listing, logs.keys)[:20]
    with locked(target):
        if not _usable(target, places):
            stages = Stages()
            with stages.timed("read"):
                logs.read(jobs or os.cpu_count() or 1, progress)
            with stages.timed("score"):
                logs.score(logs.to_score(), jobs or os.cpu_count() or 1, progress)
            with new_directory(target) as aside:
                with stages.timed("join"):
                    manifest, samples, matrices = _assemble(logs)
                write_json(aside / USES, logs.uses())
                benchmark.write(aside, {**manifest, "stages": stages.document()}, samples, matrices)
        mark_used(target)
    built = benchmark.load(target)
    _check_expected(built, plan)
    return built


def _check_expected(built: Benchmark, plan: Plan) -> None:
    expect = plan.benchmark.expect
    if not built.fingerprint.startswith(expect):
        raise DataError(
            f"the benchmark's fingerprint is {built.fingerprint}, not {expect}: its samples, scores or costs differ",
            where=plan.document.where(("benchmark", "expect")),
            fix="use the logs, prices and [benchmark] keys that the fingerprint was published with, or remove expect",
        )


@attrs.define
class Stages:
    """Seconds of the stages of a build, and the largest memory so far at the end of each."""

    seconds: dict[str, float] = attrs.Factory(dict)
    megabytes: dict[str, dict[str, float]] = attrs.Factory(dict)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
        kilobytes = {
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            "largest_worker": executor.largest_kilobytes,
        }
        self.megabytes[name] = {whose: size / 1024 for whose, size in kilobytes.items()}

    def document(self) -> dict[str, Any]:
        """Return seconds and peak memory (MB, of the process and of the largest process it started) by stage."""
        return {"seconds": self.seconds, "peak_megabytes": self.megabytes}


def _usable(target: Path, places: Places) -> bool:
    """Tell whether a benchmark is there, and the images that it refers to."""
    manifest = target / "manifest.json"
    return manifest.is_file() and all((places.cache / f).is_file() for f in read_json(manifest).get("images", ()))


def _benchmark_key(plan: Plan, listing: Listing, keys: Mapping[str, str]) -> str:
    used = {p.dataset for p in listing.parts}, {p.model for p in listing.parts if p.model}
    several = "" in used[0] or any(not p.model for p in listing.parts if p.kind == "outcomes")
    datasets = [d for d in plan.catalog.datasets if several or d.name in used[0]]
    scorers = [s.identity() for s in (plan.scorer(d) for d in datasets) if s is not None]
    return digest_of(
        {
            "schema": benchmark.SCHEMA_VERSION,
            "vlrb": [__version__, core_digest("benchmark")],
            "parts": keys,
            "section": {k: v for k, v in attrs.asdict(plan.benchmark).items() if k not in NO_CHANGE},
            "datasets": [attrs.asdict(d) for d in datasets],
            "models": [attrs.asdict(m) for m in plan.catalog.models if several or m.name in used[1]],
            "scorers": scorers,
            "synthetic": listing.synthetic,
            "ignored_files": dict(listing.ignored),
        }
    )


def _assemble(logs: Logs) -> tuple[dict[str, Any], pa.Table, dict[str, Array]]:
    """Join the parts by sample id and model name.

    :return: manifest, samples and matrices of the finished benchmark
    """
    plan = logs.builder.plan
    joined = join_parts(logs)
    pairs = pairs_of(logs, joined)
    apply_missing(joined, plan.benchmark.missing)
    apply_unknown(joined, plan, pairs)
    add_model_tokens(joined, logs.builder)
    fill_costs(joined, plan)
    del joined.matrices["stored"]
    joined.matrices["quality"] = joined.matrices["score"] >= plan.benchmark.correct_at
    samples = joined.samples.drop_columns(["input_tokens"])
    return manifest_of(logs, pairs, joined), samples, joined.matrices
