"""The executor ``dask``: tasks go to the workers of a Dask cluster, on this machine or on others."""

from __future__ import annotations

from vlrb import ExecutorSpec, hookimpl
from vlrb_plugins.dask.params import DaskParams


@hookimpl
def vlrb_executors() -> list[ExecutorSpec]:
    """Return the executor ``dask``."""
    return [
        ExecutorSpec(
            name="dask",
            summary="workers of a Dask cluster, on this machine or on others, which share the cache folder",
            factory="vlrb_plugins.dask.executor:DaskExecutor",
            params=DaskParams,
            requires=("distributed",),
            extra="dask",
        )
    ]
