"""How long a benchmark of the paper's size takes to build, against the bare work in it, in one run.

Usage: python benchmarks/build.py FOLDER [SAMPLES [ROUNDS]]

FOLDER keeps the synthetic logs (drawn once, some minutes for 30,540 samples) and the cache.  The bare work is what any reader
must do, shared by as many processes: reading the workbooks with python-calamine, tokenising the questions and answers in them
with tiktoken, and decoding and hashing the images.  cl100k_base's vocabulary is needed (see TIKTOKEN_CACHE_DIR).

The ratio of the seconds counts.  On a machine that does other work too, that of the CPU seconds tells more: those of the build are
of all its processes, their start included; those of the bare work are without the start of its processes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

EXPERIMENT = """
name = "build"
requires = []
[logs]
use = "demo"
samples = {samples}
[tokens]
counter = "cl100k"
"""
JOBS = os.cpu_count() or 1


def read_book(path: Path) -> int:
    """Read a workbook; return the number of its rows."""
    import python_calamine

    sheet = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
    return len(sheet.to_python(skip_empty_area=False))


def texts_of(path: Path) -> list[str]:
    """Return the answers in a workbook."""
    import python_calamine

    header, *rows = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    column = header.index("prediction")
    return [str(row[column]) for row in rows]


def questions_of(path: Path) -> list[str]:
    """Return the questions in a TSV file."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return [row["question"] for row in csv.DictReader(file, delimiter="\t")]


def tokenise(texts: list[str]) -> int:
    """Return the tokens of texts."""
    import tiktoken

    encode = tiktoken.get_encoding("cl100k_base").encode_ordinary
    return sum(len(encode(t)) for t in texts)


def hash_images(path: Path) -> int:
    """Decode and hash the images in a TSV file; return how many there are."""
    csv.field_size_limit(sys.maxsize)
    count = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if len(row["image"]) > 64:
                hashlib.sha256(base64.b64decode(row["image"])).hexdigest()
                count += 1
    return count


class Seconds(NamedTuple):
    """Seconds of the clock, and those of all CPUs."""

    wall: float
    cpu: float


def cpu_seconds(work: Callable[[Any], object], piece: object) -> float:
    """Do a piece of work in this process; return its CPU seconds."""
    began = time.process_time()
    work(piece)
    return time.process_time() - began


def seconds_of(work: Callable[[Any], object], pieces: Sequence[object]) -> Seconds:
    """Do bare work, piece by piece, in processes that are up already; return its seconds."""
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        list(pool.map(tokenise, [[] for _ in range(2 * JOBS)]))
        began = time.perf_counter()
        cpu = sum(pool.map(partial(cpu_seconds, work), pieces))
        return Seconds(time.perf_counter() - began, cpu)


def cpu_of_children() -> float:
    """Return the CPU seconds of the processes that have ended, and of those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vlrb(folder: Path, *arguments: str) -> tuple[Seconds, dict[str, Any]]:
    """Run the command line as a process; return its seconds and what it printed as JSON."""
    command = [sys.executable, "-m", "vlrb", "-p", "no:mlflow", *arguments, "--json"]
    began, cpu = time.perf_counter(), cpu_of_children()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return Seconds(time.perf_counter() - began, cpu_of_children() - cpu), json.loads(done.stdout)


def build_anew(folder: Path) -> tuple[Seconds, dict[str, Any]]:
    """Build with nothing but the logs at hand."""
    for stage in ("parts", "benchmarks", "scores"):
        shutil.rmtree(folder / ".vlrb-cache" / stage, ignore_errors=True)
    return vlrb(folder, "build", "build.toml", "--no-review")


def after_a_change(folder: Path, book: Path) -> Seconds:
    """Build after one workbook has changed; return the seconds."""
    os.utime(book)
    return vlrb(folder, "build", "build.toml", "--no-review")[0]


def shown(what: str, taken: Sequence[Seconds]) -> str:
    """Return a line with the medians of seconds."""
    wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
    return f"{what:<46}{wall:8.2f} s   CPU {cpu:7.2f} s"


def ratios(builds: Sequence[float], bare: Sequence[float]) -> str:
    """Return the ratios of builds and the bare work of their rounds, and their median."""
    found = [build / each for build, each in zip(builds, bare, strict=True)]
    return f"{', '.join(f'{r:.2f}' for r in found)}; median {statistics.median(found):.2f}"


def compare(folder: Path, tree: Path, rounds: int) -> None:
    """Print the bare work and the build, which take turns, and their ratio; the medians count."""
    books = sorted(tree.glob("VLMEvalKit_*/*/*.xlsx"))
    images = sorted((tree / "TSV_images").glob("*.tsv"))
    texts = [texts_of(p) for p in tree.glob("VLMEvalKit_inference/*/*.xlsx")] + [questions_of(p) for p in images]
    print(f"{len(books)} workbooks, {JOBS} processes, {rounds} rounds")
    work: dict[str, tuple[Callable[[Any], object], Sequence[object]]] = {
        "python-calamine over the workbooks": (read_book, books),
        "tiktoken over the questions and answers": (tokenise, texts),
        "base64 and SHA-256 of the images": (hash_images, images),
    }
    bare: dict[str, list[Seconds]] = {what: [] for what in work}
    builds: list[Seconds] = []
    for _ in range(rounds):
        for what, pieces in work.items():
            bare[what].append(seconds_of(*pieces))
        seconds, report = build_anew(folder)
        builds.append(seconds)
    together = [Seconds(*map(sum, zip(*each, strict=True))) for each in zip(*bare.values(), strict=True)]
    for what, taken in {**bare, "bare work together": together}.items():
        print(shown(f"  {what}", taken))
    print(shown("vlrb build, from logs to the benchmark", builds))
    print(f"  times the bare work of its round: {ratios([b.wall for b in builds], [t.wall for t in together])}")
    print(f"  in CPU seconds: {ratios([b.cpu for b in builds], [t.cpu for t in together])}")
    for stage, taken in report["stages"]["seconds"].items():
        peak = report["stages"]["peak_megabytes"][stage]
        print(f"  {stage:<44}{taken:8.2f} s   peak {peak['process']:.0f} MB, worker {peak['largest_worker']:.0f} MB")


def main() -> None:
    """Print the bare work, the build, a build with nothing changed, and one with a single workbook changed."""
    folder = Path(sys.argv[1]).absolute()
    samples = int(sys.argv[2]) if len(sys.argv) > 2 else 30_540
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "build.toml").write_text(EXPERIMENT.format(samples=samples), encoding="utf-8")
    vlrb(folder, "check", "build.toml")
    (tree,) = (p for p in (folder / ".vlrb-cache" / "demo").glob(f"{samples}-*") if p.suffix != ".lock")
    print(f"{samples:,} samples")
    compare(folder, tree, rounds)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  peak memory of the largest process {peak:.0f} MB")
    unchanged = [vlrb(folder, "build", "build.toml", "--no-review")[0] for _ in range(rounds)]
    print(shown("vlrb build again, nothing changed", unchanged))
    book = next(tree.glob("VLMEvalKit_*/*/*.xlsx"))
    changed = [after_a_change(folder, book) for _ in range(rounds)]
    print(shown("vlrb build again, one workbook changed", changed))
    print(shown("vlrb build with the review of all verdicts", [vlrb(folder, "build", "build.toml")[0]]))


if __name__ == "__main__":
    main()
