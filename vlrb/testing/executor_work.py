"""What executors are given to do in tests of them: functions that any process can import."""

from __future__ import annotations

import os
from typing import Any

calls = 0


def prepare(base: int) -> dict[str, Any]:
    """Return what tasks share, and count the calls in this process."""
    global calls
    calls += 1
    return {"base": base, "calls": calls, "process": os.getpid()}


def add(made: dict[str, Any], report: Any, number: int) -> dict[str, Any]:
    """Return a sum, how often this process was prepared, and which process it is."""
    report.progress("adding", 1, 2)
    report.log(number, {"number": float(number)})
    return {"sum": made["base"] + number, "calls": made["calls"], "process": os.getpid()}


def fail(made: dict[str, Any], report: Any, number: int) -> dict[str, Any]:
    """Raise for the task 1, and do the others."""
    if number == 1:
        raise ValueError("this task fails")
    return add(made, report, number)


def die(made: dict[str, Any], report: Any, number: int) -> dict[str, Any]:
    """End the process of the task 1, and do the others."""
    if number == 1:
        os._exit(9)
    return add(made, report, number)
