"""From logs to a benchmark: parts are read once each and cached, scored on request, then joined by sample id and model name.

Samples and models are left out only by a policy that the experiment names, and counted.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa

from vlrb import __version__, executor
from vlrb.api.frozen import Array
from vlrb.api.logs import Listing
from vlrb.api.records import Dataset, slugify
from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.checks import label_of, refuse, unused_tables
from vlrb.benchmark.costs import add_model_tokens, candidate_of, fill_costs
from vlrb.benchmark.join import Joined, apply_missing, apply_unknown, join_parts, pairs_of
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import SCHEMA_VERSION, Manifest, PairFindings, Policies, Stages, read_manifest
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem, shorten_list
from vlrb.executor import Progress, quiet, stage
from vlrb.experiment.plan import Plan, digest_of
from vlrb.locks import locked
from vlrb.plugins.sources import core_digest
from vlrb.storage import USES, Places, mark_used, new_directory, write_json

logger = logging.getLogger("vlrb")

NO_CHANGE = frozenset({"datasets", "models", "expect"})
"""Keys of ``[benchmark]`` that are not in its key: names stand in the parts, and ``expect`` only refuses."""
UNDECLARED = "own"
"""Task group of datasets that nobody declared."""


def build(plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet) -> Benchmark:
    """Return the benchmark of an experiment, from the cache where nothing it depends on has changed.

    :param jobs: processes that read and score logs; default: one per CPU
    :raises DataError: with everything that is wrong with the logs
    """
    with stage(progress, "listing logs"):
        logs = Logs(plan, places)
    jobs = jobs or os.cpu_count() or 1
    target = places.cache / "benchmarks" / _benchmark_key(plan, logs.listing, logs.keys)[:20]
    if not _is_built(target, places):  # a cache that is read-only may have it
        clock = _read(logs, jobs, progress)  # before the lock: several processes may share the parts
        with locked(target):
            if not _is_built(target, places):
                _join(target, logs, clock, progress)
    with stage(progress, "loading the benchmark"):
        built = benchmark.load(target)
    _refuse_unasked(plan, built)
    pairs = built.manifest.pairs
    for warning in unused_tables(plan, {p.dataset for p in pairs}, {p.model for p in pairs}):
        logger.warning(warning)
    expect = plan.benchmark.expect
    if not built.fingerprint.startswith(expect):
        raise DataError(
            f"the benchmark's fingerprint is {built.fingerprint}, not {expect}: its samples, scores or costs differ",
            where=plan.document.where(("benchmark", "expect")),
            fix="use the logs, prices and [benchmark] keys that the fingerprint was published with, or remove expect",
        )
    return built


def _read(logs: Logs, jobs: int, progress: Progress) -> _Clock:
    """Read and score what is not in the cache; return how long it took."""
    clock = _Clock()
    logs.read(jobs, progress)
    clock.note("read")
    logs.score(logs.to_score.values(), logs.every, jobs, progress)
    clock.note("score")
    return clock


def _join(target: Path, logs: Logs, clock: _Clock, progress: Progress) -> None:
    """Join the parts that are in the cache."""
    with new_directory(target) as aside, stage(progress, "joining logs"):
        manifest, samples, matrices = _assemble(logs)
        clock.note("join")
        write_json(aside / USES, logs.uses())
        manifest = attrs.evolve(manifest, stages=Stages(clock.seconds, clock.megabytes))
        benchmark.write(aside, manifest, samples, matrices)


def _is_built(target: Path, places: Places) -> bool:
    """Return whether the cache has a benchmark and its images, and mark it as used, so that pruning keeps it."""
    found = mark_used(target) and (target / "manifest.json").is_file()
    return found and all((places.cache / f).is_file() for f in read_manifest(target).images)


def _refuse_unasked(plan: Plan, built: Benchmark) -> None:
    """Refuse datasets and models that ``[benchmark]`` did not ask for: a log source has to leave them out.

    :raises PluginError: with their names
    """
    catalog = plan.catalog
    for what, wanted, names in (
        ("datasets", catalog.wanted_datasets, [d.name for d in built.manifest.datasets]),
        ("models", catalog.wanted_models, [m.name for m in built.manifest.models]),
    ):
        more = [repr(n) for n in names if wanted is not None and n not in wanted]
        if more:
            raise PluginError(
                f"{label_of(plan.logs)} returned {what} that are not asked for: {shorten_list(more)}",
                where=plan.document.where(("benchmark", what)),
                fix=f"report it to the plugin's author: the source must leave out what is not in the catalog's wanted_{what}",
            )


@attrs.define
class _Clock:
    """Seconds of a build's stages, and the largest memory so far after each."""

    began: float = attrs.Factory(time.perf_counter)
    seconds: dict[str, float] = attrs.Factory(dict)
    megabytes: dict[str, dict[str, float]] = attrs.Factory(dict)

    def note(self, stage: str) -> None:
        """Note that a stage has ended."""
        began, self.began = self.began, time.perf_counter()
        self.seconds[stage] = self.began - began
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.megabytes[stage] = {"process": own / 1024, "largest_worker": executor.largest_kilobytes / 1024}


