"""A benchmark of 18 samples whose every figure can be worked out on paper, with its split.

Which model is best, and which is cheapest, differs between train, dev and test, and between datasets: a number that is taken
from other rows than it should be is another number.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vlrb.api.records import Dataset
from vlrb.api.results import SplitInfo, SplitsInfo
from vlrb.api.routing import Candidate
from vlrb.api.splits import SPLITS
from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.manifest import Manifest, Policies
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.splits import Split, Splitting
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.plugins.registry import Registered

MODELS = ("large", "middle", "small")
DATASETS = (("Apples", "apples", "general"), ("Books", "books", "stem"), ("Cats", "cats", "general"))

# a sample's split, and which of large, middle and small are right on it
ROWS = {
    "Apples": "train 011, train 010, train 111, dev 100, test 100, test 110",
    "Books": "train 001, train 101, train 011, dev 101, test 101, test 001",
    "Cats": "train 010, train 110, train 010, dev 100, test 100, test 000",
}
COSTS = {"train": (4e-3, 2e-3, 1e-3), "dev": (4e-3, 1e-3, 2e-3), "test": (8e-3, 1e-3, 2e-3)}
"""USD of large, middle and small; the later a row, the more it costs, by 1e-5."""

SCORE_WHERE_WRONG = (0.5, 0.0, 0.125)
"""Large is often nearly right: by mean score it is best on train, though middle is right more often."""


def make(folder: Path, **changes: Any) -> Benchmark:
    """Write the benchmark into a cache and load it.

    :param changes: matrices in the place of its own
    """
    samples, parts = [], []
    for dataset, _, _ in DATASETS:
        for number, row in enumerate(ROWS[dataset].split(", ")):
            split, right = row.split()
            parts.append((split, [r == "1" for r in right]))
            samples.append(_sample(dataset, number, split))
    quality = np.array([right for _, right in parts])
    order = np.arange(len(parts))[:, None] + np.zeros((1, len(MODELS)), dtype=np.int64)
    matrices = {
        "quality": quality,
        "score": np.where(quality, 0.625, SCORE_WHERE_WRONG),
        "cost": np.array([COSTS[split] for split, _ in parts]) + 1e-5 * order,
        "input_tokens": 100 + 10 * order + np.arange(len(MODELS)),
        "output_tokens": 7 + order,
        **changes,
    }
    target = folder / "cache" / "benchmarks" / "handmade"
    target.mkdir(parents=True, exist_ok=True)
    benchmark.write(target, _manifest(), pa.Table.from_pylist(samples, schema=_SCHEMA), matrices)
    return benchmark.load(target)


def split_of(made: Benchmark, digest: str = "split of the handmade benchmark") -> Split:
    """Return the split that the rows say."""
    names = np.asarray(made.samples.column("split").to_pylist())
    info = SplitInfo("", {name: int((names == name).sum()) for name in SPLITS}, digest, {"dev": 0, "test": 0})
    return Split("", *(np.flatnonzero(names == name) for name in SPLITS), np.arange(len(made)), info)


def splitting_of(*splits: Split, pooled: bool = False) -> Splitting:
    """Return some splits as those of an experiment."""
    each = tuple(split.info for split in splits)
    made, n = "as the logs give it", len(splits[0].groups)
    info = SplitsInfo("splits/given", {}, made, pooled, each[0].digest, n, {}, each)
    whole = tuple(s for s in splits if s.info.train_fraction == 1)
    return Splitting(whole, tuple(s for s in splits if s not in whole), pooled, splits[0].groups, info)


@cache
def _splitters() -> tuple[Registered, ...]:
    return load(Selection()).all("splitter")


def splitter(use: str = "grouped", **params: Any) -> ConfiguredComponent:
    """Return a bundled splitter with its parameters."""
    found = next(r for r in _splitters() if r.name == use)
    return ConfiguredComponent("splitter", found, found.record.params(**params))


def _manifest() -> Manifest:
    return Manifest(
        vlrb="",
        synthetic="made by hand",
        models=tuple(map(Candidate, MODELS)),
        datasets=tuple(Dataset(name=n, slug=s, group=g, samples=6) for n, s, g in DATASETS),
        task_groups={g: g for _, _, g in DATASETS},
        expected_samples={},
        policies=Policies("stored", "error", "error", 1.0),
        excluded=(),
        total_tokens=0,
        token_counter="",
        token_parameters={},
        images=(),
        parts=(),
        pairs=(),
        ignored_files={},
    )


def _sample(dataset: str, number: int, split: str) -> dict[str, Any]:
    options = [{"letter": "A", "text": f"yes {number}"}, {"letter": "B", "text": "no"}]
    return {
        "id": f"{dataset}/{number}",
        "dataset": dataset,
        "question": f"question {number} of {dataset}",
        "hint": None if number % 2 else "look closely",
        "options": options if number % 3 else None,
        "images": [],
        "split": split,
    }


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "dataset", "question", "hint")),
        ("options", pa.list_(pa.struct([("letter", pa.string()), ("text", pa.string())]))),
        ("images", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
