"""Samples and answers of logs as batches of bounded size."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

from vlrb import OUTCOMES, SAMPLES, TEXTS, Part
from vlrb_plugins.other_logs.values import WrongValueError
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.image_files import ImageFolder, ImageProblem
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES, BATCH_ROWS

_SAMPLES = pa.schema([*SAMPLES, ("fields", TEXTS)])
_OUTCOMES = pa.schema([*OUTCOMES, ("thinking", pa.string())])
_DIGEST_BYTES = 16


@attrs.frozen
class LogRow:
    """A sample of a log: its place for messages, its length in bytes or characters, and what it holds."""

    where: str
    size: int
    content: Mapping[str, Any]


@attrs.frozen
class LogReader:
    """How the samples of one log are read.

    ``texts`` gives a sample's columns but for dataset and images, ``images`` what its images are called, ``outcome`` an answer's
    columns but for dataset, or None for a sample without an answer, which it counts.  All of them raise WrongValueError.
    """

    path: Path
    rows: Iterator[LogRow]
    texts: Callable[[Mapping[str, Any], Counter[str]], dict[str, Any]]
    images: Callable[[Mapping[str, Any]], Sequence[str]]
    outcome: Callable[[Mapping[str, Any], Counter[str]], dict[str, Any] | None]
    verdict: str


@attrs.define(eq=False)
class _Batches:
    """Rows that wait until a batch is full."""

    dataset: str
    schema: pa.Schema
    rows: list[dict[str, Any]] = attrs.Factory(list)
    counts: Counter[str] = attrs.Factory(Counter)
    size: int = 0

    def add(self, row: Mapping[str, Any], size: int) -> bool:
        """Add a row, and return whether the batch is full."""
        self.rows.append({"dataset": self.dataset, **row})
        self.size += size
        return self.size > BATCH_BYTES or len(self.rows) >= BATCH_ROWS

    def take(self, metadata: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows as a batch, unless there are none."""
        if self.rows or self.counts:
            schema = self.schema.with_metadata({**metadata, "counts": json.dumps(self.counts)})
            yield pa.RecordBatch.from_pylist(self.rows, schema=schema)
        self.rows, self.size, self.counts = [], 0, Counter()


def part_batches(part: Part, reader: Callable[[Path, Findings], LogReader], images: Path) -> Iterator[pa.RecordBatch]:
    """Stream a part.

    :param reader: gives the reader of a log
    :param images: the folder of images
    :raises DataError: with the problems of the logs, once these were read; no batch follows the first of them
    """
    findings = Findings()
    if part.kind == "samples":
        readers = (reader(file, findings) for file in part.files)
        yield from _sample_batches(readers, part.dataset, ImageFolder(images), findings)
    else:
        yield from _outcome_batches(reader(part.files[0], findings), part.dataset, findings)
    findings.stop_if_any()


def _sample_batches(
    readers: Iterator[LogReader], dataset: str, folder: ImageFolder, findings: Findings
) -> Iterator[pa.RecordBatch]:
    """Stream the samples of the logs of several models, each once; their texts must agree."""
    batches = _Batches(dataset, _SAMPLES)
    known: dict[str, tuple[bytes, Path]] = {}
    for reader in readers:
        here: set[str] = set()
        for row in reader.rows:
            with_counts: Counter[str] = Counter()
            try:
                sample = reader.texts(row.content, with_counts)
                _check_once(sample["key"], here)
                if not _is_new(sample, reader.path, known):
                    continue
                images = [_load(name, folder) for name in reader.images(row.content)]
            except WrongValueError as error:
                findings.add(str(error), row.where, error.fix)
                continue
            batches.counts.update(with_counts)
            full = batches.add(sample | {"images": images}, row.size + sum(map(len, images)))
            if full and not findings:
                yield from batches.take(folder.named())
    if not findings:
        yield from batches.take(folder.named())


def _outcome_batches(reader: LogReader, dataset: str, findings: Findings) -> Iterator[pa.RecordBatch]:
    """Stream the answers of a log."""
    batches = _Batches(dataset, _OUTCOMES)
    metadata = {"verdict": reader.verdict}
    here: set[str] = set()
    for row in reader.rows:
        try:
            outcome = reader.outcome(row.content, batches.counts)
            if outcome is None:
                continue
            _check_once(outcome["key"], here)
        except WrongValueError as error:
            findings.add(str(error), row.where, error.fix)
            continue
        if batches.add(outcome, row.size) and not findings:
            yield from batches.take(metadata)
    if not findings:
        yield from batches.take(metadata)


def _check_once(key: str, here: set[str]) -> None:
    if key in here:
        fix = "keep one answer to each sample; a task with several filters, repeats or epochs logs several"
        raise WrongValueError(f"sample {key!r} is already there", fix)
    here.add(key)


def _is_new(sample: Mapping[str, Any], path: Path, known: dict[str, tuple[bytes, Path]]) -> bool:
    """Return whether a sample was not in an earlier log.

    :raises WrongValueError: when it was, with other texts
    """
    texts = json.dumps(sample, ensure_ascii=True).encode()
    digest = hashlib.blake2b(texts, digest_size=_DIGEST_BYTES).digest()
    earlier = known.setdefault(sample["key"], (digest, path))
    if earlier[0] != digest:
        what = f"sample {sample['key']!r} has another question, answer, options or fields than in {earlier[1]}"
        fix = "use logs of one version of the task; if the prompts differ by model, name one model by questions_of"
        raise WrongValueError(what, f"{fix}, or another place by question")
    return earlier[1] is path


def _load(name: str, folder: ImageFolder) -> bytes:
    try:
        return folder.load(name)
    except ImageProblem as problem:
        raise WrongValueError(str(problem), problem.fix) from None
