"""Fixtures of all tests: a project folder with experiment files, and the command line inside and outside this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import settings

from vlrb import cli, locked

# the time that one example takes says nothing on a busy machine
settings.register_profile("vlrb", deadline=None)
settings.load_profile("vlrb")

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "support" / "tiny.py"


@attrs.frozen
class Shown:
    """What a command did: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout as JSON."""
        return json.loads(self.out)


class Project:
    """A folder with experiment files, its runs and its cache."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.plugin = folder / "tiny.py"
        shutil.copy(TINY, self.plugin)

    def file(self, text: str, name: str = "experiment.toml") -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def experiment(
        self, routers: str = '[[router]]\nuse = "cheapest"\n', top: str = "", logs: str = "", more: str = ""
    ) -> Path:
        """Write an experiment on the tiny logs."""
        head = f'name = "t"\nplugins = ["tiny.py"]\nrequires = []\n{top}\n[logs]\nuse = "tiny"\n{logs}\n'
        return self.file(f"{head}\n{more}\n{routers}")

    def vlrb(self, *arguments: str | Path) -> Shown:
        """Run the command line in this process, without MLflow."""
        self._capsys.readouterr()
        status = cli.run(["-p", "no:mlflow", *map(str, arguments)])
        captured = self._capsys.readouterr()
        return Shown(int(status), captured.out, captured.err)

    def process(self, *arguments: str | Path, mlflow: bool = False, **more: Any) -> subprocess.Popen[str]:
        """Start the command line as a process of its own."""
        block = [] if mlflow else ["-p", "no:mlflow"]
        command = [sys.executable, "-m", "vlrb", *block, *map(str, arguments)]
        pipes: Mapping[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        # a shell that runs the tests in the background has them ignore interrupts, and whatever they start
        pipes = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **pipes}
        return subprocess.Popen(command, cwd=self.folder, **{"env": {**os.environ}, **pipes})

    def tracked(self) -> list[dict[str, str]]:
        """Return node and status of every MLflow run, read by a process of its own."""
        code = (
            "import json; from mlflow.tracking import MlflowClient as C\n"
            "c = C('sqlite:///mlflow.db'); e = c.get_experiment_by_name('vlrb').experiment_id\n"
            "print(json.dumps([{'node': r.data.tags['vlrb.node'], 'status': r.info.status} for r in c.search_runs([e])]))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=self.folder, capture_output=True, text=True, check=True)
        states: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return states

    def results(self) -> list[dict[str, Any]]:
        """Return the results of all finished runs, the oldest first."""
        files = sorted(self.folder.glob("runs/*/*/results.json"))
        return [json.loads(f.read_text(encoding="utf-8")) for f in files]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """Return a project in a new folder, which is the working directory."""
    for name in ("VLRB_RUNS", "VLRB_CACHE", "VLRB_DISABLE_PLUGINS"):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv("COLUMNS", raising=False)  # the width of whoever runs the tests
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """Return a function that finds material outside the project, or skips the test where it is absent."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / name
        if not path.exists():
            pytest.skip(f"{path} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with MLflow's tables and no runs, to be copied: making it takes long, and is done once for all."""
    base = tmp_path_factory.getbasetemp()
    file = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty-mlflow.db"
    code = (
        "import sys; from vlrb_plugins.mlflow.store import Place, load_mlflow, open_store\n"
        "from vlrb_plugins.mlflow.addresses import Address\n"
        "load_mlflow(5.0); open_store(Place(Address.of('sqlite:///' + sys.argv[1]), 'other', 5.0))"
    )
    with locked(file):
        if not file.exists():
            aside = file.with_suffix(".aside")
            subprocess.run([sys.executable, "-c", code, str(aside)], check=True, capture_output=True, timeout=300)
            aside.replace(file)
    return file
