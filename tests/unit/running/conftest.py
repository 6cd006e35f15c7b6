"""What several tests of cells share."""

from __future__ import annotations

from pathlib import Path

import pytest
from cell_work import Work


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Work(tmp_path, monkeypatch)
