"""A plugin for the tests of interrupts: every place of a run can be made to wait, says that it does, and tells what it sees."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from vlrb import hookimpl
from vlrb.api.components import EncoderSpec, ReporterSpec, RouterSpec, param
from vlrb.api.routing import Column, Features

LONG = 60.0


def gate(place: str) -> None:
    """Wait at a place as long as its file is there; leave a file with the number of the process that waits."""
    closed = Path(f"closed-{place}")
    if closed.exists():
        Path(f"waiting-{place}-{os.getpid()}").touch()
        limit = time.monotonic() + LONG
        while closed.exists() and time.monotonic() < limit:
            time.sleep(0.01)


class Interrupting:
    """Gets a signal while it is collected, where Python drops exceptions."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


@attrs.frozen
class Params:
    does: str = param(default="")
    number: int = param(default=0)


@attrs.frozen
class First:
    def route(self, queries: Any) -> Any:
        return np.zeros(len(queries), dtype=int)


@attrs.frozen
class Router:
    params: Params

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        gate(f"fit-{self.params.number}")
        does = self.params.does if Path("armed").exists() else ""
        if does == "drop":
            Interrupting()
            time.sleep(LONG)
        if does == "swallow":
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(LONG)
        if does == "convert":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(LONG)
            except BaseException as error:
                raise RuntimeError("a library made this of it") from error
        return First()


@attrs.frozen
class Encoder:
    params: Params

    def encode(self, queries: Any) -> Any:
        gate("encode")
        return Features(np.zeros((len(queries), 1), np.float32), (Column("a"),))


@attrs.frozen
class Report:
    params: Params

    def __call__(self, result: Any, directory: Path) -> list[Path]:
        gate("report")
        return []


def alive(pid: int) -> bool:
    """Tell whether a process runs (and is not a zombie)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def tell(what: str) -> None:
    others = [int(p.name.rsplit("-", 1)[1]) for p in Path().glob("waiting-*")]
    left = sorted({pid for pid in others if pid != os.getpid() and alive(pid)})
    with Path("told").open("a", encoding="utf-8") as file:
        file.write(f"{what} {len(left)}\n")


@hookimpl
def vlrb_run_start(run: Any) -> None:
    tell("start")


@hookimpl
def vlrb_run_interrupted(run: Any) -> None:
    tell("interrupted")
    gate("interrupted")


@hookimpl
def vlrb_run_end(result: Any) -> None:
    gate("end")
    tell("end")


@hookimpl
def vlrb_routers() -> Any:
    return [RouterSpec(name="gated", summary="for tests", factory=Router, params=Params, needs_features=True)]


@hookimpl
def vlrb_encoders() -> Any:
    return [EncoderSpec(name="gated-encoder", summary="for tests", factory=Encoder, params=Params)]


@hookimpl
def vlrb_reporters() -> Any:
    return [ReporterSpec(name="gated-report", summary="for tests", factory=Report, params=Params)]
