"""docs/outside-routers.md: its example runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from vlrb_plugins.outside_choices.folder_text import README

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "outside-routers.md").read_text(encoding="utf-8")
RIVAL = '[[router]]\nuse = "longer-is-harder"\nthreshold = 40\n'


def block(kind: str) -> str:
    """Return the first code block of a kind."""
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_example_of_the_page_runs(project: Any) -> None:
    """Its three commands, the script without vlrb; the row is that of the same rule as a plugin, time aside."""
    project.file((ROOT / "examples" / "my_router.py").read_text(encoding="utf-8"), "my_router.py")
    file = project.file('plugins = ["my_router.py"]\nrequires = []\n' + block("toml") + RIVAL)
    build, choose, run = (line.split() for line in block("sh").splitlines())
    assert project.vlrb(*build[1:]).status == 0
    script = project.file(block("python"), choose[1])
    subprocess.run([sys.executable, "-I", "-S", str(script)], cwd=project.folder, check=True, timeout=60)
    assert project.vlrb(*run[1:]).status == 0, file

    routers = {r["label"]: r for r in project.results()[0]["routers"]}
    outside, inside = routers["choices"]["test"]["scores"], routers["longer-is-harder"]["test"]["scores"]
    timed = {"requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms"}
    assert all(outside["overall"][m] == {"undefined": "no router was timed"} for m in timed)
    drop = {scope: {m: v for m, v in values.items() if m not in timed} for scope, values in outside.items()}
    assert drop == {scope: {m: v for m, v in values.items() if m not in timed} for scope, values in inside.items()}


def test_page_and_folder_describe_the_same_keys() -> None:
    """The folder's README says what the page says."""
    for name in (
        "candidates.json",
        "splits.json",
        "SPLIT/train.jsonl",
        "images/",
        "`id`",
        "`outcomes`",
        "`input_tokens`",
    ):
        assert name in PAGE
        assert name in README
