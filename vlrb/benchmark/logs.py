"""The parts of a log tree, read and scored into the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import attrs

from vlrb.api.json_data import read_record
from vlrb.api.logs import Listing, Part
from vlrb.benchmark.findings import LeftOut, PartFindings
from vlrb.benchmark.read import PartBuilder
from vlrb.benchmark.rows import rows_file
from vlrb.benchmark.score import score_part, scorer_of, scores_folder
from vlrb.benchmark.steps import run_tasks
from vlrb.executor import Progress, Task
from vlrb.experiment.plan import Plan
from vlrb.storage import Places, mark_used


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
    def findings(self) -> dict[str, PartFindings]:
        """Return part id -> what was found when the part was read."""
        return {p.id: read_record(self.folder(p) / "part.json", PartFindings) for p in self.listing.parts}

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
            open_pairs = (p for p in self.findings[part.id].pairs if self.every or p.unjudged)
            if any(scorer_of(self.builder, pair.dataset) is not None for pair in open_pairs):
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
