"""Samples from LMUData TSV files: question, options, and images as base64 text, by reference or by path.

Texts are kept as they stand ("None", "007" and " A " are texts, not gaps or numbers).
"""

from __future__ import annotations

import functools
import json
import os
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb import LARGEST_IMAGE_FILE, DataError, Dataset, from_base64, shorten_list
from vlrb_plugins.shared.log_tables.image_files import LONGEST_REFERENCE
from vlrb_plugins.shared.log_tables.texts import python_literal
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.rows import Rows, index_text, is_rotation, question_of
from vlrb_plugins.vlmevalkit.table import NAN_LIKE, texts
from vlrb_plugins.vlmevalkit.texts import AGAIN, check_width, tsv_lines

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGE_COLUMNS = ("image", "image_path")

BATCH_BYTES = 32 * 1024**2

IMAGE_FOLDERS: Mapping[str, str] = {"MMBench_DEV_EN_V11": "MMBench_V11"}
"""Dataset -> the folder below LMUData/images that VLMEvalKit keeps its images in, where it is not the dataset's name."""

NO_FIELDS = re.compile(
    r"|[A-Z]|index|question|hint|answer|image|image_path|prediction|thinking|extra_records|g_index|hit|log|res|extracted|extract"
    r"|score|log_\w+|eval_\w+|verifier_\w+|is_correct|(input|output|prompt|completion)_tokens"
)
"""Columns that are no further fields of a sample: nameless ones, what the schema has, what answering and scoring add."""

_LETTERS = frozenset(string.ascii_uppercase)

NO_IMAGE = "rows without an image, left out as VLMEvalKit leaves them out"

Row = Mapping[str, str]


@attrs.define
class _Survey:
    """What a first look at a TSV file finds: the rows whose images others share, and the rotations of each question."""

    targets: set[str] = attrs.Factory(set)
    rotations: dict[str, dict[str, dict[str, Any]]] = attrs.Factory(dict)
    questions: set[str] = attrs.Factory(set)
    has_images: bool = False
    repeated: int = 0


def read_samples(path: Path, dataset: Dataset, params: VlmevalkitParams) -> Iterator[pa.RecordBatch]:
    """Stream the samples of a TSV file in batches of about 32 MB of images.

    :raises DataError: naming file and line of a row that is broken, repeated, or refers to an image that is not there
    """
    survey = _survey(path, dataset)
    named: dict[str, None] = {}
    batch: list[dict[str, Any]] = []
    left_out: list[str] = []
    size = 0
    for row, images, line in _with_images(path, dataset, params, survey, named):
        if dataset.circular and is_rotation(row["index"]):
            continue
        if not images and survey.has_images and params.without_image != "keep":
            left_out.append(row[dataset.id_column])
            continue
        rotations = survey.rotations.get(row["index"], {})
        batch.append(_sample(row, dataset, images, line, list(rotations.values())))
        size += sum(len(i) for i in images)
        if size > BATCH_BYTES:
            yield _batch(batch, {}, named)
            batch, size = [], 0
            named.clear()
    counts = {NO_IMAGE: len(left_out), "rows left out, their index stood in an earlier one": survey.repeated}
    if batch or any(counts.values()):
        yield _batch(batch, counts, named, _note_of(left_out, params))


def _note_of(keys: Sequence[str], params: VlmevalkitParams) -> dict[str, Any] | None:
    """Return what the last batch says of the rows that were left out, see :data:`vlrb.api.schemas.SAMPLES`."""
    fix = 'set without_image = "drop-answers" in [logs] to leave these answers out too, or "keep" for samples without an image'
    drop = params.without_image == "drop-answers"
    return (
        {"keys": list(keys), "reason": "have no image and are left out", "fix": fix, "drop_answers": drop}
        if keys
        else None
    )


