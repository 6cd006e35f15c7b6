"""What plugins share with each other is as before after one of them has changed it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import sklearn

from vlrb.plugins.surroundings import restore_surroundings


def state() -> list[Any]:
    """Return what is looked at."""
    return [
        Path.cwd(), list(warnings.filters), sys.getrecursionlimit(), signal.getsignal(signal.SIGTERM), np.geterr(),
        sys.stdout, sys.stderr, dict(os.environ), np.get_printoptions(), sklearn.get_config(),
    ]  # fmt: skip


def leave(folder: Path) -> None:
    """Go into a folder and remove it."""
    folder.mkdir()
    os.chdir(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("working directory", lambda folder: os.chdir(folder)),
        ("working directory", lambda folder: leave(folder / "gone")),
        ("filters of warnings", lambda _: warnings.filterwarnings("error", message="one of its own")),
        ("filters of warnings", lambda _: warnings.resetwarnings()),
        ("limit of recursion", lambda _: sys.setrecursionlimit(5000)),
        ("handler of SIGTERM", lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN)),
        ("treatment of errors", lambda _: np.seterr(all="raise")),
        ("sys.stdout", lambda _: setattr(sys, "stdout", None)),
        ("environment", lambda _: os.environ.update(CHOICE="1")),
        ("environment", lambda _: os.environ.update(PATH="/bin")),
        ("environment", lambda _: os.environ.pop("PATH")),
        ("print options", lambda _: np.set_printoptions(precision=2)),
        ("scikit-learn", lambda _: sklearn.set_config(transform_output="pandas")),
    ],
)
def test_a_change_is_put_back_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, change: Any
) -> None:
    """Also when the plugin fails; the warning names who it was and what."""
    before = state()
    with pytest.raises(ValueError, match="x"), restore_surroundings("the router"):
        change(tmp_path)
        raise ValueError("x")

    assert state() == before
    assert "the router" in caplog.text
    assert name in caplog.text


def test_nothing_is_said_where_nothing_changed(caplog: pytest.LogCaptureFixture) -> None:
    """Filters that a library adds for itself when it is imported stay."""
    with warnings.catch_warnings(), restore_surroundings("the router"):
        warnings.filterwarnings("ignore", module="some_library")
        assert warnings.filters[0][0] == "ignore"
        os.environ["KMP_OF_A_LIBRARY"] = "1"
    del os.environ["KMP_OF_A_LIBRARY"]

    assert not caplog.records


def test_random_states_are_put_back_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    """A router that draws from them, or seeds them, changes nothing for the next one; libraries draw too, so nobody is named."""
    draws, shared = [], cast("Any", np.random)
    for _ in range(2):
        with restore_surroundings("the router"):
            draws.append([random.random(), shared.random(), shared.normal()])
            random.seed(1)
            shared.seed(1)
            shared.set_bit_generator(np.random.PCG64(1))

    assert draws[0] == draws[1]
    assert not caplog.records


def test_a_library_that_a_router_loads_is_as_it_was_loaded() -> None:
    """Settings and random numbers of scikit-learn and torch do not depend on who has loaded them."""
    pytest.importorskip("torch")
    code = (
        "import logging\nlogging.basicConfig()\nfrom vlrb.plugins.surroundings import restore_surroundings\n"
        "drawn, seeded = [], None\n"
        "for name in 'ab':\n"
        "    with restore_surroundings(name):\n"
        "        import sklearn, torch\n"
        "        drawn.append((sklearn.get_config()['transform_output'], torch.get_default_dtype(), torch.is_grad_enabled(),\n"
        "            torch.get_deterministic_debug_mode(), torch.rand(1).item() == seeded))\n"
        "        sklearn.set_config(transform_output='pandas'); torch.set_default_dtype(torch.float64)\n"
        "        torch.set_deterministic_debug_mode(2); torch.set_grad_enabled(False)\n"
        "        torch.manual_seed(3); seeded = torch.rand(1).item(); torch.manual_seed(3)\n"
        "threads = torch.get_num_threads()\n"
        "with restore_surroundings('c'):\n    torch.set_num_threads(threads + 1)\n"
        "assert torch.get_num_threads() == threads\n"
        "assert drawn[0] == drawn[1], drawn"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "a changed scikit-learn's configuration, torch's settings" in done.stderr
    assert "c changed torch's settings" in done.stderr


def test_closed_streams_are_opened_again() -> None:
    """Descriptors and Python's own streams, so that results and logs are printed."""
    code = (
        "import logging, os, sys\nlogging.basicConfig()\nfrom vlrb.plugins.surroundings import restore_surroundings\n"
        "with restore_surroundings('a'):\n    sys.stdout.close(); sys.stderr.close()\n"
        "with restore_surroundings('b'):\n    os.close(1); os.close(2)\n"
        "print('out'); print('err', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "out\n"
    assert "a changed stdout, stderr" in done.stderr
    assert "b changed stdout, stderr" in done.stderr
    assert done.stderr.endswith("err\n")


def test_a_stream_that_was_closed_before_is_nobodys_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Processes that multiprocessing starts have a closed stdin: no plugin is named for it."""
    stream = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    stream.close()
    monkeypatch.setattr(sys, "__stdin__", stream)
    with restore_surroundings("the router"):
        pass
    assert not caplog.text
    assert stream.closed
