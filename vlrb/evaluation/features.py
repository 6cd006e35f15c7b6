"""Feature sets: what encoders make of the samples, checked, kept by content, and fused.

What an encoder made of a sample is kept under what it looked at (texts, hashes of the images) in a folder of the cache that
belongs to the encoder's identity: its plugin's version and sources, its parameters, its weights.  So a sample is encoded once
whatever benchmarks it stands in, and a grown benchmark has only its new samples encoded.  The folder holds *chunks*, Arrow
files that appear whole: a killed process loses the chunk it was working on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import numbers
import re
import sys
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np
import pyarrow as pa

from vlrb import __version__
from vlrb.api.images import Images, ImageStore
from vlrb.api.types import Array, Column, Features, Queries, sealed
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem, shortened
from vlrb.executor import Progress
from vlrb.experiment.plan import Chosen, FeatureSet, digest_of
from vlrb.faults import is_text
from vlrb.plugins.loading import blame, blamed
from vlrb.plugins.returned import FIX
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, new_file, write_json

logger = logging.getLogger("vlrb")

SCHEMA_VERSION = 2
CHUNK = 128
"""Samples that are encoded and kept together."""

MOST_PROBLEMS = 20
"""Unreadable samples after which encoding ends; up to then the others are encoded, and all are named at once."""

KEY = np.dtype("S32")
PAIRED = ("average", "weighted-average", "concat-interaction", "normalize-concat-interaction")
_OPAQUE = re.compile(r"\b[0-9a-f]{24}\b")


@runtime_checkable
class WithStream(Protocol):
    """An encoder that prepares the next queries, decoding their images, while it works on those before."""

    def stream(self, chunks: Iterable[Queries]) -> Iterator[Features]:
        """Return the features of each chunk, in order."""


@attrs.frozen(eq=False)
class Encoded:
    """The features of all samples, and the seconds that encoding one sample took."""

    features: Features
    seconds_per_sample: float


def encode(chosen: FeatureSet, benchmark: Benchmark, places: Places, progress: Progress) -> Encoded:
    """Return a feature set; only samples that an encoder has not seen are encoded.

    :raises DataError: naming the samples that cannot be encoded; the others are kept
    :raises PluginError: when an encoder raises, or returns what it must not
    """
    problems = [p for encoder in chosen.used for p in _unknown_weights(chosen, encoder)]
    if problems:
        raise DataError(problems)
    made = [_encoded(chosen, encoder, benchmark, places, progress) for encoder in chosen.used]
    modalities = [e.spec.modality for e in chosen.used]
    try:
        features = fuse([m.features for m in made], chosen.fusion, modalities, chosen.text_weight)
    except DataError as error:
        raise DataError([attrs.evolve(p, where=f"[features.{chosen.name}]") for p in error.problems]) from None
    return Encoded(features, sum(m.seconds_per_sample for m in made))


def _unknown_weights(chosen: FeatureSet, encoder: Chosen) -> Sequence[Problem]:
    try:
        chosen.encoder_identity(encoder)
    except DataError as error:
        return error.problems
    return ()


# --- fusion ---------------------------------------------------------------------------------------------------------------


def fuse(parts: Sequence[Features], fusion: str, modalities: Sequence[str] = (), text_weight: float = 0.5) -> Features:
    """Fuse the features of several encoders (VL-RouterBench, fusion).

    ``concat`` puts them side by side.  ``only-text`` and ``only-image`` keep the encoders of one modality.  The others take t,
    the dense columns of the encoders of text, and v, those of the encoders of images: ``average`` is (t + v) / 2,
    ``weighted-average`` w t + (1 - w) v, both over the columns that the shorter one has, ``concat-interaction``
    [t, v, t v, abs(t - v)], the last two over these columns.  ``normalize-`` first scales the dense columns of each encoder to
    unit length, row by row; a row of zeros stays.

    Numeric and categorical columns have units of their own: they are never scaled, averaged or multiplied.  ``concat`` leaves
    them in their places; the other fusions put those of all encoders behind the dense columns.

    :param modalities: of the parts; ``concat`` and ``normalize-concat`` do without
    :raises DataError: when text or image has no dense columns to fuse
    """
    unit = fusion.startswith("normalize-")
    parts = _told_apart(parts)
    if fusion.startswith("only-"):
        return _beside([p for p, m in zip(parts, modalities, strict=True) if f"only-{m}" == fusion])
    if fusion not in PAIRED:
        return _beside(parts, unit)
    if unit:
        parts = [_beside([p], unit) for p in parts]
    text, image = (_dense([p for p, m in zip(parts, modalities, strict=True) if m == n]) for n in ("text", "image"))
    if not text.columns or not image.columns:
        lacking = "text" if not text.columns else "image"
        raise DataError(
            f"fusion {fusion!r} needs dense columns of text and image, and the encoders of {lacking} give none",
            fix=f'name another encoder of {lacking}, or set fusion = "normalize-concat"',
        )
    fused = _averaged(text, image, text_weight if fusion == "weighted-average" else 0.5)
    if fusion.endswith("interaction"):
        fused = _interacting(text, image)
    return _beside([fused, *(_only(p, dense=False) for p in parts)])


def _averaged(text: Features, image: Features, weight: float) -> Features:
    shared = min(len(text.columns), len(image.columns))
    matrix = np.float32(weight) * text.matrix[:, :shared] + np.float32(1 - weight) * image.matrix[:, :shared]
    return Features(matrix, tuple(Column(f"average/{i}") for i in range(shared)))


def _interacting(text: Features, image: Features) -> Features:
    shared = min(len(text.columns), len(image.columns))
    width = len(text.columns) + len(image.columns)
    matrix = np.empty((len(text.matrix), width + 2 * shared), np.float32)
    np.concatenate([text.matrix, image.matrix], axis=1, out=matrix[:, :width])
    left, right = text.matrix[:, :shared], image.matrix[:, :shared]
    np.multiply(left, right, out=matrix[:, width : width + shared])
    np.abs(left - right, out=matrix[:, width + shared :])
    more = tuple(Column(f"{name}/{i}") for name in ("product", "difference") for i in range(shared))
    return Features(matrix, text.columns + image.columns + more)


def _beside(parts: Sequence[Features], unit: bool = False) -> Features:
    """Put parts side by side.

    :param unit: scale the dense columns of each part to unit length, row by row
    """
    parts = [p for p in parts if p.columns] or list(parts[:1])
    if len(parts) == 1 and not unit:
        return Features(sealed(parts[0].matrix), parts[0].columns)
    matrix = np.empty((len(parts[0].matrix), sum(len(p.columns) for p in parts)), np.float32)
    start = 0
    for part in parts:
        block = matrix[:, start : start + len(part.columns)]
        block[:] = part.matrix
        if unit:
            _scale(block, np.array([c.kind == "dense" for c in part.columns], dtype=np.bool_))
        start += len(part.columns)
    return Features(sealed(matrix), tuple(c for p in parts for c in p.columns))


def _scale(block: Array, dense: Array) -> None:
    """Scale some columns of a block to unit length, row by row, in place; a row of zeros stays."""
    rows = block if dense.all() else block[:, dense]
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    np.divide(rows, norms, out=rows, where=norms > 0)
    if rows is not block:
        block[:, dense] = rows


def _told_apart(parts: Sequence[Features]) -> list[Features]:
    """Give the columns of encoders that are used twice, with other parameters, names of their own."""
    known: set[str] = set()
    result = []
    for number, part in enumerate(parts, 1):
        if not known.isdisjoint(c.name for c in part.columns):
            columns = tuple(attrs.evolve(c, name=f"{c.name}#{number}") for c in part.columns)
            part = Features(part.matrix, columns)
        known |= {c.name for c in part.columns}
        result.append(part)
    return result


def _dense(parts: Sequence[Features]) -> Features:
    return _beside([_only(p, dense=True) for p in parts])


def _only(part: Features, *, dense: bool) -> Features:
    chosen = [i for i, c in enumerate(part.columns) if (c.kind == "dense") == dense]
    if len(chosen) == len(part.columns):
        return part
    return Features(part.matrix[:, chosen], tuple(part.columns[i] for i in chosen))


# --- what is kept ---------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Chunk:
    """Rows that were encoded together: their file, keys S32[n], the columns as JSON, the seconds.

    The rows stay in the file, so that any number of chunks needs neither memory nor open files.
    """

    file: Path
    keys: Array
    columns: str
    seconds: float

    def rows(self) -> Array:
        """Return the rows float32[n, d], mapped."""
        return _mapped(self.file)[1]


class _UnusableError(Exception):
    """Why a file is no chunk of this encoder."""


@attrs.frozen(eq=False)
class _Store:
    """The chunks of one encoder."""

    folder: Path
    key: str

    def chunks(self) -> list[_Chunk]:
        """Return the chunks; a file that is none is named and set aside, so that its samples are encoded again."""
        found: list[_Chunk] = []
        for file in sorted(self.folder.glob("*.arrow")):
            try:
                chunk = self._read(file)
                if found and chunk.columns != found[0].columns:
                    raise _UnusableError(f"has other columns than {found[0].file.name}")
            except _UnusableError as error:
                aside = file.with_suffix(".rejected")
                logger.warning("%s %s: it is renamed to %s, and its samples are encoded again", file, error, aside.name)
                with contextlib.suppress(FileNotFoundError):  # another process was quicker
                    file.rename(aside)
            else:
                found.append(chunk)
        return found

    def _read(self, file: Path) -> _Chunk:
        try:
            keys, matrix, about = _mapped(file)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise _UnusableError(f"is cut off, or not a chunk of features ({error})") from None
        if about.get("of") != self.key:
            raise _UnusableError("belongs to another encoder, other weights or another version of vlrb")
        if _checksum(keys, matrix) != about["crc"]:
            raise _UnusableError("is damaged (its checksum differs)")
        return _Chunk(file, keys.copy(), sys.intern(about["columns"]), about["seconds"])

    def write(self, keys: Array, features: Features, seconds: float) -> None:
        """Keep a chunk."""
        matrix = np.ascontiguousarray(features.matrix)
        about = {
            "of": self.key,
            "columns": _columns_text(features),
            "seconds": seconds,
            "crc": _checksum(keys, matrix),
        }
        rows = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
        names = pa.array(keys.tolist(), pa.binary(KEY.itemsize))
        table = pa.table({"key": names, "row": rows}).replace_schema_metadata({"vlrb": json.dumps(about)})
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:16]
        with new_file(self.folder / f"{name}.arrow") as aside, pa.ipc.new_file(str(aside), table.schema) as writer:
            writer.write_table(table)


def _mapped(file: Path) -> tuple[Array, Array, dict[str, Any]]:
    """Return keys, rows and what is said about them, of a chunk's file."""
    table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    about = json.loads(table.schema.metadata[b"vlrb"])
    keys, rows = table.column("key").chunk(0), table.column("row").chunk(0)
    names = np.frombuffer(keys.buffers()[1], dtype=KEY, count=len(keys))
    return names, rows.flatten().to_numpy().reshape(len(keys), -1), about


