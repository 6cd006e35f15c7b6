"""Locks between processes, as on one machine, without flock, and between machines (each process may play another one)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vlrb import locks
from vlrb.errors import ConfigError, StorageError
from vlrb.locks import lock_if_free, lock_within, locked, remove_lock

START = """
import errno, fcntl, os, sys, time
from pathlib import Path
from vlrb.locks import lock_if_free, locked
from vlrb.storage import new_directory
target = Path(sys.argv[1])
def missing(*_):
    raise OSError(errno.ENOLCK, "No locks available")
if "no flock" in sys.argv:
    fcntl.flock = missing
"""
HOLD = "\nwith locked(target):\n    print('held', flush=True)\n    time.sleep(60)\n"
KINDS = ("flock", "no flock", "other machine")

Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Return a function that starts a process with code that begins with START; it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, kind: str = "flock", patience: str = "60") -> subprocess.Popen[str]:
        environment = {**os.environ, "VLRB_LOCK_PATIENCE": patience}
        if kind == "other machine":
            environment["VLRB_LOCK_MACHINE"] = f"machine {len(started)}"
        command = [sys.executable, "-c", START + code, str(tmp_path / "t"), kind]
        started.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, bufsize=1
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def held(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Wait until a process says that it holds the lock."""
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


COUNT = """
for _ in range(15):
    with locked(target):
        file = target.with_name("counter")
        n = int(file.read_text()) if file.exists() else 0
        time.sleep(0.001)
        file.write_text(str(n + 1))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_one_process_at_a_time(tmp_path: Path, start: Starter, kind: str) -> None:
    """A count that many processes read and write loses nothing, for every sign of life."""
    for process in [start(COUNT, kind) for _ in range(5)]:
        assert process.wait(60) == 0, process.communicate()[1]

    assert (tmp_path / "counter").read_text(encoding="utf-8") == "75"
    assert [p.name for p in (tmp_path / "t.lock").iterdir()] == ["free"]


def test_the_lock_of_a_killed_neighbour_is_free_at_once(tmp_path: Path, start: Starter) -> None:
    """With flock there is nothing to wait for, with any patience."""
    process = held(start(HOLD))
    with lock_if_free(tmp_path / "t") as free:
        assert not free
    killed(process)
    with lock_if_free(tmp_path / "t") as free:
        assert free


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_lock_of_one_that_died_unseen_is_free_after_the_patience(
    tmp_path: Path, start: Starter, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without flock, and on other machines, only silence shows a dead holder; a living holder is not silent."""
    monkeypatch.setenv("VLRB_LOCK_PATIENCE", "1")
    process = held(start(HOLD, kind, "1"))
    with lock_within(tmp_path / "t", 2.5) as free:
        assert not free
    killed(process)
    began = time.monotonic()
    with lock_if_free(tmp_path / "t") as free:
        assert not free
    with locked(tmp_path / "t"):
        assert 0.5 < time.monotonic() - began < 10
    with lock_if_free(tmp_path / "t") as free:
        assert free


STOPPED = """
with locked(target), new_directory(target) as aside:
    (aside / "a").write_text("first")
    print("held", flush=True)
    while not target.with_name("go").exists():
        time.sleep(0.01)
    (aside / "b").write_text("first")
"""


