"""Tokens and prices of answers, figure by figure."""

from __future__ import annotations

import numpy as np
from written_logs import LARGE, SMALL, Counter, Work, answer, answers, questions


def test_tokens_of_samples_count_for_every_model(work: Work) -> None:
    """With those of the model on top; none is an unknown number, and no price is put on it."""
    parts = [questions("TinyA", "ab"), *(answers([answer("a"), answer("b")], m) for m in (LARGE, SMALL))]
    counter = Counter({LARGE: np.array([5, 0]), SMALL: np.array([0, 7])}, lambda n: np.array([40, 50])[:n])
    made = work.build(*parts, counter=counter)

    assert made.input_tokens.tolist() == [[45, 40], [50, 57]]
    np.testing.assert_allclose(made.cost[:, 0], [(45 * 8 + 160) / 1e6, (50 * 8 + 160) / 1e6])
    assert made.manifest.total_tokens == 96 + 40
    for wrong in (np.array([1]), np.array([1.0, 2.0]), np.array([-1, 0])):
        (problem,) = work.refused(*parts, counter=Counter({LARGE: wrong, SMALL: wrong}, counter.shared))
        assert "2 integers" in problem.message
    rows = [answer("a", output_tokens=None), answer("b")]
    (problem,) = work.refused(questions("TinyA", "ab"), answers(rows))
    assert f"no tokens for 1 answers of {LARGE}" in problem.message
    made = work.build(questions("TinyA", "ab"), answers([{**r, "cost": 0.5} for r in rows]))
    assert (made.output_tokens[:, 0].tolist(), made.manifest.total_tokens) == ([-1, 10], None)


def test_a_model_without_a_price_needs_costs(work: Work) -> None:
    """The model and the table to add are named; where the logs give its costs it needs none."""
    rows = [answer("a"), answer("b", cost=0.5)]
    (problem,) = work.refused(questions("TinyA", "ab"), answers(rows, "stranger"))
    assert "'stranger'" in problem.message
    assert problem.where == "[[model]]"
    made = work.build(questions("TinyA", "ab"), answers([{**r, "cost": 0.5} for r in rows], "stranger"))
    assert made.cost[:, 0].tolist() == [0.5, 0.5]
    assert [c.input_price for c in made.candidates] == [None]
