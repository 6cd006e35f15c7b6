"""Feature sets: what encoders make of the samples, checked, kept in the cache, and fused."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import __version__
from vlrb.benchmark import Benchmark
from vlrb.cache import Places, locked, new_directory, read_json, write_json
from vlrb.errors import DataError, PluginError
from vlrb.plan import Chosen, FeatureSet, digest_of
from vlrb.plugins import blame
from vlrb.types import Array, Column, Features, read_only
from vlrb.workers import Progress

SCHEMA_VERSION = 1
CHUNK = 256


@attrs.frozen(eq=False)
class Encoded:
    """The features of all samples, and the seconds that encoding one sample took."""

    features: Features
    seconds_per_sample: float


def encode(chosen: FeatureSet, benchmark: Benchmark, places: Places, progress: Progress) -> Encoded:
    """Return a feature set, from the cache where an encoder has seen this benchmark before.

    :raises PluginError: when an encoder raises, or returns what it must not
    """
    made = [_encoded(e, benchmark, places, progress) for e in chosen.encoders]
    features = fuse([m.features for m in made], chosen.fusion)
    return Encoded(features, sum(m.seconds_per_sample for m in made))


def fuse(parts: list[Features], fusion: str) -> Features:
    """Put features side by side (VL-RouterBench, fusion).

    :param fusion: ``concat``, or ``normalize-concat``: the dense columns of each encoder are first scaled to unit length, row
        by row; numeric columns have units of their own and stay as they are
    """
    matrices = [_normalized(p) if fusion == "normalize-concat" else p.matrix for p in parts]
    columns = tuple(c for p in parts for c in p.columns)
    return Features(read_only((np.hstack(matrices),))[0], columns)


def _normalized(part: Features) -> Array:
    dense = np.array([c.kind == "dense" for c in part.columns], dtype=np.bool_)
    matrix = np.array(part.matrix)
    rows = matrix[:, dense]
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    matrix[:, dense] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return matrix


def _encoded(chosen: Chosen, benchmark: Benchmark, places: Places, progress: Progress) -> Encoded:
    identity = {"schema": SCHEMA_VERSION, "vlrb": __version__, "encoder": chosen.identity()}
    key = digest_of({**identity, "benchmark": benchmark.fingerprint})
    target = places.cache / "features" / key[:20]
    with locked(target):
        if not (target / "features.json").is_file():
            with new_directory(target) as aside:
                _encode_all(chosen, benchmark, aside, progress)
    about = read_json(target / "features.json")
    try:
        matrix = np.load(target / "matrix.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        fix = "delete the folder and run again"
        raise DataError(f"cannot be read: {error}", where=str(target / "matrix.npy"), fix=fix) from None
    columns = tuple(Column(**c) for c in about["columns"])
    return Encoded(Features(matrix, columns), about["seconds"] / len(benchmark))


def _encode_all(chosen: Chosen, benchmark: Benchmark, folder: Path, progress: Progress) -> None:
    encoder = chosen.make("encode")
    name = chosen.registered.id
    blocks: list[Features] = []
    seconds = 0.0
    for start in range(0, len(benchmark), CHUNK):
        queries = benchmark.queries(np.arange(start, min(start + CHUNK, len(benchmark))))
        began = time.perf_counter()
        try:
            with blame(chosen.plugin, f"encoding samples with {name!r}"):
                block = encoder.encode(queries)
        except DataError as error:
            raise benchmark.naming(error) from None
        seconds += time.perf_counter() - began
        names = benchmark.ids[start : start + CHUNK]
        blocks.append(_checked(block, names, blocks, chosen))
        progress(f"encoding with {chosen.spec.name}", start + len(queries), len(benchmark))
    np.save(folder / "matrix.npy", np.vstack([b.matrix for b in blocks]), allow_pickle=False)
    columns = [attrs.asdict(c) for c in blocks[0].columns]
    write_json(folder / "features.json", {"encoder": name, "seconds": seconds, "columns": columns})


def _checked(block: object, names: Sequence[str], before: list[Features], chosen: Chosen) -> Features:
    """Check what an encoder returned.

    :raises PluginError: for a wrong shape or type, changed columns, or values that are not finite
    """
    problem = ""
    if not isinstance(block, Features):
        problem = f"{type(block).__name__} instead of Features"
    elif _odd(block.matrix, block.columns):
        problem = _odd(block.matrix, block.columns)
    elif block.matrix.shape != (len(names), len(block.columns)):
        problem = f"a matrix of shape {block.matrix.shape} with {len(block.columns)} columns for {len(names)} queries"
    elif block.matrix.dtype != np.float32:
        problem = f"a matrix of {block.matrix.dtype} instead of float32"
    elif before and before[0].columns != block.columns:
        problem = "other columns than for the queries before"
    else:
        gaps = np.array([c.may_be_missing for c in block.columns], dtype=np.bool_)
        bad = np.isinf(block.matrix) | (np.isnan(block.matrix) & ~gaps)
        if bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            problem = f"{block.matrix[row, column]} in column {block.columns[column].name!r} of sample {names[row]!r}"
    if problem or not isinstance(block, Features):
        raise PluginError(f"encoder {chosen.registered.id!r} of {chosen.plugin.label} returned {problem}")
    return block


def _odd(matrix: Any, columns: Any) -> str:
    if not isinstance(matrix, np.ndarray):
        return f"a {type(matrix).__name__} instead of an array"
    return "" if all(isinstance(c, Column) for c in columns) else "columns that are no Column"
