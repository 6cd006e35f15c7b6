"""Feature sets: samples are encoded in chunks, checked, kept in the cache by content, and fused.

Features are kept under what the encoder looked at (texts, hashes of the images), in a folder for the encoder's identity:
its plugin's version and sources, its parameters, its weights.  So a sample is encoded once, whichever benchmarks hold it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from vlrb import __version__
from vlrb.api.frozen import Array, sealed
from vlrb.api.images import Images, ImageStore
from vlrb.api.returned import FIX, plain_array
from vlrb.api.routing import Column, EncodedFeatures, Features, Queries
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem, named_samples, shorten_list
from vlrb.evaluation.feature_store import KEY, Chunk, FeatureStore, columns_text
from vlrb.executor import Progress
from vlrb.experiment.plan import ConfiguredComponent, FeatureSet, digest_of
from vlrb.locks import locked
from vlrb.plugins.blame import blame, blamed
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, mark_used, write_json
from vlrb.texts import is_text

SCHEMA_VERSION = 2

CHUNK = 128
"""Samples that are encoded and kept together."""

MOST_PROBLEMS = 20
"""Unreadable samples after which encoding ends; up to then the others are encoded, and all are named at once."""


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
    problems: list[Problem] = []
    identities = []
    for encoder in chosen.used:
        try:
            identities.append((encoder, _identity(chosen.encoder_identity(encoder))))
        except DataError as error:  # its weights are not there
            problems += error.problems
    if problems:
        raise DataError(problems)
    made = [_encoded(encoder, identity, benchmark, places, progress) for encoder, identity in identities]
    parts = [EncodedFeatures(m.features, e.spec.modality) for m, e in zip(made, chosen.used, strict=True)]
    fusion = chosen.fusion
    fuse = fusion.make("__call__")
    who = f"fusion {fusion.registered.id!r} of {fusion.plugin.label}"
    try:
        with blame(fusion.plugin, f"fusing features with {fusion.registered.id!r}"):
            features = plain_features(fuse(parts), len(benchmark), who)
        check_values(features, benchmark.ids, who)
    except DataError as error:
        where = f"[features.{chosen.name}]"
        raise DataError([attrs.evolve(p, where=p.where or where) for p in error.problems]) from None
    fused = Features(sealed(features.matrix), features.columns)
    return Encoded(fused, sum(m.seconds_per_sample for m in made))


def content_keys(benchmark: Benchmark, modality: str) -> Array:
    """Return for every sample a digest S32[n] of what an encoder of a modality looks at."""
    queries = looked_at(benchmark.queries(np.arange(len(benchmark))), modality)
    contents = zip(queries.texts, queries.options, queries.hints, queries.images.hashes, strict=True)
    keys = [hashlib.sha256(json.dumps([modality, *c]).encode()).hexdigest()[:32].encode() for c in contents]
    return np.array(keys, dtype=KEY)


def _identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "vlrb": [__version__, core_digest("features")], "encoder": encoder}


def feature_folders(chosen: FeatureSet) -> list[str]:
    """Return the names of the cache's folders that hold a feature set; none for encoders whose weights are unknown."""
    return [digest_of(_identity(e))[:20] for e in chosen.identity()["encoders"] if e["revision"] is not None]


def _encoded(
    encoder: ConfiguredComponent, identity: dict[str, Any], benchmark: Benchmark, places: Places, progress: Progress
) -> Encoded:
    key = digest_of(identity)
    store = FeatureStore(places.cache / "features" / key[:20], key)
    mark_used(store.folder)
    keys = content_keys(benchmark, encoder.spec.modality)
    wanted = np.unique(keys)
    chunks = store.chunks()
    if np.setdiff1d(wanted, _known_keys(chunks)).size:
        with locked(store.folder):
            store.folder.mkdir(exist_ok=True)
            for left in store.folder.glob(".*.partial"):  # of a killed process
                left.unlink()
            if not (store.folder / "encoder.json").is_file():
                write_json(store.folder / "encoder.json", identity)
            chunks = store.chunks()  # another process may have been at work
            lacking = np.setdiff1d(wanted, _known_keys(chunks))
            if lacking.size:
                columns = chunks[0].columns if chunks else ""
                Encoding(encoder, benchmark, store, progress, columns).run(keys, lacking, wanted.size)
                chunks = store.chunks()
    return _assembled(keys, chunks, store)


def _known_keys(chunks: Sequence[Chunk]) -> Array:
    return np.concatenate([np.empty(0, KEY), *(c.keys for c in chunks)])


