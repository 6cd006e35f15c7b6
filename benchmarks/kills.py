"""Ends runs at random moments, has them go on, and compares what comes of them with an undisturbed run.

Usage: python benchmarks/kills.py FOLDER [--signals KILL INT TERM HUP] [--times N] [--jobs 1 2] [--seed S] [--no-mlflow]
       [--new-database]

Each round starts a run in a folder of its own under FOLDER, sends it the signal at a moment drawn evenly from the time that the
undisturbed run took, and starts it again until it is finished.  What must hold:

- an interrupt (INT, TERM, HUP) ends with status 2 and without a traceback, or the run had finished; MLflow then shows nothing as
  running;
- no process is left, and no ``*.partial`` after the run has gone on;
- ``results.json`` is that of the undisturbed run, times and ``reused`` aside;
- MLflow holds each run of the tree once, all finished, with every value of every curve.

Garbage is collected very often while the runs go on, and its callbacks take their time: an exception that falls into them is
dropped by Python.  Prints a line for each round that failed, and a table; ends with 1 if any did.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs

PLUGIN = """
import gc
import time
import weakref

import numpy as np
from vlrb import hookimpl
from vlrb.api.components import RouterSpec, param
import attrs

gc.set_threshold(200, 5, 5)


class Cyclic:
    def __init__(self):
        self.me = self


def busy(_):
    for _ in range(200):
        pass


@attrs.frozen
class Params:
    steps: int = param(default=20)


