"""No cell, whatever it holds, makes a scorer raise or leave [0, 1]."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.logs import Case, Rotation
from vlrb_plugins.scorers import vlrb_scorers
from vlrb_plugins.scorers.ocr import CATEGORIES

SPECS = {spec.name: spec for spec in vlrb_scorers()}

TELLING = """
A B Yes no 14 0 0.0 nan inf 1e999 1/0 9**9**9 None [] [''] ['A','B'] [1,2] \\frac{1}{0} \\boxed{3} 50% 3:4
multi_choice free_form integer float text list
"""
telling = st.sampled_from(
    [*TELLING.split(), *sorted(CATEGORIES), "", " ", "\0", "\ud800", "9" * 5000, "[0x" + "f" * 5000 + "]"]
)
texts = telling | st.text() | st.lists(st.text() | st.integers() | st.none(), max_size=5).map(repr)
options = st.lists(st.tuples(st.sampled_from("ABCDZ") | st.text(max_size=2), texts), max_size=4).map(tuple)
names = st.sampled_from(["category", "question_type", "answer_type", "answer_option", "choices"])
cases = st.builds(
    Case,
    id=st.just("D/1"),
    question=st.just("q"),
    options=options,
    answer=texts,
    prediction=texts,
    fields=st.dictionaries(names, texts),
    judged=st.dictionaries(st.sampled_from(["res", "extract"]), texts),
    rotations=st.lists(st.builds(Rotation, options, texts, st.none() | texts), max_size=3).map(tuple),
)


@pytest.mark.parametrize("name", SPECS)
@given(case=cases)
def test_no_case_makes_a_scorer_raise(name: str, case: Case) -> None:
    """A value in [0, 1], or None with a reason; the same again on the same case."""
    spec = SPECS[name]
    scorer = spec.factory(spec.params())

    (score,) = scorer.score([case])

    assert score.value is None or 0 <= score.value <= 1
    assert score.value is not None or score.reason
    assert scorer.score([case, case]) == [score, score]


@pytest.mark.parametrize("name", SPECS)
@given(case=cases)
def test_the_gold_answer_decides_nothing_for_an_answer_it_is_blank_for(name: str, case: Case) -> None:
    """Without a gold answer there is no score, other than MathVista's, whose multiple choice has a column of its own."""
    blank = attrs.evolve(
        case, answer=" ", fields={k: v for k, v in case.fields.items() if k != "answer_option"}, options=()
    )
    spec = SPECS[name]

    values = [s.value for s in spec.factory(spec.params()).score([blank])]

    assert values == [None] or (name == "mmbench" and values == [0.0])  # a rotation may be wrong
