"""Interrupts: one signal is one KeyboardInterrupt, which nothing swallows, and none comes where work must be done whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from vlrb import interrupts
from vlrb.errors import ExitCode


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what has come so far: nothing, in a process of vlrb's own."""
    fresh: Any = interrupts._State()
    fresh.pid = os.getpid()
    monkeypatch.setattr(interrupts, "_state", fresh)
    return fresh


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only entry is the time."""
    now = [100.0]
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    return now


def comes(number: int = signal.SIGTERM) -> bool:
    """Tell whether a signal raises an interrupt."""
    try:
        interrupts._handle(number, None)
    except KeyboardInterrupt:
        return True
    return False


def is_raised() -> bool:
    """Tell whether a check between two steps raises an interrupt."""
    try:
        interrupts.check()
    except KeyboardInterrupt:
        return True
    return False


def test_signals_that_belong_together_are_one_interrupt(state: Any, clock: list[float]) -> None:
    """A shell forwards what its group got anyway: the end of the work is not interrupted again within two seconds."""
    assert comes(signal.SIGINT)
    clock[0] += interrupts.SAME
    assert not comes(signal.SIGTERM)
    assert interrupts.received() == signal.SIGINT
    clock[0] += 0.1
    assert comes(signal.SIGTERM)


def test_an_interrupt_that_was_swallowed_is_raised_again(state: Any, clock: list[float]) -> None:
    """Plugins and libraries catch everything: the next step of the work ends it."""
    assert not is_raised()
    assert comes()
    assert is_raised()


def test_no_interrupt_comes_into_a_block_that_must_be_done_whole(state: Any, clock: list[float]) -> None:
    """It comes at the end of the outermost block."""
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        with interrupts.held():
            done += [comes(), is_raised()]
        done.append(is_raised())
    assert done == [False, False, False]


def test_an_interrupt_before_a_block_is_not_raised_at_its_end(state: Any, clock: list[float]) -> None:
    """The end of an interrupted run writes its files in such blocks."""
    assert comes()
    clock[0] += 1
    try:
        with interrupts.held():
            pass
    except KeyboardInterrupt:
        pytest.fail("it came twice")


def test_nothing_is_raised_after_the_work(state: Any, clock: list[float]) -> None:
    """The status of a finished command stands."""
    interrupts.close()
    assert not comes()
    assert not is_raised()


def test_who_does_not_want_to_wait_ends_the_process(
    state: Any, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another signal, more than ten seconds after the first, while the end of the work is held."""
    ended: list[int] = []
    monkeypatch.setattr(interrupts.os, "_exit", ended.append)
    interrupts.close()
    for seconds, expected in ((0.0, []), (interrupts.PATIENCE, []), (0.1, [ExitCode.INTERRUPTED])):
        clock[0] += seconds
        assert not comes()
        assert ended == expected


def test_a_process_that_a_plugin_has_forked_ends_by_the_signal(state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits the handler; an exception in it would run on in the plugin's code, twice."""
    ended: list[int] = []
    monkeypatch.setattr(interrupts, "end_by", ended.append)
    state.pid += 1

    assert not comes(signal.SIGHUP)
    assert (ended, interrupts.received()) == ([signal.SIGHUP], 0)


def outcome(code: str, **more: Any) -> tuple[int, list[str]]:
    """Run a program that handles interrupts; return its exit status and what it printed."""
    head = "import os, signal, sys, threading, time\nfrom vlrb import interrupts\n"
    done = subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, timeout=60, **more)
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_signal_is_an_interrupt(name: str) -> None:
    """Ctrl-C, the end of a job's time, a closed terminal: the same way out."""
    code = (
        f"interrupts.install()\ntry:\n    os.kill(os.getpid(), signal.{name})\n    time.sleep(30)\n"
        "except KeyboardInterrupt:\n    print(interrupts.received())"
    )
    assert outcome(code) == (0, [str(int(signal.Signals[name]))])


def test_what_is_ignored_stays_ignored() -> None:
    """`nohup vlrb run` goes on when its terminal is closed."""
    code = (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\ninterrupts.install()\nos.kill(os.getpid(), signal.SIGHUP)\n"
        "print(interrupts.received())"
    )
    assert outcome(code) == (0, ["0"])


def test_an_interrupt_that_python_drops_is_sent_again() -> None:
    """One that falls into ``__del__`` is printed and forgotten by Python itself."""
    code = (
        "interrupts.install()\nclass Odd:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0.01)\n        print('dropped')\n"
        "try:\n    Odd()\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    print('raised')"
    )
    assert outcome(code) == (0, ["raised"])


def test_a_thread_that_is_left_does_not_hold_up_the_end() -> None:
    """Python would wait for it for ever; what was printed before is there, and the status is that of the work."""
    code = (
        "interrupts.GRACE = 0.05\nthreading.Thread(target=time.sleep, args=(50,)).start()\nprint('done')\n"
        "interrupts.end_in_time(5)"
    )
    assert outcome(code) == (5, ["done"])
    assert outcome("interrupts.end_in_time(5)\nprint('done')") == (0, ["done"])


def test_a_process_can_end_as_if_nobody_handled_a_signal() -> None:
    """The waiting process sees which signal ended it."""
    assert outcome("interrupts.install()\ninterrupts.end_by(signal.SIGTERM)\ntime.sleep(30)") == (-signal.SIGTERM, [])
