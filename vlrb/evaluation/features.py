"""Feature sets: samples are encoded in chunks, checked, kept in the cache by content, and fused into one file.

Features are kept under what the encoder looked at (texts, hashes of the images), in a folder for the encoder's identity:
its plugin's version and sources, its parameters, its weights.  So a sample is encoded once, whichever benchmarks hold it.
A feature set of a benchmark is a matrix in a file, made in blocks of samples and mapped: processes of a machine share its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import __version__
from vlrb.api.frozen import Array
from vlrb.api.routing import Column, EncodedFeatures, Features
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, Problem
from vlrb.evaluation.checked_features import check_values, plain_features
from vlrb.evaluation.encoding import Lacking, check_columns, content_keys, who_is
from vlrb.evaluation.feature_store import FeatureMatrix, FeatureStore, columns_text, gather
from vlrb.executor import Progress
from vlrb.experiment.plan import FeatureSet, Plan, digest_of
from vlrb.locks import locked
from vlrb.plugins.blame import blame
from vlrb.plugins.sources import core_digest
from vlrb.storage import Places, mark_used, new_directory, write_json

SCHEMA_VERSION = 2

BLOCK = 8192
"""Samples that are fused together."""


@attrs.frozen(eq=False)
class Encoded:
    """The features of all samples, and the seconds that encoding one sample took."""

    features: Features
    seconds_per_sample: float


def encode(
    plan: Plan, name: str, benchmark: Benchmark, places: Places, progress: Progress, jobs: int | None = None
) -> Encoded:
    """Return a feature set; only samples that an encoder has not seen are encoded.

    :param jobs: tasks at a time, by the experiment's executor; None: in this process
    :raises DataError: naming the samples that cannot be encoded; the others are kept
    :raises PluginError: when an encoder or the fusion raises, or returns what it must not
    """
    chosen = plan.feature_sets[name]
    stores = _stores(chosen, places)
    target = places.cache / "fused" / fused_folder(chosen, benchmark)
    # whoever asks for all cells looks at every value once; cells trust that
    if mark_used(target) and (found := FeatureMatrix(target).read(check=jobs is not None)) is not None:
        return Encoded(*found)
    keys = {m: content_keys(benchmark, m) for m in {e.spec.modality for e in chosen.used}}
    lacking = Lacking(chosen, stores, places, progress)
    for encoder in chosen.used:
        lacking.add(keys[encoder.spec.modality])
    if lacking.tasks:
        _describe(chosen, stores)
        lacking.encode(plan, benchmark, jobs)
    with locked(target):
        found = FeatureMatrix(target).read(check=True)  # another process may have been at work
        if found is None:
            with new_directory(target) as aside:
                _fuse(chosen, stores, keys, benchmark, aside)
            found = FeatureMatrix(target).read(check=False)
    if found is None:
        raise DataError("features disappeared from the cache", where=str(target), fix="run again")
    return Encoded(*found)


def _stores(chosen: FeatureSet, places: Places) -> list[FeatureStore]:
    """Return the chunks of each encoder.

    :raises DataError: when the weights of one are not there
    """
    problems: list[Problem] = []
    stores = []
    for encoder in chosen.used:
        try:
            identity = _identity(chosen.encoder_identity(encoder))
        except DataError as error:
            problems += error.problems
            continue
        key = digest_of(identity)
        store = FeatureStore(places.cache / "features" / key[:20], key)
        mark_used(store.folder)
        stores.append(store)
    if problems:
        raise DataError(problems)
    return stores


def _describe(chosen: FeatureSet, stores: list[FeatureStore]) -> None:
    """Write into each encoder's folder what it is of."""
    for encoder, store in zip(chosen.used, stores, strict=True):
        if not (store.folder / "encoder.json").is_file():
            write_json(store.folder / "encoder.json", _identity(chosen.encoder_identity(encoder)))


def _identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA_VERSION, "vlrb": [__version__, core_digest("features")], "encoder": encoder}


def feature_folders(chosen: FeatureSet) -> list[str]:
    """Return the names of the cache's folders that hold a set's encoded samples; none for encoders whose weights are unknown."""
    return [digest_of(_identity(e))[:20] for e in chosen.identity()["encoders"] if e["revision"] is not None]


def fused_folder(chosen: FeatureSet, benchmark: Benchmark) -> str:
    """Return the name of the cache's folder that holds a feature set of a benchmark."""
    return digest_of({"set": _identity(chosen.identity()), "benchmark": benchmark.fingerprint})[:20]


def _fuse(
    chosen: FeatureSet, stores: list[FeatureStore], keys: Mapping[str, Array], benchmark: Benchmark, folder: Path
) -> None:
    """Write the fused matrix into a folder, block by block."""
    try:
        parts = [
            gather(s, keys[e.spec.modality], folder / f"{i}.partial")
            for i, (s, e) in enumerate(zip(stores, chosen.used, strict=True))
        ]
        seconds = sum(p.seconds_per_sample for p in parts)
        columns, crc = tuple[Column, ...](), 0
        fuse = chosen.fusion.make("__call__")
        with FeatureMatrix(folder).writer(len(benchmark)) as write:
            for start in range(0, len(benchmark), BLOCK):
                rows = slice(start, min(start + BLOCK, len(benchmark)))
                blocks = [
                    EncodedFeatures(p.rows(rows), e.spec.modality) for p, e in zip(parts, chosen.used, strict=True)
                ]
                fused = _fused(chosen, fuse, blocks, benchmark.ids[rows], columns)
                columns = fused.columns
                crc = write(fused.matrix)
    except DataError as error:
        where = f"[features.{chosen.name}]"
        raise DataError([attrs.evolve(p, where=p.where or where) for p in error.problems]) from None
    for part in parts:
        part.file.unlink()
    FeatureMatrix(folder).describe(columns, seconds, crc)


def _fused(
    chosen: FeatureSet, fuse: Any, blocks: list[EncodedFeatures], ids: tuple[str, ...], before: tuple[Column, ...]
) -> Features:
    """Return the fused features of a block of samples, checked."""
    fusion, who = chosen.fusion, who_is(chosen.fusion)
    with blame(fusion.plugin, f"fusing features with {fusion.registered.id!r}"):
        fused = plain_features(fuse(blocks), len(ids), who)
    if before:
        check_columns(columns_text(fused), columns_text(Features(np.empty((0, 0)), before)), who)
    check_values(fused, ids, who)
    return fused
