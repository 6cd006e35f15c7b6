"""CPU time of five folds against one split, for each of some routers, on synthetic logs.

    python benchmarks/folds.py DIR [--samples 6000]

The benchmark is built and encoded first.  For each router the CPU time of a run with five folds is divided by that of a run with
one split that trains on as many samples; what a run takes without fitting anything (all cells known) is shown beside them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

ROUTERS = ("knn", "ovr", "linear", "lightgbm")
SPLITS = {"one": "train = 0.7\ndev = 0.1\ntest = 0.2", "folds": "folds = 5\ntrain = 0.7\ndev = 0.1"}


def cpu(folder: Path, *arguments: str) -> float:
    """Return the CPU seconds of ``vlrb`` with some arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "vlrb", "-p", "no:mlflow", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write(folder: Path, router: str, split: str, samples: int) -> str:
    """Write an experiment file; return its name."""
    name = f"{router}-{split}"
    logs = f'[logs]\nuse = "demo"\nsamples = {samples}\n[tokens]\ncounter = "usage"\n'
    text = f'name = "{name}"\nrequires = []\n{logs}[split]\n{SPLITS[split]}\n[[router]]\nuse = "{router}"\n'
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return f"{name}.toml"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=6000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    cpu(options.folder, "run", write(options.folder, "knn", "one", options.samples))
    print(
        f"{'router':<10} {'one split':>10} {'5 folds':>10} {'ratio':>7} {'nothing to fit':>15} {'ratio of the rest':>18}"
    )
    for router in ROUTERS:
        files = {split: write(options.folder, router, split, options.samples) for split in SPLITS}
        spent = {split: cpu(options.folder, "run", file, "--fresh") for split, file in files.items()}
        idle = {split: cpu(options.folder, "run", file) for split, file in files.items()}
        ratio = spent["folds"] / spent["one"]
        rest = (spent["folds"] - idle["folds"]) / (spent["one"] - idle["one"])
        shown = f"{spent['one']:>8.2f} s {spent['folds']:>8.2f} s {ratio:>7.2f} {idle['one']:>6.2f}, {idle['folds']:>5.2f} s"
        print(f"{router:<10} {shown} {rest:>18.2f}", flush=True)


if __name__ == "__main__":
    main()
