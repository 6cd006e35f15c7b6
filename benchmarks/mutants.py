"""How many faults in the code that makes numbers the tests find: small changes at random places, and the tests after each.

Usage: python benchmarks/mutants.py [MODULE ...] [--each N] [--seed S] [--jobs J] [--list] [--json FILE]

For each module of mutants.toml it takes N places at random (the same for the same seed), changes one of them at a time in a
copy of the tree, and runs the module's tests there, the fast ones first.  A change that no test notices survives; one that
cannot be noticed, since it changes nothing that the code promises, is listed in mutants.toml with the reason.  The last line
counts, and the exit status is 1, where others survive.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import queue
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
from mutations import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).with_suffix(".toml")
COPIED = ("vlrb", "plugins", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "tox.ini", "README.md")


@attrs.frozen
class Verdict:
    """The result for a mutant: killed, survived, or equivalent with a reason."""

    mutant: Mutant
    state: str
    reason: str
    seconds: float


# --- tests ----------------------------------------------------------------------------------------------------------------


SERVER = multiprocessing.get_context("forkserver")
PRELOADED = (
    "pytest",
    "hypothesis.extra.numpy",
    "pyarrow.parquet",
    "scipy.sparse",
    "cattrs",
    "click",
    "PIL.Image",
    "rich.table",
)
"""What a new process has imported already, none of it from this project."""


def _pytest(root: Path, shown: Path, files: Sequence[str]) -> None:
    """Run tests in a process that was forked for it; its exit status is that of pytest."""
    os.setsid()
    os.chdir(root)
    with shown.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.path[:0] = places = [str(root), str(root / "plugins")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(places), "MLFLOW_DISABLE_TELEMETRY": "true"}
    import pytest

    status = pytest.main(
        ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "--hypothesis-seed=0", *files]
    )
    sys.stdout.flush()
    os._exit(int(status))


class Tree:
    """A copy of the project in which one module at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.sources: dict[str, bytes] = {}
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)

    def tests(self, files: Sequence[str], limit: float) -> str:
        """Run tests until one fails; return why the change is noticed, or an empty text."""
        shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        shown = self.root / "shown.txt"
        process = SERVER.Process(target=_pytest, args=(self.root, shown, files))
        process.start()
        process.join(limit)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            return f"no end within {limit:.0f} s"
        if process.exitcode == 0:
            return ""
        lines = [x for x in shown.read_text(encoding="utf-8").splitlines() if x.startswith(("FAILED", "ERROR"))]
        return lines[0] if lines else f"pytest ended with {process.exitcode}"

    def change(self, path: str, mutant: Mutant | None) -> None:
        """Write a module with a change, or as it was; whatever was compiled of it before is removed."""
        file = self.root / path
        source = self.sources.setdefault(path, file.read_bytes())
        file.write_bytes(mutant.applied(source) if mutant is not None else source)
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
            compiled.unlink()


def judge(
    tree: Tree, mutant: Mutant, groups: Sequence[tuple[Sequence[str], float]], reasons: Mapping[Any, str]
) -> Verdict:
    """Say what becomes of a mutant.

    :param groups: files of tests, the fast ones first, and the seconds that they may take
    """
    began = time.perf_counter()
    listed = reasons.get((mutant.path, mutant.text, mutant.before, mutant.after))
    if listed is not None:
        return Verdict(mutant, "equivalent", listed, 0.0)
    tree.change(mutant.path, mutant)
    try:
        reason = next((r for files, limit in groups if (r := tree.tests(files, limit))), "")
    finally:
        tree.change(mutant.path, None)
    return Verdict(mutant, "killed" if reason else "survived", reason, time.perf_counter() - began)


def timed(tree: Tree, groups: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], float]]:
    """Return the groups with their limits, a multiple of what they take on the unchanged module."""
    limited = []
    for files in groups:
        began = time.perf_counter()
        reason = tree.tests(files, 1200)
        if reason:
            raise SystemExit(f"the tests must pass before anything is changed: {reason}")
        limited.append((files, 15 + 5 * (time.perf_counter() - began)))
    return limited


def campaign(
    modules: Sequence[Mapping[str, Any]], reasons: Mapping[Any, str], asked: argparse.Namespace
) -> list[Verdict]:
    """Judge the mutants of all modules, some side by side."""
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, ThreadPoolExecutor(asked.jobs) as pool:
        trees: queue.Queue[Tree] = queue.Queue()
        for number in range(asked.jobs):
            trees.put(Tree(Path(name) / str(number)))

        def work(mutant: Mutant, groups: Sequence[tuple[Sequence[str], float]]) -> Verdict:
            tree = trees.get()
            try:
                return judge(tree, mutant, groups, reasons)
            finally:
                trees.put(tree)

        for module in modules:
            tree = trees.get()
            groups = timed(tree, module["tests"])
            mutants = mutants_of(tree.root, module["path"], asked.each, asked.seed)
            trees.put(tree)
            for verdict in pool.map(lambda m, groups=groups: work(m, groups), mutants):
                verdicts.append(verdict)
                print(f"{verdict.state:10} {verdict.seconds:5.1f} s  {verdict.mutant}  [{verdict.reason}]", flush=True)
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the counts of every module, and the survivors."""
    states = ("killed", "survived", "equivalent")
    lines = [f"{'module':50} {'mutants':>8} {'killed':>8} {'survived':>9} {'equivalent':>11} {'seconds':>8}"]
    paths = [*dict.fromkeys(v.mutant.path for v in verdicts), ""]
    for path in paths:
        rows = [v for v in verdicts if path in ("", v.mutant.path)]
        counts = [sum(v.state == state for v in rows) for state in states]
        seconds = sum(v.seconds for v in rows)
        lines.append(f"{path or 'all':50} {len(rows):8} {counts[0]:8} {counts[1]:9} {counts[2]:11} {seconds:8.0f}")
    lines += [f"survived: {v.mutant}" for v in verdicts if v.state == "survived"]
    lines += [f"equivalent: {v.mutant}: {v.reason}" for v in verdicts if v.state == "equivalent"]
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; return 1 where a mutant survived that is not known to be equivalent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="parts of the modules' paths; default: all of mutants.toml")
    parser.add_argument("--each", type=int, default=15, help="mutants of every module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--json", type=Path, help="write the verdicts into a file")
    asked = parser.parse_args()
    SERVER.set_forkserver_preload(list(PRELOADED))
    data = tomllib.loads(DATA.read_text(encoding="utf-8"))
    modules = [m for m in data["module"] if not asked.modules or any(a in m["path"] for a in asked.modules)]
    if asked.list:
        print("\n".join(str(m) for module in modules for m in mutants_of(ROOT, module["path"], asked.each, asked.seed)))
        return 0
    reasons = {(e["path"], e["line"], e["before"], e["after"]): e["reason"] for e in data.get("equivalent", [])}
    verdicts = campaign(modules, reasons, asked)
    print(table(verdicts))
    if asked.json is not None:
        asked.json.write_text(json.dumps([attrs.asdict(v) for v in verdicts], indent=1), encoding="utf-8")
    return int(any(v.state == "survived" for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
