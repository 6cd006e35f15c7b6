"""Which answers of a part a scorer is asked about, what it is told of them, and what is kept of what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pyarrow as pa
import pytest
from written_logs import SCORED

from vlrb.api.logs import Case, Rotation, Score
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark import score as scoring
from vlrb.benchmark.read import rows_writer
from vlrb.errors import PluginError


@attrs.define
class Judge:
    """A scorer that keeps what it was asked, and says what the test wants; it is its own ``ConfiguredComponent``."""

    says: Any = lambda case: Score(1.0, f"saw {case.prediction}")
    asked: list[Case] = attrs.field(factory=list)
    calls: int = 0
    plugin: Any = SimpleNamespace(label="plugin 'p'", name="p", dist="p", version="1")
    registered: Any = SimpleNamespace(id="p/judge")
    kind: str = "scorer"

    def make(self, _: str) -> Judge:
        return self

    def score(self, cases: Sequence[Case]) -> Iterator[Any]:
        self.calls += 1
        self.asked.extend(cases)
        return (self.says(case) for case in cases)


def answer(key: str, dataset: str = "A", **values: Any) -> dict[str, Any]:
    """Return a row of outcomes: an answer without a verdict."""
    names = [f.name for f in (*OUTCOMES, *OUTCOMES_OPTIONAL)]
    row = {"prediction": "yes", "dataset": dataset, **values}
    return {"id": f"{dataset}/{key}", **{n: row.get(n) for n in names}}


def question(key: str, dataset: str = "A", **values: Any) -> dict[str, Any]:
    """Return a row of samples."""
    names = [f.name for f in (*SAMPLES, *SAMPLES_OPTIONAL)]
    row = {"question": f"question {key}", "answer": "A", "dataset": dataset, **values}
    return {"id": f"{dataset}/{key}", **{n: row.get(n) for n in names}}


def written(folder: Path, rows: Sequence[dict[str, Any]], schemas: Sequence[pa.Schema]) -> Path:
    """Write the rows of a part."""
    schema = pa.schema([("id", pa.string()), *(field for s in schemas for field in s)])
    folder.mkdir()
    with rows_writer(folder, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(list(rows), schema=schema))
    return folder


@pytest.fixture
def scored(tmp_path: Path) -> Any:
    """Return a function that scores answers and returns the rows that were kept."""
    count = iter(range(100))

    def score(
        judges: dict[str, Judge], answers: Sequence[Any], questions: dict[str, Sequence[Any]], every: bool = False
    ) -> list[dict[str, Any]]:
        catalog = SimpleNamespace(dataset=lambda name: name if name in judges else None)
        builder: Any = SimpleNamespace(plan=SimpleNamespace(catalog=catalog, scorer=judges.get))
        here = tmp_path / str(next(count))
        here.mkdir()
        rows = written(here / "rows", answers, (OUTCOMES, OUTCOMES_OPTIONAL))
        samples = {
            name: written(here / f"samples-{name}", of_part, (SAMPLES, SAMPLES_OPTIONAL))
            for name, of_part in questions.items()
        }
        scoring.score_part(builder, rows, samples, here / "scores", every, "part")
        found: list[dict[str, Any]] = scoring.read_scores(here / "scores").to_pylist()
        return found

    return score


NOTHING = {"value": None, "reason": None, "unscorable": False}


def test_only_answers_without_a_verdict_are_scored_unless_all_are_asked_for(scored: Any) -> None:
    """Protects runs that take the logs' verdicts from the price of scoring, and those that score from doing it in part."""
    answers = [answer("1", score=0.0), answer("2"), answer("3", score=1.0)]
    questions = {"A": [question(k) for k in "123"]}
    judge = Judge()

    assert scored({"A": judge}, answers, questions) == [
        NOTHING,
        {**NOTHING, "value": 1.0, "reason": "saw yes"},
        NOTHING,
    ]
    assert [c.id for c in judge.asked] == ["A/2"]
    judge = Judge()
    assert [r["value"] for r in scored({"A": judge}, answers, questions, every=True)] == [1.0] * 3
    assert [c.id for c in judge.asked] == ["A/1", "A/2", "A/3"]


def test_no_scorer_is_asked_about_an_answer_that_is_not_there(scored: Any) -> None:
    """A missing prediction has no verdict, and the reason is kept; an empty one is an answer."""
    judge = Judge(lambda case: Score(0.5))
    answers = [answer("1", prediction=None), answer("2", prediction=""), answer("3")]
    found = scored({"A": judge}, answers, {"A": [question(k) for k in "123"]})

    assert [c.prediction for c in judge.asked] == ["", "yes"]
    assert found[0] == {**NOTHING, "reason": "the logs hold no prediction"}
    assert found[1:] == [{**NOTHING, "value": 0.5}] * 2


