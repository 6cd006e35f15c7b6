"""What several tests of features share."""

from __future__ import annotations

from pathlib import Path

import pytest
from encoding_case import Case

from vlrb.evaluation import encoding


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Return an experiment whose encoders work in chunks of 8."""
    monkeypatch.setattr(encoding, "CHUNK", 8)
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Case(tmp_path)
