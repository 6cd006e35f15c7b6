"""What reaches stdout and the written tables, whatever names, encodings and plugins there are."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import re
import subprocess
from typing import Any

import pytest

LABEL = "a|b`c<b>*x*"


def test_names_stand_in_every_table_as_they_are(project: Any) -> None:
    """A label with bars, backticks and tags breaks neither Markdown nor CSV; a leading = does not make a formula."""
    routers = f'[[router]]\nuse = "cheapest"\nlabel = "{LABEL}"\n[[router]]\nuse = "strongest"\nlabel = "=cmd()"\n'
    shown = project.vlrb("run", project.experiment(routers))
    run = next(project.folder.glob("runs/t/*/results.json")).parent

    assert shown.status == 0, shown.err
    assert LABEL in shown.out
    lines = (run / "reports" / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert any(r"a\|b\`c&lt;b&gt;\*x\*" in line for line in table)
    with (run / "reports" / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    assert {LABEL, "'=cmd()"} <= names


def test_a_negative_number_is_a_number_in_csv(project: Any) -> None:
    """Only texts get an apostrophe in front."""
    project.vlrb("run", project.experiment('[[router]]\nuse = "cheapest"\n'))
    run = next(project.folder.glob("runs/t/*/results.json")).parent
    with (run / "reports" / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        values = [row["value"] for row in csv.DictReader(file) if row["metric"] == "oracle-gap-closed" and row["value"]]

    assert min(map(float, values)) < 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_output_encoding_works(project: Any, encoding: str) -> None:
    """All cells are done and shown; --json is JSON."""
    file = project.experiment('[[router]]\nuse = "cheapest"\nlabel = "bon marché ▲"\n')
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    table = project.process("run", file, env=environment, encoding=encoding)
    out, err = table.communicate()
    parsed = project.process("run", file, "--json", env=environment, encoding=encoding)

    assert table.returncode == 0, err
    assert "bon march" in out
    assert json.loads(parsed.communicate()[0])["cells"][0]["cell"]["label"] == "bon marché ▲"


def test_what_plugins_print_goes_to_stderr(project: Any) -> None:
    """On import, while a router fits, from Python, from C and from a process: --json stays JSON."""
    project.plugin.write_text(
        project.plugin.read_text(encoding="utf-8")
        .replace(
            "        time.sleep(self.params.wait)",
            "        print('in fit'); os.system('echo in a process'); ctypes.CDLL(None).printf(b'in C\\n')",
        )
        .replace("import io\n", "import ctypes\nimport io\nprint('at import')\n"),
        encoding="utf-8",
    )
    process = project.process("run", project.experiment('[[router]]\nuse = "counting"\n'), "--json")
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert json.loads(out)["cells"][0]["status"] == "done"
    for text in ("at import", "in fit", "in a process", "in C"):
        assert text in err


def test_a_kind_may_be_written_in_the_plural(project: Any) -> None:
    """`vlrb list routers` is understood; a misspelt kind gets a did-you-mean, and so does a misspelt name."""
    assert project.vlrb("list", "routers").out == project.vlrb("list", "router").out
    wrong = project.vlrb("list", "routr")
    assert (wrong.status, "did you mean 'router'" in wrong.err) == (4, True)
    wrong = project.vlrb("list", "router", "knnn")
    assert (wrong.status, "did you mean 'knn'" in wrong.err) == (4, True)


STAGES = {
    "run": ("loading plugins", "listing logs"),
    "check": ("loading plugins", "listing logs"),
    "verify": ("loading plugins",),
    "report": ("loading plugins",),
    "compare": ("loading plugins", "comparing"),
}


def test_a_terminal_shows_what_takes_time_before_the_first_result(project: Any) -> None:
    """Importing libraries and listing logs may take half a minute, in which a user must not think that nothing happens."""
    file = project.experiment()
    for command, stages in STAGES.items():
        given = (file,) if command in ("run", "check") else ("t",)
        if command == "compare":
            project.vlrb("run", project.experiment('[[router]]\nuse = "strongest"\n'))
            given = tuple(sorted(f.parent for f in project.folder.glob("runs/t/*/results.json")))
        ours, theirs = pty.openpty()
        process = project.process(command, *given, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody has the terminal any more
            while data := os.read(ours, 4096):
                seen += data
        os.close(ours)

        assert process.wait(60) == 0, seen
        assert all(stage.encode() in seen for stage in stages), (command, seen)
