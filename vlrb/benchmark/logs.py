"""The parts of a log tree, read and scored into the cache: by this process or, where there is much to do, by several."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.json_data import read_record
from vlrb.api.logs import Part
from vlrb.benchmark.checks import refuse
from vlrb.benchmark.manifest import LeftOut, PartFindings
from vlrb.benchmark.read import PartBuilder, rows_file
from vlrb.benchmark.score import score_part, scorer_of, scores_folder
from vlrb.errors import DataError, Problem
from vlrb.executor import Failure, Job, Limits, Listener, Progress, Report, Task
from vlrb.experiment.plan import Plan
from vlrb.experiment.portable import PortablePlan, do_tasks, plan_versions
from vlrb.storage import Places, mark_used

Step = Callable[..., None]
"""A function of a module: ``step(builder, *arguments)``.  It leaves its results in the cache."""

PARALLEL_BYTES = 20 * 1024**2
"""Work on more bytes than this is shared by several processes: starting these costs about a second."""


class Logs:
    """The parts of an experiment's logs, and their keys in the cache (by part id)."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self.plan = plan
        self.builder = PartBuilder(plan, places)
        self.listing = self.builder.list()
        self.keys = self.builder.keys(self.listing)

    def parts(self, kind: str) -> list[Part]:
        """Return the parts of a kind, in the order of the listing."""
        return [p for p in self.listing.parts if p.kind == kind]

    def folder(self, part: Part) -> Path:
        """Return a part's folder in the cache."""
        return self.builder.folder(self.keys[part.id])

    @cached_property
    def findings(self) -> dict[str, PartFindings]:
        """Return part id -> what was found when the part was read."""
        return {p.id: read_record(self.folder(p) / "part.json", PartFindings) for p in self.listing.parts}

    def uses(self) -> dict[str, list[str]]:
        """Return kind -> names of the entries of the cache that the benchmark is made of, once they are there."""
        scores = [self.scores(p, every=self.every).name for p in self.to_score.values()]
        return {"parts": sorted(self.folder(p).name for p in self.listing.parts), "scores": sorted(scores)}

    @cached_property
    def samples(self) -> dict[str, Part]:
        """Return dataset -> the part that holds its samples; a part of several datasets stands under "" too."""
        found = {d: p for p in self.parts("samples") for d in self.findings[p.id].datasets}
        several = [p for p in self.parts("samples") if not p.dataset]
        return found | ({"": several[0]} if several else {})

    @cached_property
    def left_out(self) -> dict[str, LeftOut]:
        """Return the ids of the samples that the log source has left out -> what it says of them."""
        listed = ((p.dataset, note) for p in self.parts("samples") for note in self.findings[p.id].left_out)
        return {f"{dataset}/{key}": note for dataset, note in listed for key in note.keys}

    def scores(self, part: Part, *, every: bool) -> Path:
        """Return the folder of a part's scores in the cache."""
        samples = {d: self.keys[p.id] for d, p in self.samples.items()}
        return scores_folder(self.builder, self.keys[part.id], samples, self.findings[part.id].datasets, every)

    @property
    def every(self) -> bool:
        """Tell whether the scorers judge every answer, whatever the logs say."""
        return self.plan.benchmark.verdicts == "scored"

    @cached_property
    def to_score(self) -> dict[str, Part]:
        """Return id -> part whose answers are scored: all on request, else where the logs lack a verdict."""
        found = {}
        for part in self.parts("outcomes"):
            pairs = (p for p in self.findings[part.id].pairs if self.every or p.unjudged)
            if any(scorer_of(self.plan, p.dataset) is not None for p in pairs):
                found[part.id] = part
        return found

    def read(self, jobs: int, progress: Progress) -> None:
        """Read the parts that are not in the cache; the error holds the problems of all."""
        stale = [p for p in self.listing.parts if not _in_cache(self.folder(p) / "part.json")]
        tasks = [
            Task(p.id, (p, self.keys[p.id]), sum(f.stat().st_size for f in p.files), self.folder(p)) for p in stale
        ]
        run_tasks(self.builder, PartBuilder.read, tasks, jobs, "reading logs", progress)

    def score(self, parts: Iterable[Part], every: bool, jobs: int, progress: Progress) -> None:
        """Score parts whose scores are not in the cache: every answer, or those without a verdict."""
        samples = {d: self.folder(p) for d, p in self.samples.items()}
        tasks = []
        for part in parts:
            target = self.scores(part, every=every)
            if not _in_cache(target / "scores.json"):
                size = 20 * rows_file(self.folder(part)).stat().st_size
                tasks.append(Task(part.id, (self.folder(part), samples, target, every, part.id), size, target))
        run_tasks(self.builder, score_part, tasks, jobs, "scoring answers", progress)


def _in_cache(file: Path) -> bool:
    """Tell whether the cache has an entry, by the file that is written last, and mark it as used."""
    return mark_used(file.parent) and file.is_file()


def run_tasks(
    builder: PartBuilder, step: Step, tasks: Sequence[Task], jobs: int, what: str, progress: Progress
) -> None:
    """Run a step on all tasks; raise their problems together, and other failures at once."""
    results: list[list[Problem]] = []

    def ended(_task: Task, found: list[Problem] | Failure) -> None:
        if isinstance(found, Failure):
            raise found.error
        results.append(found)
        progress(what, len(results), len(tasks))

    jobs = min(jobs, len(tasks)) if sum(t.size for t in tasks) > PARALLEL_BYTES else 1
    plan = PortablePlan(attrs.evolve(builder.plan, routers=(), feature_sets={}))
    job = Job(_start, (plan, builder.places, step), _attempt, plan_versions)
    do_tasks(builder.plan.executor, job, tasks, Listener(ended, progress), (builder, step), Limits(jobs))
    refuse(dict.fromkeys(problem for found in results for problem in found))


def _start(sent: PortablePlan, places: Places, step: Step) -> tuple[PartBuilder, Step]:
    """Set up another process."""
    places.use()
    return PartBuilder(sent.unpacked(), places), step


def _attempt(made: tuple[PartBuilder, Step], _report: Report, *arguments: Any) -> list[Problem]:
    """Run one task; return what is wrong with its data, so that the other tasks are run too."""
    builder, step = made
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)  # rows are many small lists, at which the collector would look again and again
    try:
        step(builder, *arguments)
    except DataError as error:
        return list(error.problems)
    finally:
        gc.set_threshold(*before)
    return []