def test_each_dataset_has_its_own_scorer_and_its_own_samples(scored: Any) -> None:
    """A part that holds several; samples of all stand under an empty name; who has no scorer or no sample is not scored."""
    one, other = Judge(lambda case: Score(0.25, case.question)), Judge(lambda case: Score(0.75, case.question))
    answers = [answer("1"), answer("1", "B"), answer("2"), answer("1", "C"), answer("2", "B"), answer("unknown")]
    samples = {"A": [question("1"), question("2")], "": [question(k, d, question=d + k) for d in "BC" for k in "12"]}
    found = scored({"A": one, "B": other}, answers, samples)

    assert [r["value"] for r in found] == [0.25, 0.75, 0.25, None, 0.75, None]
    assert [r["reason"] for r in found] == ["question 1", "B1", "question 2", None, "B2", None]
    assert (one.calls, other.calls) == (1, 1)


def test_a_scorer_is_told_all_that_is_known_of_a_question_and_an_answer(scored: Any) -> None:
    """Options, fields, an earlier judge's words and rotations; what is absent is empty, and a rotation unanswered None."""
    rotated = [
        {"key": "1-r1", "options": [{"letter": "A", "text": "no"}], "answer": "B"},
        {"key": "1-r2", "options": None, "answer": None},
    ]
    options = [{"letter": "A", "text": "yes"}, {"letter": "B", "text": "no"}]
    full = question("1", options=options, fields=[("category", "x")], rotations=rotated)
    said = answer("1", judged=[("res", "17")], rotations=[{"key": "1-r1", "prediction": "B"}])
    judge = Judge()
    scored({"A": judge}, [said, answer("2", prediction="maybe")], {"A": [full, question("2", answer=None)]})

    rotations = (Rotation((("A", "no"),), "B", "B"), Rotation((), "", None))
    first = Case(
        "A/1", "question 1", (("A", "yes"), ("B", "no")), "A", "yes", {"category": "x"}, {"res": "17"}, rotations
    )
    assert judge.asked == [first, Case("A/2", "question 2", (), "", "maybe")]


@pytest.mark.parametrize(
    ("score", "kept"),
    [
        (Score(0.0, "wrong"), {"value": 0.0, "reason": "wrong", "unscorable": False}),
        (Score(1), {"value": 1.0, "reason": None, "unscorable": False}),
        (Score(None, "open"), {"value": None, "reason": "open", "unscorable": False}),
        (Score(None, "no gold", unscorable=True), {"value": None, "reason": "no gold", "unscorable": True}),
        (Score(0.5, "odd", unscorable=True), {"value": 0.5, "reason": "odd", "unscorable": False}),
    ],
)
def test_what_a_scorer_says_is_kept(scored: Any, score: Score, kept: dict[str, Any]) -> None:
    """Value, reason and whether the sample is the reason; a sample with a score can be judged, whatever is said of it."""
    assert scored({"A": Judge(lambda _: score)}, [answer("1")], {"A": [question("1")]}) == [kept]


@pytest.mark.parametrize(
    "score",
    [Score(1.5), Score(-0.25), Score(float("nan")), Score("1"), Score([1.0]), 1.0, None],  # type: ignore[arg-type]
)
def test_what_is_no_score_is_blamed_on_the_scorer(scored: Any, score: object) -> None:
    """A text that looks like a number is not a number; the part and the scorer are named."""
    judge = Judge(lambda case: score if case.id == "A/2" else Score(1.0))
    with pytest.raises(PluginError) as caught:
        scored({"A": judge}, [answer(k) for k in "123"], {"A": [question(k) for k in "123"]})

    (problem,) = caught.value.problems
    assert problem.where == "part"
    assert "p/judge" in problem.message
    assert "A/2" in problem.message


@pytest.mark.parametrize("more", [-1, 1])
def test_scores_and_answers_are_as_many(scored: Any, more: int) -> None:
    """Too few or too many scores would go to other answers."""

    class Counting(Judge):
        def score(self, cases: Sequence[Case]) -> Any:
            return [Score(1.0)] * (len(cases) + more)

    with pytest.raises(PluginError, match="scores for 2 cases"):
        scored({"A": Counting()}, [answer("1"), answer("2")], {"A": [question("1"), question("2")]})


def test_long_parts_are_scored_in_pieces_and_only_once(
    scored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row has its own score, in the order of the part; what is in the cache is not scored again."""
    monkeypatch.setattr(scoring, "CHUNK", 2)
    keys = [str(i) for i in range(7)]
    judge = Judge(lambda case: Score(int(case.id[2:]) / 8))
    found = scored({"A": judge}, [answer(k) for k in keys], {"A": [question(k) for k in keys]})

    assert [r["value"] for r in found] == [i / 8 for i in range(7)]
    calls = judge.calls
    here = tmp_path / "0"
    scoring.score_part(SimpleNamespace(), here / "rows", {"A": here / "samples-A"}, here / "scores", False, "part")  # type: ignore[arg-type]
    assert judge.calls == calls


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
    """Exit status 5, with the plugin's name and what it did, and no number."""
    with_scorer(project, body)
    shown = project.vlrb("build", project.experiment(more=f'{SCORED}\n[benchmark]\nverdicts = "scored"'))

    assert (shown.status, message in shown.err, "tiny" in shown.err) == (5, True, True), shown.err