def _benchmark_key(plan: Plan, listing: Listing, keys: Mapping[str, str]) -> str:
    used = {p.dataset for p in listing.parts}, {p.model for p in listing.parts if p.model}
    several = "" in used[0] or any(not p.model for p in listing.parts if p.kind == "outcomes")
    datasets = [d for d in plan.catalog.datasets if several or d.name in used[0]]
    scorers = [s for s in map(plan.scorer, datasets) if s is not None]
    return digest_of(
        {
            "schema": SCHEMA_VERSION,
            "vlrb": [__version__, core_digest("benchmark")],
            "parts": keys,
            "section": {k: v for k, v in attrs.asdict(plan.benchmark).items() if k not in NO_CHANGE},
            "datasets": [attrs.asdict(d) for d in datasets],
            "task_groups": _task_groups(plan, {UNDECLARED, *(d.group for d in datasets)}),
            "models": [attrs.asdict(m) for m in plan.catalog.models if several or m.name in used[1]],
            "scorers": [s.identity() for s in scorers],
            "synthetic": listing.synthetic,
            "ignored_files": dict(listing.ignored),
        }
    )


def _assemble(logs: Logs) -> tuple[Manifest, pa.Table, dict[str, Array]]:
    """Return manifest, samples and matrices of the finished benchmark."""
    plan, joined = logs.plan, join_parts(logs)
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
    plan, listing = logs.plan, logs.listing
    names, counts = (v.tolist() for v in np.unique(joined.datasets, return_counts=True))
    records = _dataset_records(plan, names)
    return Manifest(
        vlrb=__version__,
        synthetic=listing.synthetic,
        models=tuple(candidate_of(plan, name) for name in joined.models),
        datasets=tuple(attrs.evolve(d, samples=n) for d, n in zip(records.values(), counts, strict=True)),
        task_groups=_task_groups(plan, {d.group for d in records.values()}),
        expected_samples={n: d.samples for n, d in records.items() if d.samples is not None and not listing.synthetic},
        policies=Policies(**{f.name: getattr(plan.benchmark, f.name) for f in attrs.fields(Policies)}),
        excluded=tuple(joined.excluded),
        total_tokens=benchmark.total_tokens(joined.input_tokens, joined.output_tokens),
        token_counter=plan.counter.registered.id,
        token_parameters=plan.counter.identity()["parameters"],
        images=tuple(f"parts/{logs.folder(p).name}/images.arrow" for p in logs.parts("samples")),
        parts=tuple(logs.findings[p.id] for p in listing.parts),
        pairs=pairs,
        ignored_files=listing.ignored,
    )


def _task_groups(plan: Plan, slugs: Iterable[str]) -> dict[str, str]:
    """Return slug -> title of some task groups, sorted by title."""
    titles = {d.group: d.group_title for d in plan.catalog.datasets if d.group_title}
    groups = {slug: titles.get(slug, slug) for slug in sorted(slugs)}
    return dict(sorted(groups.items(), key=lambda item: item[1].casefold()))


def _dataset_records(plan: Plan, names: Sequence[str]) -> dict[str, Dataset]:
    """Return name -> record, also of datasets that nobody declared; refuse names without a slug, and two with the same."""
    known = {d.name: d for d in plan.catalog.datasets}
    for name in names:
        if name not in known and not slugify(name):
            fix = f"declare it: [[dataset]] with name = {name!r} and a slug of your own"
            what = f"the name of dataset {name!r} has no letter or digit for a slug"
            raise DataError(what, where="the logs", fix=fix)
    records = {name: known.get(name) or Dataset(name=name, group=UNDECLARED) for name in names}
    by_slug = defaultdict(list)
    for name, record in records.items():
        by_slug[record.slug].append(repr(name))
    fix = "declare all but one of them with [[dataset]] and a slug of its own, or give them one name in the logs"
    twice = ((slug, shorten_list(same)) for slug, same in by_slug.items() if len(same) > 1)
    refuse(Problem(f"datasets {same} have one slug, {slug!r}", "the logs", fix) for slug, same in twice)
    return records
