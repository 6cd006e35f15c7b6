"""An exported folder of the tiny logs, and choices to order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

Row = dict[str, Any]


@attrs.frozen
class Outside:
    """A project with exported queries, and an experiment that reads the choices made of them."""

    project: Any
    folder: Path
    file: Path

    @property
    def choices(self) -> Path:
        """Return the file that the experiment names."""
        return self.project.folder / "choices.jsonl"

    def splits(self) -> list[str]:
        """Return the names of the splits."""
        return [s["name"] for s in json.loads((self.folder / "splits.json").read_text(encoding="utf-8"))["splits"]]

    def rows(self, split: str, part: str) -> list[Row]:
        """Return the questions of train, dev or test of a split."""
        text = (self.folder / split / f"{part}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def chosen(self, model: Callable[[Row], str] | str = "tiny-small") -> list[Row]:
        """Return a choice for every dev and test question."""
        asked = [row for s in self.splits() for part in ("dev", "test") for row in self.rows(s, part)]
        return [
            {"split": r["split"], "id": r["id"], "model": model if isinstance(model, str) else model(r)} for r in asked
        ]

    def write(self, rows: list[Row]) -> None:
        """Write the file of choices."""
        self.choices.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def run(self) -> Any:
        """Run the experiment."""
        return self.project.vlrb("run", self.file, "--json")


@pytest.fixture
def outside(project: Any) -> Callable[..., Outside]:
    """Return a function that exports the queries of an experiment, given what it says beyond its logs and routers."""

    def export(
        more: str = "", router: str = 'path = "choices.jsonl"', rivals: str = '[[router]]\nuse = "cheapest"\n'
    ) -> Outside:
        routers = f'[[router]]\nuse = "choices"\n{router}\n{rivals}'
        file = project.experiment(routers, more=more)
        shown = project.vlrb("build", file, "--no-review", "--export", "queries", "queries", "--json")
        assert shown.status == 0, shown.err
        return Outside(project, project.folder / "queries", file)

    return export
