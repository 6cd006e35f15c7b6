"""Interrupts at every place of a run: the work ends, observers know, nothing is left, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GATED = Path(__file__).parents[1] / "support" / "gated.py"
ROUTERS = '[[router]]\nuse = "gated"\nlabel = "r1"\nnumber = 1\n[[router]]\nuse = "gated"\nlabel = "r2"\nnumber = 2\n'


def wait_for(what: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Wait until something is true, and return it."""
    limit = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < limit
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    """Tell whether a process runs (and is not a zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def begin(project: Any, place: str, jobs: int = 1, routers: str = ROUTERS, **more: Any) -> tuple[Path, Any, list[int]]:
    """Start a run that waits at a place; return its file, the process, and the numbers of those that wait."""
    shutil.copy(GATED, project.folder / "gated.py")
    (project.folder / f"closed-{place}").touch()
    parts = '[features.default]\nencoders = ["gated-encoder"]\n[[report]]\nuse = "gated-report"\n'
    file = project.experiment(parts + routers)
    file.write_text(
        file.read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "gated.py"]'), encoding="utf-8"
    )
    process = project.process("run", file, "--jobs", str(jobs), **more)
    found = wait_for(lambda: list(project.folder.glob(f"waiting-{place}-*")) or process.poll())
    assert process.poll() is None, process.communicate()[1]
    return file, process, [int(p.name.rsplit("-", 1)[1]) for p in found]


def told(project: Any) -> list[str]:
    """Return what the observer was told, each with how many other processes of the run were there."""
    lines: list[str] = (project.folder / "told").read_text(encoding="utf-8").splitlines()
    return lines


def ended(process: Any) -> str:
    """Wait for an interrupted process; check its status, and return its messages."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return str(err)


@pytest.mark.parametrize(
    ("number", "place", "jobs"),
    [
        (signal.SIGINT, "fit-1", 2),
        (signal.SIGTERM, "fit-1", 1),
        (signal.SIGTERM, "fit-2", 2),
        (signal.SIGHUP, "fit-1", 2),
        (signal.SIGTERM, "encode", 1),
        (signal.SIGHUP, "report", 1),
        (signal.SIGTERM, "end", 1),
    ],
)
def test_a_signal_ends_the_run_and_the_next_one_goes_on(project: Any, number: int, place: str, jobs: int) -> None:
    """Ctrl-C, SIGTERM and SIGHUP alike: status 2, observers told once and after the processes have ended, nothing left."""
    file, process, waiting = begin(project, place, jobs)
    process.send_signal(number)
    assert "to resume" in ended(process)
    assert told(project) == ["start 0", "interrupted 0"]
    assert not [pid for pid in waiting if alive(pid)]
    assert not list(project.folder.glob("**/*.partial"))

    (project.folder / f"closed-{place}").unlink()
    assert project.vlrb("run", file).status == 0
    assert told(project)[2:] == ["start 0", "end 0"]


def test_a_signal_to_the_whole_group_fails_no_cell(project: Any) -> None:
    """systemd and Slurm signal all processes at once: the end of a cell's process is then no failure of its router."""
    _, process, waiting = begin(project, "fit-1", 2, start_new_session=True)
    os.killpg(process.pid, signal.SIGTERM)
    ended(process)
    assert not [pid for pid in waiting if alive(pid)]
    assert not list(project.folder.glob("runs/t/2*/cells/*/error.txt"))


def test_processes_end_when_their_parent_is_killed(project: Any) -> None:
    """kill -9 leaves nobody behind who computes what nobody waits for."""
    _, process, waiting = begin(project, "fit-1", 2)
    process.kill()
    process.communicate(timeout=30)  # which the others' ends of the pipes would hold up, too
    wait_for(lambda: not [pid for pid in waiting if alive(pid)], 30)


def test_interrupted_twice_ends_in_order(project: Any) -> None:
    """A second Ctrl-C, while observers are told, prints no traceback and keeps them from nothing."""
    (project.folder / "closed-interrupted").touch()
    _, process, _ = begin(project, "fit-1", 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: list(project.folder.glob("waiting-interrupted-*")))
    process.send_signal(signal.SIGTERM)
    (project.folder / "closed-interrupted").unlink()
    ended(process)
    assert told(project) == ["start 0", "interrupted 0"]


def test_a_hangup_that_is_ignored_stays_so(project: Any) -> None:
    """`nohup vlrb run` outlives its terminal."""
    _, process, _ = begin(project, "fit-1", 1, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    (project.folder / "closed-fit-1").unlink()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.mark.parametrize("does", ["drop", "swallow", "convert"])
def test_no_interrupt_is_lost(project: Any, does: str) -> None:
    """One that falls where Python drops exceptions, or that a plugin swallows or makes a failure of, ends the run all the same."""
    (project.folder / "armed").touch()
    file, process, _ = begin(project, "encode", 1, f'[[router]]\nuse = "gated"\ndoes = "{does}"\n')
    (project.folder / "closed-encode").unlink()
    ended(process)
    assert not list(project.folder.glob("runs/t/2*/cells/*/error.txt"))

    (project.folder / "armed").unlink()
    assert project.vlrb("run", file).status == 0


def test_an_interrupted_run_is_shown_as_killed_until_it_goes_on(project: Any) -> None:
    """After a signal nothing is left running in MLflow; after the run has gone on, all of it is finished, once."""
    file, process, _ = begin(project, "fit-2", mlflow=True)
    process.send_signal(signal.SIGTERM)
    ended(process)
    states = {s["node"]: s["status"] for s in project.tracked()}
    assert (states["run"], states["cell/r1-seed42"]) == ("KILLED", "FINISHED")
    assert "RUNNING" not in states.values()

    (project.folder / "closed-fit-2").unlink()
    again = project.process("run", file, mlflow=True)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert {s["status"] for s in project.tracked()} == {"FINISHED"}
    assert len(project.tracked()) == len({s["node"] for s in project.tracked()}) == 8


def test_a_killed_run_gives_the_results_of_an_undisturbed_one(tmp_path: Path) -> None:
    """A small form of the campaign: kill -9 at some moment, then the same figures and no leftovers."""
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    options = ["--times", "1", "--jobs", "2", "--signals", "KILL", "--no-mlflow"]
    done = subprocess.run([sys.executable, script, tmp_path, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_code_that_is_run_as_text_ends_with_status_2(project: Any, number: signal.Signals) -> None:
    """attrs, dataclasses and SQLAlchemy run code as text on import; Python would end by SIGINT although it was caught."""
    text = project.plugin.read_text(encoding="utf-8")
    code = f"exec('import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(60)')"
    project.plugin.write_text(text.replace("        time.sleep(self.params.wait)", f"        {code}"), encoding="utf-8")
    process = project.process("run", project.experiment('[[router]]\nuse = "counting"\n'))

    assert "run the same command again to resume" in ended(process)
