"""The log sources ``lmms-eval`` and ``lm-eval``: a file of JSON lines for each model and task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from vlrb import Catalog, DataError, Listing, Part, did_you_mean, shorten_list
from vlrb_plugins.other_logs.listing import ChosenLogs, FoundLog, check_folders
from vlrb_plugins.other_logs.params import LmEvalParams, LmEvalTask, LmmsEvalParams
from vlrb_plugins.other_logs.reading import LogReader, LogRow, part_batches
from vlrb_plugins.other_logs.values import (
    WrongValueError,
    answer_of,
    check_text,
    fields_of,
    key_of,
    needed_value,
    options_of,
    score_of,
    tokens_of,
    value_at,
)
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.json_lines import json_lines

_KEY = "doc_id"


class LmEvalSource:
    """Reads lm-evaluation-harness's files of samples."""

    file_name: ClassVar[re.Pattern[str]] = re.compile(
        r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?)\.jsonl"
    )
    form: ClassVar[str] = "samples_TASK_DATE.jsonl"

    def __init__(self, params: LmEvalParams | LmmsEvalParams) -> None:
        self.params = params
        self._chosen: ChosenLogs[LmEvalTask] = ChosenLogs(dict(params.tasks), params.runs, params.path)

    def list(self, catalog: Catalog) -> Listing:
        """List the files, by their names and the names of their folders.

        :raises DataError: naming files of unknown models, and files between which nothing decides
        """
        check_folders(self.params.path, self.params.image_folder)
        findings, ignored, found = Findings(), {}, []
        for path in sorted(self.params.path.rglob("*.jsonl")):
            match = self.file_name.fullmatch(path.name)
            if match is None:
                ignored[str(path)] = f"its name is not of the form {self.form}"
            elif (model := self._model_of(path, findings)) is not None:
                found.append(FoundLog(path, match["task"], model, match["date"]))
        self._check_models(findings)
        if not found and not findings:
            findings.add(
                f"holds no file {self.form}", str(self.params.path), "check [logs] path; log with --log_samples"
            )
        findings.stop_if_any()
        return self._chosen.listing(found, ignored, catalog)

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:  # noqa: ARG002  (names are in the parts)
        """Stream a part.

        :raises DataError: once the files were read, with their problems; no batch follows the first of them
        """
        return part_batches(part, self._reader, self.params.image_folder or self.params.path)

    def _model_of(self, path: Path, findings: Findings) -> str | None:
        """Return the model of a file, or None after noting that its folder does not say."""
        folder = path.parent.relative_to(self.params.path)
        if folder.as_posix() in self.params.models:
            return self.params.models[folder.as_posix()]
        if len(folder.parts) == 1:
            return folder.name
        fix = f'name it in [logs.models]: "{folder.as_posix()}" = "MODEL"'
        findings.add("the name of the folder does not say which model answered", str(path.parent), fix)
        return None

    def _check_models(self, findings: Findings) -> None:
        if not self.params.models:
            return
        folders = [f.relative_to(self.params.path).as_posix() for f in self.params.path.rglob("*") if f.is_dir()]
        for name in self.params.models:
            if name not in (".", *folders):
                fix = f"write it as it is below path; {did_you_mean(name, folders)}"
                findings.add(f"there is no folder {name!r} below {self.params.path}", "[logs.models]", fix)

    def _reader(self, path: Path, findings: Findings) -> LogReader:
        match = self.file_name.fullmatch(path.name)
        name = match["task"] if match is not None else path.stem
        task = self._chosen.table_of(name)
        if task is None:
            raise DataError(f"no table names task {name!r}", where="[logs.tasks]", fix=f'add [logs.tasks."{name}"]')
        return LogReader(
            path=path,
            rows=_rows_of_filter(path, task.filter, findings),
            texts=lambda row, _: _texts_of(row, task),
            images=lambda row: _images_of(row, name, task),
            outcome=lambda row, _: self.outcome_of(row, task),
            verdict=f"{task.score} of {path}" if task.score else f"no score in {path}",
        )

    def outcome_of(self, row: Mapping[str, Any], task: LmEvalTask) -> dict[str, Any]:
        """Return the answer that a line holds.

        :raises WrongValueError: when there is neither a score nor an answer, or one of them is wrong
        """
        score = None
        if task.score:
            score = score_of(needed_value(row, task.score, "score"), task.score, task.highest)
        prediction = _prediction_of(row, task.prediction)
        if score is None and prediction is None:
            raise WrongValueError("there is neither a score nor an answer", "leave the line out, or name a score")
        return {"key": key_of(needed_value(row, _KEY, _KEY), _KEY), "score": score, "prediction": prediction}


