"""From the rows of a log source to matrices: what is counted, refused, left out and joined, figure by figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from written_logs import LARGE, SMALL, Work, answer, answers, batch, questions

from vlrb.api.logs import Part, Score
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark.matrices import Benchmark


def excluded(made: Benchmark) -> dict[str, int]:
    return {e.reason: e.count for e in made.manifest.excluded}


def test_figures_stand_where_id_and_model_say(work: Work) -> None:
    """Whatever the order of rows, parts and batches: scores, tokens, and costs at the model's prices or as the logs say."""
    part, rows = answers([answer("c", 0.25, input_tokens=300, output_tokens=7), answer("a", 0.5, cost=0.125)])
    later = batch([answer("b", 0.75, input_tokens=50, output_tokens=20)], OUTCOMES, OUTCOMES_OPTIONAL)
    small = answers([answer(k, s, output_tokens=n) for k, s, n in (("b", 0.0, 1), ("c", 1.0, 2), ("a", 0.5, 3))], SMALL)
    made = work.build(small, (part, [*rows, later]), questions("TinyA", "cab"), section="correct_at = 0.5")

    assert made.ids == ("TinyA/a", "TinyA/b", "TinyA/c")
    assert [c.name for c in made.candidates] == [LARGE, SMALL]
    assert made.score.tolist() == [[0.5, 0.5], [0.75, 0.0], [0.25, 1.0]]
    assert made.quality.tolist() == [[True, True], [True, False], [False, True]]
    assert made.input_tokens.tolist() == [[100, 100], [50, 100], [300, 100]]
    assert made.output_tokens.tolist() == [[10, 3], [20, 1], [7, 2]]
    large = [0.125, (50 * 8 + 20 * 16) / 1e6, (300 * 8 + 7 * 16) / 1e6]
    np.testing.assert_allclose(made.cost[:, 0], large)
    np.testing.assert_allclose(made.cost[:, 1], [(100 * 0.5 + n) / 1e6 for n in (3, 1, 2)])
    assert made.manifest.total_tokens == 100 + 75 + 200 + 37 + 6


def test_datasets_do_not_mix(work: Work) -> None:
    """Keys of one dataset are not those of another, though they look alike; each has its own counts."""
    made = work.build(
        questions("TinyA", "ab"),
        questions("TinyB", "abc"),
        answers([answer("a", 0.0), answer("b", 1.0)]),
        answers([answer(k, s, "TinyB") for k, s in (("a", 1.0), ("b", 0.0), ("c", 0.0))], dataset="TinyB"),
    )

    assert made.score[:, 0].tolist() == [0, 1, 1, 0, 0]
    found = [(d.name, d.group, d.samples) for d in made.manifest.datasets]
    assert found == [("TinyA", "general", 2), ("TinyB", "stem", 3)]


def test_what_the_logs_hold_is_counted_by_dataset_and_model(work: Work) -> None:
    """Found, missing and unjudged answers, failed calls and failed judges, and what a source counts itself."""
    rows = [answer("a", failed=True), answer("b", None, judge_failed=True), answer("c", None, failed=False)]
    made = work.build(
        questions("TinyA", "abcd", counts={"odd": 1}),
        answers(rows, verdict="column hit", counts={"gaps": 2, "more": 1}),
        answers([answer(k) for k in "abcd"], SMALL),
        section='missing = "drop-sample"\nunknown = "wrong"',
    )
    by_model = {p.model: p for p in made.manifest.pairs}
    names = ("found", "missing", "unknown", "failed_calls", "failed_judges", "without_stored_verdict", "verdict")

    assert [getattr(by_model[LARGE], n) for n in names] == [3, 1, 2, 1, 1, 2, "column hit"]
    assert [getattr(by_model[SMALL], n) for n in names] == [4, 0, 0, 0, 0, 0, ""]
    by_part = {p.part: p for p in made.manifest.parts}
    assert by_part[f"outcomes/TinyA/{LARGE}"].counts == {"gaps": 2, "more": 1}
    assert [by_part[p].rows for p in ("samples/TinyA", f"outcomes/TinyA/{LARGE}")] == [4, 3]
    assert excluded(made) == {
        "samples that not every model answered (TinyA)": 1,
        f"answers that no rule can judge, counted as wrong (TinyA, {LARGE})": 2,
    }
    assert made.score.tolist() == [[1, 1], [0, 1], [0, 1]]


def test_counts_of_batches_add_up(work: Work) -> None:
    """A part that comes in pieces is one part."""
    part, first = answers([answer("a", None)], counts={"gaps": 1}, verdict="x")
    _, second = answers([answer("b"), answer("c", None)], counts={"gaps": 2}, verdict="w")
    made = work.build(questions("TinyA", "abc"), (part, first + second), section='unknown = "wrong"')

    (about,) = (p for p in made.manifest.parts if p.part.startswith("outcomes"))
    assert (about.rows, about.counts, about.verdict) == (3, {"gaps": 3}, "w; x")
    assert made.manifest.pairs[0].without_stored_verdict == 2


