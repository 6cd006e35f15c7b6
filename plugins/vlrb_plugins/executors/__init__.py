"""Executors: where the work of builds and cells is done."""

from __future__ import annotations

from vlrb import ExecutorSpec, LocalExecutor, NoParams, hookimpl
from vlrb_plugins.executors.shards import ShardParams, SharedExecutor


def local(_: NoParams) -> LocalExecutor:
    """Return the executor of this machine, whose processes the core looks after."""
    return LocalExecutor()


@hookimpl
def vlrb_executors() -> list[ExecutorSpec]:
    """Return the executors ``local`` and ``shards``."""
    return [
        ExecutorSpec(name="local", summary="processes of this machine", factory=local),
        ExecutorSpec(
            name="shards",
            summary="one of several processes that share a cache (vlrb run --shard)",
            factory=SharedExecutor,
            params=ShardParams,
        ),
    ]