def _checksum(keys: Array, matrix: Array) -> int:
    return zlib.crc32(matrix.data, zlib.crc32(keys.data))


def _columns_text(features: Features) -> str:
    """Return the columns as JSON; the number of categories only where it is known."""
    return json.dumps(
        [[c.name, c.kind, c.may_be_missing, *([c.categories] if c.categories else [])] for c in features.columns]
    )


def content_keys(benchmark: Benchmark, modality: str) -> Array:
    """Return for every sample a digest S32[n] of what an encoder of a modality looks at."""
    queries = _looked_at(benchmark.queries(np.arange(len(benchmark))), modality)
    contents = zip(queries.texts, queries.options, queries.hints, queries.images.hashes, strict=True)
    keys = [hashlib.sha256(json.dumps([modality, *c]).encode()).hexdigest()[:32].encode() for c in contents]
    return np.array(keys, dtype=KEY)


def _looked_at(queries: Queries, modality: str) -> Queries:
    """Return what an encoder of a modality sees, so that nothing else can make a difference."""
    n = len(queries)
    queries = attrs.evolve(queries, candidates=(), features=None)
    if modality == "text":
        return attrs.evolve(queries, images=Images(ImageStore(()), [()] * n, queries.ids))
    if modality == "image":
        return attrs.evolve(queries, texts=[""] * n, options=[()] * n, hints=[""] * n)
    return queries