def _assembled(keys: Array, chunks: Sequence[Chunk], store: FeatureStore) -> Encoded:
    """Return the rows of the samples in their order, float32 and read-only."""
    contents, first = np.unique(_known_keys(chunks), return_index=True)
    if not np.isin(keys, contents).all():
        fix = "run again: the samples are encoded again"
        raise DataError("features disappeared from the cache while they were read", where=str(store.folder), fix=fix)
    rows = first[np.searchsorted(contents, keys)]
    starts = np.cumsum([0, *(len(c.keys) for c in chunks)])
    owner = np.searchsorted(starts, rows, side="right") - 1
    columns = tuple(Column(*c) for c in json.loads(chunks[0].columns))
    matrix = np.empty((len(keys), len(columns)), np.float32)
    by_owner = np.argsort(owner, kind="stable")
    of_chunks = np.split(by_owner, np.searchsorted(owner[by_owner], np.arange(1, len(chunks))))
    for chunk, start, mine in zip(chunks, starts, of_chunks, strict=False):
        if mine.size:
            matrix[mine] = chunk.rows()[rows[mine] - start]
    seconds = np.array([c.seconds / len(c.keys) for c in chunks])[owner]
    return Encoded(Features(sealed(matrix), columns), float(seconds.mean()))


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
class Encoding:
    """Encodes samples in chunks, in the order of their content, which tells no dataset.

    ``columns`` are those of the chunks in the store, as JSON; empty where there are none yet.
    """

    chosen: ConfiguredComponent
    benchmark: Benchmark
    store: FeatureStore
    progress: Progress
    columns: str
    problems: list[Problem] = attrs.Factory(list)

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

    @property
    def _doing(self) -> str:
        return f"encoding samples with {self.chosen.registered.id!r}"

    def _blocks(self, encoder: Any, chunks: Sequence[Array]) -> Iterator[tuple[object, float]]:
        """Return what the encoder makes of each chunk, and the seconds it took.

        An encoder may have a method ``stream(chunks)``, which prepares the next queries while it works on those before.
        """
        queries = (looked_at(self.benchmark.queries(rows), self.chosen.spec.modality) for rows in chunks)
        with blame(self.chosen.plugin, self._doing):
            made = encoder.stream(queries) if hasattr(encoder, "stream") else map(encoder.encode, queries)
        with contextlib.closing(blamed(made, self.chosen.plugin, self._doing)) as blocks:
            for _ in chunks:
                began = time.perf_counter()
                block = next(blocks, None)
                yield block, time.perf_counter() - began

    def _leave_out(self, error: DataError, chunks: deque[Array]) -> None:
        """Note the samples that an error names and take them out, so that the others are encoded and all are named at once.

        :raises DataError: when it names none, or there are too many
        """
        named = set().union(*map(named_samples, error.problems))
        unreadable = np.array([i in named for i in self.benchmark.opaque_ids])
        kept = [rows[~unreadable[rows]] for rows in chunks]
        error = self.benchmark.naming(error)
        if sum(map(len, kept)) == sum(map(len, chunks)):
            raise error from None
        self.problems += error.problems
        if len(self.problems) >= MOST_PROBLEMS:
            raise DataError(self.problems) from None
        chunks.clear()
        chunks.extend(k for k in kept if k.size)

    def _checked(self, returned: object, rows: Array) -> Features:
        """Return what an encoder returned for some rows as plain features.

        :raises PluginError: for a wrong shape or type, changed columns, or values that are not finite
        """
        who = f"encoder {self.chosen.registered.id!r} of {self.chosen.plugin.label}"
        with blame(self.chosen.plugin, self._doing):
            block = plain_features(returned, len(rows), who)
        columns = columns_text(block)
        self.columns = self.columns or columns
        if columns != self.columns:
            before, now = json.loads(self.columns), json.loads(columns)
            differing = [f"{new!r} instead of {old!r}" for old, new in zip(before, now, strict=False) if old != new]
            what = shorten_list(differing, 3) if len(before) == len(now) else f"{len(now)} instead of {len(before)}"
            raise PluginError(f"{who} returned other columns than before ({what})", fix=FIX)
        check_values(block, [self.benchmark.ids[row] for row in rows], who)
        return block


def plain_features(returned: Any, n: int, who: str) -> Features:
    """Return features of n queries as a float32 matrix of numpy's own class and plain columns.

    :raises PluginError: when an encoder or a fusion, ``who``, returned something else
    """
    if not isinstance(returned, Features):
        raise PluginError(f"{who} returned {type(returned).__name__} instead of Features", fix=FIX)
    given: Any = returned.columns
    columns = tuple(_plain_column(c, who) for c in given)
    matrix = plain_array(returned.matrix, "its matrix", who)
    if not columns or matrix.shape != (n, len(columns)):
        what = f"a matrix {matrix.shape} with {len(columns)} columns for {n:,} queries"
        raise PluginError(f"{who} returned {what}", fix="return a row per query and a column per Column, at least one")
    if matrix.dtype != np.float32:
        fix = "return matrix.astype(np.float32)"
        raise PluginError(f"{who} returned a matrix of {matrix.dtype} instead of float32", fix=fix)
    name, count = Counter(c.name for c in columns).most_common(1)[0]
    if count > 1:
        raise PluginError(f"{who} returned {count} columns named {name!r}", fix=FIX)
    return Features(matrix, columns)


def check_values(features: Features, ids: Sequence[str], who: str) -> None:
    """Check that values are finite, or NaN where a column may be missing, and codes those of their categories.

    :param ids: of the rows, as the logs have them
    :raises PluginError: naming the first value that is not
    """
    gaps = np.isnan(features.matrix)
    bad = np.isinf(features.matrix) | (gaps & [not c.may_be_missing for c in features.columns])
    for j, column in enumerate(features.columns):
        if column.kind == "categorical" and column.categories:
            bad[:, j] |= ~gaps[:, j] & ~np.isin(features.matrix[:, j], np.arange(column.categories))
    if bad.any():
        row, place = np.argwhere(bad)[0].tolist()
        column = features.columns[place]
        codes_are = f", whose codes are 0 to {column.categories - 1}" if column.categories else ""
        what = f"{features.matrix[row, place]} in column {column.name!r} of sample {ids[row]!r}{codes_are}"
        raise PluginError(f"{who} returned {what}", fix=FIX)


def _plain_column(column: Any, who: str) -> Column:
    """Return a column with fields of Python's own types."""
    plain = (
        isinstance(column, Column)
        and is_text(column.name)
        and is_text(column.kind)
        and column.kind in ("dense", "numeric", "categorical")
        and isinstance(column.may_be_missing, bool | np.bool_)
        and isinstance(column.categories, int | np.integer)
        and 0 <= column.categories < 2**31
    )
    if not plain:
        raise PluginError(f"{who} returned columns that are not a Column, or have fields of a wrong type", fix=FIX)
    return Column(str.__str__(column.name), column.kind, bool(column.may_be_missing), int(column.categories))
