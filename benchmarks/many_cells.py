"""How the time and the memory of a run grow with the number of its cells, which do next to nothing.

Usage: python benchmarks/many_cells.py FOLDER [CELLS ...]      (default: 1,000 2,500 5,000 10,000)

For each number a run of as many cells (labels x 10 seeds x 5 folds of a constant router, 300 synthetic samples) runs twice, in
separate processes: once with nothing in the cache, and once without a run directory and with all cells in the cache, which
is what the main process does itself of a run whose cells others have run: it takes over each cell, computes its metrics, and
writes the results.  From the second time a cell follows how many workers one main process can feed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs

SIZES = (1_000, 2_500, 5_000, 10_000)
SEEDS, FOLDS = 10, 5
HEAD = """
name = "many-cells"
requires = []
seeds = {seeds}
[logs]
use = "demo"
samples = 300
[split]
use = "grouped"
train = 0.8
dev = 0.2
folds = 5
"""
ROUTER = '[[router]]\nuse = "random"\nlabel = "random-{i}"\n'
MEASURE = (
    "import resource, sys\nfrom vlrb.cli import run\nstatus = run(sys.argv[1:])\n"
    "own = resource.getrusage(resource.RUSAGE_SELF)\n"
    "print(f'cpu {own.ru_utime + own.ru_stime} peak {own.ru_maxrss}', file=sys.stderr)\nsys.exit(status)"
)


@attrs.frozen
class Measured:
    """CPU seconds of a run, and its peak memory in kB."""

    seconds: float
    peak: int


def measure(folder: Path) -> Measured:
    """Run the experiment in a separate process."""
    command = [sys.executable, "-c", MEASURE, "-p", "no:mlflow", "run", "many.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found = re.search(r"cpu ([0-9.]+) peak ([0-9]+)", done.stderr)
    assert found is not None, done.stderr
    return Measured(float(found[1]), int(found[2]))


def main() -> None:
    """Print a line for each number of cells."""
    folder = Path(sys.argv[1]).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sizes = [int(n.replace(",", "")) for n in sys.argv[2:]] or list(SIZES)
    print(f"{'cells':>8} {'all computed':>22} {'peak':>9}   {'all in the cache':>22} {'peak':>9}")
    for cells in sizes:
        labels = "".join(ROUTER.format(i=i) for i in range(cells // (SEEDS * FOLDS)))
        (folder / "many.toml").write_text(HEAD.format(seeds=list(range(SEEDS))) + labels, encoding="utf-8")
        shutil.rmtree(folder / "runs", ignore_errors=True)
        shutil.rmtree(folder / ".vlrb-cache" / "cells", ignore_errors=True)
        anew = measure(folder)
        shutil.rmtree(folder / "runs")
        again = measure(folder)
        columns = [
            f"{m.seconds:8.1f} s {1000 * m.seconds / cells:6.1f} ms each {m.peak / 1024:6.0f} MB" for m in (anew, again)
        ]
        print(f"{cells:>8,} {columns[0]:>32}   {columns[1]:>32}", flush=True)


if __name__ == "__main__":
    main()