def _identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "vlrb": [__version__, core_digest("features")], "encoder": encoder}


def feature_folders(chosen: FeatureSet) -> list[str]:
    """Return the names of the folders in the cache that hold a feature set; none for encoders whose weights cannot be told."""
    known = [e for e in chosen.identity()["encoders"] if e["revision"] is not None]
    return [digest_of(_identity(e))[:20] for e in known]


def _encoded(chosen: FeatureSet, encoder: Chosen, benchmark: Benchmark, places: Places, progress: Progress) -> Encoded:
    """Return what one encoder makes of all samples."""
    identity = _identity(chosen.encoder_identity(encoder))
    key = digest_of(identity)
    store = _Store(places.cache / "features" / key[:20], key)
    mark_used(store.folder)
    keys = content_keys(benchmark, encoder.spec.modality)
    wanted = np.unique(keys)
    chunks = store.chunks()
    if _lacking(wanted, chunks).size:
        with locked(store.folder):
            store.folder.mkdir(exist_ok=True)
            for left in store.folder.glob(".*.partial"):  # of a killed process
                left.unlink()
            if not (store.folder / "encoder.json").is_file():
                write_json(store.folder / "encoder.json", identity)
            chunks = store.chunks()  # another process may have been at work
            lacking = _lacking(wanted, chunks)
            if lacking.size:
                columns = chunks[0].columns if chunks else ""
                _Encoding(encoder, benchmark, store, progress, columns).run(keys, lacking, wanted.size)
                chunks = store.chunks()
    return _assembled(keys, chunks, store)


