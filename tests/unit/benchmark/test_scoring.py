"""Scoring raw answers in the core: which answers are scored, what is kept, and what a scorer may not do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCORED = """
[[dataset]]
name = "TinyA"
group = "general"
scorer = "judge"
[[dataset]]
name = "TinyB"
group = "stem"
scorer = "judge"
"""


def with_scorer(project: Any, body: str) -> None:
    """Add a scorer ``judge`` to the tiny plugin; ``body`` computes ``values`` from ``cases``."""
    text = project.plugin.read_text(encoding="utf-8")
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    project.plugin.write_text(
        f"""{text}

from vlrb.api.components import ScorerSpec
from vlrb.api.logs import Score

class Judge:
    def score(self, cases):
{lines}
        return values

@hookimpl
def vlrb_scorers():
    return [ScorerSpec(name="judge", summary="for the tests", factory=lambda _: Judge())]
""",
        encoding="utf-8",
    )


def report(project: Any, section: str = "", logs: str = "") -> dict[str, Any]:
    """Build, and return the data report."""
    shown = project.vlrb("build", project.experiment(logs=logs, more=f"{SCORED}\n[benchmark]\n{section}"), "--json")
    assert shown.status == 0, shown.err
    found: dict[str, Any] = shown.json
    return found


def correct(found: dict[str, Any]) -> list[int]:
    return [m["correct"] for m in found["models"]]


def test_stored_verdicts_stand_unless_scored_ones_are_asked_for(project: Any) -> None:
    """`verdicts` decides whose word counts; the other one is only compared with it."""
    with_scorer(project, "values = [Score(1.0) for _ in cases]")
    stored = report(project)
    scored = report(project, 'verdicts = "scored"')

    assert correct(scored) == [120, 120, 120]
    assert correct(stored) != correct(scored)
    for found in (stored, scored):
        assert found["agreement"]["stored"] == found["agreement"]["decided"] == 360
        assert found["agreement"]["agreeing"] == sum(correct(stored))
        assert found["agreement"]["only_scored"] == 360 - sum(correct(stored))
        assert found["agreement"]["only_stored"] == 0


@pytest.mark.parametrize(
    ("policy", "right", "left_out"),
    [
        ("wrong", 60, "answers that no rule can judge, counted as wrong"),
        ("stored", None, "answers that no rule can judge, taken as the logs judge them"),
        ("drop", 60, "samples with an answer that no rule can judge"),
    ],
)
def test_what_a_scorer_leaves_open(project: Any, policy: str, right: int | None, left_out: str) -> None:
    """Each policy is counted; the scorer here decides on the first half of every dataset."""
    with_scorer(project, "values = [Score(1.0 if int(c.id.split('/')[1]) < 30 else None, 'open') for c in cases]")
    stored = report(project)
    found = report(project, f'verdicts = "scored"\nunknown = "{policy}"')

    reasons = [e for e in found["excluded"] if e["reason"].startswith(left_out)]
    assert sum(e["count"] for e in reasons) == (60 if policy == "drop" else 180)
    if right is not None:
        assert correct(found) == [right] * 3
    else:
        assert all(r >= 60 for r in correct(found))
        assert sum(correct(found)) <= 180 + sum(correct(stored))
    assert found["agreement"]["undecided"] == 180


def test_an_answer_that_is_left_open_is_an_error_by_default(project: Any) -> None:
    """The error counts, says who could not decide, and names the ways out."""
    with_scorer(project, "values = [Score(None, 'open') for _ in cases]")
    file = project.experiment(more=f'{SCORED}\n[benchmark]\nverdicts = "scored"')
    shown = project.vlrb("build", file)

    assert shown.status == 4
    assert "60 answers of tiny-small have no verdict" in shown.err
    assert "scorer 'tiny/judge' could not decide" in shown.err


UNSCORABLE = """
values = [Score(1.0) if int(c.id.split('/')[1]) > 2 else Score(None, 'nothing to compare with', unscorable=True) for c in cases]
"""


@pytest.mark.parametrize("policy", ["wrong", "error"])
def test_a_sample_on_which_nothing_can_be_judged_is_refused(project: Any, policy: str) -> None:
    """Counting its answers as wrong would count the right ones as wrong; dataset, reason, samples and the way out are named."""
    with_scorer(project, UNSCORABLE.strip())
    file = project.experiment(more=f'{SCORED}\n[benchmark]\nverdicts = "scored"\nunknown = "{policy}"')
    shown = project.vlrb("build", file)

    assert shown.status == 4
    for word in ("TinyA: nothing to compare with", "TinyB: nothing", "3 of 60 samples: TinyA/0", 'unknown = "drop"'):
        assert word in shown.err
    assert "could not decide" not in shown.err


def test_samples_on_which_nothing_can_be_judged_can_be_left_out(project: Any) -> None:
    """They are counted with their reason; where the logs' verdicts are taken, they stay."""
    with_scorer(project, UNSCORABLE.strip())
    found = report(project, 'verdicts = "scored"\nunknown = "drop"')
    assert found["samples"] == 114
    reason = "samples on which no answer can be judged: nothing to compare with"
    assert {(e["reason"], e["count"]) for e in found["excluded"]} == {(f"{reason} (Tiny{x})", 3) for x in "AB"}
    assert report(project, 'verdicts = "scored"\nunknown = "stored"')["samples"] == 120


def test_stored_is_no_policy_for_stored_verdicts(project: Any) -> None:
    """A key that would do nothing is refused."""
    shown = project.vlrb("check", project.experiment(more='[benchmark]\nunknown = "stored"'))
    assert shown.status == 4
    assert 'set verdicts = "scored" too' in shown.err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("values = [Score(2.0) for _ in cases]", "a score outside [0, 1] for Tiny"),
        ("values = [Score(float('nan')) for _ in cases]", "a score outside [0, 1] for Tiny"),
        ("values = [Score(1.0)]", "1 scores for 60 cases"),
        ("values = [1.0 for _ in cases]", "float instead of a Score"),
        ("raise RuntimeError('it broke')", "it broke"),
    ],
)
def test_a_scorer_that_breaks_its_contract_is_blamed(project: Any, body: str, message: str) -> None:
    """Exit status 5, with the plugin's name and what it did; no number comes of it."""
    with_scorer(project, body)
    shown = project.vlrb("build", project.experiment(more=f'{SCORED}\n[benchmark]\nverdicts = "scored"'))

    assert (shown.status, message in shown.err, "tiny" in shown.err) == (5, True, True), shown.err


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
