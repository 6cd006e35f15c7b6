"""From logs to a benchmark: parts are read once each and cached, scored where that is asked for, then joined by sample id
and model name.

Whatever is left out is left out by a policy that the experiment names, and counted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import __version__, executor
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS
from vlrb.api.specs import Dataset, slugify
from vlrb.api.types import Array, Listing, Part, WithModelTokens
from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.matrices import Benchmark
from vlrb.benchmark.read import (
    PartBuilder,
    counter_of,
    duplicates,
    files_of,
    iterate_rows,
    read_rows,
    rows_file,
)
from vlrb.benchmark.score import read_scores, score_part, scorer_of, scores_folder
from vlrb.benchmark.steps import run_tasks
from vlrb.errors import DataError, PluginError, Problem, shortened
from vlrb.executor import Progress, Task
from vlrb.experiment.plan import Plan, digest_of
from vlrb.faults import short_repr
from vlrb.plugins.loading import blame
from vlrb.plugins.returned import FIX, plain_array
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, new_directory, read_json, write_json

ROWS_AT_ONCE = 1_000_000
NO_CHANGE = frozenset({"datasets", "models", "expect"})
"""Keys of ``[benchmark]`` that are not in its key: names stand in the parts, and ``expect`` only refuses."""

USES = "uses.json"
"""In a benchmark's folder: the parts and scores of the cache that it was made of."""


def quiet(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


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


# --- reading and scoring ------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class Logs:
    """The parts of a log tree, and where the cache has them."""

    builder: PartBuilder
    listing: Listing
    keys: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, places: Places) -> Logs:
        """List the logs of an experiment.

        :raises DataError: when they are missing, or belong to nothing known
        """
        builder = PartBuilder(plan, places)
        listing = builder.list()
        return cls(builder, listing, builder.keys(listing))

    def parts(self, kind: str) -> list[Part]:
        """Return the parts of a kind, in the order of the listing."""
        return [p for p in self.listing.parts if p.kind == kind]

    def folder(self, part: Part) -> Path:
        """Return a part's folder in the cache."""
        return self.builder.folder(self.keys[part.id])

    @cached_property
    def about(self) -> dict[str, Any]:
        """Return part id -> what was noted when the part was read."""
        return {p.id: read_json(self.folder(p) / "part.json") for p in self.listing.parts}

    def read(self, jobs: int, progress: Progress) -> None:
        """Read the parts that are not in the cache.

        :raises DataError: with the problems of all parts
        """
        stale = [p for p in self.listing.parts if not _at_hand(self.folder(p) / "part.json")]
        tasks = [Task(p.id, (p, self.keys[p.id]), _size(p.files)) for p in stale]
        run_tasks(self.builder, _read, tasks, jobs, "reading logs", progress)

    def uses(self) -> dict[str, list[str]]:
        """Return kind -> names of the entries of the cache that the benchmark is made of, once they are there."""
        scores = [self.scores(p, every=self.every).name for p in self.to_score()]
        return {"parts": sorted(self.folder(p).name for p in self.listing.parts), "scores": sorted(scores)}

    @cached_property
    def samples(self) -> dict[str, Part]:
        """Return dataset -> the part that holds its samples; a part of several datasets stands under "" too."""
        found = {d: p for p in self.parts("samples") for d in self.about[p.id]["datasets"]}
        several = [p for p in self.parts("samples") if not p.dataset]
        return found | ({"": several[0]} if several else {})

    @cached_property
    def left_out(self) -> dict[str, Mapping[str, Any]]:
        """Return the ids of the samples that the log source has left out -> what it says of them."""
        listed = ((p.dataset, note) for p in self.parts("samples") for note in self.about[p.id]["left_out"])
        return {f"{dataset}/{key}": note for dataset, note in listed for key in note["keys"]}

    def scores(self, part: Part, *, every: bool) -> Path:
        """Return the folder of a part's scores in the cache."""
        samples = {d: self.keys[p.id] for d, p in self.samples.items()}
        return scores_folder(self.builder, self.keys[part.id], samples, self.about[part.id]["datasets"], every)

    @property
    def every(self) -> bool:
        """Tell whether the scorers judge every answer, whatever the logs say."""
        return self.builder.plan.benchmark.verdicts == "scored"

    def to_score(self) -> list[Part]:
        """Return the parts whose answers the experiment needs scored."""
        return [p for p in self.parts("outcomes") if self.scored(p)]

    def scored(self, part: Part) -> bool:
        """Tell whether a part's answers are scored: all on request, else where the logs hold no verdict."""
        return part.id in self._scored

    @cached_property
    def _scored(self) -> frozenset[str]:
        """The ids of these parts: every pair of dataset and model asks for its own."""
        found = set()
        for part in self.parts("outcomes"):
            open_pairs = (p for p in self.about[part.id]["pairs"] if self.every or p["unjudged"])
            if any(scorer_of(self.builder, pair["dataset"]) is not None for pair in open_pairs):
                found.add(part.id)
        return frozenset(found)

    def score(self, parts: Sequence[Part], jobs: int, progress: Progress, *, every: bool | None = None) -> None:
        """Score parts whose scores are not in the cache.

        :param every: all answers, not only those without a verdict; default: as the experiment says
        """
        whole = self.every if every is None else every
        samples = {d: self.folder(p) for d, p in self.samples.items()}
        tasks = []
        for part in parts:
            target = self.scores(part, every=whole)
            if not _at_hand(target / "scores.json"):
                size = rows_file(self.folder(part)).stat().st_size
                tasks.append(Task(part.id, (self.folder(part), samples, target, whole, part.id), 20 * size))
        run_tasks(self.builder, score_part, tasks, jobs, "scoring answers", progress)