@pytest.mark.parametrize(
    ("policy", "ids", "models"),
    [
        ("drop-sample", ["TinyA/b"], [LARGE, SMALL, "tiny-middle"]),
        ("drop-model", [f"TinyA/{k}" for k in "abc"], [LARGE]),
    ],
)
def test_what_is_missing_is_left_out_as_the_experiment_says(
    work: Work, policy: str, ids: list[str], models: list[str]
) -> None:
    """Samples or models, and they are counted; the figures of the others stay theirs."""
    parts = [
        questions("TinyA", "abc"),
        answers([answer("a", 0.0), answer("b", 1.0), answer("c", 0.0)]),
        answers([answer("b", 0.5), answer("c", 0.25)], SMALL),
        answers([answer("a", 0.125), answer("b", 0.75)], "tiny-middle"),
    ]
    made = work.build(*parts, section=f'missing = "{policy}"')

    assert list(made.ids) == ids
    assert sorted(c.name for c in made.candidates) == sorted(models)
    columns = {c.name: made.score[:, j].tolist() for j, c in enumerate(made.candidates)}
    whole: dict[str, list[float | None]] = {
        LARGE: [0.0, 1.0, 0.0],
        SMALL: [None, 0.5, 0.25],
        "tiny-middle": [0.125, 0.75, None],
    }
    kept = ["abc".index(i[-1]) for i in ids]
    assert columns == {m: [whole[m][i] for i in kept] for m in models}
    assert sum(excluded(made).values()) == 2

    problems = work.refused(*parts)
    assert len(problems) == 2
    assert all(p.where == "TinyA" for p in problems)
    assert problems[0].message.startswith("tiny-middle lacks 1 of 3 samples: TinyA/c")


def test_where_nothing_is_left_there_is_no_benchmark(work: Work) -> None:
    """Neither without samples nor without models."""
    parts = [questions("TinyA", "ab"), answers([answer("a")]), answers([answer("b")], SMALL)]
    for policy in ("drop-sample", "drop-model"):
        (problem,) = work.refused(*parts, section=f'missing = "{policy}"')
        assert problem.where == "[benchmark]"


def test_answers_without_a_verdict_are_an_error_or_left_out(work: Work) -> None:
    """Each model with its count; the samples are dropped where the experiment says so."""
    parts = [
        questions("TinyA", "abc"),
        answers([answer("a", None), answer("b"), answer("c", None, judge_failed=True)], verdict="nothing"),
        answers([answer("a"), answer("b"), answer("c")], SMALL),
    ]
    (problem,) = work.refused(*parts)
    assert problem.message.startswith(
        f"2 answers of {LARGE} have no verdict: nothing; the judge of the logs failed on 1"
    )
    assert "scorer" not in problem.message
    made = work.build(*parts, section='unknown = "drop"')
    assert made.ids == ("TinyA/b",)
    assert excluded(made) == {"samples with an answer that no rule can judge (TinyA)": 2}


@attrs.frozen
class Judge:
    """A scorer that decides by the prediction: a number is the score, anything else is left open."""

    def score(self, cases: Sequence[Any]) -> list[Score]:
        return [Score(float(c.prediction)) if c.prediction[0].isdigit() else Score(None, "open") for c in cases]


SCORED = '[[dataset]]\nname = "TinyA"\ngroup = "general"\nscorer = "exact-match"\n'


def test_answers_without_a_verdict_are_scored_where_the_dataset_has_a_scorer(work: Work) -> None:
    """The logs' verdicts stand unless the scorer's are asked for; what either leaves open is filled by the other."""
    rows = [answer("a", None, prediction="0.25"), answer("b", 0.5, prediction="0.75"), answer("c", 1.0, prediction="?")]
    parts = [questions("TinyA", "abc"), answers(rows)]

    made = work.build(*parts, section=SCORED, scorer=Judge())
    assert made.score[:, 0].tolist() == [0.25, 0.5, 1.0]
    own = f'verdicts = "scored"\nunknown = "stored"\n{SCORED}'
    assert work.build(*parts, section=own, scorer=Judge()).score[:, 0].tolist() == [0.25, 0.75, 1.0]


