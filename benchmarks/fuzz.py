"""Feeds broken inputs to the command line and looks for what must never happen: a traceback, exit status 3, slowness, memory.

Usage: python benchmarks/fuzz.py [--minutes N | --inputs N] [--seed S] [--kind K ...] [--keep FOLDER] [--jobs N]

Each input is a small valid project (``fuzz_projects.py``) with one of its files changed (``fuzz_changes.py``): bytes flipped,
cut off or spliced; odd values in cells; deep nesting; odd numbers, names and characters.  Processes that are used for many inputs
run the command line on it.  A failure is

- exit status 3, a traceback, or the end of the process; exit status 5 too, since all plugins here are bundled;
- an input that takes more than 20 seconds, or more than 2 GB of memory beyond what the modules take.

The project of each failure is kept in FOLDER/KIND-SEED, with what was printed; ``--kind KIND --seed SEED --inputs 1`` makes it
again.  Prints a table by kind, and ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_changes import change
from fuzz_projects import KINDS, write_project

SECONDS = 20
MEMORY = 2 * 1024**3
EACH = 200
"""Inputs after which a process is replaced, so that what they leave behind is not taken for the next one's."""

STATUSES = (0, 1, 4, 5)


@attrs.frozen
class Outcome:
    """What the command line made of an input; a status of None means that the process ended or had to be ended."""

    status: int | None
    seconds: float
    said: str

    @property
    def fault(self) -> str:
        """What is wrong with it, or an empty text."""
        if self.status is None:
            return self.said.splitlines()[0]
        if self.status not in STATUSES or self.status == 5:
            return f"exit {self.status}"
        if "Traceback (most recent call last)" in self.said:
            return "traceback"
        return f"{self.seconds:.0f} s" if self.seconds > SECONDS else ""


# --- in the child -------------------------------------------------------------------------------------------------------


def child() -> None:
    """Run the command line on each folder that is named on standard input, until it ends."""
    from vlrb import cli

    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _warm_up()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    print("ready", file=pipe, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        os.chdir(task["folder"])
        out = io.StringIO()
        began = time.monotonic()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                status: int | None = int(cli.run(task["command"]))
            except BaseException:  # what a user would see as a traceback
                status = None
                out.write("escaped\n" + traceback.format_exc())
        seconds = time.monotonic() - began
        said = out.getvalue()[-8000:] if status is not None else out.getvalue()[:8000]
        print(json.dumps([status, seconds, said]), file=pipe, flush=True)


def _warm_up() -> None:
    """Import what the inputs need, so that it counts as none of theirs."""
    from vlrb import cli

    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            command = write_project(Path(folder, kind), kind, rng)
            os.chdir(Path(folder, kind))
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = cli.run(command)
            if status != 0:
                sys.exit(f"the unchanged project of kind {kind} ends with {status}:\n{said.getvalue()}")
        os.chdir("/")


# --- in the parent ------------------------------------------------------------------------------------------------------


class Worker:
    """A process that runs the command line, started again after a fault and after ``EACH`` inputs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._left = 0

    def run(self, folder: Path, command: list[str]) -> Outcome:
        """Run a command in a folder."""
        if self._left == 0:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._left -= 1
        process.stdin.write(json.dumps({"folder": str(folder), "command": command}) + "\n")
        process.stdin.flush()
        line = self._answer(SECONDS + 5)
        if line:
            outcome = Outcome(*json.loads(line))
        else:
            ended = process.poll()
            what = f"ended with {ended}" if ended is not None else f"over {SECONDS} s"
            outcome = Outcome(None, SECONDS, what)
        if outcome.fault:
            self.close()
        return outcome

    def _start(self) -> None:
        self.close()
        command = [sys.executable, __file__, "--child"]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        if self._answer(120) != "ready\n":
            raise RuntimeError("the process that runs the inputs does not start: python benchmarks/fuzz.py --child")
        self._left = EACH

    def _answer(self, seconds: float) -> str:
        """Return a line of the process, or an empty text where none comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline() if ready else ""

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process, self._left = None, 0


def try_input(worker: Worker, kind: str, seed: int, keep: Path) -> Outcome:
    """Make an input and run the command line on it; a failure is kept."""
    rng = random.Random(f"{kind} {seed}")
    with tempfile.TemporaryDirectory(prefix="vlrb-fuzz-") as top:
        folder = Path(top, "project")
        command = write_project(folder, kind, rng)
        changed = change(folder, kind, rng)
        outcome = worker.run(folder, command)
        if outcome.fault:
            kept = keep / f"{kind}-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            for made in ("runs", ".vlrb-cache", ".vlrb"):
                shutil.rmtree(folder / made, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True, ignore=_unreadable)
            (kept / "fault.txt").write_text(
                f"{outcome.fault}\nvlrb {' '.join(command)}\nchanged: {changed}\n\n{outcome.said}",
                encoding="utf-8",
                errors="backslashreplace",
            )
    return outcome


def _unreadable(folder: str, names: list[str]) -> list[str]:
    return [n for n in names if not (Path(folder, n).is_file() or Path(folder, n).is_dir())]


def _campaign(options: argparse.Namespace, number: int, until: float) -> dict[str, Counter[str]]:
    """Try inputs until time is up; ``number`` is that of this worker, of ``options.jobs``."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in options.kind}
    worker = Worker()
    seed = options.seed + number
    while time.monotonic() < until and (not options.inputs or seed < options.seed + options.inputs):
        for kind in options.kind:
            outcome = try_input(worker, kind, seed, options.keep)
            counts[kind]["inputs"] += 1
            counts[kind][f"exit {outcome.status}"] += 1
            counts[kind]["failures"] += bool(outcome.fault)
            counts[kind]["slowest"] = max(counts[kind]["slowest"], round(outcome.seconds * 1000))
            if outcome.fault:
                print(f"{kind} {seed}: {outcome.fault} (kept in {options.keep}/{kind}-{seed})", flush=True)
        seed += options.jobs
    worker.close()
    return counts


def main() -> int:
    """Try inputs of all kinds in turn; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--inputs", type=int, default=0, help="of each kind, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    options.kind = options.kind or list(KINDS)
    options.keep = options.keep.absolute()
    until = time.monotonic() + 60 * options.minutes
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(pool.map(lambda number: _campaign(options, number, until), range(options.jobs)))
    return _report(options.kind, found)


def _report(kinds: list[str], found: list[dict[str, Counter[str]]]) -> int:
    columns = ("inputs", *(f"exit {s}" for s in STATUSES), "failures", "slowest")
    print("\n" + "kind".ljust(12) + "".join(c.rjust(10) for c in columns))
    failures = 0
    for kind in kinds:
        total: Counter[str] = sum((f[kind] for f in found), Counter())
        slowest = max(f[kind]["slowest"] for f in found)
        shown = [*(str(total[c]) for c in columns[:-1]), f"{slowest / 1000:.1f} s"]
        print(kind.ljust(12) + "".join(s.rjust(10) for s in shown))
        failures += total["failures"]
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
    else:
        sys.exit(main())
