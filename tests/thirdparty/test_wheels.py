"""A third party's distribution, as its users get it: both wheels in a virtual environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EXPERIMENT = """
name = "thirdparty"
requires = []

[logs]
use = "demo"
samples = 300

[tokens]
counter = "usage"

[[router]]
use = "my-router"
threshold = 60

[[router]]
use = "random"
"""


def output(*command: str | Path, cwd: Path) -> str:
    """Run a command and return its stdout; a failure shows all it said."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheel(project: Path, folder: Path) -> None:
    """Build a project's wheel, without the network."""
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    output(*wheel, folder, project, cwd=folder)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a virtual environment with the two wheels; other packages are those of this interpreter."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "examples" / "vlrb-my-router"):
        build_wheel(project, folder)
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    wheels = sorted(folder.glob("*.whl"))
    output(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", *wheels, cwd=folder)
    site = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # appended to the path, so that what was installed from the wheels comes first
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_an_experiment_can_name_the_plugin(environment: Path) -> None:
    """`pip install vlrb-my-router`, name the router, run: the results have its row, with its dist and version."""
    (environment / "experiment.toml").write_text(EXPERIMENT, encoding="utf-8")
    vlrb = environment / "env" / "bin" / "vlrb"
    where = output(environment / "env" / "bin" / "python", "-c", "import vlrb; print(vlrb.__file__)", cwd=environment)
    assert Path(where.strip()).is_relative_to(environment / "env")

    result = json.loads(output(vlrb, "-p", "no:mlflow", "run", "experiment.toml", "--json", cwd=environment))

    cell = next(c for c in result["cells"] if c["cell"]["label"] == "my-router")
    assert cell["status"] == "done"
    assert cell["cell"]["router"] == "my-router/my-router"
    assert cell["cell"]["dist"] == "vlrb-my-router 0.1.0"
    assert 0 < cell["scores"]["test"]["overall"]["accuracy"] < 1


def test_the_plugin_is_listed_with_dist_and_version(environment: Path) -> None:
    """A user sees what is installed, and what a router's parameters are."""
    vlrb = environment / "env" / "bin" / "vlrb"
    plugins = json.loads(output(vlrb, "plugins", "--json", cwd=environment))
    routers = json.loads(output(vlrb, "list", "router", "--json", cwd=environment))["router"]

    mine = next(p for p in plugins if p["name"] == "my-router")
    assert (mine["dist"], mine["version"], mine["state"]) == ("vlrb-my-router", "0.1.0", "loaded")
    assert [p["name"] for r in routers if r["id"] == "my-router/my-router" for p in r["parameters"]] == ["threshold"]


def test_installed_files_are_verified(environment: Path) -> None:
    """What pip recorded of both wheels, scripts and compiled files included, is what lies there; an edit is found."""
    vlrb = environment / "env" / "bin" / "vlrb"
    found = {e["dist"]: e for e in json.loads(output(vlrb, "plugins", "--verify", "--json", cwd=environment))}
    assert {dist: e["state"] for dist, e in found.items()} == {"vlrb": "unchanged", "vlrb-my-router": "unchanged"}, (
        found
    )

    where = "import vlrb_my_router; print(vlrb_my_router.__file__)"
    edited = Path(output(environment / "env" / "bin" / "python", "-c", where, cwd=environment).strip())
    kept = edited.read_text(encoding="utf-8")
    edited.write_text(kept + "# edited\n", encoding="utf-8")
    done = subprocess.run([vlrb, "plugins", "--verify"], cwd=environment, capture_output=True, text=True, check=False)
    edited.write_text(kept, encoding="utf-8")
    assert done.returncode == 5
    assert f"changed: {edited.parent.name}/{edited.name}" in done.stdout


def test_a_scaffold_becomes_a_plugin(environment: Path, tmp_path: Path) -> None:
    """What the installed `vlrb new-plugin` writes is built, installed, tested and used."""
    python, vlrb = (environment / "env" / "bin" / name for name in ("python", "vlrb"))
    output(vlrb, "new-plugin", "fresh", "--kind", "metric", cwd=tmp_path)
    project = tmp_path / "vlrb-fresh"
    build_wheel(project, tmp_path)
    try:
        output(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", *tmp_path.glob("*.whl"), cwd=tmp_path)
        tests = output(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
        result = json.loads(output(vlrb, "run", "example.toml", "--json", cwd=project))
    finally:
        output(python, "-m", "pip", "uninstall", "-q", "-y", "vlrb-fresh", cwd=tmp_path)

    assert "passed" in tests
    assert "failed" not in tests
    assert result["cells"][0]["scores"]["test"]["overall"]["fresh"] > 0