def _at_hand(file: Path) -> bool:
    """Tell whether an entry of the cache is there, by the file that is written last, and mark it as used."""
    return mark_used(file.parent) and file.is_file()


def _read(builder: PartBuilder, part: Part, key: str) -> None:
    builder.read(part, key)


def _size(files: Sequence[Path]) -> int:
    return sum(f.stat().st_size for f in files)


# --- joining ------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _Joined:
    """Samples and matrices while they are being put together; NaN and -1 mark what is not there.

    ``unscorable``: sample id -> why no answer to it can be judged.
    """

    samples: pa.Table
    models: list[str]
    matrices: dict[str, Array]
    present: Array
    excluded: list[dict[str, Any]] = attrs.Factory(list)
    unscorable: dict[str, str] = attrs.Factory(dict)

    @property
    def datasets(self) -> Array:
        """Return the dataset's name of every sample, str[n]."""
        return np.asarray(self.samples.column("dataset").to_numpy(), dtype=np.str_)

    def keep_samples(self, keep: Array, reason: str) -> None:
        """Leave out some samples, and count them per dataset."""
        self.exclude(reason, self.datasets[~keep])
        self.samples = self.samples.filter(pa.array(keep))
        self.matrices = {name: matrix[keep] for name, matrix in self.matrices.items()}
        self.present = self.present[keep]
        if not self.samples.num_rows:
            raise DataError(
                f"no sample is left: all were left out because of: {reason}", where="[benchmark]", fix=_NONE_LEFT
            )

    def keep_models(self, keep: Array, reason: str) -> None:
        """Leave out some models, and say which."""
        for name, kept in zip(self.models, keep, strict=True):
            if not kept:
                self.excluded.append({"reason": f"{reason} ({name})", "count": 1})
        self.models = [m for m, kept in zip(self.models, keep, strict=True) if kept]
        self.matrices = {name: matrix[:, keep] for name, matrix in self.matrices.items()}
        self.present = self.present[:, keep]
        if not self.models:
            raise DataError(
                f"no model is left: all were left out because of: {reason}", where="[benchmark]", fix=_NONE_LEFT
            )

    def exclude(self, reason: str, datasets: Array, model: str = "") -> None:
        """Count what was left out or changed, per dataset."""
        for name, count in zip(*np.unique(datasets, return_counts=True), strict=True):
            what = f"{name}, {model}" if model else name
            self.excluded.append({"reason": f"{reason} ({what})", "count": int(count)})