def samples_of_table(rows: Rows, dataset: Dataset) -> pa.RecordBatch:
    """Return the samples, without images, of a table of results.

    :raises DataError: naming file, sheet and row of a cell that cannot be trusted
    """
    names = [n for n in dict.fromkeys(rows.table.header) if n in ("question", "hint", "answer") or _is_extra(n)]
    more = [dataset.group_column] if rows.table.has(dataset.group_column) else []
    cells = {n: texts(rows.table.column(n)) for n in dict.fromkeys(("question", *names, dataset.id_column, *more))}

    def row_of(index: str) -> dict[str, str]:
        return {name: column[rows.position[index]] for name, column in cells.items()} | {"index": index}

    samples = []
    for index in rows.order:
        where = rows.where(index)
        turned = [_rotation(row_of(r), rows.where(r)) for r in rows.rotations.get(index, ())]
        samples.append(_sample(row_of(index), dataset, [], where, turned))
    rows.keys(dataset)
    return _batch(samples, {"rows left out, their index stood in an earlier one": rows.repeated})


@functools.lru_cache(maxsize=4096)
def _is_field(column: str) -> bool:
    return not NO_FIELDS.fullmatch(column)


def _is_extra(column: str) -> bool:
    return column in _LETTERS or _is_field(column)


# --- rows and their images ----------------------------------------------------------------------------------------------


def _survey(path: Path, dataset: Dataset) -> _Survey:
    survey = _Survey()
    lines = tsv_lines(path)
    header, _ = next(lines, ([], 0))
    _check_header(path, header, dataset)
    for cells, number in lines:
        check_width(cells, header, f"{path}, line {number}")
        row = _row_of(header, cells)
        image = row.get("image", "")
        survey.has_images |= any(row.get(c) for c in _IMAGE_COLUMNS)
        if 0 < len(image) <= LONGEST_REFERENCE:
            survey.targets.add(index_text(image))
        index = index_text(row["index"])
        if dataset.circular and is_rotation(index):
            turned = _rotation(row | {"index": index}, f"{path}, line {number}")
            survey.rotations.setdefault(question_of(index), {}).setdefault(index, turned)
        elif dataset.circular:
            survey.questions.add(index)
    lone = [next(iter(turned)) for question, turned in survey.rotations.items() if question not in survey.questions]
    if lone:
        what = f"{len(lone):,} questions have rotations, but no row of their own: index {shorten_list(map(repr, lone))}"
        raise DataError(what, where=str(path), fix=f"{AGAIN}; it lacks rows")
    return survey


def _with_images(
    path: Path, dataset: Dataset, params: VlmevalkitParams, survey: _Survey, files: dict[str, None]
) -> Iterator[tuple[Row, list[bytes], str]]:
    """Yield rows with their images: first those that hold their own or refer backwards, then those that refer forwards.

    :param files: takes the image files that were looked for
    """
    held: dict[str, list[bytes]] = {}
    waiting: list[tuple[Row, str]] = []
    for row, line in _rows(path, dataset, params, survey):
        cell = row.get("image", "")
        refers = 0 < len(cell) <= LONGEST_REFERENCE
        if refers and index_text(cell) not in held:
            waiting.append((row, line))
            continue
        images = held[index_text(cell)] if refers else _own_images(row, path, dataset, params, line, files)
        if images and row["index"] in survey.targets:
            held[row["index"]] = images
        yield row, images, line
    for row, line in waiting:
        images = _referred(row, held, line)
        held[row["index"]] = images
        yield row, images, line


