"""The reference is what the code says: docs/generate.py writes it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from vlrb.cli.root import vlrb as root
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def generate() -> Any:
    """Return the script that writes the reference."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.pop(0)
    return generate


def test_the_reference_is_up_to_date(generate: Any) -> None:
    """A change of a docstring, parameter, option or record shows in the reference."""
    stale = generate.stale()

    assert not stale, f"docs/reference is out of date ({', '.join(stale)}); run: {generate.COMMAND}"


def test_a_stale_page_is_noticed(generate: Any, tmp_path: Path) -> None:
    """Pages that are missing, edited or left over are named."""
    for name, text in generate.pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert generate.stale(tmp_path) == []
    (tmp_path / "hooks.md").unlink()
    (tmp_path / "metrics.md").write_text("# Metrics\n", encoding="utf-8")
    (tmp_path / "old.md").write_text("# Old\n", encoding="utf-8")

    assert generate.stale(tmp_path) == ["hooks.md", "metrics.md", "old.md"]


def test_every_command_and_component_has_a_section() -> None:
    """The reference lacks no command, and no bundled component."""
    headings = {
        heading
        for page in REFERENCE.glob("*.md")
        for heading in re.findall(r"^##+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    registry = load(Selection())
    kinds = [k for k in registry.records if k not in ("dataset", "model", "command")]
    of_plugins = [r.name for r in registry.all("command") if r.plugin.dist == "vlrb"]

    assert {f"vlrb {name}" for name in [*root.commands, *of_plugins]} <= headings
    assert {r.name for k in kinds for r in registry.all(k) if r.plugin.dist == "vlrb"} <= headings


def test_every_bundled_metric_has_a_formula_and_a_source() -> None:
    """A number in a table can be looked up."""
    for registered in load(Selection()).all("metric"):
        if registered.plugin.dist == "vlrb":
            assert registered.record.formula, registered.id
            assert registered.record.source, registered.id
