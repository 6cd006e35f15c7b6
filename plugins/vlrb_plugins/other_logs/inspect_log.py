"""The log source ``inspect``: inspect_ai's logs in their JSON form, a file for each model and task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

from vlrb import Catalog, DataError, Listing, Part
from vlrb_plugins.other_logs.inspect_content import (
    answer_texts,
    images_of,
    question_of,
    question_parts,
    sample_score,
    usage_of,
)
from vlrb_plugins.other_logs.json_object import json_members
from vlrb_plugins.other_logs.listing import ChosenLogs, FoundLog, check_folders
from vlrb_plugins.other_logs.params import InspectParams, InspectTask
from vlrb_plugins.other_logs.reading import LogReader, LogRow, part_batches
from vlrb_plugins.other_logs.values import WrongValueError, answer_of, fields_of, key_of, options_of, value_at
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.json_lines import shorten_value

FAILED = "samples that ended with an error, left out"
_SAMPLES = "samples"


@attrs.frozen
class Head:
    """The members of a log that come before its samples."""

    status: str
    task: str
    model: str
    created: str
    invalidated: bool


class InspectSource:
    """Reads inspect_ai's logs in their JSON form."""

    def __init__(self, params: InspectParams) -> None:
        self.params = params
        self._chosen: ChosenLogs[InspectTask] = ChosenLogs(params.tasks, params.runs, params.path)

    def list(self, catalog: Catalog) -> Listing:
        """List the logs by their heads; unfinished logs are skipped.

        :raises DataError: naming logs that are broken, and those between which nothing decides
        """
        check_folders(self.params.path, self.params.image_folder)
        found, ignored = [], {}
        binary = sorted(self.params.path.rglob("*.eval"))
        for path in sorted(self.params.path.rglob("*.json")):
            head = read_head(path)
            if head is None:
                ignored[str(path)] = "not a log of inspect_ai: it has no eval with task and model before its samples"
            elif head.status != "success" or head.invalidated:
                ignored[str(path)] = "it was invalidated" if head.invalidated else f"its status is {head.status!r}"
            else:
                found.append(FoundLog(path, head.task, head.model, head.created))
        ignored.update({str(p): "the binary form, which vlrb does not read: inspect log convert" for p in binary})
        if not found:
            fix = "check [logs] path"
            if binary:
                fix = f"convert the binary logs: inspect log convert {self.params.path} --to json --output-dir DIR"
            raise DataError("holds no finished log in JSON", where=str(self.params.path), fix=fix)
        return self._chosen.listing(found, ignored, catalog)

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:  # noqa: ARG002  (names are in the parts)
        """Stream a part.

        :raises DataError: at once for what is not JSON, else with the problems of the samples; no batch follows the first
        """
        return part_batches(part, self._reader, self.params.image_folder or self.params.path)

    def _reader(self, path: Path, findings: Findings) -> LogReader:
        head = read_head(path)
        task = self._chosen.table_of(head.task) if head is not None else None
        if head is None or task is None:
            fix = "do not write into the folder of the logs meanwhile"
            raise DataError("has changed since it was listed", where=str(path), fix=fix)
        return LogReader(
            path=path,
            rows=_rows_of_epoch(path, task, findings),
            texts=lambda sample, counts: _texts_of(sample, task, counts),
            images=lambda sample: self._images_of(sample, task),
            outcome=lambda sample, counts: _outcome_of(sample, task, head.model, counts),
            verdict=f"score {task.score} of {path}" if task.score else f"no score in {path}",
        )

    def _images_of(self, sample: Mapping[str, Any], task: InspectTask) -> Sequence[str]:
        if self.params.images == "none":
            return []
        return list(images_of(question_parts(sample, task.messages), sample))


def read_head(path: Path) -> Head | None:
    """Return the members before the samples of a log, or None for another file.

    :raises DataError: when the file cannot be read, or is broken there
    """
    members: dict[str, Any] = {}
    with_samples = json_members(path, _SAMPLES)
    for name, _, value in with_samples:
        if name == _SAMPLES:
            break
        members[name] = value
    about = members.get("eval")
    task, model, created = (value_at(about, n) for n in ("task", "model", "created"))
    if not (isinstance(task, str) and task and isinstance(model, str) and model):
        return None
    return Head(str(members.get("status")), task, model, _utc(created, path), members.get("invalidated") is True)


def _utc(created: object, path: Path) -> str:
    """Return a time as a text that sorts."""
    try:
        return datetime.fromisoformat(str(created)).astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        what = f"eval.created is {shorten_value(created)}, which is not a time"
        raise DataError(what, where=str(path), fix="write it as 2026-09-01T12:00:00+00:00") from None


def _rows_of_epoch(path: Path, task: InspectTask, findings: Findings) -> Iterator[LogRow]:
    """Yield the samples of one epoch; if none is named, all must have the same."""
    number, epochs = 0, set()
    for name, size, sample in json_members(path, _SAMPLES):
        if name != _SAMPLES or sample is None:
            continue
        number += 1
        where = f"{path}, sample {number}"
        if not isinstance(sample, dict):
            findings.add(f"is not a JSON object but {shorten_value(sample)}", where, "write the log again")
            continue
        epoch = sample.get("epoch", 1)
        epochs.add(repr(epoch))
        if task.epoch is not None and (epoch != task.epoch or isinstance(epoch, bool)):
            continue
        if task.epoch is None and len(epochs) > 1:
            what = f"the samples have several epochs: {', '.join(sorted(epochs))}"
            raise DataError(what, where=where, fix="name one of them by epoch in the table of the task")
        yield LogRow(where, size, sample)
    if task.epoch is not None and epochs and repr(task.epoch) not in epochs:
        fix = f"correct epoch; there are: {', '.join(sorted(epochs))}"
        findings.add(f"has no sample of epoch {task.epoch}", str(path), fix)


def _key(sample: Mapping[str, Any]) -> str:
    if "id" not in sample:
        raise WrongValueError("has no 'id'", "give every sample its id")
    return key_of(sample["id"], "id")


def _texts_of(sample: Mapping[str, Any], task: InspectTask, counts: Counter[str]) -> dict[str, Any]:
    return {
        "key": _key(sample),
        "question": question_of(question_parts(sample, task.messages), counts),
        "options": options_of(sample.get("choices"), "choices"),
        "answer": answer_of(sample.get("target"), "target", "target"),
        "fields": fields_of(sample, task.fields),
    }


def _outcome_of(
    sample: Mapping[str, Any], task: InspectTask, model: str, counts: Counter[str]
) -> dict[str, Any] | None:
    """Return the answer of a sample, or None after counting a sample that ended with an error."""
    key = _key(sample)
    if sample.get("error") is not None:
        counts[FAILED] += 1
        return None
    score = sample_score(sample, task, counts)
    prediction, thinking = answer_texts(sample)
    if score is None and prediction is None:
        raise WrongValueError("there is neither a score nor an answer", "leave the sample out of the log")
    usage = usage_of(sample, model, task.usage)
    return {
        "key": key,
        "score": score,
        "prediction": prediction,
        "thinking": thinking,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
    }
