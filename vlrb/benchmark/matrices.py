"""A finished benchmark: samples, quality, cost and tokens over sample-model pairs, on disk as Parquet, NumPy arrays and JSON.

The arrays are mapped: processes of a machine share their pages, and what is not looked at is not read.

Rows are sorted by sample id, columns by model name; everything was joined by these, once, in :mod:`vlrb.benchmark.build`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import Array, FrozenDict, sealed
from vlrb.api.images import Images, ImageStore
from vlrb.api.json_data import write_record
from vlrb.api.results import BenchmarkInfo
from vlrb.api.routing import Candidate, Features, Labelled, Queries
from vlrb.benchmark.manifest import Manifest, read_manifest
from vlrb.errors import DataError, did_you_mean, named_samples
from vlrb.storage import read_parquet

MATRICES = ("quality", "score", "cost", "input_tokens", "output_tokens")
MOST_VALUES = 100
"""Values of a column for each of which metrics are computed."""
TYPES = {"quality": "|b1", "score": "<f8", "cost": "<f8", "input_tokens": "<i8", "output_tokens": "<i8"}


@attrs.frozen(eq=False, repr=False)
class Benchmark:
    """n samples and k candidate models.

    ``quality`` bool[n, k] is Y; ``score`` float64[n, k] is the raw score in [0, 1]; ``cost`` float64[n, k] is C in USD per sample;
    the tokens are int64[n, k], -1 where the logs give costs instead.  All are sealed (:func:`vlrb.api.frozen.sealed`).
    """

    directory: Path
    manifest: Manifest
    samples: pa.Table
    quality: Array
    score: Array
    cost: Array
    input_tokens: Array
    output_tokens: Array
    _totals: dict[bytes, tuple[Array, Array]] = attrs.field(factory=dict, init=False)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Return the sample ids, sorted."""
        return tuple(self.samples.column("id").to_pylist())

    @cached_property
    def datasets(self) -> Array:
        """Return the dataset's name of every sample, str[n]."""
        return sealed(np.asarray(self.samples.column("dataset").to_pylist(), dtype=np.str_))

    @cached_property
    def rows_of(self) -> Mapping[str, Array]:
        """Return dataset -> the rows of its samples, int[m]."""
        return FrozenDict({d.name: sealed(np.flatnonzero(self.datasets == d.name)) for d in self.manifest.datasets})

    @cached_property
    def image_hashes(self) -> tuple[tuple[str, ...], ...]:
        """Return the content hashes of every sample's images."""
        return tuple(tuple(h) for h in self.samples.column("images").to_pylist())

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Return the candidate models in the order of the columns."""
        return self.manifest.models

    @cached_property
    def images(self) -> Images:
        """Return the images of all samples."""
        return Images(self._image_store, self.image_hashes, self.opaque_ids)

    @cached_property
    def _image_store(self) -> ImageStore:
        cache = self.directory.parents[1]
        return ImageStore(cache / f for f in self.manifest.images)

    @cached_property
    def opaque_ids(self) -> tuple[str, ...]:
        """Return what routers and encoders see instead of sample ids, which would name the dataset."""
        return _opaque(self.ids)

    def places(self, rows: Array) -> Array:
        """Return the places of rows in the order of their opaque ids, so that a place in a batch does not tell a row's dataset."""
        return np.argsort([self.opaque_ids[i] for i in rows.tolist()])

    def unordered(self, rows: Array) -> Array:
        """Return rows in the order in which routers see them."""
        return np.asarray(rows[self.places(rows)])

    def naming(self, error: DataError) -> DataError:
        """Return an error with sample ids instead of opaque ones."""
        names = dict(zip(self.opaque_ids, self.ids, strict=True))
        problems = []
        for problem in error.problems:
            for opaque in named_samples(problem) & names.keys():
                message, where = (text.replace(opaque, names[opaque]) for text in (problem.message, problem.where))
                problem = attrs.evolve(problem, message=message, where=where)
            problems.append(problem)
        return DataError(problems)

    def mean_cost_and_right(self, rows: Array | None = None) -> tuple[Array, Array]:
        """Return each model's mean cost, float64[k], and its number of right answers, int[k], on some rows or all.

        What was asked before is kept.
        """
        key = b"" if rows is None else hashlib.sha256(rows.tobytes()).digest()
        if key not in self._totals:
            cost, quality = (self.cost, self.quality) if rows is None else (self.cost[rows], self.quality[rows])
            self._totals[key] = sealed(cost.mean(axis=0)), sealed(quality.sum(axis=0))
        return self._totals[key]

    @property
    def fingerprint(self) -> str:
        """Return the hash of the benchmark's content."""
        return self.manifest.fingerprint

    def __len__(self) -> int:
        return int(self.samples.num_rows)

    def __repr__(self) -> str:
        return f"<Benchmark {self.fingerprint[:12]}: {len(self):,} samples, {len(self.candidates)} models>"

    def take(self, rows: Array) -> Benchmark:
        """Return a benchmark of some rows, ascending, with a fingerprint of its own; folder and parts are those of the whole."""
        manifest, samples = self.manifest, self.samples.take(rows)
        matrices = {name: sealed(getattr(self, name)[rows]) for name in MATRICES}
        counts = dict(zip(*np.unique(self.datasets[rows], return_counts=True), strict=True))
        datasets = tuple(attrs.evolve(d, samples=int(counts[d.name])) for d in manifest.datasets if d.name in counts)
        groups = {d.group for d in datasets}
        tokens = (
            None if manifest.total_tokens is None else total_tokens(matrices["input_tokens"], matrices["output_tokens"])
        )
        manifest = attrs.evolve(
            manifest,
            fingerprint=_fingerprint([m.name for m in self.candidates], samples, matrices),
            datasets=datasets,
            task_groups={slug: title for slug, title in manifest.task_groups.items() if slug in groups},
            total_tokens=tokens,
        )
        return Benchmark(self.directory, manifest, samples, **matrices)

    def queries(self, rows: Array, features: Features | None = None) -> Queries:
        """Return what a router may see of some samples, with the features of exactly these rows."""
        column = self.samples.take(pa.array(rows)).column
        ids = _opaque(column("id").to_pylist())
        images = Images(self._image_store, [tuple(h) for h in column("images").to_pylist()], ids)
        options = [tuple((o["letter"], o["text"]) for o in os or ()) for os in column("options").to_pylist()]
        texts, hints = column("question").to_pylist(), column("hint").fill_null("").to_pylist()
        return Queries(ids, texts, options, hints, images, self.candidates, features)

    def labelled(self, rows: Array, features: Features | None = None) -> Labelled:
        """Return some samples with what is known of every candidate on them."""
        known = (sealed(matrix[rows]) for matrix in (self.quality, self.score, self.cost))
        return Labelled(self.queries(rows, features), *known)

    def subsets(self, by: Sequence[str] = ()) -> dict[str, Array]:
        """Return scope -> bool[n] for every task group and dataset, in the order of the manifest, and every value of some columns.

        :param by: names of columns of the samples, or of their ``fields``; scopes are called ``by/COLUMN/VALUE``
        :raises DataError: when no sample has such a column, or it has too many values
        """
        records = self.manifest.datasets
        member = {r.slug: self.datasets == r.name for r in records}
        groups = dict.fromkeys(r.group for r in records)
        scopes = {f"group/{g}": np.any([member[r.slug] for r in records if r.group == g], axis=0) for g in groups}
        scopes |= {f"dataset/{slug}": rows for slug, rows in member.items()}
        for name in by:
            texts = sample_column(self.samples, name, "[statistics] by")
            column = np.asarray([text or "" for text in texts], dtype=np.str_)
            values = [v for v in np.unique(column).tolist() if v]
            if len(values) > MOST_VALUES:
                what = f"the column {name!r} has {len(values):,} values, more than {MOST_VALUES}"
                raise DataError(what, where="[statistics] by", fix="name a column that sorts samples into few kinds")
            scopes |= {f"by/{name}/{value}": column == value for value in values}
        return scopes

    def info(self) -> BenchmarkInfo:
        """Return the benchmark in a few words."""
        return BenchmarkInfo(
            fingerprint=self.fingerprint,
            samples=len(self),
            models=tuple(c.name for c in self.candidates),
            datasets={d.name: d.samples for d in self.manifest.datasets},
            task_groups=self.manifest.task_groups,
            synthetic=self.manifest.synthetic,
            excluded={e.reason: e.count for e in self.manifest.excluded},
            total_tokens=self.manifest.total_tokens,
        )