def _lacking(wanted: Array, chunks: Sequence[_Chunk]) -> Array:
    return np.setdiff1d(wanted, np.concatenate([c.keys for c in chunks])) if chunks else wanted


def _assembled(keys: Array, chunks: Sequence[_Chunk], store: _Store) -> Encoded:
    """Return the rows of the samples in their order, float32 and read-only."""
    known = np.concatenate([c.keys for c in chunks]) if chunks else np.empty(0, KEY)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known, keys, sorter=order), max(len(known) - 1, 0))
    if not len(known) or (known[order[place]] != keys).any():
        fix = "run again: the samples are encoded again"
        raise DataError("features disappeared from the cache while they were read", where=str(store.folder), fix=fix)
    rows = order[place]
    starts = np.cumsum([0, *(len(c.keys) for c in chunks)])
    owner = np.searchsorted(starts, rows, side="right") - 1
    columns = tuple(Column(*c) for c in json.loads(chunks[0].columns))
    matrix = np.empty((len(keys), len(columns)), np.float32)
    by_owner = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[by_owner], np.arange(len(chunks) + 1))
    for i, chunk in enumerate(chunks):
        mine = by_owner[bounds[i] : bounds[i + 1]]
        if mine.size:
            matrix[mine] = chunk.rows()[rows[mine] - starts[i]]
    seconds = np.array([c.seconds / len(c.keys) for c in chunks])[owner]
    return Encoded(Features(sealed(matrix), columns), float(seconds.mean()))


# --- encoding -------------------------------------------------------------------------------------------------------------


class _Encoding:
    """Encodes samples in chunks, in the order of their content, which tells no dataset."""

    def __init__(
        self, chosen: Chosen, benchmark: Benchmark, store: _Store, progress: Progress, columns: str = ""
    ) -> None:
        self.chosen = chosen
        self.benchmark = benchmark
        self.store = store
        self.progress = progress
        self.columns = columns
        self.problems: list[Problem] = []

    def run(self, keys: Array, lacking: Array, total: int) -> None:
        """Encode the contents that are lacking, each from the first sample that has it.

        :param keys: of all samples
        :param lacking: the keys of what is to be encoded, sorted
        :param total: how many contents there are, with those that are known
        :raises DataError: naming the samples that cannot be encoded, when all others are
        """
        contents, first = np.unique(keys, return_index=True)
        rows = first[np.searchsorted(contents, lacking)]
        chunks = deque(rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK))
        done = total - len(rows)
        what = f"encoding with {self.chosen.spec.name}"
        self.progress(what, done, total)
        encoder = self.chosen.make("encode")
        while chunks:
            try:
                for block, seconds in self._blocks(encoder, list(chunks)):
                    mine = chunks.popleft()
                    self.store.write(keys[mine], self._checked(block, mine), seconds)
                    done += len(mine)
                    self.progress(what, done, total)
            except DataError as error:
                self._leave_out(error, chunks)
        if self.problems:
            raise DataError(self.problems)

    def _blocks(self, encoder: Any, chunks: Sequence[Array]) -> Iterator[tuple[object, float]]:
        """Return what the encoder makes of each chunk, and the seconds it took."""
        modality = self.chosen.spec.modality
        queries = (_looked_at(self.benchmark.queries(rows), modality) for rows in chunks)
        doing = f"encoding samples with {self.chosen.registered.id!r}"
        with blame(self.chosen.plugin, doing):
            made = encoder.stream(queries) if isinstance(encoder, WithStream) else map(encoder.encode, queries)
        with contextlib.closing(blamed(made, self.chosen.plugin, doing)) as blocks:
            for _ in chunks:
                began = time.perf_counter()
                block = next(blocks, None)
                yield block, time.perf_counter() - began

    def _leave_out(self, error: DataError, chunks: deque[Array]) -> None:
        """Note the samples that an error names and take them out, so that the others are encoded and all are named at once.

        :raises DataError: when it names none, or there are too many
        """
        named = set(_OPAQUE.findall(str(error)))
        ids = self.benchmark.opaque_ids
        kept = [np.array([r for r in rows.tolist() if ids[r] not in named], dtype=np.int64) for rows in chunks]
        if sum(map(len, kept)) == sum(map(len, chunks)):
            raise self.benchmark.naming(error) from None
        self.problems += self.benchmark.naming(error).problems
        if len(self.problems) >= MOST_PROBLEMS:
            raise DataError(self.problems) from None
        chunks.clear()
        chunks.extend(k for k in kept if k.size)

    def _checked(self, block: object, rows: Array) -> Features:
        """Check what an encoder returned.

        :raises PluginError: for a wrong shape or type, changed columns, or values that are not finite
        """
        with blame(self.chosen.plugin, f"encoding samples with {self.chosen.registered.id!r}"):
            block, problem = _plain(block, len(rows))
        if block is not None:
            columns = _columns_text(block)
            if not self.columns:
                self.columns = columns
            if columns == self.columns:
                problem = self._bad_value(block, rows)
            else:
                before, now = (json.loads(c) for c in (self.columns, columns))
                problem = f"other columns than before ({shortened(_differences(before, now), 3)})"
        if problem or block is None:
            label = f"encoder {self.chosen.registered.id!r} of {self.chosen.plugin.label}"
            raise PluginError(f"{label} returned {problem}", fix=FIX)
        return block

    def _bad_value(self, block: Features, rows: Array) -> str:
        gaps = np.array([c.may_be_missing for c in block.columns], dtype=np.bool_)
        bad = np.isinf(block.matrix) | (np.isnan(block.matrix) & ~gaps)
        for j, column in enumerate(block.columns):
            if column.kind == "categorical" and column.categories:
                codes = block.matrix[:, j]
                bad[:, j] |= ~np.isnan(codes) & ~np.isin(codes, np.arange(column.categories))
        if not bad.any():
            return ""
        row, place = (int(i) for i in np.argwhere(bad)[0])
        sample, column = self.benchmark.ids[int(rows[row])], block.columns[place]
        codes_are = f", whose codes are 0 to {column.categories - 1}" if column.categories else ""
        return f"{block.matrix[row, place]} in column {column.name!r} of sample {sample!r}{codes_are}"


