"""How long a benchmark of the paper's size takes to build, against the bare work in it, in one run.

Usage: python benchmarks/build.py FOLDER [SAMPLES [ROUNDS]]

FOLDER keeps the synthetic logs (drawn once, some minutes for 30,540 samples) and the cache.  The bare work is what any reader
must do, shared by as many processes: reading the workbooks with python-calamine, tokenising the questions and answers in them
with tiktoken, and decoding and hashing the images.  cl100k_base's vocabulary is needed (see TIKTOKEN_CACHE_DIR).
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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

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


def seconds_of(work: Callable[[ProcessPoolExecutor], object]) -> float:
    """Do a piece of bare work in processes that are up already; return its seconds."""
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        list(pool.map(tokenise, [[] for _ in range(2 * JOBS)]))
        began = time.perf_counter()
        work(pool)
        return time.perf_counter() - began


def vlrb(folder: Path, *arguments: str) -> tuple[float, dict[str, object]]:
    """Run the command line as a process; return its seconds and what it printed as JSON."""
    command = [sys.executable, "-m", "vlrb", "-p", "no:mlflow", *arguments, "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def build_anew(folder: Path) -> tuple[float, dict[str, object]]:
    """Build with nothing but the logs at hand."""
    for stage in ("parts", "benchmarks", "scores"):
        shutil.rmtree(folder / ".vlrb-cache" / stage, ignore_errors=True)
    return vlrb(folder, "build", "build.toml", "--no-review")


def after_a_change(folder: Path, book: Path) -> float:
    """Build after one workbook has changed; return the seconds."""
    os.utime(book)
    return vlrb(folder, "build", "build.toml", "--no-review")[0]


def compare(folder: Path, tree: Path, rounds: int) -> None:
    """Print the bare work and the build, which take turns, and their ratio; the medians count."""
    books = sorted(tree.glob("VLMEvalKit_*/*/*.xlsx"))
    images = sorted((tree / "TSV_images").glob("*.tsv"))
    texts = [texts_of(p) for p in tree.glob("VLMEvalKit_inference/*/*.xlsx")] + [questions_of(p) for p in images]
    print(f"{len(books)} workbooks, {JOBS} processes, {rounds} rounds")
    bare: dict[str, list[float]] = {}
    builds: list[float] = []
    for _ in range(rounds):
        for what, work in {
            "python-calamine over the workbooks": lambda pool: list(pool.map(read_book, books)),
            "tiktoken over the questions and answers": lambda pool: list(pool.map(tokenise, texts)),
            "base64 and SHA-256 of the images": lambda pool: list(pool.map(hash_images, images)),
        }.items():
            bare.setdefault(what, []).append(seconds_of(work))
        seconds, report = build_anew(folder)
        builds.append(seconds)
    together = [sum(each) for each in zip(*bare.values(), strict=True)]
    for what, taken in {**bare, "bare work together": together}.items():
        print(f"  {what:<44} {statistics.median(taken):7.2f} s")
    print(f"vlrb build, from logs to the benchmark        {statistics.median(builds):7.2f} s")
    ratios = [build / each for build, each in zip(builds, together, strict=True)]
    print(
        f"  times the bare work of its round: {', '.join(f'{r:.2f}' for r in ratios)}; median {statistics.median(ratios):.2f}"
    )
    for stage, taken in report["stages"]["seconds"].items():  # type: ignore[index]
        peak = report["stages"]["peak_megabytes"][stage]  # type: ignore[index]
        print(f"  {stage:<44} {taken:7.2f} s   peak {peak['process']:.0f} MB, worker {peak['largest_worker']:.0f} MB")


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
    print(f"vlrb build again, nothing changed             {statistics.median(unchanged):7.2f} s")
    book = next(tree.glob("VLMEvalKit_*/*/*.xlsx"))
    changed = [after_a_change(folder, book) for _ in range(rounds)]
    print(f"vlrb build again, one workbook changed        {statistics.median(changed):7.2f} s")
    seconds, _ = vlrb(folder, "build", "build.toml")
    print(f"vlrb build with the review of all verdicts    {seconds:7.2f} s")


if __name__ == "__main__":
    main()
