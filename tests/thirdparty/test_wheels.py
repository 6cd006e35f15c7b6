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
use = "best-value"
tolerance = 0.1

[[router]]
use = "random"
"""


def output(*command: str | Path, cwd: Path) -> str:
    """Run a command and return its stdout; a failure shows all it said."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a virtual environment with the two wheels; other packages are those of this interpreter."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "examples" / "vlrb-myrouter"):
        output(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            project,
            cwd=folder,
        )
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    wheels = sorted(folder.glob("*.whl"))
    output(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", *wheels, cwd=folder)
    site = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # appended to the path, so that what was installed from the wheels comes first
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_an_experiment_can_name_the_plugin(environment: Path) -> None:
    """`pip install vlrb-myrouter`, name the router, run: its row stands in the results with its dist and version."""
    (environment / "experiment.toml").write_text(EXPERIMENT, encoding="utf-8")
    vlrb = environment / "env" / "bin" / "vlrb"
    where = output(environment / "env" / "bin" / "python", "-c", "import vlrb; print(vlrb.__file__)", cwd=environment)
    assert Path(where.strip()).is_relative_to(environment / "env")

    result = json.loads(output(vlrb, "-p", "no:mlflow", "run", "experiment.toml", "--json", cwd=environment))

    cell = next(c for c in result["cells"] if c["cell"]["label"] == "best-value")
    assert cell["status"] == "done"
    assert cell["cell"]["router"] == "myrouter/best-value"
    assert cell["cell"]["dist"] == "vlrb-myrouter 1.0.0"
    assert 0 < cell["scores"]["test"]["overall"]["accuracy"] < 1


def test_the_plugin_is_listed_with_dist_and_version(environment: Path) -> None:
    """A user sees what is installed, and what a router's parameters are."""
    vlrb = environment / "env" / "bin" / "vlrb"
    plugins = json.loads(output(vlrb, "plugins", "--json", cwd=environment))
    routers = json.loads(output(vlrb, "list", "router", "--json", cwd=environment))["router"]

    mine = next(p for p in plugins if p["name"] == "myrouter")
    assert (mine["dist"], mine["version"], mine["state"]) == ("vlrb-myrouter", "1.0.0", "loaded")
    assert [p["name"] for r in routers if r["id"] == "myrouter/best-value" for p in r["parameters"]] == ["tolerance"]


def test_installed_files_are_verified(environment: Path) -> None:
    """What pip recorded of both wheels, scripts and compiled files included, is what lies there; an edit is found."""
    vlrb = environment / "env" / "bin" / "vlrb"
    found = {e["dist"]: e for e in json.loads(output(vlrb, "plugins", "--verify", "--json", cwd=environment))}
    assert {dist: e["state"] for dist, e in found.items()} == {"vlrb": "unchanged", "vlrb-myrouter": "unchanged"}, found

    where = "import vlrb_myrouter; print(vlrb_myrouter.__file__)"
    edited = Path(output(environment / "env" / "bin" / "python", "-c", where, cwd=environment).strip())
    kept = edited.read_text(encoding="utf-8")
    edited.write_text(kept + "# edited\n", encoding="utf-8")
    done = subprocess.run([vlrb, "plugins", "--verify"], cwd=environment, capture_output=True, text=True, check=False)
    edited.write_text(kept, encoding="utf-8")
    assert done.returncode == 5
    assert f"changed: {edited.parent.name}/{edited.name}" in done.stdout
