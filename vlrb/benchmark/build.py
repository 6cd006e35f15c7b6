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

import attrs
import numpy as np
import pyarrow as pa

from vlrb import __version__, executor
from vlrb.api.frozen import Array
from vlrb.api.logs import Listing
from vlrb.api.records import Dataset, slugify
from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.costs import add_model_tokens, candidate_of, fill_costs, total_tokens
from vlrb.benchmark.join import Joined, join_parts, pairs_of
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import (
    SCHEMA_VERSION,
    Manifest,
    PairFindings,
    Policies,
    Stages,
    read_manifest,
)
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.policies import apply_missing, apply_unknown
from vlrb.errors import DataError, Problem, shorten_list
from vlrb.executor import Progress, quiet
from vlrb.experiment.plan import Plan, digest_of
from vlrb.plugins.sources import core_digest
from vlrb.storage import USES, Places, locked, mark_used, new_directory, write_json

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
            clock = _Clock()
            with clock.timed("read"):
                logs.read(jobs or os.cpu_count() or 1, progress)
            with clock.timed("score"):
                logs.score(logs.to_score(), jobs or os.cpu_count() or 1, progress)
            with new_directory(target) as aside:
                with clock.timed("join"):
                    manifest, samples, matrices = _assemble(logs)
                write_json(aside / USES, logs.uses())
                manifest = attrs.evolve(manifest, stages=Stages(clock.seconds, clock.megabytes))
                benchmark.write(aside, manifest, samples, matrices)
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
class _Clock:
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


def _usable(target: Path, places: Places) -> bool:
    """Tell whether a benchmark is there, and the images that it refers to."""
    there = (target / "manifest.json").is_file()
    return there and all((places.cache / f).is_file() for f in read_manifest(target).images)


def _benchmark_key(plan: Plan, listing: Listing, keys: Mapping[str, str]) -> str:
    used = {p.dataset for p in listing.parts}, {p.model for p in listing.parts if p.model}
    several = "" in used[0] or any(not p.model for p in listing.parts if p.kind == "outcomes")
    datasets = [d for d in plan.catalog.datasets if several or d.name in used[0]]
    scorers = [s.identity() for s in (plan.scorer(d) for d in datasets) if s is not None]
    return digest_of(
        {
            "schema": SCHEMA_VERSION,
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


def _assemble(logs: Logs) -> tuple[Manifest, pa.Table, dict[str, Array]]:
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
    matrices = {m: getattr(joined, m) for m in benchmark.MATRICES if m != "quality"}
    matrices["quality"] = joined.score >= plan.benchmark.correct_at
    samples = joined.samples.drop_columns(["input_tokens"])
    return _manifest(logs, pairs, joined), samples, matrices


def _manifest(logs: Logs, pairs: tuple[PairFindings, ...], joined: Joined) -> Manifest:
    plan, listing = logs.builder.plan, logs.listing
    names, counts = (v.tolist() for v in np.unique(joined.datasets, return_counts=True))
    known = {d.name: d for d in plan.catalog.datasets}
    records = {name: known.get(name) or _undeclared(name) for name in names}
    _refuse_one_slug(records)
    expected = {n: d.samples for n, d in records.items() if d.samples is not None and not listing.synthetic}
    return Manifest(
        vlrb=__version__,
        synthetic=listing.synthetic,
        models=tuple(candidate_of(plan, name) for name in joined.models),
        datasets=tuple(attrs.evolve(d, samples=n) for d, n in zip(records.values(), counts, strict=True)),
        task_groups=_task_groups(plan, records),
        expected_samples=expected,
        policies=Policies(**{f.name: getattr(plan.benchmark, f.name) for f in attrs.fields(Policies)}),
        excluded=tuple(joined.excluded),
        total_tokens=total_tokens(joined),
        token_counter=plan.counter.registered.id,
        token_parameters=plan.counter.identity()["parameters"],
        images=tuple(f"parts/{logs.folder(p).name}/images.arrow" for p in logs.parts("samples")),
        parts=tuple(logs.findings[p.id] for p in listing.parts),
        pairs=pairs,
        ignored_files=listing.ignored,
    )


def _task_groups(plan: Plan, records: Mapping[str, Dataset]) -> dict[str, str]:
    """Return slug -> title of the datasets' task groups, sorted by title."""
    titles = {d.group: d.group_title for d in plan.catalog.datasets if d.group_title}
    groups = {d.group: titles.get(d.group, d.group) for d in records.values()}
    return dict(sorted(groups.items(), key=lambda item: item[1].casefold()))


def _undeclared(name: str) -> Dataset:
    """Return a record of a dataset that nobody declared: it can be used where the outcomes carry their scores.

    :raises DataError: when its name has no letter or digit that a slug can have
    """
    if not slugify(name):
        fix = f"declare it: [[dataset]] with name = {name!r} and a slug of your own"
        raise DataError(f"the name of dataset {name!r} has no letter or digit for a slug", where="the logs", fix=fix)
    return Dataset(name=name, group="own")


def _refuse_one_slug(records: Mapping[str, Dataset]) -> None:
    """Refuse datasets that tables could not name apart.

    :raises DataError: naming them
    """
    by_slug: dict[str, list[str]] = {}
    for name, record in records.items():
        by_slug.setdefault(record.slug, []).append(name)
    problems = [
        Problem(
            f"datasets {shorten_list(map(repr, names))} have one slug, {slug!r}",
            "the logs",
            "declare all but one of them with [[dataset]] and a slug of its own, or give them one name in the logs",
        )
        for slug, names in by_slug.items()
        if len(names) > 1
    ]
    if problems:
        raise DataError(problems)
