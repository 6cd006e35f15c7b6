"""Disks, folders and limits of the system: named with the place and what to do, and never a plugin's fault."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import PluginError, StorageError
from vlrb.locks import locked, sweep_cache
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.storage import new_directory, new_file

PLUGIN = Plugin("p", "d", "1", "p.py", object())


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE]
)
def test_what_the_system_refuses_is_not_blamed_on_a_plugin(number: int) -> None:
    """A full disk inside plugin code is still a full disk."""
    with pytest.raises(StorageError) as caught, blame(PLUGIN, "fitting"):
        raise OSError(number, os.strerror(number), "/a/file")
    assert caught.value.problems[0].where == "/a/file"
    assert caught.value.problems[0].fix


def test_a_plugins_own_errors_of_files_are_blamed_on_it() -> None:
    """A file that a plugin does not find is the plugin's."""
    with pytest.raises(PluginError), blame(PLUGIN, "fitting"):
        raise FileNotFoundError(errno.ENOENT, "No such file", "/a/file")


def full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_files_and_folders_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    """An error of a write does not say which file it was; nothing is left of the attempt."""
    for writing in (new_file, new_directory):
        with pytest.raises(StorageError) as caught, writing(tmp_path / "x"):
            full()
        assert caught.value.problems[0].where == str(tmp_path / "x")
    with pytest.raises(StorageError), new_directory(tmp_path / ("x" * 300)):
        pass
    assert not list(tmp_path.iterdir())


def test_leftovers_go_unless_they_are_being_written(tmp_path: Path) -> None:
    """What a kill has left of any folder goes with the next run; a folder whose lock is held stays."""
    for name in (".a.123.partial", ".b.123.partial"):
        (tmp_path / "parts" / name).mkdir(parents=True)
    with locked(tmp_path / "parts" / "b"):
        sweep_cache(tmp_path)
    assert [p.name for p in tmp_path.glob("parts/.*.partial")] == [".b.123.partial"]


def test_a_limit_of_file_sizes_ends_a_run_with_its_name(project: Any) -> None:
    """A disk that takes no more, while parts, features and results are written: status 4, the path, and no plugin's fault."""
    file = project.experiment(logs="samples = 400\n")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}  # whose file is limited too
    process = project.process("run", file, preexec_fn=limit, env=unmeasured)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert str(project.folder) in err
    assert "ulimit -f" in err
    assert "Traceback" not in err
    assert "plugin" not in err
    assert not list(project.folder.glob("**/*.partial"))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("kind", ["router", "reporter"])
def test_output_to_a_full_device_is_named(project: Any, kind: str, unbuffered: str) -> None:
    """`vlrb list > FILE` on a full disk is an error, not a traceback, whether the output waits in a buffer or not."""
    with Path("/dev/full").open("w", encoding="utf-8") as device:
        done = subprocess.run(
            [sys.executable, "-m", "vlrb", "list", kind],
            stdout=device,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "No space left" in done.stderr
    assert done.returncode == 4, done.stderr


VANISHING = """
import shutil
from pathlib import Path

import numpy as np
from vlrb import hookimpl
from vlrb.api.components import NoParams, RouterSpec


class Router:
    def __init__(self, params):
        pass

    def fit(self, train, dev, context):
        shutil.rmtree("runs")
        return self

    def route(self, queries):
        return np.zeros(len(queries), int)


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="vanishing", summary="for tests", factory=Router, params=NoParams)]
"""


def test_a_runs_folder_that_vanishes_ends_the_run(project: Any) -> None:
    """It is not made again with half of what was in it."""
    (project.folder / "vanishing.py").write_text(VANISHING, encoding="utf-8")
    file = project.experiment('[[router]]\nuse = "vanishing"\n')
    shown = project.vlrb("-p", "vanishing.py", "run", file)
    assert shown.status == 4
    assert "vanished" in shown.err
    assert str(project.folder / "runs") in shown.err
    assert not list(project.folder.glob("runs/t/2*/results.json"))


def test_leftovers_in_a_runs_folder_go_when_it_goes_on(project: Any) -> None:
    """A kill while a file of the run was written leaves no second, half file for good."""
    file = project.experiment()
    assert project.vlrb("run", file).status == 0
    (folder,) = project.folder.glob("runs/t/2*")
    (folder / ".results.json.123.partial").touch()
    shutil.rmtree(folder / "reports")
    assert project.vlrb("run", file).status == 0
    assert not list(project.folder.glob("runs/**/*.partial"))
