"""Whole runs on small made-up logs, each in its own folder."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

SMALL = "vlrb.testing.small"
"""The plugin of the small logs, as after ``-p``."""
HEAD = {"name": 'name = "test"', "requires": "requires = []"}
"""Defaults of an experiment: no tracking is needed."""


@attrs.frozen
class Ran:
    """What ``vlrb run`` did: its exit status, what it printed, and the content of ``results.json``, empty without one.

    ``folder`` is the run's directory; without results it is the folder of the experiment file.
    """

    status: int
    results: Mapping[str, Any] = attrs.field(repr=False)
    folder: Path
    out: str = attrs.field(repr=False)
    err: str


def completed(toml: str) -> str:
    """Return an experiment that needs no tracking, on the small logs unless it has its own."""
    keys = tomllib.loads(toml)
    head = "\n".join(line for key, line in HEAD.items() if key not in keys)
    logs = "" if "logs" in keys else '[logs]\nuse = "small"\n'
    return f"{head}\n{toml}\n{logs}"


def run_toml(toml: str, folder: Path, *, plugins: Sequence[str | Path] = ()) -> Ran:
    """Run an experiment in a folder: ``vlrb run`` in this process, with runs and cache in the folder, without MLflow.

    :param toml: the experiment; without ``[logs]`` it is on small made-up logs
    :param plugins: files or modules, as after ``-p``
    """
    from vlrb import cli

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "experiment.toml"
    file.write_text(completed(toml), encoding="utf-8")
    before = {p.parent for p in folder.glob("runs/*/*/results.json")}
    options = [text for plugin in ("no:mlflow", SMALL, *plugins) for text in ("-p", str(plugin))]
    out, err = io.StringIO(), io.StringIO()
    with isolated(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.run([*options, "run", str(file)])
    new = sorted({p.parent for p in folder.glob("runs/*/*/results.json")} - before)
    results = json.loads((new[-1] / "results.json").read_text(encoding="utf-8")) if new else {}
    return Ran(int(status), results, new[-1] if new else folder, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def isolated(folder: Path) -> Iterator[None]:
    """Let vlrb keep runs and cache in a folder inside a block, and leave no plugin out."""
    wanted = {"VLRB_RUNS": str(folder / "runs"), "VLRB_CACHE": str(folder / "cache"), "VLRB_DISABLE_PLUGINS": ""}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def build_small(folder: Path, samples: int = 60) -> Any:
    """Return the benchmark of the small logs, built into a folder's cache."""
    from vlrb.notebook import load_benchmark

    with isolated(folder):
        experiment = {"name": "small", "requires": [], "logs": {"use": "small", "samples": samples}}
        return load_benchmark(experiment, jobs=1, cache=folder / "cache", plugins=(SMALL, "no:mlflow"))
