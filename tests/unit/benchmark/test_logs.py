"""The parts of a log tree in the cache: which are read or scored again, and what their problems are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from written_logs import SCORED


def correct(found: dict[str, Any]) -> list[int]:
    return [m["correct"] for m in found["models"]]


def test_editing_a_scorer_scores_again_and_reads_nothing(project: Any) -> None:
    """Workbooks take longer to read than answers to score, so that the two are kept apart in the cache."""
    scorers = project.folder / "judge.py"

    def build(value: str) -> None:
        code = (
            "from vlrb import hookimpl\nfrom vlrb.api.components import ScorerSpec\nfrom vlrb.api.logs import Score\n"
            f"class Judge:\n    def score(self, cases):\n        return [Score({value}) for _ in cases]\n"
            "@hookimpl\ndef vlrb_scorers():\n"
            "    return [ScorerSpec(name='judge', summary='x', factory=lambda _: Judge())]\n"
        )
        scorers.write_text(code, encoding="utf-8")
        file = project.experiment(more=f'{SCORED}\n[benchmark]\nverdicts = "scored"')
        file.write_text(file.read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "judge.py"]'))
        seen.append(correct(project.vlrb("build", file, "--json").json))

    def times(kind: str) -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in (project.folder / ".vlrb-cache" / kind).glob("*/*.json")}

    seen: list[list[int]] = []
    build("1.0")
    parts, scores = times("parts"), times("scores")
    build("0.0")

    assert seen == [[120] * 3, [0] * 3]
    assert times("parts") == parts
    assert len(times("scores")) == 2 * len(scores)
