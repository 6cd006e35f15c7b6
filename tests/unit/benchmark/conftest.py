"""What several tests of reading and joining share."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_logs import Work


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(tmp_path, monkeypatch)
