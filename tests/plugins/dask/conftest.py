"""A Dask cluster of two workers, and connections that end with each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_work import Cluster

pytest.importorskip("distributed")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a scheduler with two workers for the tests that leave them alive."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start_scheduler()
        made.start_worker("one")
        made.start_worker("two", "--resources", "GPU=1")
        yield made
    finally:
        made.close()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Cluster]:
    """Return a scheduler without workers, for the tests that start and kill some."""
    made = Cluster(tmp_path)
    try:
        made.start_scheduler()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def _closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a cache of this test, and end the connection with it."""
    from vlrb_plugins.dask.connection import close_connection

    monkeypatch.setenv("VLRB_CACHE", str(tmp_path / "cache"))
    yield
    close_connection()
