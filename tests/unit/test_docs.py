"""What the documents say is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.api.components import toml_name
from vlrb.api.records import Dataset, Model
from vlrb.cli.catalog import hook_list
from vlrb.experiment.sections import BenchmarkSection, General, SelectionSection, SplitSection, StatisticsSection
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection

ROOT = Path(__file__).parents[2]


def test_ci_runs_the_test_command_of_readme() -> None:
    """CI must not pass by a command that nobody else uses."""
    commands = re.findall(r"```sh\n(.+?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"))

    assert "vlrb run examples/quickstart.toml" in commands[0]
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_hook_is_documented_with_its_arguments() -> None:
    """The table in docs/plugins.md is that of `vlrb hooks`."""
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")

    for name, arguments, summary in hook_list():
        assert f"| `{name}{arguments.split(' ->')[0]}` | {summary} |" in text


def test_the_router_in_the_documents_is_the_example() -> None:
    """The code of docs/plugins.md, without its layout, is that of examples/my_router.py without its docstrings."""
    shown = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    names: dict[str, Any] = {}
    exec(compile(shown.group(1), "docs/plugins.md", "exec"), names)
    assert names["vlrb_routers"]()[0].name == "longer-is-harder"
    assert "longer-is-harder" in (ROOT / "examples" / "my_router.py").read_text(encoding="utf-8")


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")])


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what links to a page may name after ``#``."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """No dead relative link, picture or anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        file, _, anchor = target.partition("#")
        if not target.startswith("http"):
            found = page.parent / file if file else page
            assert found.is_file(), target
            assert not anchor or anchor in anchors(found), target


def test_every_page_is_listed() -> None:
    """The first page links to all others, which makes the contents of the pages."""
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / t).resolve() for t in re.findall(r"\]\(([^)#]+)\)", index.read_text(encoding="utf-8"))}

    assert {p for p in (ROOT / "docs").rglob("*.md") if p != index} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_lines_are_short(page: Path) -> None:
    """Lines of prose and code have at most 120 characters; tables, pictures, commands and output cannot be broken."""
    blocks = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    text = blocks.sub(lambda b: b[2] if b[1] in ("python", "toml") else "", page.read_text(encoding="utf-8"))
    long = [line for line in text.splitlines() if len(line) > 120 and not line.lstrip().startswith(("|", "!["))]

    assert not long


def test_messages_of_troubleshooting_are_those_of_the_code() -> None:
    """Every message on the page is in the sources."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)
    sources = "".join(p.read_text(encoding="utf-8") for d in ("vlrb", "plugins") for p in (ROOT / d).rglob("*.py"))

    assert len(quoted) > 15
    assert not [q for q in quoted if q not in sources]


def test_every_key_of_the_sections_is_documented() -> None:
    """docs/experiment.md names each key that the core takes."""
    text = (ROOT / "docs" / "experiment.md").read_text(encoding="utf-8")
    splitters = [r.record.params for r in load(Selection()).all("splitter")]
    core = (General, BenchmarkSection, SplitSection, SelectionSection, StatisticsSection, Dataset, Model)
    for section in (*core, *splitters):
        for field in attrs.fields(section):
            assert f"`{toml_name(field.name)}`" in text, f"{section}.{field.name}"


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.toml")), ids=lambda f: f.name)
def test_the_examples_are_valid(project: Any, file: Path) -> None:
    """An example file has no problem except missing logs and extras."""
    text = file.read_text(encoding="utf-8").replace('name = "', 'requires = []\nname = "', 1)
    project.file((ROOT / "examples" / "my_router.py").read_text(encoding="utf-8"), "my_router.py")
    shown = project.vlrb("check", project.file(text.replace("samples = 3000", "samples = 300")))
    errors = [line for line in shown.err.splitlines() if line.startswith("error: ")]

    assert [e for e in errors if not re.search(r"there is no folder|needs ", e)] == []
    assert bool(errors) == (file.name in ("own_logs.toml", "paper.toml"))


def test_the_example_router_runs(project: Any) -> None:
    """examples/my_router.py, named in an experiment file, is a router that runs."""
    project.file((ROOT / "examples" / "my_router.py").read_text(encoding="utf-8"), "my_router.py")
    file = project.experiment('[[router]]\nuse = "longer-is-harder"\nthreshold = 23\n')
    file.write_text(
        file.read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "my_router.py"]'), encoding="utf-8"
    )
    shown = project.vlrb("run", file, "--json")

    assert shown.status == 0, shown.err
    counts = shown.json["cells"][0]["choices"]["test"]
    assert sum(n > 0 for n in counts.values()) == 2
