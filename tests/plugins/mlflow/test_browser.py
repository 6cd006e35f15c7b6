"""What the MLflow UI shows of a run in a browser, at the addresses that ``vlrb ui`` prints."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import dumped

pytestmark = pytest.mark.browser

ROUTERS = '[[router]]\nuse = "knn"\nsweep = { k = [5, 9] }\n[[router]]\nuse = "cheapest"\n'


@pytest.fixture
def addresses(project: Any, mlflow_database: Path, free_port: int) -> Iterator[dict[str, str]]:
    """Return what is shown -> its address, while ``vlrb ui`` shows a finished run."""
    shutil.copy(mlflow_database, project.folder / "mlflow.db")
    run = project.process("run", project.experiment(ROUTERS), mlflow=True)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, out + err
    ui = project.process("ui", "--no-open", "--port", str(free_port), mlflow=True, stderr=subprocess.DEVNULL)
    found: dict[str, str] = {}
    for line in ui.stdout:
        if match := re.match(r"(runs|leaderboards)\b.*?: (http\S+)", line):
            found[match[1]] = match[2]
        if len(found) == 2:
            break
    yield found
    ui.send_signal(signal.SIGTERM)
    ui.communicate(timeout=60)


def test_the_run_table_shows_what_a_reader_wants_first(addresses: dict[str, str], tmp_path: Path) -> None:
    """Unexpanded, the run with its best router and headline values; filtered, exactly the rows of the leaderboard."""
    runs = dumped(addresses["runs"], tmp_path / "seen-runs")
    rows = dumped(addresses["leaderboards"], tmp_path / "seen-rows")

    for heading in ("rank-score", "accuracy", "cost-per-10k"):
        assert f">{heading}<" in runs
        assert f">{heading}<" in rows
    assert ">leader<" in runs
    texts = " ".join(re.sub(r"<[^>]*>", " ", rows).split())
    assert "7 matching runs" in texts, re.findall(r".{30}matching.{10}", texts)
    for name in ("knn", "cheapest", "oracle", "best-single", "best-single-by-metric"):
        assert re.search(rf">{name} \d{{4}}-\d{{6}}<", rows), name
