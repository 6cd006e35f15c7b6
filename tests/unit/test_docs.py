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


def test_links_between_documents_lead_somewhere() -> None:
    """No dead relative link."""
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_key_of_the_sections_is_documented() -> None:
    """docs/experiment.md names each key that the core takes."""
    text = (ROOT / "docs" / "experiment.md").read_text(encoding="utf-8")
    splitters = [r.record.params for r in load(Selection()).all("splitter")]
    core = (General, BenchmarkSection, SplitSection, SelectionSection, StatisticsSection, Dataset, Model)
    for section in (*core, *splitters):
        for field in attrs.fields(section):
            assert f"`{toml_name(field.name)}`" in text, f"{section}.{field.name}"


def test_the_experiment_in_readme_names_what_there_is(project: Any) -> None:
    """Every plugin, router and parameter of README's experiment exists; only its logs are the reader's own."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(t for t in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if t.startswith("name"))
    (project.folder / "examples").mkdir()
    project.file((ROOT / "examples" / "my_router.py").read_text(encoding="utf-8"), "examples/my_router.py")
    shown = project.vlrb("check", project.file("requires = []\n" + example))

    assert shown.status == 4
    assert shown.err.count("error: ") == 1
    assert "vlm_router_data" in shown.err


@pytest.mark.parametrize("name", ["quickstart.toml", "own_logs.toml"])
def test_the_examples_are_valid(project: Any, name: str) -> None:
    """An example file has no problem but logs that are not there."""
    text = (ROOT / "examples" / name).read_text(encoding="utf-8").replace('name = "', 'requires = []\nname = "', 1)
    project.file((ROOT / "examples" / "my_router.py").read_text(encoding="utf-8"), "my_router.py")
    shown = project.vlrb("check", project.file(text.replace("samples = 3000", "samples = 300")))

    if name == "own_logs.toml":
        assert shown.err.count("error: ") == 1
        assert "there is no folder" in shown.err
    else:
        assert shown.status == 0, shown.err + shown.out


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
