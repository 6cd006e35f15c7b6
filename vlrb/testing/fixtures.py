"""The pytest plugin ``vlrb``: fixtures for tests of plugins.  It imports nothing of vlrb before a fixture is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from vlrb import Benchmark, FitContext, Labelled, Queries
    from vlrb.testing import Ran


@pytest.fixture(scope="session")
def small_benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Return a benchmark of 120 made-up questions with images, two datasets and three models."""
    from vlrb.testing.runs import build_small

    built: Benchmark = build_small(tmp_path_factory.mktemp("small-benchmark"))
    return built


@pytest.fixture
def make_queries() -> Callable[..., Queries]:
    """Return :func:`vlrb.testing.make_queries`."""
    from vlrb.testing import samples

    return samples.make_queries


@pytest.fixture
def make_labelled() -> Callable[..., Labelled]:
    """Return :func:`vlrb.testing.make_labelled`."""
    from vlrb.testing import samples

    return samples.make_labelled


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., FitContext]:
    """Return :func:`vlrb.testing.make_context`, with the test's folder for work."""
    from vlrb.testing import samples

    def make(dev: Labelled, **changes: Any) -> FitContext:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return samples.make_context(dev, **{"work_directory": work, **changes})

    return make


@pytest.fixture
def vlrb_run(tmp_path: Path) -> Callable[..., Ran]:
    """Return a function that runs an experiment, given as TOML, in the test's folder; see :func:`vlrb.testing.run_toml`."""
    from vlrb.testing import runs

    def run(toml: str, **more: Any) -> Ran:
        return runs.run_toml(toml, tmp_path, **more)

    return run
