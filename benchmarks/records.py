"""How time and memory grow with the number of samples of a benchmark from plain tables, in one run.

Usage: python benchmarks/records.py FOLDER [--folds] [SAMPLES ...]      (default: 10,000 100,000 1,000,000, with 50 models each)

For each size it writes the tables, and then builds the benchmark and evaluates a constant router on it with ``vlrb run``, in a
separate process whose peak memory is measured.  With ``--folds`` it then does the same, from the logs, with five folds and two
routers, one of which learns from features, and prints the time without that of fits, routing and encoding, against the first.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MODELS = 50
BATCH = 100_000
EXPERIMENT = """
name = "records"
requires = []
[logs]
use = "records"
path = "logs-{samples}"
[[router]]
use = "strongest"
"""
FOLDS = """
[split]
use = "grouped"
train = 0.8
dev = 0.2
folds = 5
[features.default]
encoders = ["question-structure"]
[[router]]
use = "ovr"
"""
MEASURE = (
    "import resource, sys\nfrom vlrb.cli import run\nstatus = run(sys.argv[1:])\n"
    "peak = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
    "print(f'peak {peak}', file=sys.stderr)\nsys.exit(status)"
)


def write_logs(folder: Path, samples: int) -> None:
    """Write samples of ten datasets, and what 50 models of different skill and price would have scored on them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    keys = [str(i) for i in range(samples)]
    datasets = [f"dataset-{i % 10}" for i in range(samples)]
    questions = [f"question {i} of {i % 977} about {i % 31}" for i in range(samples)]
    pq.write_table(pa.table({"dataset": datasets, "key": keys, "question": questions}), folder / "samples.parquet")
    columns = {"dataset": pa.string(), "key": pa.string(), "model": pa.string(), "score": pa.float64()}
    schema = pa.schema([*columns.items(), ("cost", pa.float64())])
    with pq.ParquetWriter(folder / "outcomes.parquet", schema) as writer:
        for j in range(MODELS):
            for start in range(0, samples, BATCH):
                rows = slice(start, min(start + BATCH, samples))
                n = len(keys[rows])
                right = (rng.random(n) < 0.3 + j / 100).astype(np.float64)
                costs = (1 + j) * 1e-5 * rng.lognormal(0, 0.5, n)
                values = [datasets[rows], keys[rows], [f"model-{j:02}"] * n, right, costs]
                writer.write_table(pa.table(values, schema=schema))


def measure(folder: Path, samples: int, more: str = "") -> tuple[float, float, dict[str, float]]:
    """Return seconds and peak memory (GiB) of a whole run, and the seconds of the build's stages.

    :param more: of the experiment file
    """
    for name in ("runs", ".vlrb-cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    file = folder / f"{samples}.toml"
    file.write_text(EXPERIMENT.format(samples=samples) + more, encoding="utf-8")
    command = [sys.executable, "-c", MEASURE, "-p", "no:mlflow", "run", str(file), "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    peak = int(done.stderr.rsplit("peak ", 1)[1]) / 1024**2
    manifest = next(folder.glob(".vlrb-cache/benchmarks/*/manifest.json"))
    return seconds, peak, json.loads(manifest.read_text(encoding="utf-8"))["stages"]["seconds"]


def work_of_routers(folder: Path, samples: int) -> float:
    """Return the seconds that the last run spent on fitting, routing and encoding."""
    (file,) = folder.glob("runs/*/*/results.json")
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    timings = [c["timing"] for c in cells]
    routing = sum(t["route_seconds"] for t in timings) * 2  # dev has as many samples as a fold's test
    encoding = max(t["encode_seconds"] / t["requests"] for t in timings) * samples
    return float(sum(c["fit_seconds"] for c in cells) + routing + encoding)


def folds(folder: Path, samples: int, single: float) -> None:
    """Print what five folds and two routers cost beyond the routers' own work, against a single run."""
    seconds, peak, _ = measure(folder, samples, FOLDS)
    own = work_of_routers(folder, samples)
    rest = f"{seconds - own:.1f} s, {(seconds - own) / single:.2f} x the single run"
    print(
        f"{'':>9} five folds, two routers: {seconds:7.1f} s, without the routers' own {own:.1f} s: {rest}, peak {peak:.2f} GiB"
    )


def main() -> None:
    """Print seconds, memory, and how each grows from one size to the next."""
    folder = Path(sys.argv[1]).absolute()
    arguments = [a for a in sys.argv[2:] if a != "--folds"]
    sizes = [int(s) for s in arguments] or [10_000, 100_000, 1_000_000]
    before = None
    for samples in sizes:
        logs = folder / f"logs-{samples}"
        if not logs.is_dir():
            write_logs(logs, samples)
        seconds, peak, stages = measure(folder, samples)
        parts = ", ".join(f"{name} {taken:.1f} s" for name, taken in stages.items())
        grown = f"   {seconds / before:.1f} x the size before" if before else ""
        print(
            f"{samples:>9,} samples x {MODELS} models: {seconds:7.1f} s ({parts}), peak {peak:.2f} GiB{grown}",
            flush=True,
        )
        before = seconds
        if "--folds" in sys.argv:
            folds(folder, samples, seconds)


if __name__ == "__main__":
    main()
