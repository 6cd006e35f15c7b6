"""Executors: where the work of builds and cells is done."""

from __future__ import annotations

from vlrb import ExecutorSpec, LocalExecutor, NoParams, hookimpl


def local(_: NoParams) -> LocalExecutor:
    """Return the executor of this machine, whose processes the core looks after."""
    return LocalExecutor()


@hookimpl
def vlrb_executors() -> list[ExecutorSpec]:
    """Return the executor ``local``."""
    return [ExecutorSpec(name="local", summary="processes of this machine", factory=local)]