def _assemble(logs: Logs) -> tuple[dict[str, Any], pa.Table, dict[str, Array]]:
    """Join the parts by sample id and model name.

    :return: manifest, samples and matrices of the finished benchmark
    """
    plan = logs.builder.plan
    joined = _join(logs)
    pairs = _pairs(logs, joined)
    _apply_missing(joined, plan.benchmark.missing)
    _apply_unknown(joined, plan, pairs)
    _add_model_tokens(joined, logs.builder)
    _fill_costs(joined, plan)
    del joined.matrices["stored"]
    joined.matrices["quality"] = joined.matrices["score"] >= plan.benchmark.correct_at
    samples = joined.samples.drop_columns(["input_tokens"])
    return _manifest(logs, pairs, joined), samples, joined.matrices


def _join(logs: Logs) -> _Joined:
    tables = [read_rows(logs.folder(p)) for p in logs.parts("samples")]
    samples = pa.concat_tables(tables).sort_by("id")
    ids = samples.column("id").combine_chunks()
    duplicates(ids, sorted({str(f) for p in logs.parts("samples") for f in p.files}))
    models = sorted({pair["model"] for p in logs.parts("outcomes") for pair in logs.about[p.id]["pairs"]})
    shape = (samples.num_rows, len(models))
    matrices: dict[str, Array] = {name: np.full(shape, np.nan) for name in ("score", "cost")}
    matrices |= {name: np.full(shape, -1, dtype=np.int64) for name in ("input_tokens", "output_tokens")}
    matrices["stored"] = np.zeros(shape, dtype=np.bool_)
    shared = samples.column("input_tokens")
    if shared.null_count == 0:
        matrices["input_tokens"][:] = shared.to_numpy()[:, None]
    joined = _Joined(samples, models, matrices, np.zeros(shape, dtype=np.bool_))
    spans = spans_of(joined.datasets)
    problems: list[Problem] = []
    for part in logs.parts("outcomes"):
        problems += _fill_part(joined, ids, spans.get(part.dataset, (0, len(ids))), part, logs)
    if problems:
        raise DataError(problems)
    return joined


def spans_of(datasets: Array) -> dict[str, tuple[int, int]]:
    """Return dataset -> the first of its rows and the one after the last; between them may be others' rows."""
    names, first = np.unique(datasets, return_index=True)
    last = len(datasets) - np.unique(datasets[::-1], return_index=True)[1]
    return {n: (int(f), int(e)) for n, f, e in zip(names, first, last, strict=True)}


def _fill_part(joined: _Joined, ids: pa.Array, span: tuple[int, int], part: Part, logs: Logs) -> list[Problem]:
    """Put a part's rows where they belong; return what is wrong with them.

    :param span: where among ``ids`` the samples of the part's dataset begin and end
    """
    first, among = span[0], ids[slice(*span)]
    columns = ["id", "dataset", "model", "score", "cost", "input_tokens", "output_tokens"]
    own = read_scores(logs.scores(part, every=logs.every)) if logs.scored(part) else None
    models = pa.array(joined.models, pa.string())
    offset = 0
    for batch in iterate_rows(logs.folder(part), columns, ROWS_AT_ONCE):
        rows = pc.index_in(batch.column("id"), value_set=among)
        scored = own.slice(offset, batch.num_rows) if own is not None else None
        offset += batch.num_rows
        if rows.null_count:
            problems = _leave_out(joined, batch.filter(rows.is_null()), part, logs)
            if problems:
                return problems
            known = rows.is_valid()
            batch, rows = batch.filter(known), rows.filter(known)
            scored = scored.filter(known) if scored is not None else None
        at = first + rows.to_numpy(), pc.index_in(batch.column("model"), value_set=models).to_numpy()
        flat = at[0].astype(np.int64) * len(joined.models) + at[1]
        _, earliest = np.unique(flat, return_index=True)
        again = np.flatnonzero(joined.present[at])
        if earliest.size < flat.size:
            again = np.setdiff1d(np.arange(flat.size), earliest)
        if again.size:
            return [_twice(part, batch.take(pa.array(again)))]
        joined.present[at] = True
        _fill(joined.matrices, at, batch, scored, first_own=logs.every)
        joined.unscorable.update(_unscorable(batch, scored))
    return []


def _unscorable(batch: pa.RecordBatch, scored: pa.Table | None) -> dict[str, str]:
    """Return the ids of the samples on which no answer can be judged, and why not."""
    if scored is None:
        return {}
    whose = scored.column("unscorable").combine_chunks()
    reasons = scored.column("reason").filter(whose).to_pylist()
    return dict(zip(batch.column("id").filter(whose).to_pylist(), reasons, strict=True))


