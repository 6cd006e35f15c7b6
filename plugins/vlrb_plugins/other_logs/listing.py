"""Which logs are read: tasks matched with their tables, one log chosen for each model and dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Generic, TypeVar

import attrs

from vlrb import Catalog, DataError, Listing, Part, Problem, did_you_mean, shorten_list
from vlrb_plugins.other_logs.params import Runs, Task
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.names import Names

T = TypeVar("T", bound=Task)


@attrs.frozen
class FoundLog:
    """A log as its name or its head describes it; ``date`` orders the logs of one model and task."""

    path: Path
    task: str
    model: str
    date: str


@attrs.frozen
class ChosenLogs(Generic[T]):
    """Lists the logs of a folder as parts."""

    tasks: Mapping[str, T]
    runs: Runs
    root: Path

    def table_of(self, task: str) -> T | None:
        """Return the table of a task: the one with its name, else the one whose pattern matches.

        :raises DataError: when several patterns match
        """
        if task in self.tasks:
            return self.tasks[task]
        fitting = [pattern for pattern in self.tasks if fnmatchcase(task, pattern)]
        if len(fitting) > 1:
            what = f"the patterns {shorten_list(map(repr, fitting))} all match task {task!r}"
            raise DataError(what, where="[logs.tasks]", fix=f'add a table for it, [logs.tasks."{task}"]')
        return self.tasks[fitting[0]] if fitting else None

    def listing(self, found: Sequence[FoundLog], ignored: Mapping[str, str], catalog: Catalog) -> Listing:
        """List a part of samples per dataset, and a part of outcomes per dataset and model.

        :raises DataError: naming tables without logs, and logs between which nothing decides
        """
        names, problems = Names(catalog), Findings()
        self._check_tables(found, problems)
        passed = dict(ignored)
        by_pair: dict[tuple[str, str], list[FoundLog]] = {}
        for log in found:
            table = self.table_of(log.task)
            if table is None:
                passed[str(log.path)] = f"no table of [logs.tasks] names task {log.task!r}"
                continue
            pair = names.resolve("dataset", table.dataset or log.task), names.resolve("model", log.model)
            if names.wanted("dataset", pair[0]) and names.wanted("model", pair[1]):
                by_pair.setdefault(pair, []).append(log)
                names.use("dataset", pair[:1])
                names.use("model", pair[1:])
        if not problems:
            names.report(self.root, ("dataset", "model"), problems)
        chosen = {pair: self._choose(pair, logs, passed, problems) for pair, logs in sorted(by_pair.items())}
        samples = list(self._sample_parts(chosen, names, problems))
        problems.stop_if_any()
        outcomes = [Part(f"outcomes/{d}/{m}", "outcomes", (log.path,), d, m) for (d, m), log in chosen.items()]
        return Listing((*samples, *outcomes), passed)

    def _check_tables(self, found: Sequence[FoundLog], problems: Findings) -> None:
        tasks = sorted({log.task for log in found})
        for name in self.tasks:
            if tasks and not any(name == task or fnmatchcase(task, name) for task in tasks):
                fix = f"correct the name, or leave the table out; {did_you_mean(name, tasks)}"
                problems.add(f"{self.root} has no logs of task {name!r}", f'[logs.tasks."{name}"]', fix)

    def _choose(
        self, pair: tuple[str, str], logs: Sequence[FoundLog], passed: dict[str, str], problems: Findings
    ) -> FoundLog:
        """Return the log to read for a dataset and model, noting a problem if nothing decides."""
        tasks = sorted({log.task for log in logs})
        newest = max(logs, key=lambda log: log.date)
        again = sum(log.date == newest.date for log in logs) > 1
        shown = shorten_list(sorted(str(log.path) for log in logs))
        if len(tasks) > 1:
            what = f"tasks {shorten_list(map(repr, tasks))} are all called dataset {pair[0]!r}"
            problems.add(what, "[logs.tasks]", "give each its own dataset, or leave dataset out of the table")
        elif len(logs) > 1 and (self.runs == "one" or again):
            what = f"{len(logs)} logs hold the answers of model {pair[1]!r} to task {tasks[0]!r}: {shown}"
            newer = "" if again else ', or set runs = "newest" in [logs]'
            problems.add(what, str(self.root), f"move all but one away{newer}")
        passed.update({str(log.path): f"{newest.path} is newer" for log in logs if log is not newest})
        return newest

    def _sample_parts(
        self, chosen: Mapping[tuple[str, str], FoundLog], names: Names, problems: Findings
    ) -> Iterator[Part]:
        by_dataset: dict[str, dict[str, FoundLog]] = {}
        for (dataset, model), log in chosen.items():
            by_dataset.setdefault(dataset, {})[model] = log
        for dataset, logs in by_dataset.items():
            table = self.table_of(next(iter(logs.values())).task)
            files = tuple(log.path for log in logs.values())
            if table is not None and table.questions_of:
                model = names.resolve("model", table.questions_of)
                if model not in logs:
                    what = f"questions_of names {table.questions_of!r}, which has no log of dataset {dataset!r}"
                    problems.add(what, "[logs.tasks] questions_of", did_you_mean(table.questions_of, logs))
                    continue
                files = (logs[model].path,)
            yield Part(f"samples/{dataset}", "samples", files, dataset)


def check_folders(path: Path, images: Path | None) -> None:
    """Refuse folders that do not exist.

    :raises DataError: naming them
    """
    folders = [(path, "path")] + ([(images, "image_folder")] if images is not None else [])
    problems = [Problem("is not a folder", str(f), f"check [logs] {name}") for f, name in folders if not f.is_dir()]
    if problems:
        raise DataError(problems)
