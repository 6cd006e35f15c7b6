"""Feature sets: what encoders make of the samples, checked, kept by content, and fused.

What an encoder made of a sample is kept under what it looked at (texts, hashes of the images) in a folder of the cache that
belongs to the encoder's identity: its plugin's version and sources, its parameters, its weights.  So a sample is encoded once
whatever benchmarks it stands in, and a grown benchmark has only its new samples encoded.  The folder holds *chunks*, Arrow
files that appear whole: a killed process loses the chunk it was working on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from vlrb import __version__
from vlrb.api.frozen import Array, sealed
from vlrb.api.returned import FIX
from vlrb.api.routing import Column, EncodedFeatures, Features
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError, Problem
from vlrb.evaluation.encoding import Encoding, looked_at, plain_features
from vlrb.evaluation.feature_store import KEY, Chunk, FeatureStore
from vlrb.executor import Progress
from vlrb.experiment.plan import ConfiguredComponent, FeatureSet, digest_of
from vlrb.plugins.blame import blame
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, locked, mark_used, write_json

SCHEMA_VERSION = 2


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
    parts = [EncodedFeatures(m.features, e.spec.modality) for m, e in zip(made, chosen.used, strict=True)]
    fuse = chosen.fusion.make("__call__")
    try:
        with blame(chosen.fusion.plugin, f"fusing features with {chosen.fusion.registered.id!r}"):
            features, problem = plain_features(fuse(parts), len(benchmark))
    except DataError as error:
        raise DataError([attrs.evolve(p, where=f"[features.{chosen.name}]") for p in error.problems]) from None
    if features is None:
        what = f"fusion {chosen.fusion.registered.id!r} of {chosen.fusion.plugin.label} returned {problem}"
        raise PluginError(what, fix=FIX)
    fused = Features(sealed(features.matrix), features.columns)
    return Encoded(fused, sum(m.seconds_per_sample for m in made))


def _unknown_weights(chosen: FeatureSet, encoder: ConfiguredComponent) -> Sequence[Problem]:
    try:
        chosen.encoder_identity(encoder)
    except DataError as error:
        return error.problems
    return ()


def content_keys(benchmark: Benchmark, modality: str) -> Array:
    """Return for every sample a digest S32[n] of what an encoder of a modality looks at."""
    queries = looked_at(benchmark.queries(np.arange(len(benchmark))), modality)
    contents = zip(queries.texts, queries.options, queries.hints, queries.images.hashes, strict=True)
    keys = [hashlib.sha256(json.dumps([modality, *c]).encode()).hexdigest()[:32].encode() for c in contents]
    return np.array(keys, dtype=KEY)


def _identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "vlrb": [__version__, core_digest("features")], "encoder": encoder}


def feature_folders(chosen: FeatureSet) -> list[str]:
    """Return the names of the folders in the cache that hold a feature set; none for encoders whose weights cannot be told."""
    known = [e for e in chosen.identity()["encoders"] if e["revision"] is not None]
    return [digest_of(_identity(e))[:20] for e in known]


def _encoded(
    chosen: FeatureSet, encoder: ConfiguredComponent, benchmark: Benchmark, places: Places, progress: Progress
) -> Encoded:
    """Return what one encoder makes of all samples."""
    identity = _identity(chosen.encoder_identity(encoder))
    key = digest_of(identity)
    store = FeatureStore(places.cache / "features" / key[:20], key)
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
                Encoding(encoder, benchmark, store, progress, columns).run(keys, lacking, wanted.size)
                chunks = store.chunks()
    return _assembled(keys, chunks, store)


def _lacking(wanted: Array, chunks: Sequence[Chunk]) -> Array:
    return np.setdiff1d(wanted, np.concatenate([c.keys for c in chunks])) if chunks else wanted


def _assembled(keys: Array, chunks: Sequence[Chunk], store: FeatureStore) -> Encoded:
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
