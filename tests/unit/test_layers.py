"""The order of imports, and what the command line may not import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (
    ("redact", "texts"),
    ("errors",),
    ("interrupts", "storage", "locks"),
    ("threads",),
    ("executor",),
    ("task_process",),
    ("api",),
    ("__init__",),
    ("plugins",),
    ("experiment",),
    ("benchmark",),
    ("evaluation",),
    ("running",),
    ("cli", "__main__"),
    ("notebook",),
    ("testing",),
)
"""A folder or module of the core may import those above it, and a folder its own; no two modules import each other."""

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


def name_of(path: Path) -> str:
    """Return the module that a file of the core is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(p): p for p in sorted((ROOT / "vlrb").rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Return the core's modules that a file imports when it runs, lazily or not (not those for type checking)."""
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
            inner = {f"{node.module}.{a.name}" for a in node.names}
            found |= {n if n in MODULES else node.module for n in inner}
    return found


def layer(module: str) -> int:
    """Return the row of a module, that of its folder where it has one."""
    rank = {name: i for i, row in enumerate(LAYERS) for name in row}
    return rank[[*module.split("."), "__init__"][1]]


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    """errors < api < plugins < experiment < benchmark < evaluation < running < cli < notebook < testing."""
    too_high = [n for n in imported(MODULES[module]) if layer(n) > layer(module)]

    assert not too_high


def test_no_two_modules_import_each_other() -> None:
    """No circles, lazy imports included: whoever reads a module need not have read those that use it."""
    waiting = {name: imported(path) - {name} for name, path in MODULES.items()}
    while free := {n for n, needs in waiting.items() if not needs & waiting.keys()}:
        for name in free:
            del waiting[name]

    assert not waiting


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
    assert {m.split(".")[1] for m in ast.literal_eval(done.stdout.splitlines()[-1])} == {
        "cache_commands",
        "mlflow",
        "new_plugin",
        "vlmevalkit",
    }


@pytest.mark.parametrize("module", [m for m in MODULES if m != "vlrb.__main__"])
def test_each_module_can_be_imported_alone(module: str) -> None:
    """No module depends on what was imported before it; none warns."""
    subprocess.run([sys.executable, "-W", "error", "-c", f"import {module}"], check=True)


def test_plugins_use_the_public_face() -> None:
    """Bundled plugins and the examples import from the core what ``from vlrb import ...`` gives, and nothing else."""
    for path in [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        text = text.replace("from vlrb.testing import", "") if path.name.startswith("test_") else text
        assert "from vlrb." not in text, path
        assert "import vlrb." not in text, path


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has, its docstring aside."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return (function.end_lineno or 0) - function.lineno + 1 - ((first.end_lineno or 0) - first.lineno + 1) * documented


@pytest.mark.parametrize("folder", ["vlrb", "plugins"])
def test_files_and_functions_stay_small(folder: str) -> None:
    """No file has more than 400 lines and no function more than 40, so that each can be read at one look."""
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert len(text.splitlines()) <= 400, path
        assert [f.name for f in functions if lines_of(f) > 40] == [], path
