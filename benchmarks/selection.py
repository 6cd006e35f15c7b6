"""How steadily, and how well, the settings of ``[selection]`` choose lambda on real logs: on one half of the groups.

The other half of the groups stays unseen, to judge by it later what was designed on this one.  A group is in the half where the
SHA-256 of ``SEED`` and its first sample id ends in an even byte.

    python benchmarks/selection.py EXPERIMENT DIR [--folds 5] [--jobs 2]

EXPERIMENT names the logs; its routers are not used.  Run directories stay in DIR.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.benchmark.build import build
from vlrb.evaluation.splits import groups_of
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places

SEED = "vlrb design half 1"
LAMBDAS = "[0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, inf]"
ROUTERS = ("ovr", "kmeans", "lightgbm", "knn")
"""The first three estimate, so a sweep over lambda fits once; knn is fitted at each lambda, and has no estimates."""


def design_half(ids: tuple[str, ...], groups: np.ndarray) -> set[str]:
    """Return the ids of the samples whose group is in the half."""
    first: dict[int, str] = {}
    for group, sample in sorted(zip(groups.tolist(), ids, strict=True), key=lambda pair: pair[1]):
        first.setdefault(group, sample)
    chosen = {g for g, sample in first.items() if hashlib.sha256(f"{SEED}:{sample}".encode()).digest()[-1] % 2 == 0}
    return {sample for group, sample in zip(groups.tolist(), ids, strict=True) if group in chosen}


def write_half(experiment: Path, folder: Path) -> tuple[int, int]:
    """Write the half of a benchmark as records; return the numbers of its samples and groups."""
    places = Places.of(None, str(folder / "cache"))
    benchmark = build(make_plan(experiment.absolute()), places)
    whole = folder / "whole"
    command = [sys.executable, "-m", "vlrb", "--cache", str(folder / "cache"), "build", str(experiment.absolute())]
    if not whole.exists():
        subprocess.run([*command, "--no-review", "--export", "records", str(whole)], check=True, capture_output=True)
    groups = groups_of(benchmark)
    kept = design_half(benchmark.ids, groups)
    half = folder / "half"
    half.mkdir(exist_ok=True)
    for file in whole.iterdir():
        if file.suffix != ".parquet":
            (half / file.name).write_bytes(file.read_bytes())
            continue
        table = pq.read_table(file)
        names = [f"{d}/{k}" for d, k in zip(*(table.column(c).to_pylist() for c in ("dataset", "key")), strict=True)]
        pq.write_table(table.filter(pa.array([name in kept for name in names])), half / file.name)
    inside = np.array([sample in kept for sample in benchmark.ids])
    return int(inside.sum()), int(np.unique(groups[inside]).size)


def run(folder: Path, name: str, selection: str, folds: int, jobs: int) -> dict[str, object]:
    """Run the routers with one setting; return the result."""
    routers = "".join(f'[[router]]\nuse = "{use}"\nsweep = {{ lambda = {LAMBDAS} }}\n' for use in ROUTERS)
    file = folder / f"{name}.toml"
    head = f'name = "{name}"\nrequires = []\ninclude = ["half/models.toml"]\n[logs]\nuse = "records"\npath = "half"\n'
    file.write_text(f"{head}[split]\nfolds = {folds}\n[selection]\n{selection}\n{routers}", encoding="utf-8")
    places = ["--cache", str(folder / "cache"), "--runs", str(folder / "runs")]
    command = [
        sys.executable,
        "-m",
        "vlrb",
        "-p",
        "no:mlflow",
        *places,
        "run",
        str(file),
        "--jobs",
        str(jobs),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def row(result: dict[str, object], label: str) -> str:
    """Return rank score, its interval, the difference to the best single model, and how lambda spread over the folds."""
    router = next(r for r in result["routers"] if r["label"] == label)  # type: ignore[attr-defined]
    about = result["statistics"]["rows"][label]  # type: ignore[index]
    order = [p["name"] for p in router["sweep"]]
    steps = [order.index(point) for point in router["points"].values()]
    value = router["test"]["scores"]["overall"]["rank-score"]
    interval, best = about["intervals"]["overall"]["rank-score"], about["against"]["best-single"]["rank-score"]
    chosen = " ".join(point.removeprefix("lambda=") for point in router["points"].values())
    rule = f"{router['rule']:<18}"
    others = len(steps) - max(Counter(steps).values())
    spread = f"{others} of {len(steps)} differ, {statistics.pstdev(steps):.2f} steps"
    gain = f"{100 * best['value']:+.2f} (p {best['p']:.3f})" if isinstance(best["value"], float) else "-"
    shown = f"{100 * value:6.2f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
    return f"{shown}  {gain:<17} {rule} {spread:<22} {chosen}"


def main() -> None:
    """Run all settings and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    samples, groups = write_half(options.experiment, options.folder)
    print(
        f"design half: {samples:,} samples in {groups:,} groups; {options.folds} folds; rank score in points",
        flush=True,
    )
    rules = ("best", "predicted", "one-standard-error")
    for on, rule, again in itertools.product(("dev", "folds"), rules, ("", "refit")):
        selection = f'on = "{on}"\nrule = "{rule}"\nrefit = {"true" if again else "false"}'
        result = run(options.folder, f"{on}-{rule}-{again or 'once'}", selection, options.folds, options.jobs)
        for label in ROUTERS:
            print(f"{on:<6} {rule:<19} {again:<6} {label:<9} {row(result, label)}", flush=True)


if __name__ == "__main__":
    main()
