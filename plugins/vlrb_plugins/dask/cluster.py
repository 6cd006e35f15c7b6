"""A cluster on this machine, in a separate process: ``python -m vlrb_plugins.dask.cluster WORKERS``.

It prints the scheduler's address and ends when its standard input does, also because the asking process was killed.
What tasks print goes to standard error: nobody reads the other pipe after the address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading

LIMIT = 10.0
"""Seconds that the cluster has to close."""


async def serve(workers: int, folder: str, told: int) -> None:
    """Run a cluster until standard input ends; write its address to a file descriptor."""
    from distributed import LocalCluster

    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        threading.Timer(LIMIT, os._exit, (1,)).start()
        loop.call_soon_threadsafe(over.set)

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        asynchronous=True,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,  # tasks run in other processes, whose memory Dask does not see
        local_directory=folder,
        silence_logs=logging.CRITICAL,
    )
    async with cluster:
        os.write(told, f"{cluster.scheduler_address}\n".encode())
        os.close(told)
        threading.Thread(target=wait, daemon=True).start()
        await over.wait()


def main() -> None:
    """Run a cluster; Ctrl-C is for the main process."""
    import dask

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a worker may have children, and one that keeps dying is started again and again
    dask.config.set({"distributed.worker.daemon": False, "distributed.deploy.lost-worker-timeout": "1000 days"})
    told = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="vlrb-dask-", ignore_cleanup_errors=True) as folder:
        asyncio.run(serve(int(sys.argv[1]), folder, told))
    os._exit(0)


if __name__ == "__main__":
    main()