def _opaque(ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(i.encode()).hexdigest()[:24] for i in ids)


def total_tokens(inputs: Array, outputs: Array) -> int | None:
    """Return all tokens, input counted once per sample; None if the logs do not give them."""
    if (inputs < 0).any() or (outputs < 0).any():
        return None
    return int(inputs.mean(axis=1).sum() if inputs.size else 0) + int(outputs.sum())


def sample_column(samples: pa.Table, name: str, where: str) -> tuple[str | None, ...]:
    """Return a column of texts of a benchmark's samples, or the column of that name in the logs; None where a sample has none.

    :param where: the key that names the column, for the error
    :raises DataError: when no sample has such a column
    """
    own = [field.name for field in samples.schema if pa.types.is_string(field.type)]
    if name in own:
        return tuple(samples.column(name).to_pylist())
    fields = [dict(f or ()) for f in samples.column("fields").to_pylist()] if "fields" in samples.column_names else []
    if not any(name in f for f in fields):
        known = {*own, *(column for f in fields for column in f)}
        raise DataError(f"no sample has a column {name!r}", where=where, fix=did_you_mean(name, known))
    return tuple(f.get(name) for f in fields)


def write(directory: Path, manifest: Manifest, samples: pa.Table, matrices: Mapping[str, Array]) -> None:
    """Write a benchmark into a folder; the manifest, with the fingerprint, comes last."""
    names = [m.name for m in manifest.models]
    pq.write_table(samples, directory / "samples.parquet", compression="zstd")
    for matrix in MATRICES:
        np.save(directory / f"{matrix}.npy", np.ascontiguousarray(matrices[matrix], TYPES[matrix]))
    fingerprint = _fingerprint(names, samples, matrices)
    write_record(directory / "manifest.json", attrs.evolve(manifest, fingerprint=fingerprint))


