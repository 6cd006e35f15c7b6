"""First tries: on some samples, with some routers, and what a router that fails shows of itself."""

from __future__ import annotations

import contextlib
import csv
import os
import pty
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vlrb.running.finished import FinishedRun

THREE = '[[router]]\nuse = "knn"\n[[router]]\nuse = "cheapest"\n[[router]]\nuse = "random"\n'
FAULTY = '[[router]]\nuse = "faulty"\nfault = "raise"\n[[router]]\nuse = "cheapest"\n'


def newest(project: Any) -> Path:
    """Return the folder of the newest finished run."""
    return max(project.folder.glob("runs/t/*/results.json"), key=lambda f: f.stat().st_mtime_ns).parent


def test_a_limited_run_is_a_run_of_its_own(project: Any) -> None:
    """Its tables say so, its samples and fingerprint are others, in one process or several; the whole run is not its result."""
    file = project.experiment(THREE)
    tried = project.vlrb("run", file, "--limit", "40")
    first = newest(project)
    again = project.vlrb("run", file, "--limit", "40", "--jobs", "2", "--fresh")
    fresh = newest(project)
    whole = project.vlrb("run", file)
    results = project.results()

    assert (tried.status, again.status, whole.status) == (0, 0, 0), tried.err + again.err + whole.err
    samples = results[0]["run"]["benchmark"]["samples"]
    assert 30 <= samples <= 50
    assert f"t: test (limited to {samples} samples: a first try)" in " ".join(tried.out.split())
    assert "limited" not in whole.out
    assert first != fresh
    for name in ("knn-seed42", "random-seed42"):
        tables = [pq.read_table(run / "cells" / name / "test.parquet") for run in (first, fresh)]
        assert tables[0].equals(tables[1])
    with (first / "reports" / "leaderboard.csv").open(encoding="utf-8") as table:
        assert {row["limited"] for row in csv.DictReader(table)} == {f"limited to {samples} samples: a first try"}
    assert results[0]["run"]["experiment"]["limited"] == {"samples": 40}
    assert results[0]["run"]["benchmark"]["fingerprint"] != results[-1]["run"]["benchmark"]["fingerprint"]
    assert results[-1]["run"]["benchmark"]["samples"] == 120
    shown = FinishedRun.read(first, project.folder / ".vlrb-cache").benchmark
    assert shown is not None
    assert len(shown) == samples


def test_a_limit_beyond_all_samples_limits_nothing(project: Any) -> None:
    """It is the whole run, whose result is there; a limit ignores the digest that the file expects of the whole split."""
    file = project.experiment('[[router]]\nuse = "cheapest"\n')
    project.vlrb("run", file)
    digest = project.results()[0]["run"]["split"]["digest"]
    assert "finished before" in project.vlrb("run", file, "--limit", "120").out
    expecting = project.experiment('[[router]]\nuse = "cheapest"\n', more=f'[split]\nexpect = "{digest}"\n')
    assert project.vlrb("run", expecting, "--limit", "60").status == 0
    assert project.vlrb("run", expecting).status == 0
    other = project.experiment('[[router]]\nuse = "cheapest"\n', more='[split]\nexpect = "00000000"\n')
    assert project.vlrb("run", other, "--limit", "120").status == 4, "all samples: what the file expects holds"


def test_features_of_a_first_try_serve_the_whole_run(project: Any) -> None:
    """The whole run encodes the other samples only; the two datasets ask the same questions."""
    file = project.experiment('[[router]]\nuse = "knn"\n')
    project.vlrb("run", file, "--limit", "40")
    samples = project.results()[0]["run"]["benchmark"]["samples"]
    whole = project.vlrb("run", file)

    assert whole.status == 0, whole.err
    assert f"encoding with hashed-text: {samples // 2}/60" in whole.err