def test_a_missing_gold_answer_is_named_where_no_scorer_says_more(work: Work) -> None:
    """Of a dataset that nobody declared, and of none that has a scorer: that one says itself what it lacks."""
    for dataset, section, told in (("TinyA", SCORED, "could not decide"), ("Own", "", "no gold answer")):
        part = Part(f"samples/{dataset}", "samples", (), dataset)
        row = {"dataset": dataset, "key": "a", "question": "what?", "answer": ""}
        asked = part, [batch([row], SAMPLES, SAMPLES_OPTIONAL)]
        open_one = answers([answer("a", None, dataset, prediction="?", cost=0.5)], dataset=dataset)
        (problem,) = work.refused(asked, open_one, section=section, scorer=Judge())
        assert told in problem.message


def test_an_answer_that_cannot_be_judged_for_no_reason_is_unknown(work: Work) -> None:
    """A scorer that calls a sample unscorable without a reason has left the answer open, which the policy covers."""

    class Silent:
        def score(self, cases: Sequence[Any]) -> list[Score]:
            return [Score(None, unscorable=True) for _ in cases]

    parts = [questions("TinyA", "ab"), answers([answer("a", None), answer("b")])]
    made = work.build(*parts, section=f'unknown = "wrong"\n{SCORED}', scorer=Silent())
    assert made.score[:, 0].tolist() == [0, 1]
    assert work.build(*parts, section=f'unknown = "drop"\n{SCORED}', scorer=Silent()).ids == ("TinyA/b",)
    (problem,) = work.refused(*parts, section=SCORED, scorer=Silent())
    assert "could not decide" in problem.message


def test_answers_to_samples_that_a_source_left_out_go_with_them(work: Work) -> None:
    """Where it says so; else they are an error with the source's own words, as are answers to no sample at all."""
    note = {"keys": ["x", "y"], "reason": "have no image", "fix": "fetch them", "drop_answers": True}
    rows = [answer("a"), answer("x", 0.0), answer("b", 0.0), answer("y")]
    made = work.build(questions("TinyA", "ab", left_out=note), answers(rows))
    assert made.score[:, 0].tolist() == [1, 0]
    assert excluded(made) == {f"answers to samples that have no image (TinyA, {LARGE})": 2}

    kept = {**note, "drop_answers": False}
    (problem,) = work.refused(questions("TinyA", "ab", left_out=kept), answers(rows))
    assert (problem.fix, problem.where) == ("fetch them", f"outcomes/TinyA/{LARGE}")
    assert "2 answers" in problem.message
    (problem,) = work.refused(questions("TinyA", "ab", left_out=note), answers([*rows, answer("z")]))
    assert f"1 answers of {LARGE} belong to no sample of TinyA: TinyA/z" in problem.message


@pytest.mark.parametrize("pieces", [1, 2])
def test_an_answer_that_stands_twice_is_refused(work: Work, pieces: int) -> None:
    """In one batch or in two, and named; so is a sample."""
    part, first = answers([answer("a"), answer("b")])
    _, again = answers([answer("b", 0.0)])
    if pieces == 1:
        _, first = answers([answer("a"), answer("b"), answer("b", 0.0)])
        again = []
    (problem,) = work.refused(questions("TinyA", "ab"), (part, first + again))
    assert problem.message.startswith(f"1 answers are in the logs twice: TinyA/b of {LARGE}")

    (problem,) = work.refused(questions("TinyA", "aba"), answers([answer("a"), answer("b")]))
    assert "TinyA/a" in problem.message
    assert "TinyA/b" not in problem.message


def test_samples_and_outcomes_of_a_dataset_come_together(work: Work) -> None:
    """Neither without the other, and samples in one part only; all problems at once."""
    a, b = answers([answer("a")]), answers([answer("a", dataset="TinyB")], dataset="TinyB")
    twice: tuple[Part, list[Any]] = attrs.evolve(questions("TinyA", "a")[0], id="again"), []
    problems = work.refused(questions("TinyA", "a"), twice, a, b)
    assert [p.message for p in problems] == [
        "dataset 'TinyA' has samples in two parts",
        "dataset 'TinyB' has outcomes but no samples",
    ]
    (problem,) = work.refused(questions("TinyA", "a"), questions("TinyB", "a"), a)
    assert problem.message == "dataset 'TinyB' has samples but no outcomes"
    (problem,) = work.refused(questions("TinyA", "a"))
    assert "no outcomes" in problem.message


def test_the_fingerprint_that_is_expected_must_be_that_of_the_benchmark(work: Work) -> None:
    """Any beginning of it will do; another one is refused."""
    parts = [questions("TinyA", "a"), answers([answer("a")])]
    made = work.build(*parts)
    short = made.fingerprint[:12]
    assert work.build(*parts, section=f'expect = "{short}"').fingerprint == made.fingerprint
    other = "0" * 12 if short != "0" * 12 else "1" * 12
    (problem,) = work.refused(*parts, section=f'expect = "{other}"')
    assert made.fingerprint in problem.message
