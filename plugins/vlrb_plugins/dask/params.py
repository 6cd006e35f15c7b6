"""Parameters of the executor ``dask``."""

from __future__ import annotations

from pathlib import Path

import attrs
from attrs import validators

from vlrb import param


@attrs.frozen
class DaskParams:
    """Which cluster, and how its workers work."""

    address: str = param(default="", help="of a scheduler, such as tcp://10.0.0.1:8786")
    scheduler_file: Path | None = param(default=None, help="file that `dask scheduler --scheduler-file` has written")
    workers: int = param(
        default=0,
        validator=validators.ge(0),
        help="of a cluster on this machine, where no other is named; 0: one per CPU",
    )
    threads: int = param(default=1, validator=validators.ge(1), help="threads of a task's numerical libraries")
    timeout: float = param(
        default=60.0,
        validator=validators.gt(0),
        help="seconds to wait for the scheduler, and for a worker that can do the remaining tasks",
    )

    def __attrs_post_init__(self) -> None:
        """Refuse two clusters."""
        given = [name for name in ("address", "scheduler_file", "workers") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} name different clusters: give one of them")
