"""Broken inputs of all kinds end with a status of their own, never with an internal error (a short form of the campaign)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


def test_broken_inputs_of_every_kind_end_as_they_should(tmp_path: Path) -> None:
    """No traceback, no exit status 3, nothing over the limits of time and memory; what failed is kept."""
    command = [sys.executable, str(SCRIPT), "--inputs", "3", "--seed", "7", "--minutes", "2", "--keep", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
    assert len([line for line in done.stdout.splitlines() if line.split()[1:2] == ["3"]]) == 10


def test_an_internal_error_is_found_and_kept(tmp_path: Path) -> None:
    """The campaign would notice: exit status 3 is a failure, and its input is kept."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fuzz\n"
        "from pathlib import Path\n"
        "fuzz.Worker.run = lambda *_: fuzz.Outcome(3, 0.1, 'broken')\n"
        "print(fuzz.try_input(fuzz.Worker(), 'jsonl', 1, Path(sys.argv[2])).fault)"
    )
    command = [sys.executable, "-c", code, str(SCRIPT.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "exit 3"
    assert (tmp_path / "jsonl-1" / "e.toml").is_file()
    assert "vlrb " in (tmp_path / "jsonl-1" / "fault.txt").read_text(encoding="utf-8")