def test_only_some_routers_are_run(project: Any) -> None:
    """Tables name those left out; their cells and the whole run's are the same; the whole run is another."""
    file = project.experiment(THREE, more='[statistics]\nbaseline = "random"\n')
    some = project.vlrb("run", file, "--only", "knn", "--only", "cheapest")
    whole = project.vlrb("run", file)
    results = project.results()

    assert (some.status, whole.status) == (0, 0), some.err + whole.err
    assert "t: test (without random)" in some.out
    assert "the baseline 'random' has no result: it was left out" in " ".join(some.out.split())
    assert [r["label"] for r in results[0]["routers"]] == ["knn", "cheapest"]
    assert results[0]["run"]["experiment"]["limited"] == {"routers_left_out": ["random"]}
    assert len({r["run"]["key"] for r in results}) == 2
    reused = {c["cell"]["label"]: c["reused"] for c in results[-1]["cells"]}
    assert reused == {"knn": True, "cheapest": True, "random": False}
    assert "finished before" in project.vlrb("run", file).out


def test_all_routers_by_name_are_the_whole_run(project: Any) -> None:
    """Nothing is left out, so nothing is limited; an unknown label is refused with a did-you-mean."""
    file = project.experiment('[[router]]\nuse = "cheapest"\n')
    project.vlrb("run", file)
    assert "finished before" in project.vlrb("run", file, "--only", "cheapest").out
    wrong = project.vlrb("run", file, "--only", "cheepest")
    assert wrong.status == 4
    assert "--only: there is no router 'cheepest'" in wrong.err
    assert "did you mean 'cheapest'" in wrong.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_debug_prints_the_traceback_at_once(project: Any, jobs: str) -> None:
    """Of this process or another; the run goes on, and its exit status stays."""
    shown = project.vlrb("run", project.experiment(FAULTY), "--debug", "--jobs", jobs)

    assert shown.status == 1
    assert "faulty-seed42 failed:\n" in shown.err
    assert "Traceback (most recent call last)" in shown.err
    assert shown.err.index("Traceback") < shown.err.rindex("error: faulty-seed42 failed")
    assert "Traceback" not in shown.out


def test_the_debugger_needs_one_process_and_a_terminal(project: Any) -> None:
    """It is refused before anything is done."""
    file = project.experiment(FAULTY)
    several, unseen = project.vlrb("run", file, "--pdb", "--jobs", "2"), project.vlrb("run", file, "--pdb")

    assert (several.status, unseen.status) == (4, 4)
    assert "one process only" in several.err
    assert "--pdb needs a terminal" in unseen.err
    assert not (project.folder / "runs").exists()


def drained(terminal: int, seen: bytearray) -> None:
    """Take what is written to a terminal until it is closed: a full one would stop who writes."""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            seen += data


def test_the_debugger_starts_where_the_router_failed(project: Any) -> None:
    """Its frame is the router's; when it is left, the other routers are run, and stdout holds only the result."""
    ours, theirs = pty.openpty()
    process = project.process("run", project.experiment(FAULTY), "--pdb", "--json", stdin=theirs, stderr=theirs)
    os.close(theirs)
    seen = bytearray()
    reader = threading.Thread(target=drained, args=(ours, seen), daemon=True)
    reader.start()
    limit = time.monotonic() + 120
    while b"(Pdb) " not in seen and time.monotonic() < limit:
        time.sleep(0.05)
    os.write(ours, b"p 'I am', __name__\nq\n")
    out, _ = process.communicate(timeout=120)
    reader.join(10)

    assert process.returncode == 1
    answer = bytes(seen).split(b"(Pdb) ", 1)[-1]
    assert b"I am'" in answer
    assert b"tiny" in answer
    assert '"status": "done"' in out
    assert "(Pdb)" not in out
    os.close(ours)


def test_a_quiet_run_prints_results_and_nothing_else(project: Any) -> None:
    """With -q stderr is empty where nothing failed; errors are printed all the same; -v and -q exclude each other."""
    file = project.experiment('[[router]]\nuse = "knn"\n')
    process = project.process("-q", "run", file)
    out, err = process.communicate()

    assert (process.returncode, err) == (0, "")
    assert "t: test" in out
    assert "error: faulty-seed42 failed" in project.vlrb("-q", "run", project.experiment(FAULTY)).err
    assert project.vlrb("-q", "-v", "check", file).status == 4