@pytest.mark.parametrize("kind", KINDS[1:])
def test_one_that_was_stopped_for_long_loses_its_lock_and_harms_nothing(
    tmp_path: Path, start: Starter, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process's result stays complete; the one that continues says why it ends."""
    from vlrb.storage import new_directory

    monkeypatch.setenv("VLRB_LOCK_PATIENCE", "1")
    process = held(start(STOPPED, kind, "1"))
    process.send_signal(signal.SIGSTOP)
    with locked(tmp_path / "t"):
        with new_directory(tmp_path / "t") as aside:
            for name in "ab":
                (aside / name).write_text("second", encoding="utf-8")
        process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        (tmp_path / "go").touch()
        _, said = process.communicate(timeout=20)
        with lock_if_free(tmp_path / "t") as free:
            assert not free
    assert process.returncode == 1
    assert "StorageError" in said
    assert "another process took over" in said
    assert [p.read_text(encoding="utf-8") for p in sorted((tmp_path / "t").iterdir())] == ["second"] * 2
    assert not list(tmp_path.glob(".*"))


def test_a_holder_finds_that_its_lock_was_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once, by the thread that shows life or when the lock is given back."""
    for beats in (True, False):
        caplog.clear()
        target = tmp_path / f"t{beats}"
        with locks._lease(target) as lease:
            assert lease.acquire(0)
            (token,) = (tmp_path / f"{target.name}.lock").iterdir()
            token.rename(token.with_name("held.host.machine.1.other.beat"))
            if beats:
                lease.beat()
        assert caplog.text.count("another process took over the lock") == 1
        assert [p.name for p in token.parent.iterdir()] == ["held.host.machine.1.other.beat"]


CAMPAIGN = """
import contextlib, json
mark = target.with_name("inside")
while True:
    with locked(target):
        with contextlib.suppress(FileNotFoundError):
            other = int(mark.read_text() or "0")  # a kill may have come before it was written
            if other and Path(f"/proc/{other}").exists() and "State:\\tZ" not in Path(f"/proc/{other}/status").read_text():
                target.with_name("broken").write_text(f"{other} and {os.getpid()}")
        mark.write_text(str(os.getpid()))
        with target.with_name("log").open("a") as file:
            file.write("x")
        mark.unlink()
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kills", [12, pytest.param(200, marks=pytest.mark.campaign)])
def test_kills_at_any_moment(tmp_path: Path, start: Starter, kind: str, kills: int) -> None:
    """Never two inside, and never none for good."""
    seed = random.Random(kills)
    running = [start(CAMPAIGN, kind, "1") for _ in range(3)]
    log = tmp_path / "log"
    while not log.exists():
        time.sleep(0.05)
    for _ in range(kills):
        time.sleep(seed.uniform(0, 0.1))
        killed(running.pop(seed.randrange(3)))
        running.append(start(CAMPAIGN, kind, "1"))
    before, limit = log.stat().st_size, time.monotonic() + 30
    while log.stat().st_size < before + 5 and time.monotonic() < limit:
        time.sleep(0.05)

    assert log.stat().st_size >= before + 5
    assert not (tmp_path / "broken").exists()


def hold_briefly(target: Path, order: list[str], began: threading.Event) -> None:
    with locked(target):
        began.set()
        time.sleep(0.4)
        order.append("first")


def test_whoever_waits_long_for_a_lock_says_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A user must not wonder why nothing happens."""
    monkeypatch.setattr(locks, "SILENT", 0.05)
    began, order = threading.Event(), list[str]()
    thread = threading.Thread(target=hold_briefly, args=(tmp_path / "t", order, began))
    thread.start()
    began.wait()
    with caplog.at_level(logging.WARNING), locked(tmp_path / "t"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert "another process is working on" in caplog.text


def test_the_warning_names_process_and_host(
    tmp_path: Path, start: Starter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a cluster, users must be able to find the holder of a lock."""
    monkeypatch.setattr(locks, "SILENT", 0.05)
    process = held(start(HOLD))
    threading.Timer(0.5, process.kill).start()
    with caplog.at_level(logging.WARNING), locked(tmp_path / "t"):
        pass
    assert f"process {process.pid} on " in caplog.text


def test_a_lock_that_somebody_holds_is_not_waited_for(tmp_path: Path) -> None:
    """Cleaning up leaves what others work on; another part of this process counts as another."""
    with locked(tmp_path / "t"), lock_if_free(tmp_path / "t") as free:
        assert not free
    with lock_if_free(tmp_path / "t") as free:
        assert free


def _tries(target: Path, found: Any) -> None:
    with lock_if_free(target) as free:
        found.put(free)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_holds_nothing(tmp_path: Path, method: str) -> None:
    """It finds the lock of its parent held, and its end gives nothing back."""
    context = multiprocessing.get_context(method)
    found: Any = context.SimpleQueue()
    with locked(tmp_path / "t"):
        process = context.Process(target=_tries, args=(tmp_path / "t", found))  # type: ignore[attr-defined]
        process.start()
        process.join()
        assert found.get() is False
        with lock_if_free(tmp_path / "t") as free:
            assert not free


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_give_back_what_its_parent_holds(tmp_path: Path) -> None:
    """It may leave the parent's block by an exception."""
    with locked(tmp_path / "t"):
        with locked(tmp_path / "u"):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            else:
                contextlib.ExitStack().close()
        if not child:
            os._exit(0)
        with lock_if_free(tmp_path / "t") as free:
            assert not free
    with lock_if_free(tmp_path / "u") as free:
        assert free


def test_an_interrupt_gives_the_lock_back(tmp_path: Path) -> None:
    """Ctrl-C in a notebook leaves nothing locked."""
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "t"):
        raise KeyboardInterrupt
    with lock_if_free(tmp_path / "t") as free:
        assert free


