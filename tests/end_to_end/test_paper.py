"""examples/paper.toml: it checks on the archive's layout, and its feature-level part runs on the demo's logs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
END_TO_END = ("cosinecls", "routerdc", "zooter", "vlc")
TEN = {"knn", "prknn", "ovr", "kmeans", "linear", "mlp", *END_TO_END}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return logs in the archive's layout, which the demo writes."""
    from vlrb_plugins.demo.generate import write_tree

    folder = tmp_path_factory.mktemp("paper") / "vlm_router_data"
    write_tree(folder, 300, 0)
    return folder


@pytest.fixture
def paper(project: Any, logs: Path) -> Path:
    """Return a copy of the example beside the logs."""
    (project.folder / "vlm_router_data").symlink_to(logs)
    (project.folder / "examples").mkdir()
    file: Path = project.folder / "examples" / "paper.toml"
    shutil.copy(ROOT / "examples" / "paper.toml", file)
    file.write_text(file.read_text(encoding="utf-8").replace("seeds =", "requires = []\nseeds ="), encoding="utf-8")
    return file


def test_the_papers_experiment_checks(project: Any, paper: Path) -> None:
    """All ten routers in the reference's variant, on the paper's datasets, models, features and protocol."""
    shown = project.vlrb("check", paper, "--json")
    assert shown.status == 0, shown.err
    found = shown.json

    assert (len(found["datasets"]), len(found["models"])) == (14, 17)
    routers = {r["use"].split("/")[1]: r for r in found["experiment"]["router"]}
    assert routers.keys() == TEN
    assert {r.get("variant", "reference") for r in routers.values()} == {"reference"}
    assert found["cells"] == 4 + 6 * 5 + 1
    encoders = [e["use"] for e in found["experiment"]["features"]["default"]["encoders"]]
    assert encoders == ["hf/bge-m3", "hf/dinov2-base"]


def test_the_papers_experiment_runs_on_the_demo(project: Any, paper: Path) -> None:
    """The same file, with encoders that need no download and without the routers that need pretrained bodies."""
    text = paper.read_text(encoding="utf-8").replace(
        '[{ use = "bge-m3", text = "question" }, "dinov2-base"]', '["hashed-text", "image-statistics"]'
    )
    text = text.replace('counter = "cl100k"', 'counter = "usage"').replace('use = "mlp"', 'use = "mlp"\nhidden = [32]')
    tables = [t for t in text.split("[[router]]") if not any(f'use = "{name}"' in t for name in END_TO_END)]
    paper.write_text("[[router]]".join(tables), encoding="utf-8")
    shown = project.vlrb("run", paper)

    assert shown.status == 0, shown.err
    assert "protocol paper" in shown.out
    for name in TEN - set(END_TO_END):
        assert f" {name} " in shown.out
    for name in ("linear", "mlp"):
        assert f"sweep of {name}: test, by rank-score" in shown.out
    (result,) = project.results()
    assert {r["label"] for r in result["routers"] if r["points"]} == TEN - set(END_TO_END)
    assert result["run"]["bounds"]["rows"] == "all"