def load(directory: Path) -> Benchmark:
    """Load a benchmark; the error says which file is missing, broken or of another schema version."""
    manifest = read_manifest(directory)
    try:
        samples = read_parquet(directory / "samples.parquet")
        shape = samples.num_rows, len(manifest.models)
        matrices = {m: _mapped(directory / f"{m}.npy", shape, TYPES[m]) for m in MATRICES}
    except (OSError, ValueError, EOFError) as error:  # pyarrow.ArrowInvalid is a ValueError
        fix = "delete the folder and build again"
        raise DataError(f"cannot be read: {error}", where=str(directory), fix=fix) from None
    return Benchmark(directory, manifest, samples, **matrices)


def _mapped(path: Path, shape: tuple[int, int], dtype: str) -> Array:
    matrix = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    if matrix.shape != shape or matrix.dtype != np.dtype(dtype):
        raise ValueError(f"{path.name} holds {matrix.dtype} {list(matrix.shape)} instead of {dtype} {list(shape)}")
    return matrix


def _fingerprint(names: Sequence[str], samples: pa.Table, matrices: Mapping[str, Array]) -> str:
    """Hash what the benchmark says, whatever files it came from."""
    texts = ["\0".join(names)]
    texts += ["\0".join(samples.column(c).fill_null("").to_pylist()) for c in ("id", "dataset", "question", "hint")]
    texts += [repr(samples.column(c).to_pylist()) for c in ("options", "images")]
    parts: list[Any] = [*(t.encode() for t in texts), *(np.ascontiguousarray(matrices[m]).data for m in MATRICES)]
    return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()