def _row_of(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return a row by column name, with an empty cell where there is no image, however a gap is written."""
    row = dict(zip(header, cells, strict=True))
    for column in _IMAGE_COLUMNS:
        if 0 < len(row.get(column, "")) <= LONGEST_REFERENCE and _is_gap(row[column]):
            row[column] = ""
    return row


def _is_gap(cell: str) -> bool:
    """Tell whether a cell stands for no image: a gap as pandas writes it, or a list of nothing else."""
    if not cell.startswith("["):
        return cell.strip() in NAN_LIKE
    try:
        listed = python_literal(cell.replace("nan", "None") if "'" not in cell else cell)
    except ValueError:
        return False
    return isinstance(listed, list) and all(str(item).strip() in NAN_LIKE for item in listed)


def _referred(row: Row, held: Mapping[str, list[bytes]], line: str) -> list[bytes]:
    target = index_text(row["image"])
    if target not in held:
        raise DataError(
            f"the image of index {row['index']!r} is said to be that of index {row['image']!r}, which has none",
            where=line,
            fix="put the image itself, as base64, into the cell",
        )
    return held[target]


def _rows(path: Path, dataset: Dataset, params: VlmevalkitParams, survey: _Survey) -> Iterator[tuple[Row, str]]:
    """Yield the rows by column name, with file and line for messages."""
    lines = tsv_lines(path)
    header, _ = next(lines, ([], 0))
    unique = sorted({"index", dataset.id_column})
    seen: dict[tuple[str, str], int] = {}
    for cells, number in lines:
        line = f"{path}, line {number}"
        row = _row_of(header, cells)
        row["index"] = index_text(row["index"])
        again = [c for c in unique if seen.setdefault((c, row[c]), number) != number]
        if again and params.duplicates == "first":
            survey.repeated += 1
        elif again:
            before = seen[again[0], row[again[0]]]
            raise DataError(
                f"{again[0]} {row[again[0]]!r} stands in line {before} already",
                where=line,
                fix="keep one of the rows",
            )
        else:
            yield row, line
    if not seen:
        raise DataError("has no rows below its header", where=str(path), fix="download or copy the file again")


def _check_header(path: Path, header: Sequence[str], dataset: Dataset) -> None:
    counts = Counter(header)
    twice = sorted({name for name, count in counts.items() if name and count > 1} - {"index", "question"})
    if twice:
        raise DataError(
            f"has several columns {shorten_list(map(repr, twice))}", where=str(path), fix="keep one of each"
        )
    by_path = "image" not in header and "image_path" in header
    for column in ("index", "question", "image_path" if by_path else "image", dataset.id_column):
        if counts[column] != 1:
            found = shorten_list(header, 20) or "none, the file is empty"
            raise DataError(
                f"must have one column {column!r}; its columns are: {found}",
                where=str(path),
                fix="download or write the file again; it must have columns index, question and image (or image_path)",
            )


def _own_images(
    row: Row, path: Path, dataset: Dataset, params: VlmevalkitParams, line: str, files: dict[str, None]
) -> list[bytes]:
    """Return the image files of a row: base64 text, a list literal of several, or files that ``image_path`` names."""
    cell = row.get("image", "")
    if cell:
        parts = _literal_list(cell, line) if cell.startswith("[") else [cell]
        try:
            return [from_base64(p) for p in parts]
        except ValueError as error:
            raise DataError(f"the image is not valid base64: {error}", where=line, fix="copy the file again") from None
    named = row.get("image_path", "") if "image" not in row else ""
    parts = _literal_list(named, line) if named.startswith("[") else [named]
    return [_file(p, path.parent, dataset, params, line, files) for p in parts if p]


def _file(
    named: str, folder: Path, dataset: Dataset, params: VlmevalkitParams, line: str, files: dict[str, None]
) -> bytes:
    """Return an image file, from LMUData/images/DATASET or where an absolute path says; never from outside the logs.

    :param files: takes the files that were looked for, found or not
    :raises DataError: when it is not there, stands outside the logs' folders, or is too large
    """
    images = folder / "images"
    own = images / IMAGE_FOLDERS.get(dataset.name, dataset.name)
    choices = [Path(named)] if Path(named).is_absolute() else [own / named, images / named, folder / named]
    if Path(named).is_absolute() and "/images/" in named:  # written on another machine: the same place in this LMUData
        choices.append(images / named.rpartition("/images/")[2])
    inside = [Path(os.path.realpath(folder)), Path(os.path.realpath(params.path))]
    for choice in choices:
        files[str(choice.absolute())] = None
        real = _existing(choice)
        if real is None:
            continue
        if not any(real.is_relative_to(i) for i in inside):
            raise DataError(
                f"the image {named!r} is outside the logs' folders {inside[0]} and {inside[1]}",
                where=line,
                fix=f"copy it to {own}, and give its path below that",
            )
        if real.stat().st_size > LARGEST_IMAGE_FILE:
            what = (
                f"the image {named!r} is {real.stat().st_size:,} bytes large, above the limit of {LARGEST_IMAGE_FILE:,}"
            )
            raise DataError(what, where=line, fix="replace it by a smaller one")
        try:
            return real.read_bytes()
        except OSError as error:
            what = f"the image {named!r} cannot be read: {error.strerror}"
            raise DataError(what, where=line, fix=f"check the permissions of {real}") from None
    shown = named if len(named) <= 200 else f"{named[:200]}..."
    raise DataError(f"there is no image {shown!r}", where=line, fix=f"copy it to {own}, and give its path below that")


def _existing(path: Path) -> Path | None:
    """Return where a file really stands, or None where there is no file of this name, or could not be one."""
    try:
        real = Path(os.path.realpath(path))
        return real if real.is_file() else None
    except (OSError, ValueError):
        return None


# --- samples ------------------------------------------------------------------------------------------------------------


def _literal_list(cell: str, line: str) -> list[str]:
    try:
        value = python_literal(cell)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise DataError(f"{cell[:60]!r} is not a list literal", where=line, fix="write it as ['...', '...']")
    return [str(v) for v in value]


def _options(row: Row, line: str) -> list[dict[str, str]]:
    """Return the options from columns A, B, ... or else from the list literal in ``choices``."""
    lettered = sorted((name, cell) for name, cell in row.items() if cell and name in _LETTERS)
    if not lettered and row.get("choices", "").startswith("["):
        choices = _literal_list(row["choices"], line)
        if len(choices) > len(string.ascii_uppercase):
            raise DataError(
                f"there are {len(choices):,} choices, more than there are letters", where=line, fix="keep at most 26"
            )
        lettered = list(zip(string.ascii_uppercase, choices, strict=False))
    return [{"letter": letter, "text": option} for letter, option in lettered]


def _rotation(row: Row, line: str) -> dict[str, Any]:
    return {"key": row["index"], "options": _options(row, line), "answer": row.get("answer", "")}


def _sample(
    row: Row, dataset: Dataset, images: Sequence[bytes], line: str, rotations: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    key = row.get(dataset.id_column, "")
    if not key:
        raise DataError(f"{dataset.id_column} is empty", where=line, fix=f"give every sample its {dataset.id_column}")
    group = dataset.group_of(row)
    return {
        "dataset": dataset.name,
        "key": key,
        "question": row["question"],
        "options": _options(row, line),
        "hint": row.get("hint", ""),
        "answer": row.get("answer", ""),
        "images": list(images),
        "fields": [(name, cell) for name, cell in row.items() if cell and _is_field(name)],
        "rotations": list(rotations) or None,
        "groups": [f"{dataset.name}/{group}"] if group else None,
    }


def _batch(
    samples: list[dict[str, Any]],
    counts: Mapping[str, int],
    files: Iterable[str] = (),
    left_out: Mapping[str, Any] | None = None,
) -> pa.RecordBatch:
    import pyarrow as pa

    from vlrb import SAMPLES, SAMPLES_OPTIONAL

    schema = pa.schema([f for f in (*SAMPLES, *SAMPLES_OPTIONAL) if f.name != "split"])
    metadata = {"counts": json.dumps({k: v for k, v in counts.items() if v}), "files": json.dumps(list(files))}
    if left_out:
        metadata["left_out"] = json.dumps(left_out)
    return pa.RecordBatch.from_pylist(samples, schema=schema).replace_schema_metadata(metadata)