class LmmsEvalSource(LmEvalSource):
    """Reads lmms-eval's files of samples, which may hold counts of tokens."""

    file_name = re.compile(r"(?P<date>\d[\dT_.-]*?)_samples_(?P<task>.+)\.jsonl")
    form = "DATE_samples_TASK.jsonl"

    def outcome_of(self, row: Mapping[str, Any], task: LmEvalTask) -> dict[str, Any]:
        """Return the answer that a line holds, with the tokens of all its requests, where each has a count."""
        counts = value_at(row, "token_counts")
        each = counts if isinstance(counts, list) else []
        outcome = super().outcome_of(row, task)
        for name in ("input_tokens", "output_tokens"):
            tokens = [tokens_of(value_at(c, name), f"token_counts.{i}.{name}") for i, c in enumerate(each)]
            known = [t for t in tokens if t is not None]
            outcome[name] = sum(known) if known and len(known) == len(tokens) else None
        return outcome


def _rows_of_filter(path: Path, wanted: str, findings: Findings) -> Iterator[LogRow]:
    """Yield the lines of one filter; if none is named, all lines must have the same."""
    filters: dict[str, None] = {}
    for number, size, row in json_lines(path, findings):
        name = row.get("filter", "")
        filters[str(name)] = None
        if wanted and name != wanted:
            continue
        if not wanted and len(filters) > 1:
            what = f"line {number} has filter {name!r}, earlier ones have {next(iter(filters))!r}"
            raise DataError(what, where=str(path), fix="name one of them by filter in the table of the task")
        yield LogRow(f"{path}, line {number}", size, row)
    if wanted and wanted not in filters and not findings:
        known = shorten_list(map(repr, filters))
        findings.add(f"has no line of filter {wanted!r}", str(path), f"correct filter; there are: {known}")


def _texts_of(row: Mapping[str, Any], task: LmEvalTask) -> dict[str, Any]:
    options = options_of(needed_value(row, task.options, "options"), task.options) if task.options else None
    fix = "name a text by question in the table of the task"
    return {
        "key": key_of(needed_value(row, _KEY, _KEY), _KEY),
        "question": check_text(needed_value(row, task.question, "question"), task.question, fix),
        "options": options,
        "answer": answer_of(needed_value(row, task.answer, "answer"), task.answer, "answer") if task.answer else None,
        "fields": fields_of(row, task.fields),
    }


def _images_of(row: Mapping[str, Any], name: str, task: LmEvalTask) -> Sequence[str]:
    if task.image_name:
        return [task.image_name.replace("{task}", name).replace("{doc_id}", str(row[_KEY]))]
    value = needed_value(row, task.images, "images") if task.images else []
    listed = value if isinstance(value, list) else [value]
    fix = "name a path, or a list of paths, by images in the table of the task"
    return [check_text(v, task.images, fix) for v in listed if v is not None]


def _prediction_of(row: Mapping[str, Any], places: str | tuple[str, ...]) -> str | None:
    """Return the text at the first of some places that has one.

    :raises WrongValueError: when there are places, and none does
    """
    places = (places,) if isinstance(places, str) else places
    for place in filter(None, places):
        if isinstance(value := value_at(row, place), str):
            _check_only_answer(row, place)
            return check_text(value, place, "")
    if any(places):
        what = f"has no text at {' or '.join(map(repr, filter(None, places)))}"
        fix = 'name its place by prediction in the table of the task; "" if the lines hold no texts, as of likelihoods'
        raise WrongValueError(what, fix)
    return None


def _check_only_answer(row: Mapping[str, Any], place: str) -> None:
    """Refuse a text that is one of several: score and tokens are those of all of them."""
    steps = place.split(".")
    for i in range(1, len(steps)):
        outer = ".".join(steps[:i])
        if isinstance(several := value_at(row, outer), list) and len(several) > 1:
            fix = "log one answer to each sample, without repeats or rounds"
            raise WrongValueError(f"{outer!r} holds {len(several)} answers, and the score covers all of them", fix)