def test_the_lock_files_of_earlier_versions_are_replaced(tmp_path: Path) -> None:
    """An old cache works as it is; what an old version holds is waited for."""
    old = tmp_path / "t.lock"
    old.touch()
    with old.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with lock_if_free(tmp_path / "t") as free:
            assert not free
    with locked(tmp_path / "t"):
        assert old.is_dir()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """With its path and what to do; a process that only reads needs no lock where nothing can be written."""

    def refused(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), "free")

    monkeypatch.setattr(Path, "mkdir", refused)
    for hold in (locked, lock_if_free):
        with pytest.raises(StorageError) as caught, hold(tmp_path / "t"):
            pass
        assert caught.value.problems[0].where == str(tmp_path / "t.lock")
        assert caught.value.problems[0].fix
    for hold in (locked, lock_if_free):
        reads = pytest.raises(StorageError) if number == errno.ENOSPC else contextlib.nullcontext()
        with reads, hold(tmp_path / "t", to_read=True):
            pass


def test_a_folder_below_a_file_is_an_error(tmp_path: Path) -> None:
    """It is not a lock of an earlier version."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught, locked(tmp_path / "file" / "x"):
        pass
    assert str(tmp_path / "file") in str(caught.value)


def test_whoever_acts_on_what_it_saw_long_ago_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its look and its deed the lock was taken."""
    with locked(tmp_path / "t"):
        monkeypatch.setattr(os, "listdir", lambda _: ["free"])
        with lock_if_free(tmp_path / "t") as free:
            assert not free
        monkeypatch.undo()
    with lock_if_free(tmp_path / "t") as free:
        assert free


def test_a_rename_whose_answer_was_lost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS asks again, and then says that there is no such file."""
    rename = os.rename

    def lost(*arguments: Any, **more: Any) -> None:
        rename(*arguments, **more)
        if more:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "rename", lost)
    with lock_if_free(tmp_path / "t") as free:
        assert free
    assert [p.name for p in (tmp_path / "t.lock").iterdir()] == ["free"]


def test_the_flock_of_a_process_that_lost_its_lock_keeps_nobody_out(tmp_path: Path, start: Starter) -> None:
    """It is stopped for good, and the token is free: others go without flock."""
    process = held(start(HOLD))
    process.send_signal(signal.SIGSTOP)
    (token,) = (tmp_path / "t.lock").iterdir()
    token.rename(token.with_name("free"))
    for _ in range(2):
        with lock_if_free(tmp_path / "t") as free:
            assert free
            assert next((tmp_path / "t.lock").iterdir()).name.endswith(".beat")


def test_the_lock_of_what_is_gone_is_removed_unless_it_is_held(tmp_path: Path) -> None:
    """And made again by the next process, also if only a half of it was removed."""
    with locked(tmp_path / "t"):
        assert not remove_lock(tmp_path / "t")
    assert remove_lock(tmp_path / "t")
    assert not list(tmp_path.iterdir())

    (tmp_path / "t.lock").mkdir()
    with lock_if_free(tmp_path / "t") as free:
        assert free


@pytest.mark.parametrize("text", ["a", "0", "-1", "nan"])
def test_a_patience_that_is_no_number_of_seconds_is_refused(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variable's name."""
    monkeypatch.setenv("VLRB_LOCK_PATIENCE", text)
    with pytest.raises(ConfigError, match="VLRB_LOCK_PATIENCE"), locked(tmp_path / "t"):
        pass


def test_a_process_that_was_stopped_while_it_looked_counts_no_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All machines may have been suspended together: a holder gets the time to show that it lives."""
    (tmp_path / "t.lock").mkdir()
    (tmp_path / "t.lock" / "held.host.machine.1.nonce.beat").touch()
    clock = iter(range(0, 10**6, 3600))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    looks = 0
    while True:
        with lock_if_free(tmp_path / "t") as free:
            looks += 1
            if free:
                break
    assert looks == 13
