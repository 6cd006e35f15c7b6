"""The order of imports, and what the command line may not import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    ("errors", "printable", "faults", "secrets"),
    ("interrupts", "ending"),
    ("executor",),
    ("types", "schemas"),
    ("specs",),
    ("hookspecs",),
    ("__init__",),
    ("plugins", "cache", "images", "neartext", "sources", "surroundings"),
    ("config",),
    ("plan",),
    ("resolve",),
    ("benchmark", "targets", "decide"),
    ("stamps",),
    ("parts", "split", "reference", "returned"),
    ("steps", "scoring"),
    ("build", "features", "evaluate", "data_report", "data_page", "observers"),
    ("review", "export"),
    ("cells", "curves", "results", "leaderboard", "winners", "pruning"),
    ("run",),
    ("cli", "__main__"),
)
"""A module may import modules of lower rows and of its own."""

HEAVY = (
    "mlflow",
    "torch",
    "pandas",
    "sklearn",
    "scipy",
    "pyarrow",
    "numpy",
    "PIL",
    "tiktoken",
    "python_calamine",
    "xlsxwriter",
    "huggingface_hub",
    "transformers",
    "lightgbm",
    "xgboost",
)


def imported(path: Path) -> set[str]:
    """Return the vlrb modules that a file imports when it runs (not those for type checking)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = {
        id(n)
        for i in ast.walk(tree)
        if isinstance(i, ast.If) and ast.unparse(i.test) == "TYPE_CHECKING"
        for n in ast.walk(i)
    }
    found = set()
    for node in (n for n in ast.walk(tree) if id(n) not in checking):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vlrb":
            inner = node.module.split(".")[1:]
            found |= (
                {inner[0]}
                if inner
                else {a.name for a in node.names if (ROOT / "vlrb" / f"{a.name}.py").is_file()} or {"__init__"}
            )
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "vlrb").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    """errors < types < specs < hookspecs < plugins < config < plan < benchmark < run < cli."""
    rank = {name: i for i, row in enumerate(LAYERS) for name in row}
    own = path.relative_to(ROOT / "vlrb").parts[0].removesuffix(".py")

    too_high = [n for n in imported(path) if rank[n] > rank[own]]
    assert not too_high


def test_the_core_imports_no_plugin() -> None:
    """The core knows its bundled plugins by their names in entry points only."""
    for path in (ROOT / "vlrb").rglob("*.py"):
        assert "import vlrb_plugins" not in path.read_text(encoding="utf-8")
        assert "from vlrb_plugins" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "router", "--json"], ["plugins"], ["hooks"], ["run", "--help"]]
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    """`vlrb --help`, `list` and `plugins` must answer at once, whatever is installed."""
    code = (
        "import sys\nfrom vlrb.cli import run\n"
        f"status = run({arguments!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


def test_help_loads_command_plugins_only() -> None:
    """No other plugin is imported for --help."""
    code = (
        "import sys\nfrom vlrb.cli import run\nrun(['--help'])\n"
        "print(sorted(m for m in sys.modules if m.startswith('vlrb_plugins.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "ui" in done.stdout
    assert {m.split(".")[1] for m in ast.literal_eval(done.stdout.splitlines()[-1])} == {"mlflow", "vlmevalkit"}


@pytest.mark.parametrize("path", sorted((ROOT / "vlrb").glob("*.py")), ids=lambda p: p.stem)
def test_each_module_can_be_imported_alone(path: Path) -> None:
    """No module depends on what was imported before it; none warns."""
    if path.stem == "__main__":
        pytest.skip("it runs the command line")
    subprocess.run([sys.executable, "-W", "error", "-c", f"import vlrb.{path.stem}"], check=True)
