"""Encoding: the contents that an encoder has not seen, in groups, each a task of the experiment's executor.

A group is a range of the sorted keys of all contents, so that processes that share a cache divide the work alike.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.images import Images, ImageStore
from vlrb.api.returned import FIX
from vlrb.api.routing import Features, Queries
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem, named_samples, shorten_list
from vlrb.evaluation.checked_features import check_values, plain_features
from vlrb.evaluation.feature_store import KEY, FeatureStore, columns_text
from vlrb.evaluation.splits import unpacked
from vlrb.executor import (
    Failure,
    Job,
    Limits,
    Listener,
    LocalExecutor,
    Progress,
    Report,
    Task,
)
from vlrb.experiment.plan import ConfiguredComponent, FeatureSet, Plan
from vlrb.experiment.portable import PortablePlan, do_tasks, plan_versions
from vlrb.locks import locked
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.sources import check_sources
from vlrb.storage import Places
from vlrb.threads import available_threads

CHUNK = 128
"""Samples that are encoded and kept together."""

GROUP = 8
"""Chunks of a task."""

MOST_PROBLEMS = 20
"""Unreadable samples after which encoding ends; up to then the others are encoded, and all are named at once."""


def content_keys(benchmark: Benchmark, modality: str) -> Array:
    """Return for every sample a digest S32[n] of what an encoder of a modality looks at."""
    queries = looked_at(benchmark.queries(np.arange(len(benchmark))), modality)
    contents = zip(queries.texts, queries.options, queries.hints, queries.images.hashes, strict=True)
    keys = [hashlib.sha256(json.dumps([modality, *c]).encode()).hexdigest()[:32].encode() for c in contents]
    return np.array(keys, dtype=KEY)


def looked_at(queries: Queries, modality: str) -> Queries:
    """Return what an encoder of a modality sees, so that nothing else can make a difference."""
    n = len(queries)
    queries = attrs.evolve(queries, candidates=(), features=None)
    if modality == "text":
        return attrs.evolve(queries, images=Images(ImageStore(()), [()] * n, queries.ids))
    if modality == "image":
        return attrs.evolve(queries, texts=[""] * n, options=[()] * n, hints=[""] * n)
    return queries


@attrs.define(eq=False)
class Lacking:
    """What encoders of a feature set have not seen of a benchmark: a task for each group, and how far they are.

    ``columns`` are those of each encoder's chunks, as JSON; empty where there are none yet.
    """

    chosen: FeatureSet
    stores: Sequence[FeatureStore]
    places: Places
    progress: Progress
    told: dict[str, int] = attrs.Factory(dict)
    tasks: list[Task] = attrs.Factory(list)
    done: list[int] = attrs.Factory(list)
    total: list[int] = attrs.Factory(list)
    columns: list[str] = attrs.Factory(list)
    problems: list[Problem] = attrs.Factory(list)

    def add(self, keys: Array) -> None:
        """Add what the next encoder has not seen.

        :param keys: of all samples
        """
        store, number = self.stores[len(self.done)], len(self.done)
        chunks = store.chunks()
        known = np.concatenate([np.empty(0, KEY), *(c.keys for c in chunks)])
        contents, first = np.unique(keys, return_index=True)
        is_new = ~np.isin(contents, known)
        for start in range(0, len(contents), CHUNK * GROUP):
            new = start + np.flatnonzero(is_new[start : start + CHUNK * GROUP])
            if new.size:
                name = f"{self._what(number)}, group {1 + start // (CHUNK * GROUP)}"
                group = self._group(store, contents[start : start + CHUNK * GROUP])
                arguments = (number, first[new], contents[new], group)
                self.tasks.append(Task(name, arguments, int(new.size), group, self.chosen.resources))
        self.done.append(len(contents) - int(is_new.sum()))
        self.total.append(len(contents))
        self.columns.append(chunks[0].columns if chunks else "")
        if self.done[number] < self.total[number]:
            self.tell(number)

    def _what(self, number: int) -> str:
        """Return what is being done with an encoder; one that is used twice, with other parameters, by its number."""
        names = [chosen.spec.name for chosen in self.chosen.used]
        twice = f" ({number + 1})" if names.count(names[number]) > 1 else ""
        return f"encoding with {names[number]}{twice}"

    def _group(self, store: FeatureStore, contents: Array) -> Path:
        """Return what stands for a group in the cache: it is locked while the group is encoded."""
        name = hashlib.sha256(contents.tobytes()).hexdigest()[:20]
        return store.folder.with_name(f"{store.folder.name}.group-{name}")

    def tell(self, number: int, more: int = 0) -> None:
        """Tell how many contents an encoder has seen."""
        self.done[number] += more
        self.progress(self._what(number), self.done[number], self.total[number])

    def encode(self, plan: Plan, benchmark: Benchmark, jobs: int | None) -> None:
        """Do all tasks.

        :param jobs: tasks at a time, by the experiment's executor; None: in this process
        :raises DataError: naming the samples that cannot be encoded, when all others are
        :raises PluginError: when an encoder raises, or returns what it must not
        """
        here = Encoders(self.chosen, benchmark, self.stores)
        shared = (PortablePlan(plan), self.places, benchmark.directory, self.chosen.name, self.stores)
        job, listener = (
            Job(_unpacked, shared, _encode, plan_versions),
            Listener(self._ended, self.progress, log=self._logged),
        )
        if jobs is None:
            LocalExecutor().run(job, self.tasks, listener, here)
        else:
            together = {n for n, e in enumerate(self.chosen.used) if e.spec.parallel}
            for apart in (False, True):
                tasks = [t for t in self.tasks if (t.arguments[0] not in together) is apart]
                several = 1 if apart else max(1, min(jobs, len(tasks)))
                limits = Limits(several, threads=max(1, available_threads() // several))
                do_tasks(plan.executor, job, tasks, listener, here if several < 2 else None, limits)
        if self.problems:
            raise DataError(self.problems)

    def _logged(self, task: Task, encoded: int, _: object) -> None:
        """Tell of a task that it has seen so many contents; one that was tried again begins anew."""
        more = encoded - self.told.get(task.name, 0)
        if more > 0:
            self.told[task.name] = encoded
            self.tell(task.arguments[0], more)

    def _ended(self, task: Task, found: tuple[list[Problem], str] | Failure) -> None:
        if isinstance(found, Failure):
            # in another process there was more to tell than the message
            raise found.error from (RuntimeError(found.text) if found.text != str(found.error) else None)
        problems, columns = found
        number = task.arguments[0]
        if columns and self.columns[number]:
            check_columns(columns, self.columns[number], who_is(self.chosen.used[number]))
        self.columns[number] = self.columns[number] or columns
        self.problems += problems
        if len(self.problems) >= MOST_PROBLEMS:
            raise DataError(self.problems)


@attrs.frozen(eq=False)
class Encoders:
    """What tasks share in a process: the encoders of a feature set, each made when it is first used."""

    chosen: FeatureSet
    benchmark: Benchmark
    stores: Sequence[FeatureStore]
    _made: dict[int, Encoding] = attrs.field(factory=dict, init=False)

    def encoding(self, number: int) -> Encoding:
        """Return an encoder at work."""
        if number not in self._made:
            chosen, store = self.chosen.used[number], self.stores[number]
            self._made[number] = Encoding(chosen, chosen.make("encode"), self.benchmark, store, store.columns())
        return self._made[number]


def _unpacked(
    sent: PortablePlan, places: Places, directory: Path, name: str, stores: Sequence[FeatureStore]
) -> Encoders:
    """Set up another process."""
    plan, benchmark = unpacked(sent, places, directory)
    return Encoders(plan.feature_sets[name], benchmark, stores)


def _encode(
    made: Encoders, report: Report, number: int, rows: Array, keys: Array, group: Path
) -> tuple[list[Problem], str]:
    """Encode a group; return what is wrong with its samples, so that the others are encoded too, and the columns as JSON."""
    store = made.stores[number]
    with locked(group):
        is_new = ~store.present(keys)  # another process may have been at work
        known = int((~is_new).sum())
        if known:
            report.log(known, {})
        if not is_new.any():
            return [], ""
        encoding = made.encoding(number)
        return encoding.run(rows[is_new], keys[is_new], lambda n: report.log(known + n, {})), encoding.columns


@attrs.define(eq=False)
class Encoding:
    """Encodes samples in chunks, in the order of their content, which tells no dataset.

    ``columns`` are those of the chunks in the store, as JSON; empty where there are none yet.
    """

    chosen: ConfiguredComponent
    encoder: Any
    benchmark: Benchmark
    store: FeatureStore
    columns: str

    def run(self, rows: Array, keys: Array, encoded: Callable[[int], None]) -> list[Problem]:
        """Encode and keep some samples; return what is wrong with those that cannot be encoded.

        :param keys: of their contents
        :param encoded: called after each chunk with the number of samples so far
        :raises DataError: that names no sample, or when there are too many
        """
        at = dict(zip(rows.tolist(), range(len(rows)), strict=True))
        chunks = deque(rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK))
        done = 0
        problems: list[Problem] = []
        while chunks:
            try:
                for block, seconds in self._blocks(list(chunks)):
                    mine = chunks.popleft()
                    checked = self._checked(block, mine)
                    check_sources("features", [(self.chosen.plugin, self.chosen.kind)], "features are")
                    self.store.write(keys[[at[r] for r in mine.tolist()]], checked, seconds)
                    done += len(mine)
                    encoded(done)
            except DataError as error:
                problems += self._leave_out(error, chunks)
                if len(problems) >= MOST_PROBLEMS:
                    raise DataError(problems) from None
        return problems

    @property
    def _doing(self) -> str:
        return f"encoding samples with {self.chosen.registered.id!r}"

    def _blocks(self, chunks: Sequence[Array]) -> Iterator[tuple[object, float]]:
        """Return what the encoder makes of each chunk, and the seconds it took.

        An encoder may have a method ``stream(chunks)``, which prepares the next queries while it works on those before.
        """
        encoder = self.encoder
        queries = (looked_at(self.benchmark.queries(rows), self.chosen.spec.modality) for rows in chunks)
        with blame(self.chosen.plugin, self._doing):
            made = encoder.stream(queries) if hasattr(encoder, "stream") else map(encoder.encode, queries)
        with contextlib.closing(blamed(made, self.chosen.plugin, self._doing)) as blocks:
            for _ in chunks:
                began = time.perf_counter()
                block = next(blocks, None)
                yield block, time.perf_counter() - began

    def _leave_out(self, error: DataError, chunks: deque[Array]) -> tuple[Problem, ...]:
        """Take the samples that an error names out, so that the others are encoded and all are named at once.

        :raises DataError: when it names none
        """
        named = set().union(*map(named_samples, error.problems))
        opaque = self.benchmark.opaque_ids
        kept = [rows[[opaque[i] not in named for i in rows.tolist()]] for rows in chunks]
        error = self.benchmark.naming(error)
        if sum(map(len, kept)) == sum(map(len, chunks)):
            raise error from None
        chunks.clear()
        chunks.extend(k for k in kept if k.size)
        return error.problems

    def _checked(self, returned: object, rows: Array) -> Features:
        """Return what an encoder returned for some rows as plain features.

        :raises PluginError: for a wrong shape or type, changed columns, or values that are not finite
        """
        who = who_is(self.chosen)
        with blame(self.chosen.plugin, self._doing):
            block = plain_features(returned, len(rows), who)
        columns = columns_text(block)
        self.columns = self.columns or columns
        check_columns(columns, self.columns, who)
        check_values(block, [self.benchmark.ids[row] for row in rows], who)
        return block


def who_is(chosen: ConfiguredComponent) -> str:
    """Return the encoder's or fusion's name and plugin, for messages."""
    return f"{chosen.kind} {chosen.registered.id!r} of {chosen.plugin.label}"


def check_columns(columns: str, before: str, who: str) -> None:
    """Refuse columns, as JSON, that are not those of the samples before.

    :raises PluginError: naming those that differ
    """
    if columns != before:
        old, new = json.loads(before), json.loads(columns)
        differing = [f"{b!r} instead of {a!r}" for a, b in zip(old, new, strict=False) if a != b]
        what = shorten_list(differing, 3) if len(old) == len(new) else f"{len(new)} instead of {len(old)}"
        raise PluginError(f"{who} returned other columns than before ({what})", fix=FIX)