class Router:
    def __init__(self, params):
        self.steps = params.steps

    def fit(self, train, dev, context):
        for step in range(self.steps):
            kept = [weakref.ref(Cyclic(), busy) for _ in range(50)]
            time.sleep(0.01)
            context.log(step, {"loss": context.seed + 1 / (step + 1)})
            context.progress(step + 1, self.steps)
        self.choice = int(context.rng.integers(len(context.candidates)))
        return self

    def route(self, queries):
        return np.full(len(queries), self.choice)


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="logging", summary="for a campaign", factory=Router, params=Params)]
"""
EXPERIMENT = """
name = "kills"
plugins = ["logging_router.py"]
requires = []
seeds = [1, 2]
[logs]
use = "demo"
samples = 300
[[router]]
use = "logging"
[[router]]
use = "knn"
"""
IGNORED = {"reused", "started", "finished", "fit_seconds", "timing", "directory", "environment", "created"}
TIMED = ("requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms", "seconds")


@attrs.frozen
class Campaign:
    """Where the runs are, and whether they are tracked."""

    folder: Path
    tracked: bool
    new_database: bool = False

    def prepare(self) -> None:
        """Make a database with MLflow's tables, to be copied: making one takes longer than a run."""
        code = (
            "import sys; from vlrb_plugins.mlflow.store import Place, load_mlflow, open_store\n"
            "from vlrb_plugins.mlflow.addresses import Address\n"
            "load_mlflow(5.0); open_store(Place(Address.of('sqlite:///' + sys.argv[1]), 'other', 5.0))"
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.tracked and not self.new_database and not (self.folder / "empty.db").exists():
            subprocess.run([sys.executable, "-c", code, str(self.folder / "empty.db")], check=True, capture_output=True)

    def start(self, name: str, jobs: int) -> subprocess.Popen[str]:
        """Start a run in a folder of its own, with the logs at hand."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "logging_router.py").write_text(PLUGIN, encoding="utf-8")
            (folder / "experiment.toml").write_text(EXPERIMENT, encoding="utf-8")
            if (self.folder / "empty.db").exists():
                shutil.copy(self.folder / "empty.db", folder / "mlflow.db")
            drawn = next(self.folder.glob("undisturbed-*/.vlrb-cache/demo"), None)
            if drawn is not None:  # the demo's logs, drawn once
                shutil.copytree(drawn, folder / ".vlrb-cache" / "demo")
        block = [] if self.tracked else ["-p", "no:mlflow"]
        command = [sys.executable, "-m", "vlrb", *block, "run", "experiment.toml", "--jobs", str(jobs)]
        errors = (folder / "stderr.txt").open("w", encoding="utf-8")
        with errors:
            return subprocess.Popen(
                command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, text=True, preexec_fn=default_signals
            )

    def outcome(self, name: str) -> dict[str, Any]:
        """Return what a finished run has left: its results, and what MLflow holds of it."""
        (file,) = (self.folder / name).glob("runs/kills/2*/results.json")
        text = file.read_text(encoding="utf-8").replace(str(self.folder / name), "")
        found = {"results": lasting(json.loads(text))}
        return found | ({"nodes": self.nodes(name), "curves": self.curves(name)} if self.tracked else {})

    def runs(self, name: str) -> tuple[Any, list[Any]]:
        """Return a client of a folder's MLflow database, and the runs in it."""
        from mlflow.tracking import MlflowClient

        file = self.folder / name / "mlflow.db"
        if not file.exists():
            return None, []
        client = MlflowClient(f"sqlite:///{file}")
        experiment = client.get_experiment_by_name("vlrb")
        return client, list(client.search_runs([experiment.experiment_id])) if experiment else []

    def nodes(self, name: str) -> dict[str, list[str]]:
        """Return node -> the states of its MLflow runs."""
        states: dict[str, list[str]] = {}
        for run in self.runs(name)[1]:
            states.setdefault(run.data.tags["vlrb.node"], []).append(run.info.status)
        return dict(sorted(states.items()))

    def curves(self, name: str) -> dict[str, list[tuple[int, float]]]:
        """Return node -> the values of its curve, by step."""
        client, runs = self.runs(name)
        return {
            r.data.tags["vlrb.node"]: sorted(
                (m.step, m.value) for m in client.get_metric_history(r.info.run_id, metric)
            )
            for r in runs
            for metric in r.data.metrics
            if metric.endswith("loss")
        }


def default_signals() -> None:
    """Let a run have the signals that whoever starts the campaign ignores."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def lasting(value: Any) -> Any:
    """Return results without what differs from run to run."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in IGNORED and not k.startswith(TIMED)}
    return [lasting(v) for v in value] if isinstance(value, list) else value


def left_over(folder: Path) -> list[int]:
    """Return the processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder and "Z" not in (entry / "stat").read_text().rsplit(")", 1)[1]:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def round_of(campaign: Campaign, name: str, number: signal.Signals, jobs: int, delay: float) -> list[str]:
    """End a run, have it go on, and return what is wrong with the result."""
    folder, wrong = campaign.folder / name, []
    process = campaign.start(name, jobs)
    time.sleep(delay)
    process.send_signal(number)
    status = process.wait(60)
    said = (folder / "stderr.txt").read_text(encoding="utf-8")
    finished = bool(list(folder.glob("runs/kills/2*/results.json")))
    if number != signal.SIGKILL:
        if status != 2 and not (finished and status == 0):
            wrong.append(f"status {status}")
        if "Traceback" in said or "Exception ignored" in said:
            wrong.append("a traceback")
        if campaign.tracked and any("RUNNING" in states for states in campaign.nodes(name).values()):
            wrong.append("MLflow shows something as running")
    limit = time.monotonic() + 10
    while left_over(folder) and time.monotonic() < limit:
        time.sleep(0.05)
    if left_over(folder):
        wrong.append(f"processes are left: {left_over(folder)}")
    again = campaign.start(name, jobs).wait(300)
    if again != 0:
        return [*wrong, f"status {again} when it went on"]
    if list(folder.glob("**/*.partial")):
        wrong.append("leftovers")
    return wrong


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--signals", nargs="+", default=["KILL", "INT", "TERM", "HUP"])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-mlflow", action="store_true")
    parser.add_argument("--new-database", action="store_true", help="have each run make MLflow's tables too")
    given = parser.parse_args()
    campaign = Campaign(given.folder.absolute(), not given.no_mlflow, given.new_database)
    campaign.prepare()
    draw, failed, rounds = random.Random(given.seed), Counter[str](), Counter[str]()
    for jobs in given.jobs:
        shutil.rmtree(campaign.folder / f"undisturbed-{jobs}", ignore_errors=True)
        began = time.monotonic()
        if campaign.start(f"undisturbed-{jobs}", jobs).wait() != 0:
            sys.exit((campaign.folder / f"undisturbed-{jobs}" / "stderr.txt").read_text(encoding="utf-8"))
        seconds = time.monotonic() - began
        wanted = campaign.outcome(f"undisturbed-{jobs}")
        for signal_name in given.signals:
            for number in range(given.times):
                name, delay = f"{signal_name}-{jobs}-{number}", draw.uniform(0.4, seconds)
                shutil.rmtree(campaign.folder / name, ignore_errors=True)
                wrong = round_of(campaign, name, signal.Signals[f"SIG{signal_name}"], jobs, delay)
                if not any("went on" in w for w in wrong):
                    found = campaign.outcome(name)
                    wrong += [f"other {what}" for what in wanted if found[what] != wanted[what]]
                rounds[f"{signal_name} --jobs {jobs}"] += 1
                if wrong:
                    failed[f"{signal_name} --jobs {jobs}"] += 1
                    print(f"{name}, after {delay:.2f} s: {', '.join(wrong)}", flush=True)
                else:
                    shutil.rmtree(campaign.folder / name)
    for what, number in rounds.items():
        print(f"{what}: {number - failed[what]} of {number} as they should be")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