def _fill(
    matrices: dict[str, Array], at: tuple[Array, Array], batch: pa.RecordBatch, own: pa.Table | None, *, first_own: bool
) -> None:
    for name in ("cost", "input_tokens", "output_tokens"):
        column = batch.column(name)
        if column.null_count < len(column):
            gap = np.nan if name == "cost" else -1
            matrices[name][at] = column.fill_null(gap).to_numpy()
    stored = batch.column("score").fill_null(np.nan).to_numpy()
    if own is None:
        matrices["score"][at] = stored
        return
    scored = own.column("value").fill_null(np.nan).to_numpy()
    first, second = (scored, stored) if first_own else (stored, scored)
    matrices["score"][at] = np.where(np.isnan(first), second, first)
    matrices["stored"][at] = np.isnan(scored) & ~np.isnan(stored) if first_own else False


def _leave_out(joined: _Joined, extra: pa.RecordBatch, part: Part, logs: Logs) -> list[Problem]:
    """Count the answers to samples that the log source has left out with their answers; return what is wrong with the others."""
    notes = [logs.left_out.get(i) for i in extra.column("id").to_pylist()]
    strangers = extra.filter(pa.array([note is None for note in notes]))
    problems = [_not_asked(part, strangers)] if strangers.num_rows else []
    for note in {id(n): n for n in notes if n is not None}.values():
        answers = extra.filter(pa.array([n is note for n in notes]))
        if not note["drop_answers"]:
            ids = shortened(answers.column("id").to_pylist())
            what = f"{answers.num_rows:,} answers are to samples that {note['reason']}: {ids}"
            problems.append(Problem(what, files_of(part), note["fix"]))
            continue
        for model in sorted(set(answers.column("model").to_pylist())):
            whose = (
                answers.filter(pc.equal(answers.column("model"), model))
                .column("dataset")
                .to_numpy(zero_copy_only=False)
            )
            joined.exclude(f"answers to samples that {note['reason']}", whose.astype(np.str_), model)
    return problems


def _not_asked(part: Part, extra: pa.RecordBatch) -> Problem:
    pairs = sorted(set(zip(extra.column("model").to_pylist(), extra.column("dataset").to_pylist(), strict=True)))
    whose = f"{pairs[0][0]} belong to no sample of {pairs[0][1]}"
    if len(pairs) > 1:
        whose = f"{shortened(sorted({m for m, _ in pairs}))} belong to no sample of {shortened(sorted({d for _, d in pairs}))}"
    return Problem(
        f"{extra.num_rows:,} answers of {whose}: {shortened(extra.column('id').unique().to_pylist())}",
        files_of(part),
        "use answers and questions of one version of the dataset",
    )


def _twice(part: Part, rows: pa.RecordBatch) -> Problem:
    pairs = zip(rows.column("id").to_pylist(), rows.column("model").to_pylist(), strict=True)
    return Problem(
        f"{rows.num_rows:,} answers are in the logs twice: {shortened(f'{i} of {m}' for i, m in pairs)}",
        files_of(part),
        "keep one row of each",
    )


def _pairs(logs: Logs, joined: _Joined) -> list[dict[str, Any]]:
    """Return what the logs hold of every dataset and model, before any policy is applied."""
    unknown = np.isnan(joined.matrices["score"])
    names, counts = np.unique(joined.datasets, return_counts=True)
    places = np.split(np.argsort(joined.datasets, kind="stable"), np.cumsum(counts)[:-1])
    positions = dict(zip(names.tolist(), places, strict=True))
    by_pair: dict[tuple[str, str], tuple[Part, dict[str, Any]]] = {
        (pair["dataset"], pair["model"]): (part, pair)
        for part in logs.parts("outcomes")
        for pair in logs.about[part.id]["pairs"]
    }
    pairs = []
    for dataset, rows in positions.items():
        chosen = scorer_of(logs.builder, dataset)
        for j, model in enumerate(joined.models):
            found = joined.present[rows, j]
            part, noted = by_pair.get((dataset, model), (None, dict[str, Any]()))
            about = logs.about[part.id] if part is not None else {}
            pairs.append(
                {
                    "dataset": dataset,
                    "model": model,
                    "found": int(found.sum()),
                    "missing": int((~found).sum()),
                    "unknown": int((unknown[rows, j] & found).sum()),
                    "failed_calls": noted.get("failed", 0),
                    "failed_judges": noted.get("judge_failed", 0),
                    "without_stored_verdict": noted.get("unjudged", 0),
                    "verdict": about.get("verdict", ""),
                    "scorer": chosen.registered.id if chosen is not None and part and logs.scored(part) else "",
                    "part": about.get("part", ""),
                }
            )
    return pairs


