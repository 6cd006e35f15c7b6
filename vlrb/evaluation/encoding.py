"""Encoding samples in chunks, and checking what encoders return."""

from __future__ import annotations

import contextlib
import json
import numbers
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs
import numpy as np

from vlrb.api.frozen import Array
from vlrb.api.images import Images, ImageStore
from vlrb.api.returned import FIX
from vlrb.api.routing import Column, Features, Queries
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem, named_samples, shorten_list
from vlrb.evaluation.feature_store import FeatureStore, columns_text
from vlrb.executor import Progress
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.blame import blame, blamed
from vlrb.texts import is_text

CHUNK = 128
"""Samples that are encoded and kept together."""


MOST_PROBLEMS = 20
"""Unreadable samples after which encoding ends; up to then the others are encoded, and all are named at once."""


@runtime_checkable
class WithStream(Protocol):
    """An encoder that prepares the next queries, decoding their images, while it works on those before."""

    def stream(self, chunks: Iterable[Queries]) -> Iterator[Features]:
        """Return the features of each chunk, in order."""


def looked_at(queries: Queries, modality: str) -> Queries:
    """Return what an encoder of a modality sees, so that nothing else can make a difference."""
    n = len(queries)
    queries = attrs.evolve(queries, candidates=(), features=None)
    if modality == "text":
        return attrs.evolve(queries, images=Images(ImageStore(()), [()] * n, queries.ids))
    if modality == "image":
        return attrs.evolve(queries, texts=[""] * n, options=[()] * n, hints=[""] * n)
    return queries


class Encoding:
    """Encodes samples in chunks, in the order of their content, which tells no dataset."""

    def __init__(
        self,
        chosen: ConfiguredComponent,
        benchmark: Benchmark,
        store: FeatureStore,
        progress: Progress,
        columns: str = "",
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
        queries = (looked_at(self.benchmark.queries(rows), modality) for rows in chunks)
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
        named = set().union(*map(named_samples, error.problems))
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
            block, problem = plain_features(block, len(rows))
        if block is not None:
            columns = columns_text(block)
            if not self.columns:
                self.columns = columns
            if columns == self.columns:
                problem = self._bad_value(block, rows)
            else:
                before, now = (json.loads(c) for c in (self.columns, columns))
                problem = f"other columns than before ({shorten_list(_differences(before, now), 3)})"
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


def plain_features(block: object, n: int) -> tuple[Features | None, str]:
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
