"""Where the rules of the scorers end: the last case that counts, and the first that does not."""

from __future__ import annotations

import pytest

from vlrb.api.logs import Case, Score
from vlrb_plugins.scorers import choice, maths, ocr, verdicts, vlrb_scorers
from vlrb_plugins.scorers.arithmetic import DEEPEST, LONGEST, latex_number, python_number
from vlrb_plugins.scorers.vqa import normalised

SPECS = {spec.name: spec for spec in vlrb_scorers()}


def score(name: str, prediction: str, answer: str, **fields: str) -> Score:
    """Score one answer with the scorer of a name."""
    spec = SPECS[name]
    (found,) = spec.factory(spec.params()).score([Case("D/1", "Which?", (), answer, prediction, fields)])
    verdict: Score = found
    return verdict


@pytest.mark.parametrize(
    ("prediction", "expected"), [("A or B, or Z", None), ("None of them: Z", "Z"), ("B rather than, say, Z", None)]
)
def test_a_z_beside_other_letters_is_no_refusal(prediction: str, expected: str | None) -> None:
    """It is one where no option is named."""
    options = tuple((letter, f"text of {letter}") for letter in "AB")
    assert choice.extract(prediction, options) == expected


@pytest.mark.parametrize("wrong", ["A or B, or Z, one cannot tell", "Z A B"])
def test_several_letters_name_no_option(wrong: str) -> None:
    """Whatever else stands there."""
    assert choice.extract(wrong, (("A", "x"), ("B", "y"))) is None


@pytest.mark.parametrize(
    ("name", "answer", "fields", "expected"),
    [
        ("mathvista", "1.0", {"question_type": "free_form", "answer_type": "integer"}, maths.NO_NUMBER),
        ("mathvista", "1", {"question_type": "free_form", "answer_type": "colour"}, maths.NO_TYPE),
        ("mathvista", "1", {"answer_type": "integer"}, maths.NO_TYPE),
        ("mathvista", "1", {"question_type": "open", "answer_type": "text"}, maths.NO_TYPE),
        ("mathvista", "A", {"question_type": "multi_choice", "answer_option": "A"}, choice.NO_OPTIONS),
        ("mathvision", "A", {"choices": "no list"}, choice.NO_OPTIONS),
        ("mathvision", "F", {"choices": "['x', 'y']"}, choice.NO_SUCH_OPTION),
        ("ocrbench", "['x']", {"category": "Poems"}, ocr.NO_CATEGORY),
        ("ocrbench", "x", {"category": ocr.FORMULAS}, ocr.NO_LIST),
        ("ocrbench", " ", {"category": ocr.FORMULAS}, verdicts.NO_GOLD),
        ("ocrbench", "[]", {"category": ocr.FORMULAS}, verdicts.NO_GOLD),
        ("anls", " ", {}, verdicts.NO_GOLD),
        ("relaxed-accuracy", "", {}, verdicts.NO_GOLD),
        ("vqa", "[]", {}, verdicts.NO_GOLD),
        ("mcq", "", {}, verdicts.NO_GOLD),
    ],
)
def test_what_a_sample_lacks_is_said_of_the_sample(
    name: str, answer: str, fields: dict[str, str], expected: Score
) -> None:
    """No answer to it can be judged, so that none counts as wrong; the reason names what is lacking."""
    found = score(name, "1", answer, **fields)

    assert found == expected
    assert found.unscorable


@pytest.mark.parametrize(
    "reason", [maths.NOT_EXTRACTED, maths.NOT_EQUAL, maths.NO_EXTRACT, choice.UNDECIDED, choice.NOT_ASKED]
)
def test_what_an_answer_lacks_is_not_said_of_the_sample(reason: Score) -> None:
    """Other answers to the same sample can be judged."""
    assert (reason.value, reason.unscorable) == (None, False)


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("5", "abc", False),
        ("abc", "5", False),
        (r"\frac{1}{2}", "abc", False),
        (r"\frac{1}{2}", "x_1", False),
        (r"\frac12 1", r"\sqrt{2}", False),
        ("0.000001", "0", False),
        ("0.0000009", "0", True),
        ("-0.000001", "0", False),
        ("1", "1.0000011", False),
        (r"\frac{1}{1000000}", r"\frac{0}{1}", False),
        ("9**500", "0.5", False),
        ("0.5", "9**500", False),
    ],
)
def test_numbers_are_equal_within_a_millionth(answer: str, gold: str, expected: bool) -> None:
    """Less than that apart, not just that; a text has no number to be near to."""
    assert maths.equal(answer, gold) is expected


@pytest.mark.parametrize(
    ("name", "prediction", "answer", "expected"),
    [
        ("ocrbench", "groß", "['gross']", 0.0),
        ("ocrbench", "gross", "['groß']", 0.0),
        ("ocrbench", "two\nlines", "['Two Lines']", 1.0),
        ("anls", "gro", "groß", 1 - 1 / 5),
        ("anls", "groß", "gro", 1 - 1 / 5),
    ],
)
def test_small_letters_are_compared(name: str, prediction: str, answer: str, expected: float) -> None:
    """The German sharp s is one letter of a text, and two of the length that ``anls`` divides by."""
    found = score(name, prediction, answer, category="Digit String Recognition")
    assert found.value == pytest.approx(expected)


def test_marks_go_by_what_stands_beside_them_anywhere() -> None:
    """A line break or a tab counts as a space: a mark beside one is deleted where it joins two words, too."""
    assert normalised("x-y") == "x y"
    for gap in " \n\t":
        assert normalised(f"x-{gap}y-z") == "x yz"
        assert normalised(f"x{gap}-y-z") == "x yz"
        assert normalised(f"one{gap}two") == "1 2"


@pytest.mark.parametrize("bracket", ["()", "[]"])
def test_brackets_are_read_to_a_depth(bracket: str) -> None:
    """And no further: reading deeper ones would take a stack as deep."""
    opening, closing = bracket[0], bracket[1]
    assert latex_number(opening * DEEPEST + "7" + closing * DEEPEST) == 7
    assert latex_number(opening * (DEEPEST + 1) + "7" + closing * (DEEPEST + 1)) is None
    assert latex_number("+".join([f"{opening}1{closing}"] * 45)) == 45


def test_texts_are_read_to_a_length() -> None:
    """Of a box its content counts, up to the same length; its closing brace may stand behind that."""
    text = " " * (LONGEST - 1) + "7"
    assert latex_number(text) == python_number("+" * (LONGEST - 1) + "7") == 7
    assert latex_number(f"so it is \\boxed{{{text}}}, as shown") == 7
    assert latex_number(" " + text) is python_number("+" * LONGEST + "7") is None
    assert latex_number(f"\\boxed{{ {text}}}") is None