def _apply_missing(joined: _Joined, policy: str) -> None:
    """Deal with samples that not every model answered."""
    if joined.present.all():
        return
    if policy == "drop-sample":
        joined.keep_samples(np.asarray(joined.present.all(axis=1)), "samples that not every model answered")
    elif policy == "drop-model":
        joined.keep_models(np.asarray(joined.present.all(axis=0)), "models that did not answer every sample")
    else:
        names, ids = joined.datasets, joined.samples.column("id")
        problems = []
        for j, model in enumerate(joined.models):
            for name in sorted(set(names[~joined.present[:, j]].tolist())):
                rows = np.flatnonzero(~joined.present[:, j] & (names == name)).tolist()
                lacking = shortened(ids[i].as_py() for i in rows[:6]) if len(rows) <= 5 else _some(ids, rows)
                problems.append(
                    Problem(f"{model} lacks {len(rows):,} of {(names == name).sum():,} samples: {lacking}", name)
                )
        fix = 'complete the logs, or set missing = "drop-sample" or "drop-model" in [benchmark]'
        raise DataError([*problems[:-1], attrs.evolve(problems[-1], fix=fix)])


def _some(ids: pa.ChunkedArray, rows: Sequence[int]) -> str:
    return f"{shortened(ids[i].as_py() for i in rows[:5])} and {len(rows) - 5:,} more"


def _apply_unknown(joined: _Joined, plan: Plan, pairs: Sequence[Mapping[str, Any]]) -> None:
    """Deal with answers that the experiment's verdicts leave open."""
    policy = plan.benchmark.unknown
    if policy != "stored":
        joined.matrices["score"][joined.matrices["stored"]] = np.nan
    problems = _apply_unscorable(joined, plan)
    stored, names = joined.matrices["stored"], joined.datasets
    unknown = np.isnan(joined.matrices["score"])
    if problems:
        unknown &= np.array([not why for why in _reasons(joined, plan)])[:, None]
    for j, model in enumerate(joined.models):
        if policy == "stored" and stored[:, j].any():
            joined.exclude("answers that no rule can judge, taken as the logs judge them", names[stored[:, j]], model)
    if not unknown.any() and not problems:
        return
    if policy == "drop":
        joined.keep_samples(np.asarray(~unknown.any(axis=1)), "samples with an answer that no rule can judge")
        return
    for j, model in enumerate(joined.models):
        if policy == "wrong" and unknown[:, j].any():
            joined.exclude("answers that no rule can judge, counted as wrong", names[unknown[:, j]], model)
        elif policy != "wrong":
            problems += [
                _unjudged(plan, pair, int((unknown[:, j] & (names == pair["dataset"])).sum()))
                for pair in pairs
                if pair["model"] == model and (unknown[:, j] & (names == pair["dataset"])).any()
            ]
    if problems:
        raise DataError(problems)
    joined.matrices["score"][unknown] = 0.0


def _apply_unscorable(joined: _Joined, plan: Plan) -> list[Problem]:
    """Leave out the samples on which no answer can be judged, where the experiment drops what is unknown.

    :return: the problems that they are where it does not
    """
    ids, names = joined.samples.column("id").to_pylist(), joined.datasets
    reasons = _reasons(joined, plan)
    problems = []
    for name, reason in sorted({(names[i], why) for i, why in enumerate(reasons) if why}):
        rows = [i for i, why in enumerate(reasons) if why == reason and names[i] == name]
        whose = f"{len(rows):,} of {int((names == name).sum()):,} samples: {shortened(ids[i] for i in rows)}"
        problems.append(Problem(f"{reason}, so that no answer can be judged ({whose})", name, _NO_GOLD_FIX))
    if plan.benchmark.unknown != "drop":
        return problems
    for reason in sorted({why for why in reasons if why}):
        keep = np.array([why != reason for why in reasons])
        joined.keep_samples(keep, f"samples on which no answer can be judged: {reason}")
        reasons = [why for why in reasons if why != reason]
    return []


