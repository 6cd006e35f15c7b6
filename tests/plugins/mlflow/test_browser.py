"""What the MLflow UI shows of a run in a browser, at the addresses that ``vlrb ui`` prints."""

from __future__ import annotations

import html
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


def texts_of(page: str) -> list[str]:
    """Return the texts of a page in their order."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return [html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", shown) if text.strip()]


def numbers_of(texts: list[str]) -> list[float]:
    """Return those texts that are numbers."""
    return [float(text) for text in texts if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text)]


def address_of(name: str, table: str, page: str) -> str:
    """Return the address of the run that a table links to under a name."""
    found = re.search(rf'href="(#[^"]*/runs/[0-9a-f]{{32}})"[^>]*><span[^>]*>{name}<', page)
    assert found is not None, name
    return f"{table.partition('#')[0]}{found[1]}"


def test_the_run_table_shows_what_a_reader_wants_first(addresses: dict[str, str], project: Any, tmp_path: Path) -> None:
    """Unexpanded, the run with its best router and its headline values; filtered, exactly the rows of the leaderboard."""
    runs = texts_of(dumped(addresses["runs"], tmp_path / "seen-runs"))
    page = dumped(addresses["leaderboards"], tmp_path / "seen-rows")
    rows = texts_of(page)
    (result,) = project.results()
    leader = result["statistics"]["leader"]
    scores = next(r["test"]["scores"]["overall"] for r in result["routers"] if r["label"] == leader)

    for heading in ("rank-score", "accuracy", "cost-per-10k"):
        assert heading in runs
        assert heading in rows
    assert "leader" in runs
    row = runs[next(i for i, text in enumerate(runs) if re.fullmatch(rf"\d{{4}}-\d{{6}} {leader} \(t\)", text)) :]
    assert leader in row
    assert {scores[m] for m in ("rank-score", "accuracy", "cost-per-10k")} <= set(numbers_of(row))
    assert rows[rows.index("matching runs") - 1] == "7"
    for name in ("knn", "cheapest", "oracle", "best-single", "best-single-by-metric"):
        assert re.search(rf">{name} \d{{4}}-\d{{6}}<", page), name


def test_what_the_tables_link_to_is_there(addresses: dict[str, str], project: Any, tmp_path: Path) -> None:
    """A cell with its description and metrics, the run's files with the page, and the charts of the view, laid out."""
    table = addresses["runs"]
    rows = dumped(addresses["leaderboards"], tmp_path / "seen-rows")
    cell = texts_of(dumped(address_of(r"knn \d{4}-\d{6}", table, rows), tmp_path / "seen-cell"))
    runs = dumped(table, tmp_path / "seen-runs")
    parent = address_of(r"\d{4}-\d{6} knn \(t\)", table, runs)
    files = texts_of(dumped(f"{parent}/artifacts/reports/report.html", tmp_path / "seen-files"))
    charts = texts_of(dumped(f"{table}&compareRunsMode=CHART", tmp_path / "seen-charts"))
    (result,) = project.results()
    scores = next(r["test"]["scores"]["overall"] for r in result["routers"] if r["label"] == "knn")

    assert any("router feature-routers/knn" in text for text in cell), cell
    assert any(text.startswith("rank-score on test: ") for text in cell), cell
    for name in ("rank-score", "accuracy", "cost-per-10k"):
        assert float(cell[cell.index(f"test/{name}") + 1]) == scores[name]
    assert {"reports", "report.html", "reports/report.html", "leaderboard.csv", "results.json"} <= set(files)
    assert int(charts[charts.index("Model metrics") + 1].strip("()")) >= 6, "scatter, four bars, parallel coordinates"
    assert {"test", "test-low", "test-high", "test-vs-best-single"} <= set(charts)
