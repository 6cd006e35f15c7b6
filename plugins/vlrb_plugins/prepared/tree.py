"""Which files of a prepared folder hold what, by their names alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from vlrb import SPLITS, DataError, Problem, shorten_list
from vlrb_plugins.prepared.params import PreparedParams

_MATRICES = Path("data", "matrices")
_REGISTRY = Path("data", "registry")
_IDS = ("sample_ids",)
_MODELS = ("model_names", "models")


@attrs.frozen
class Tree:
    """The files of a prepared folder; ``ids`` and ``models`` are None where the experiment gives their content."""

    quality: Path
    cost: Path
    meta: Path
    ids: Path | None
    models: Path | None
    samples: tuple[Path, ...]
    scores: tuple[Path, ...]
    splits: tuple[Path, ...]
    pickles: tuple[Path, ...]


def find_tree(params: PreparedParams) -> Tree:
    """Find the files.

    :raises DataError: naming all that are missing or ambiguous
    """
    root = params.path
    if not root.is_dir():
        raise DataError(
            "is not a folder", where=str(root), fix="check [logs] path: it is the folder that holds data/matrices"
        )
    problems: list[Problem] = []
    quality, cost = root / _MATRICES / "Y.npz", root / _MATRICES / "C.npy"
    meta = root / _REGISTRY / "meta.parquet"
    for file, what in ((quality, "the quality matrix"), (cost, "the cost matrix"), (meta, "the samples' datasets")):
        if not file.is_file():
            problems.append(Problem(f"there is no such file; it holds {what}", str(file), "check [logs] path"))
    samples = tuple(sorted(root.glob("BENCHMARKS/*/*_samples.jsonl")))
    if not samples:
        where = str(root / "BENCHMARKS")
        fix = "add the questions: the scripts write a file dataset_samples.jsonl per task"
        problems.append(Problem("holds no TASK/dataset_samples.jsonl", where, fix))
    if params.assets is not None and not params.assets.is_dir():
        problems.append(Problem("is not a folder", str(params.assets), "check [logs] assets"))
    ids, models = _ids_file(params, problems), _models_file(params, problems)
    splits = _split_files(root, problems)
    if problems:
        raise DataError(problems)
    scores = tuple(sorted(root.glob("ORACLE/score/*.parquet")))
    pickles = tuple(sorted(root.glob("data/*/*.pkl")))
    return Tree(quality, cost, meta, ids, models, samples, scores, splits, pickles)


def _lists(root: Path, names: Sequence[str]) -> list[Path]:
    files = (root / folder / f"{n}{s}" for folder in (_MATRICES, _REGISTRY) for n in names for s in (".json", ".txt"))
    return [f for f in files if f.is_file()]


def _ids_file(params: PreparedParams, problems: list[Problem]) -> Path | None:
    """Return the file with the order of the rows, noting a problem where it is not known."""
    files = _lists(params.path, _IDS)
    if params.order == "meta":
        if files:
            message = f'order = "meta", but {files[0]} says the order of the rows'
            problems.append(Problem(message, "[logs] order", "leave order out"))
        return None
    fix = 'write the ids into it in the order of the rows; if meta.parquet has that order, set order = "meta" in [logs]'
    return _one(params.path, "sample_ids", files, fix, "the order of the rows of Y and C is not known", problems)


def _models_file(params: PreparedParams, problems: list[Problem]) -> Path | None:
    """Return the file with the names of the columns, noting a problem where they are not known."""
    files = _lists(params.path, _MODELS)
    if params.models:
        if files:
            message = f"[logs] models names the models, and so does {files[0]}"
            problems.append(Problem(message, "[logs] models", "leave models out, or move the file away"))
        return None
    fix = "write the names into it in the order of the columns, or name them by models in [logs]"
    return _one(params.path, "model_names", files, fix, "the models of the columns of Y and C are not known", problems)


def _one(root: Path, name: str, files: Sequence[Path], fix: str, unknown: str, problems: list[Problem]) -> Path | None:
    """Return the one file that holds a list, noting a problem where there is none or there are several."""
    target = root / _MATRICES / f"{name}.json"
    if len(files) > 1:
        problems.append(Problem(f"several files say the same: {shorten_list(files)}", str(root), "keep one of them"))
    elif not files:
        pickle = target.with_suffix(".pkl")
        if pickle.is_file():
            problems.append(_pickled(pickle, target, unknown))
        else:
            problems.append(Problem(f"there is no such file, and no .txt: {unknown}", str(target), fix))
    return files[0] if files else None


def _pickled(pickle: Path, target: Path, unknown: str) -> Problem:
    program = "import json, pickle; " + (
        f"json.dump(list(pickle.load(open({str(pickle)!r}, 'rb'))), open({str(target)!r}, 'w'))"
    )
    return Problem(
        f"is a pickle, which can run any program when it is read, so vlrb reads none; {unknown} without it",
        str(pickle),
        f'if you trust the file, convert it yourself: python -c "{program}"',
    )


def _split_files(root: Path, problems: list[Problem]) -> tuple[Path, ...]:
    files = tuple(root / "SPLITS" / f"{name}.jsonl" for name in SPLITS)
    missing = [f for f in files if not f.is_file()]
    if len(missing) == len(SPLITS):
        return ()
    problems += [
        Problem("there is no such file, but there are other splits", str(f), "add it, or move the folder SPLITS away")
        for f in missing
    ]
    return files