def _reasons(joined: _Joined, plan: Plan) -> list[str]:
    """Return for each sample why no answer to it can be judged; an empty text where one can, or where all have a verdict."""
    unknown = np.asarray(np.isnan(joined.matrices["score"]).any(axis=1)).tolist()
    if not any(unknown):
        return [""] * len(unknown)
    known = {name: plan.catalog.dataset(name) for name in set(joined.datasets.tolist())}
    no_rule = {name for name, record in known.items() if record is None or plan.scorer(record) is None}
    golds = joined.samples.column("answer").to_pylist()
    ids = joined.samples.column("id").to_pylist()
    rows = zip(ids, joined.datasets.tolist(), golds, unknown, strict=True)
    return [
        joined.unscorable.get(i, _NO_GOLD if name in no_rule and not (gold or "").strip() else "") if is_open else ""
        for i, name, gold, is_open in rows
    ]


_NONE_LEFT = "complete the logs, or choose other values of missing and unknown in [benchmark]"
_NO_GOLD = "the sample has no gold answer"
_NO_GOLD_FIX = (
    'give the samples what they lack, or the answers verdicts, or leave these samples out with unknown = "drop" in '
    '[benchmark]; "wrong" does not cover them, since it would count right answers as wrong'
)


def _unjudged(plan: Plan, pair: Mapping[str, Any], count: int) -> Problem:
    dataset = plan.catalog.dataset(pair["dataset"])
    scorer = dataset.scorer if dataset is not None else ""
    why = (
        f"; scorer {pair['scorer']!r} could not decide"
        if pair["scorer"]
        else (f"; its scorer {scorer!r} is not installed" if scorer and plan.scorer(dataset) is None else "")  # type: ignore[arg-type]
    )
    if pair["failed_judges"]:
        why = f"; the judge of the logs failed on {pair['failed_judges']:,} answers{why}"
    return Problem(
        f"{count:,} answers of {pair['model']} have no verdict: {pair['verdict'] or 'the logs hold none'}{why}",
        pair["dataset"],
        "give the logs a column is_correct, name a scorer that is installed, or set unknown in [benchmark]",
    )


def _add_model_tokens(joined: _Joined, builder: PartBuilder) -> None:
    """Add the input tokens that depend on the model, where the token counter has such."""
    counter = builder.counter
    if not isinstance(counter, WithModelTokens) or not counter.per_model:
        return
    sizes = tuple(
        tuple((s["width"], s["height"]) for s in each or ())
        for each in joined.samples.column("image_sizes").to_pylist()
    )
    plugin = builder.plan.counter.plugin
    for j, name in enumerate(joined.models):
        with blame(plugin, f"counting the image tokens of {name}"):
            counted = counter.model_tokens(name, builder.plan.catalog.model(name), sizes)
            more = plain_array(counted, "what it returned", counter_of(builder.plan))
            whole = more.shape == (len(sizes),) and more.dtype.kind in "iu"
            if not whole or not ((more >= 0) & (more <= MOST_TOKENS)).all():
                what = f"{len(sizes):,} integers between 0 and {MOST_TOKENS:,}, not {short_repr(more)}"
                raise PluginError(f"{counter_of(builder.plan)} must return {what}", fix=FIX)
        joined.matrices["input_tokens"][:, j] += more


def _fill_costs(joined: _Joined, plan: Plan) -> None:
    """Turn tokens and prices into USD per sample, except where the logs give costs themselves.

    :raises DataError: for a model without a price, and where neither tokens nor costs are known
    """
    cost, inputs, outputs = (joined.matrices[m] for m in ("cost", "input_tokens", "output_tokens"))
    problems = []
    for j, name in enumerate(joined.models):
        model = plan.catalog.model(name)
        open_rows = np.isnan(cost[:, j])
        lacking = int((open_rows & ((inputs[:, j] < 0) | (outputs[:, j] < 0))).sum())
        if lacking:
            counter = plan.counter.registered.id
            problems.append(
                Problem(
                    f"token counter {counter!r} gives no tokens for {lacking:,} answers of {name}",
                    "[tokens] counter",
                    "name another counter, or add the tokens (or the costs) of these answers to the logs",
                )
            )
        elif open_rows.any() and (
            model is None or model.input_price_per_million is None or model.output_price_per_million is None
        ):
            problems.append(
                Problem(
                    f"model {name!r} has no price, and the logs give no costs",
                    "[[model]]",
                    f"add a table [[model]] with name = {name!r}, input_price_per_million and output_price_per_million",
                )
            )
        elif open_rows.any() and model is not None:
            low, high = model.input_price_per_million or 0.0, model.output_price_per_million or 0.0
            cost[open_rows, j] = (inputs[open_rows, j] * low + outputs[open_rows, j] * high) / 1e6
            problems += _too_dear(joined, j, low, high)
    if problems:
        raise DataError(problems)


