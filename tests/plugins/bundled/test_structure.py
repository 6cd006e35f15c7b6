"""What modules of the bundled plugins import from each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3] / "plugins"
SHARED = "vlrb_plugins.shared"
ALLOWED = {
    # its logs are in VLMEvalKit's form, and one log source cannot read through another by its name
    "demo": {"vlmevalkit"},
}
"""Plugin -> plugins that it may import from."""


def name_of(path: Path) -> str:
    """Return the module that a file is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(p): p for p in sorted((ROOT / "vlrb_plugins").rglob("*.py"))}
PLUGINS = sorted({n.split(".")[1] for n in MODULES if "." in n} - {"shared"})


def named(tree: ast.AST) -> Iterator[str]:
    """Yield what a tree names that may be a module: imports wherever they stand, and texts such as "package.module:Name".

    Imports for type checking are left out.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            inner = [f"{node.module}.{a.name}" for a in node.names]
            yield from (n if n in MODULES else str(node.module) for n in inner)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]
        yield from named(node)


IMPORTS = {
    name: {n for n in named(ast.parse(path.read_text(encoding="utf-8"))) if n in MODULES} - {name}
    for name, path in MODULES.items()
}


def reached(name: str) -> set[str]:
    """Return all that a module imports, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = IMPORTS[waiting.pop()] - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("plugin", [*PLUGINS, "shared"])
def test_no_two_modules_of_a_plugin_import_each_other(plugin: str) -> None:
    """Neither directly nor by way of others, lazily or not: each module can be read without those that use it."""
    own = [n for n in MODULES if f"{n}.".startswith(f"vlrb_plugins.{plugin}.")]

    assert [n for n in own if n in reached(n)] == []


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugins_share_code_by_shared_libraries_only(plugin: str) -> None:
    """A plugin can be removed without another one breaking."""
    own = [n for n in MODULES if f"{n}.".startswith(f"vlrb_plugins.{plugin}.")]
    others = {i.split(".")[1] for n in own for i in IMPORTS[n] if "." in i} - {plugin, "shared"}

    assert others == ALLOWED.get(plugin, set())


def test_shared_libraries_need_no_plugin() -> None:
    """What several plugins share imports the core and other shared libraries only."""
    assert {i for n in MODULES if n.startswith(SHARED) for i in IMPORTS[n] if not i.startswith(SHARED)} == set()