def _differences(before: list[Any], now: list[Any]) -> list[str]:
    if len(before) != len(now):
        return [f"{len(now)} instead of {len(before)}"]
    return [f"{new!r} instead of {old!r}" for old, new in zip(before, now, strict=True) if old != new]


def _plain(block: object, n: int) -> tuple[Features | None, str]:
    """Return what an encoder returned for n queries, as a float32 matrix of numpy's own class and plain columns.

    :return: the features, or None and what is wrong with their form
    """
    if not isinstance(block, Features):
        return None, f"{type(block).__name__} instead of Features"
    matrix: Any = block.matrix
    if not isinstance(matrix, np.ndarray):
        return None, f"a {type(matrix).__name__} instead of an array"
    if isinstance(matrix, np.ma.MaskedArray) and np.ma.getmaskarray(matrix).any():
        return None, "a matrix with masked values"
    listed: Any = block.columns
    if not isinstance(listed, Iterable):
        return None, f"{type(listed).__name__} instead of columns"
    columns = tuple(_column(c) for c in listed)
    if not columns or None in columns:
        return None, "columns that are not a Column, or have fields of a wrong type" if columns else "no columns"
    plain = tuple(c for c in columns if c is not None)
    matrix = np.asarray(matrix)
    if matrix.shape != (n, len(plain)):
        return None, f"a matrix of shape {matrix.shape} with {len(plain)} columns for {n:,} queries"
    if matrix.dtype.newbyteorder("=") not in (np.float32, np.float16):
        return None, f"a matrix of {matrix.dtype} instead of float32"
    names = Counter(c.name for c in plain)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        return None, f"two columns named {twice!r}"
    return Features(matrix.astype(np.float32, copy=False), plain), ""


def _is_count(value: Any) -> bool:
    whole: bool = isinstance(value, numbers.Integral)
    return whole and bool(0 <= value < 2**31)


def _column(column: object) -> Column | None:
    """Return a column with plain fields; None where it is none, or its fields are odd."""
    if not isinstance(column, Column) or not is_text(column.name):
        return None
    kind: Any = column.kind
    gaps: Any = column.may_be_missing
    categories: Any = column.categories
    known = is_text(kind) and kind in ("dense", "numeric", "categorical")
    counted = _is_count(categories)
    if not known or not counted or not isinstance(gaps, bool | np.bool_):
        return None
    return Column(str.__str__(column.name), kind, bool(gaps), int(categories))