def _too_dear(joined: _Joined, j: int, low: float, high: float) -> list[Problem]:
    """Return a problem where the costs that tokens and prices make of a model's answers are beyond all use."""
    cost = joined.matrices["cost"][:, j]
    dear = np.flatnonzero(~(cost <= HIGHEST_COST) & ~np.isnan(cost))
    if not dear.size:
        return []
    row, name = int(dear[0]), joined.models[j]
    tokens = [int(joined.matrices[m][row, j]) for m in ("input_tokens", "output_tokens")]
    said = (
        f"{dear.size:,} answers of {name!r} cost more than {HIGHEST_COST:,.0f} US dollars each; the first, to sample "
        f"{joined.samples.column('id')[row].as_py()!r}, has {tokens[0]:,} tokens in at {low:g} and {tokens[1]:,} out at {high:g} "
        "US dollars per million"
    )
    return [Problem(said, "[[model]]", f"correct the prices of {name!r}, or the tokens in the logs")]


def _manifest(logs: Logs, pairs: list[dict[str, Any]], joined: _Joined) -> dict[str, Any]:
    plan, listing = logs.builder.plan, logs.listing
    unique, sizes = np.unique(joined.datasets, return_counts=True)
    counts = dict(zip(unique.tolist(), sizes.tolist(), strict=True))
    known = {d.name: d for d in plan.catalog.datasets}
    records = {name: known.get(name) or _undeclared(name) for name in counts}
    _refuse_one_slug(records)
    return {
        "vlrb": __version__,
        "synthetic": listing.synthetic,
        "models": [_candidate(plan, name) for name in joined.models],
        "datasets": [
            {"name": n, "slug": records[n].slug, "group": records[n].group, "task": records[n].task, "samples": c}
            for n, c in counts.items()
        ],
        "expected_samples": {
            n: records[n].samples for n in counts if records[n].samples is not None and not listing.synthetic
        },
        "policies": {k: getattr(plan.benchmark, k) for k in ("verdicts", "missing", "unknown", "correct_at")},
        "excluded": joined.excluded,
        "total_tokens": _total_tokens(joined),
        "token_counter": plan.counter.registered.id,
        "token_parameters": plan.counter.identity()["parameters"],
        "images": [f"parts/{logs.folder(p).name}/images.arrow" for p in logs.parts("samples")],
        "parts": [{k: v for k, v in logs.about[p.id].items() if k != "pairs"} for p in listing.parts],
        "pairs": pairs,
        "ignored_files": dict(listing.ignored),
    }


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
            f"datasets {shortened(map(repr, names))} have one slug, {slug!r}",
            "the logs",
            "declare all but one of them with [[dataset]] and a slug of its own, or give them one name in the logs",
        )
        for slug, names in by_slug.items()
        if len(names) > 1
    ]
    if problems:
        raise DataError(problems)


def _total_tokens(joined: _Joined) -> int | None:
    """Return all tokens, input counted once per sample; None where the logs do not give them."""
    inputs, outputs = joined.matrices["input_tokens"], joined.matrices["output_tokens"]
    if (inputs < 0).any() or (outputs < 0).any():
        return None
    return int(inputs.mean(axis=1).sum() if inputs.size else 0) + int(outputs.sum())


def _candidate(plan: Plan, name: str) -> dict[str, Any]:
    model = plan.catalog.model(name)
    if model is None:
        return {"name": name}
    return {
        "name": name,
        "input_price": model.input_price_per_million,
        "output_price": model.output_price_per_million,
        "parameters": model.parameters,
    }
