"""Kills workers, schedulers and main processes of runs on Dask, and shards, at random moments; nothing may be lost or differ.

Usage: python benchmarks/kill_workers.py FOLDER [--workers 20] [--schedulers 5] [--parents 10] [--shards 10] [--seed S]

Each round is a run of cells that wait a little, in a folder of its own, on a real scheduler and two workers (or two shards), all
separate processes.  Something of it is killed with SIGKILL at a moment drawn evenly from the time that an undisturbed run
took, and replaced where a cluster would replace it; a run that has ended because of that is started again.  What must hold:

- the choices of all cells are those of an undisturbed run by the local executor, byte for byte;
- no cell that had finished is fitted again: at most one fit more for each kill and worker that it hit;
- a run whose worker dies ends with status 0 without being started again, and says which task is tried again, if there was one;
- a run that loses its scheduler ends with status 4 and goes on when it is started again.

Prints a line for each round that failed, and a table; ends with 1 if any did.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from dask_work import Cluster  # noqa: E402  (the tests' cluster)

CELLS = 12
WAIT = 0.25
HEAD = """
name = "kills"
plugins = ["tiny.py"]
requires = []
[logs]
use = "tiny"
"""
DASK = '[executor]\nuse = "dask"\nscheduler_file = "{file}"\ntimeout = 8\n'
ROUTER = (
    '[[router]]\nuse = "counting"\nlabel = "slow-{i}"\nfile = "{folder}/fits-{i}"\nwait = {wait}\nchoice = {choice}\n'
)


@attrs.define
class Round:
    """A folder with an experiment, and the processes that work on it."""

    folder: Path
    cluster: Cluster | None
    told: list[str] = attrs.Factory(list)

    @classmethod
    def of(cls, folder: Path, *, dask: bool) -> Round:
        """Write the experiment, and start a cluster if it is to run on Dask."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "tests" / "support" / "tiny.py", folder)
        cluster = Cluster(folder) if dask else None
        if cluster is not None:
            cluster.start_scheduler()
            for name in ("one", "two"):
                cluster.start_worker(name)
        head = HEAD + (DASK.format(file=cluster.file) if cluster is not None else "")
        routers = [ROUTER.format(i=i, folder=folder, wait=WAIT, choice=i % 3) for i in range(CELLS)]
        (folder / "e.toml").write_text(head + "".join(routers), encoding="utf-8")
        return cls(folder, cluster)

    def start(self, *more: str) -> subprocess.Popen[str]:
        """Start vlrb."""
        command = [sys.executable, "-m", "vlrb", "-p", "no:mlflow", "run", "e.toml", *more]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def finish(self, process: subprocess.Popen[str]) -> int:
        """Wait for the end of a process; keep what it told."""
        self.told.append("".join(process.communicate(timeout=180)))
        return process.returncode

    def choices(self) -> dict[str, bytes]:
        """Return the bytes of what each cell of the run chose."""
        runs = list(self.folder.glob("runs/kills/2*/results.json"))
        assert len(runs) == 1, f"{len(runs)} finished runs"
        return {str(f.relative_to(runs[0].parent)): f.read_bytes() for f in runs[0].parent.glob("cells/*/*.parquet")}

    def fits(self) -> int:
        """Return how many fits there were."""
        return sum(len(f.read_text(encoding="utf-8").split()) for f in self.folder.glob("fits-*"))


def kill(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kill a process at once."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def worker(round_: Round, moment: float, rng: random.Random) -> int:
    """Kill one of two workers, and start another; return how many fits may have been cut off."""
    assert round_.cluster is not None
    process = round_.start()
    time.sleep(moment)
    kill(rng.choice(round_.cluster.processes[1:3]))
    round_.cluster.start_worker("three")
    status = round_.finish(process)
    assert status == 0, f"status {status}"
    return 1


def scheduler(round_: Round, moment: float, _: random.Random) -> int:
    """Kill the scheduler, start another one with workers, and run again."""
    assert round_.cluster is not None
    process = round_.start()
    time.sleep(moment)
    kill(round_.cluster.processes[0])
    status = round_.finish(process)
    assert status in (0, 4), f"status {status} after the scheduler died"
    round_.cluster.close()
    round_.cluster.file.unlink(missing_ok=True)
    round_.cluster.start_scheduler()
    for name in ("four", "five"):
        round_.cluster.start_worker(name)
    if status:
        again = round_.finish(round_.start())
        assert again == 0, f"status {again} of the run that went on"
    return 2


def parent(round_: Round, moment: float, _: random.Random) -> int:
    """Kill vlrb itself, and run again."""
    process = round_.start()
    time.sleep(moment)
    kill(process)
    process.communicate()
    status = round_.finish(round_.start())
    assert status == 0, f"status {status} of the run that went on"
    return 2


def shard(round_: Round, moment: float, rng: random.Random) -> int:
    """Kill one of two shards; the other one does its pieces, and a run joins them."""
    shards = [round_.start("--shard", f"{i}/2") for i in (1, 2)]
    time.sleep(moment)
    doomed = rng.choice(shards)
    kill(doomed)
    doomed.communicate()
    (other,) = (s for s in shards if s is not doomed)
    status = round_.finish(other)
    assert status == 0, f"status {status} of the other shard"
    before = round_.fits()
    assert round_.finish(round_.start()) == 0, "the joining run failed"
    assert round_.fits() == before, "the joining run fitted"
    return 1


def campaign(what: str, times: int, folder: Path, expected: dict[str, bytes], rng: random.Random) -> Counter[str]:
    """Do the rounds of a kind; print what failed."""
    act = {"workers": worker, "schedulers": scheduler, "parents": parent, "shards": shard}[what]
    counts: Counter[str] = Counter()
    undisturbed = 0.0
    for number in range(-1, times):
        round_ = Round.of(folder / f"{what}-{number}", dask=what != "shards")
        try:
            if number < 0:  # how long it takes
                began = time.perf_counter()
                assert round_.finish(round_.start()) == 0, round_.told
                undisturbed = time.perf_counter() - began
                continue
            cut_off = act(round_, rng.uniform(0, undisturbed), rng)
            assert round_.choices() == expected, "other choices"
            counts["fits that were cut off"] += round_.fits() - CELLS
            assert round_.fits() <= CELLS + cut_off, f"{round_.fits()} fits of {CELLS} cells"
            counts["told that a task is tried again"] += any("again" in t for t in round_.told)
            counts["as they must be"] += 1
            shutil.rmtree(round_.folder, ignore_errors=True)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"{what} {number}: {error}\n    {' '.join(round_.told)[-600:]}", flush=True)
        finally:
            if round_.cluster is not None:
                round_.cluster.close()
    print(f"{what}: {times} kills in runs of {undisturbed:.1f} s: {dict(counts)}", flush=True)
    return counts


def main() -> int:
    """Do all campaigns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    kinds = {"workers": 20, "schedulers": 5, "parents": 10, "shards": 10}
    for kind, times in kinds.items():
        parser.add_argument(f"--{kind}", type=int, default=times)
    given = parser.parse_args()
    folder = given.folder.absolute()
    alone = Round.of(folder / "alone", dask=False)
    assert alone.finish(alone.start()) == 0, alone.told
    expected, failed = alone.choices(), 0
    for kind in kinds:
        times = getattr(given, kind)
        if times:
            found = campaign(kind, times, folder, expected, random.Random(f"{given.seed} {kind}"))
            failed += times - found["as they must be"]
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
