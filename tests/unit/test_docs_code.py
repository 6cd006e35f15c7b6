"""What the documents show as code works: Python runs, experiments are valid, commands exist.

A comment in the line above a block says more: ``<!-- file: NAME -->`` writes it into the folder where the page's blocks run,
``<!-- run -->`` runs its ``vlrb`` commands there, and ``<!-- not run: REASON -->`` leaves it out.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from vlrb.cli import catalog, commands, compare, report, verify  # noqa: F401  (they add their commands)
from vlrb.cli.root import Given
from vlrb.cli.root import vlrb as root
from vlrb.storage import Places

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
ELSEWHERE = {
    "notebook.md": "tests/unit/test_notebook.py",
    "outside-routers.md": "tests/plugins/outside_choices",
    "testing.md": "tests/unit/testing",
}
"""Pages whose Python another test runs."""
ABSENT = re.compile(r"(there is no|is not a|no such) (file|folder)|cannot be read|needs ")
"""What an experiment of a page may lack: the reader's own files, and extras."""


@attrs.frozen
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Return where the block is."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, found.start(3)) + 1
        yield Block(page, line, found[2], found[1] or "", found[3])


def with_blocks(*languages: str) -> Any:
    """Parametrise a test by the pages that have blocks in some language."""
    pages = [p for p in PAGES if any(b.language in languages for b in blocks(p))]
    return pytest.mark.parametrize("page", pages, ids=lambda p: p.relative_to(ROOT).as_posix())


def untracked(text: str) -> str:
    """Return an experiment that needs no MLflow, with few samples; any other text as it is."""
    return f"requires = []\n{text}".replace("samples = 3000", "samples = 300") if text.startswith("name = ") else text


@with_blocks("python")
def test_python_runs(project: Any, page: Path) -> None:
    """The blocks of a page run in their order, with the files and commands that it shows between them."""
    if page.name == "records.md":  # own-logs.md makes the folder itself
        (project.folder / "my_logs").mkdir()
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page) if page.name not in ELSEWHERE else ():
        if block.mark.startswith("not run:"):
            continue
        if block.mark.startswith("file: "):
            project.file(untracked(block.text), block.mark.removeprefix("file: "))
        elif block.mark == "run":
            for line in block.text.splitlines():
                run_line(project, block, shlex.split(line, comments=True))
        elif block.language == "python":
            exec(compile(block.text, block.place, "exec"), names)


def run_line(project: Any, block: Block, words: list[str]) -> None:
    """Run a command of a page: vlrb in this process, Python in another."""
    if words[0] == "vlrb":
        shown = project.vlrb(*words[1:])
        assert shown.status == 0, f"{block.place}: {words}: {shown.err}"
        return
    assert words[0] == "python", words
    search = os.pathsep.join([str(project.folder), str(ROOT), str(ROOT / "plugins")])
    environment = {**os.environ, "PYTHONPATH": search}
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=project.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{block.place}: {words}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that holds the demo's logs for all blocks."""
    return tmp_path_factory.mktemp("cache")


@with_blocks("toml")
def test_experiments_are_valid(project: Any, cache: Path, page: Path) -> None:
    """Every key, name and value that a page's TOML shows is one that vlrb takes; what it leaves out is filled in."""
    example = (ROOT / "examples" / "my_router.py").read_text(encoding="utf-8")
    (project.folder / "examples").mkdir()
    project.file(example, "examples/my_router.py")
    for block in blocks(page):
        if block.mark.startswith("file: ") and block.mark.endswith(".py"):
            project.file(block.text, block.mark.removeprefix("file: "))
        if block.language != "toml" or block.mark.startswith("not run:"):
            continue
        tree = tomllib.loads(block.text)
        text = untracked(block.text if "name" in tree else f'name = "block"\n{block.text}')
        text += "" if "logs" in tree else '\n[logs]\nuse = "demo"\nsamples = 300\n'
        shown = project.vlrb("--cache", cache, "check", project.file(text, "block.toml"))
        wrong = [line for line in shown.err.splitlines() if line.startswith("error: ") and not ABSENT.search(line)]
        assert not wrong, f"{block.place}: {wrong}"


@with_blocks("sh")
def test_commands_exist(page: Path) -> None:
    """Every command of vlrb that a page shows exists, with its options."""
    for block in blocks(page):
        for line in re.split(r"\n|&&", block.text) if block.language == "sh" else ():
            words = shlex.split(line, comments=True)
            if words and Path(words[0]).name == "vlrb":
                wrong = unknown_word(words[1:])
                assert not wrong, f"{block.place}: {line}: {wrong}"


def unknown_word(words: list[str]) -> str:
    """Return the first command or option that vlrb does not have; empty where there is none."""
    context = click.Context(root, obj=Given((), Places.of(None, None)))
    here: click.Command = root
    for number, word in enumerate(words):
        if isinstance(here, click.Group) and not word.startswith("-") and (number == 0 or words[number - 1] != "-p"):
            found = here.get_command(context, word)
            if found is None:
                return word
            here = found
        elif word.startswith("-") and not any(word in (*p.opts, *p.secondary_opts) for p in here.params):
            return word
    return ""


def test_other_tests_run_what_this_one_leaves_out() -> None:
    """A page is left out only where a test names it."""
    for page, place in ELSEWHERE.items():
        tests = (ROOT / place).rglob("*.py") if (ROOT / place).is_dir() else [ROOT / place]
        assert any(page in t.read_text(encoding="utf-8") for t in tests), page


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_marks_are_known(page: Path) -> None:
    """A misspelt mark would leave a block out silently."""
    for block in blocks(page):
        assert not block.mark or re.fullmatch(r"file: [\w./-]+|run|not run: .+", block.mark), block.place
