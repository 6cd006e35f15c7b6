"""Every rule of every scorer, on cases of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vlrb.api.logs import Case, Rotation, Score
from vlrb_plugins.datasets import DATASETS
from vlrb_plugins.scorers import ExactMatchParams, choice, maths, ocr, verdicts, vlrb_scorers, yes_no
from vlrb_plugins.scorers.exact import ExactMatch

ANIMALS = {"A": "horse", "B": "owl", "C": "sea lion", "D": "newt"}
SPECS = {spec.name: spec for spec in vlrb_scorers()}


def case(
    prediction: str,
    answer: str,
    options: Mapping[str, str] | None = None,
    *,
    judged: Mapping[str, str] | None = None,
    rotations: tuple[Rotation, ...] = (),
    **fields: str,
) -> Case:
    """Return a case."""
    return Case("D/1", "Which?", tuple((options or {}).items()), answer, prediction, fields, judged or {}, rotations)


def score(name: str, *cases: Case) -> list[Score]:
    """Score cases with the scorer of a name."""
    spec = SPECS[name]
    return list(spec.factory(spec.params()).score(cases))


def value(
    name: str, prediction: str, answer: str, options: Mapping[str, str] | None = None, **more: Any
) -> float | None:
    """Return the verdict on one answer."""
    return score(name, case(prediction, answer, options, **more))[0].value


def reason(name: str, prediction: str, answer: str, options: Mapping[str, str] | None = None, **more: Any) -> str:
    """Return the reason why there is no verdict on one answer."""
    found = score(name, case(prediction, answer, options, **more))[0]
    assert found.value is None
    return found.reason


def test_the_scorer_of_every_dataset_is_registered() -> None:
    """A dataset whose scorer is missing could never be scored."""
    assert {d.scorer.removeprefix("scorers/") for d in DATASETS} <= set(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_scores_come_in_the_order_of_the_cases(name: str) -> None:
    """One score per case, whatever stands beside it, and none for none."""
    cases = [case(p, "Yes", {"Yes": "sea"}, category="Digit String Recognition") for p in ("Yes", "No", "sea", "Yes")]

    assert score(name) == []
    assert score(name, *cases) == [s for c in cases for s in score(name, c)]


@pytest.mark.parametrize(
    ("answer", "prediction", "ignore_case", "expected"),
    [("Yes", " yes ", True, 1.0), ("Yes", "yes", False, 0.0), ("B", "A", True, 0.0), ("", "A", True, None)],
)
def test_exact_match(answer: str, prediction: str, ignore_case: bool, expected: float | None) -> None:
    """Equal apart from blanks (and case, if asked); unknown where there is no gold answer."""
    scores = ExactMatch(ExactMatchParams(ignore_case=ignore_case)).score([case(prediction, answer)])

    assert [s.value for s in scores] == [expected]


# --- multiple choice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("C", "C"),
        ("(C).", "C"),
        ("{C}!", "C"),
        ("It must be C", "C"),
        ("C, since it barks", "C"),  # first of four words
        ("C, since it barks loudly", None),  # first of five
        ("c", None),
        ("B or C", None),
        ("C or, again, C", "C"),
        ("A cat", "A"),  # the article
        ("'C'", None),
        ("yes</think>C", None),
    ],
)
def test_a_letter_alone_among_the_last_four_words_is_the_answer(prediction: str, expected: str | None) -> None:
    """Marks around it do not count, quotes and tags do; the first place of a letter that is repeated counts."""
    assert choice.extract(prediction, tuple(ANIMALS.items())) == expected


@pytest.mark.parametrize(
    "prediction", [*choice._REFUSALS, "Z", "I would say Z", "Well. Cannot determine the answer: B"]
)
def test_a_refusal_is_no_option(prediction: str) -> None:
    """It is decided, and wrong, even where a letter stands beside it."""
    assert choice.extract(prediction, tuple(ANIMALS.items())) == choice.REFUSED
    assert value("mcq", prediction, "B", ANIMALS) == 0


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("A and B are wrong, so the correct answer is **D**, which is neither A nor B at all", "D"),
        ("The ANSWER IS b, A is not the one they meant", "B"),
        ("The answer is already known to all of us by now", "A"),  # no end of a word is needed
        ("The answer is: B, not A, as all can see", None),
        ("The answer is E, not A or B, as all can see", None),
    ],
)
def test_answer_is_comes_before_a_letter(prediction: str, expected: str | None) -> None:
    """Only where no single letter ends the answer; the letters are A to D, in either case."""
    assert choice.extract(prediction, tuple(ANIMALS.items())) == expected


def test_the_text_of_one_option_inside_a_short_answer_is_the_answer() -> None:
    """Case aside, inside of words too; up to twice the length of all options together, and of one option only."""
    assert value("mcq", "An Owl.", "B", ANIMALS) == 1
    assert value("mcq", "growling", "B", ANIMALS) == 1
    assert value("mcq", "newts", "B", ANIMALS) == 0
    assert value("mcq", "owl or newt", "B", ANIMALS) is None
    assert value("mcq", "owl" + "." * (2 * 20 - 3), "B", ANIMALS) == 1
    assert value("mcq", "owl" + "." * (2 * 20 - 2), "B", ANIMALS) is None
    assert value("mcq", "İ" * 6 + "a", "A", {"A": "a", "B": "bbbb"}) is None  # 13 letters once they are small


def test_an_answer_that_could_not_be_obtained_is_searched_for_option_texts_only() -> None:
    """Its own words name no option."""
    assert value("mcq", "Failed to obtain answer via API B", "B", ANIMALS) is None
    assert value("mcq", "Failed to obtain answer via API", "B", {"A": "x" * 40, "B": "obtain"}) == 1


def test_an_option_whose_text_is_none_is_an_option() -> None:
    """A text that table readers take for a gap counts like any other."""
    assert value("mcq", "None", "B", {"A": "1", "B": "None", "C": "NA"}) == 1


def test_a_gold_answer_that_cannot_be_compared_is_unknown() -> None:
    """No gold answer, one that names no option, no options at all: never a 0."""
    assert reason("mcq", "A", "", ANIMALS) == verdicts.NO_GOLD.reason
    assert reason("mcq", "A", "E", ANIMALS) == choice.NO_SUCH_OPTION.reason
    assert reason("mcq", "A", "a", ANIMALS) == choice.NO_SUCH_OPTION.reason
    assert reason("mcq", "A", "A") == choice.NO_OPTIONS.reason
    assert reason("mcq", "who knows", "A", ANIMALS) == choice.UNDECIDED.reason


def test_open_questions_of_mmmu_choose_the_gold_answer_or_another() -> None:
    """Without an option A the gold answer is one; a gold answer that is no letter becomes A."""
    assert value("mmmu", "It is 0.25", "0.25") == 1
    assert value("mmmu", "10.25", "0.25") == 1  # a substring
    assert value("mmmu", "A", "0.25") == 1
    assert value("mmmu", "other answers", "0.25") == 0
    assert value("mmmu", "B", "0.25") == 0
    assert value("mmmu", "1/4", "['1/4', '0.25']") is None
    assert value("mmmu", "D", "D", ANIMALS) == 1
    assert value("mmmu", "horse", "a horse", ANIMALS) == 1
    assert reason("mmmu", "A", " ") == verdicts.NO_GOLD.reason
    assert reason("mmmu", "B", "C") == choice.NO_SUCH_OPTION.reason


def rotated(*predictions: str | None) -> tuple[Rotation, ...]:
    """Return the further passes of the question whose gold answer is "horse"."""
    texts = list(ANIMALS.values())
    shifted = [texts[-n:] + texts[:-n] for n in range(1, len(predictions) + 1)]
    options = [tuple(zip("ABCD", t, strict=True)) for t in shifted]
    return tuple(Rotation(o, "ABCD"[n], p) for n, (o, p) in enumerate(zip(options, predictions, strict=True), 1))


@pytest.mark.parametrize(
    ("first", "others", "expected", "why"),
    [
        ("A", ("B", "C", "D"), 1.0, ""),
        ("horse", ("horse", "horse", "horse"), 1.0, ""),
        ("A", (), 1.0, ""),
        ("A", ("A", "A", "A"), 0.0, "pass 2 is wrong"),
        ("A", ("what?", "D", "D"), 0.0, "pass 3 is wrong"),
        ("A", (None, "D", "D"), 0.0, "pass 3 is wrong"),
        ("A", ("B", "what?", "D"), None, f"pass 3: {choice.UNDECIDED.reason}"),
        ("A", ("B", "C", None), None, "pass 4: the model was not asked"),
        ("what?", ("B", "C", None), None, f"pass 1: {choice.UNDECIDED.reason}"),
    ],
)
def test_a_circular_question_is_right_only_in_all_passes(
    first: str, others: tuple[str | None, ...], expected: float | None, why: str
) -> None:
    """One wrong pass decides, wherever it stands; an undecided or missing one does not."""
    (found,) = score("mmbench", case(first, "A", ANIMALS, rotations=rotated(*others)))

    assert (found.value, found.reason) == (expected, why)


# --- yes or no --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("yes, of course", "Yes", 1.0),
        ("[Yes]", "Yes", 1.0),
        ("I have no idea", "No", 1.0),
        ("NO!", "Yes", 0.0),
        ("no.", "No", 1.0),
        ("a/no", "No", 1.0),  # the slash becomes a space
        ("a/no / b", "No", None),  # beside a space somewhere, it is deleted everywhere
        ("1,2 a/no", "No", None),  # digits around a comma delete every mark
        ("5.no", "No", None),  # a period beside a digit stays
        ("." * 32 + "no", "No", 1.0),
        ("." * 33 + "no", "No", None),
        ("*yes*", "Yes", None),
        ("It is:yes", "Yes", None),
        ("yes and no", "Yes", None),
        ("", "Yes", None),
    ],
)
def test_yes_or_no_is_a_word_of_its_own(prediction: str, answer: str, expected: float | None) -> None:
    """One of the two words, marks taken away by the kit's rule; neither or both is unknown."""
    assert value("yes-no", prediction, answer) == expected


def test_a_gold_answer_other_than_yes_or_no_is_unknown() -> None:
    """The kit compares with these two spellings only."""
    assert reason("yes-no", "yes", "yes") == yes_no.NO_YES_NO.reason
    assert reason("yes-no", "yes", "") == verdicts.NO_GOLD.reason
    assert reason("yes-no", "perhaps", "Yes") == yes_no.UNKNOWN.reason


# --- several gold answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("matching", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_vqa_counts_the_other_people_who_gave_the_answer(matching: int, expected: float) -> None:
    """Three others are enough; the score is fractional, not cut off."""
    golds = ["a taxi"] * matching + ["bus"] * (10 - matching)

    assert value("vqa", "Taxi", repr(golds)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        ("The  Taxi\n", "taxi"),
        ("none", "zero"),
        ("Ten", "10"),
        ("an", "the"),
        ("dont", "Don't"),
        ("couldnt've", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("a.m.", "am"),
        ("2.5.", "2.5."),
        ("stop-sign", "stop sign"),
        ("2,500", "2500"),
    ],
)
def test_vqa_compares_normalised_texts(prediction: str, gold: str) -> None:
    """Articles, digits, contractions and marks do not count, on either side."""
    assert value("vqa", prediction, repr([gold] * 4)) == 1
    assert value("vqa", gold, repr([prediction] * 4)) == 1


def test_vqa_keeps_what_its_rule_keeps() -> None:
    """Currencies, per cent signs and further words make a difference."""
    assert value("vqa", "7", repr(["$7"] * 4)) == 0
    assert value("vqa", "7 %", repr(["7%"] * 4)) == 0
    assert value("vqa", "yellow taxi", repr(["taxi"] * 4)) == 0


@pytest.mark.parametrize("golds", ["taxi", "['taxi']", "['taxi', 'taxi']", "['taxi', 'taxi', 'taxi']"])
def test_vqa_needs_enough_gold_answers(golds: str) -> None:
    """With fewer than four gold answers the right answer could not score 1: that is the sample's fault, and no score."""
    (found,) = score("vqa", case("taxi", golds))
    assert (found.value, found.unscorable) == (None, True)
    assert value("vqa", "taxi", repr(["taxi"] * 4)) == 1


@pytest.mark.parametrize("name", ["vqa", "anls", "relaxed-accuracy"])
def test_without_gold_answers_there_is_no_score(name: str) -> None:
    """A blank cell or an empty list says nothing about an answer."""
    assert reason(name, "taxi", " ") == reason(name, "taxi", "[]") == verdicts.NO_GOLD.reason


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("21", "20", 1.0),
        ("21.01", "20", 0.0),
        ("-19", "-20", 1.0),
        ("20%", "0.2", 1.0),
        ("20", "20%", 0.0),
        ("0", "0", 1.0),
        ("0.0", "0", 0.0),
        ("2e1", "2_0", 1.0),
        ("inf", "inf", 0.0),
        ("nan", "nan", 0.0),
        ("1", "1e-320", 0.0),
        (" Red ", "red", 1.0),
        ("red", "red ", 0.0),
        ("1999", "1,999", 0.0),
        ("blue", "['Red', 'Blue']", 1.0),
        ("0.31", "[0.3, 0.4]", 1.0),
        ("about 20", "20", 0.0),
    ],
)
def test_relaxed_accuracy(prediction: str, answer: str, expected: float) -> None:
    """Numbers within five per cent of any gold answer, other texts but for their case."""
    assert value("relaxed-accuracy", prediction, answer) == expected


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("Fifth Avenue", "['fifth avenue']", 1.0),
        ("  Fifth \n Avenue ", "['Fifth Avenue']", 1.0),
        ("abcd", "['abxy']", 0.5),
        ("abc", "['axy']", 0.0),
        ("kitten", "['sitting', 'mitten']", 1 - 1 / 6),
        ("12 %", "['12%']", 0.75),
        ("", "['x']", 0.0),
        ("", "['']", 1.0),
        ("groß", "GROSS", 1 - 2 / 5),
        ("gro", "groß", 1 - 1 / 5),
        ("groß", "gro", 1 - 1 / 5),
        ("x" * 50_000, "['x']", 0.0),
        ("3.5", "3.5", 1.0),
    ],
)
def test_anls(prediction: str, answer: str, expected: float) -> None:
    """Similarity to the nearest gold answer as a share of the longer text; one half is kept, less is nothing."""
    assert value("anls", prediction, answer) == pytest.approx(expected, abs=1e-15)


# --- OCRBench ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        ("The sign says OPEN\n24h.", "['open 24H']", 1.0),
        ("reopened", "['open']", 1.0),
        ("op en", "['open']", 0.0),
        ("shut", "['open', 'Shut ']", 1.0),
        ("anything", "['']", 1.0),
        ("open", "open", None),
        ("open", "[open]", None),
        ("open", "", None),
        ("open", "[]", None),
    ],
)
def test_ocrbench_looks_for_a_gold_answer_in_the_answer(prediction: str, answer: str, expected: float | None) -> None:
    """Anywhere, case aside; a gold answer that is no list literal is never evaluated."""
    assert value("ocrbench", prediction, answer, category="Irregular Text Recognition") == expected


def test_ocrbench_compares_formulas_without_spaces_and_with_their_case() -> None:
    """The category decides, so a sample without a known one has no verdict."""
    assert value("ocrbench", "$ Y = k $", "['Y=k']", category=ocr.FORMULAS) == 1
    assert value("ocrbench", "$ y = k $", "['Y=k']", category=ocr.FORMULAS) == 0
    assert reason("ocrbench", "open", "['open']") == ocr.NO_CATEGORY.reason
    assert reason("ocrbench", "open", "['open']", category="Poems") == ocr.NO_CATEGORY.reason


# --- mathematics ------------------------------------------------------------------------------------------------------


def vista(prediction: str, answer: str, answer_type: str, res: str | None = None) -> float | None:
    """Return the verdict on an open answer to MathVista."""
    return value(
        "mathvista",
        prediction,
        answer,
        question_type="free_form",
        answer_type=answer_type,
        judged={} if res is None else {"res": res},
    )


def test_mathvista_decides_an_open_answer_only_where_it_is_right_as_it_stands() -> None:
    """A wrong or wordy number, and a right zero, would go to the judge."""
    assert vista("250", "250", "integer") == 1
    assert [vista(p, "250", "integer") for p in ("251", "250.0", "It is 250", "", "9" * 5000)] == [None] * 5
    assert vista("0", "0", "integer") is None
    assert vista("2.50", "2.5", "float") == 1
    assert vista("nan", "nan", "float") is None
    assert vista("teal", "teal", "text") is None
    assert vista("[1, 2]", "[1, 2]", "list") is None


def test_mathvista_checks_what_a_judge_extracted() -> None:
    """Then a wrong number is wrong and a right zero right; open texts and lists are never right."""
    assert [vista("", "250", "integer", r) for r in ("250", "251", "250.5", "none")] == [1, 0, 0, 0]
    assert vista("", "0", "integer", "0") == 1
    assert [vista("250", "250", kind, "") for kind in ("integer", "float", "text")] == [0, 0, 0]
    assert [vista("", "2.5", "float", r) for r in ("2.50", "2.5000001", "nan")] == [1, 0, 0]
    assert vista("", "teal", "text", "teal") == vista("", "[1, 2]", "list", "[1, 2]") == 0


def test_mathvista_multiple_choice_goes_by_the_option() -> None:
    """The gold letter is ``answer_option``; a wrong letter is decided without a judge, a missing one only by the judge."""
    about = {"question_type": "multi_choice", "answer_option": "B", "choices": "['1/2', '1/3', '1/4']"}

    assert [value("mathvista", p, "1/3", **about) for p in ("B", "1/3", "C", "5")] == [1, 1, 0, None]
    assert [value("mathvista", "?", "1/3", judged={"res": r}, **about) for r in ("(B)", "A", "b")] == [1, 0, 0]
    assert reason("mathvista", "B", "1/3", **about | {"choices": "1/3"}) == choice.NO_OPTIONS.reason
    assert reason("mathvista", "B", "1/3", **about | {"answer_option": ""}) == verdicts.NO_GOLD.reason


def test_mathvista_says_what_is_missing() -> None:
    """A sample whose type or gold answer cannot be used has no verdict."""
    assert reason("mathvista", "1", "1") == maths.NO_TYPE.reason
    assert reason("mathvista", "1", "1", question_type="free_form") == maths.NO_TYPE.reason
    assert reason("mathvista", "1", "", question_type="free_form", answer_type="integer") == verdicts.NO_GOLD.reason
    assert reason("mathvista", "1", "1.0", question_type="free_form", answer_type="integer") == maths.NO_NUMBER.reason


@pytest.mark.parametrize(
    ("prediction", "answer", "expected"),
    [
        (" X+1 ", "x+1", 1.0),
        ("6", "6.0000001", 1.0),
        ("6", "6.00001", None),
        ("3*2", "6", 1.0),
        ("2/3", r"\frac{2}{3}", 1.0),
        ("So it is $\\boxed{6}$, not 7.", "6", 1.0),
        (r"\sqrt{4}", "2", None),
        ("6 apples", "6", None),
        ("1e999", "1e999+1", None),
        ("9**500", "0.5", None),
    ],
)
def test_mathvision_compares_open_answers_as_texts_and_as_numbers(
    prediction: str, answer: str, expected: float | None
) -> None:
    """Without a judge, what is not equal is unknown; where a judge extracted it, it is wrong."""
    assert value("mathvision", prediction, answer, choices="[]") == expected
    assert value("mathvision", prediction, answer) == expected
    assert value("mathvision", "?", answer, choices="[]", judged={"res": prediction}) == (expected or 0)


def test_mathvision_with_choices_goes_by_the_option() -> None:
    """Options may come from columns or from ``choices``; no list is no open question."""
    for given in ({"choices": "['6', '7', '8']"}, {"options": {"A": "6", "B": "7", "C": "8"}}):
        options = given.pop("options", None)
        assert [value("mathvision", p, "b ", options, **given) for p in ("B", "7", "C", "9")] == [1, 1, 0, None]
        assert value("mathvision", "?", "B", options, **given, judged={"res": "9"}) == 0
    assert reason("mathvision", "6", "6", choices="") == choice.NO_OPTIONS.reason
    assert reason("mathvision", "6", "F", choices="['6', '7']") == choice.NO_SUCH_OPTION.reason
    assert reason("mathvision", "6", " ", choices="[]") == verdicts.NO_GOLD.reason


def test_mathverse_is_decided_by_an_extract_that_equals_the_gold_answer() -> None:
    """Letter by letter but for blanks around it; anything else would need a judge."""
    assert value("mathverse", "So B.", "B", judged={"extract": " B\n"}) == 1
    assert reason("mathverse", "B", "B", judged={"extract": "b"}) == maths.NOT_EQUAL.reason
    assert reason("mathverse", "B", "B") == maths.NO_EXTRACT.reason
    assert reason("mathverse", "B", "", judged={"extract": "B"}) == verdicts.NO_GOLD.reason


@pytest.mark.parametrize(("res", "expected"), [("17\\%", 0), ("\\text{17\\%}", 0), ("0.170", 1), (None, None)])
def test_per_cent_is_no_number_of_mathvision(res: str | None, expected: float | None) -> None:
    """VLMEvalKit's parser fails on a per cent sign: what a judge extracted is wrong then, and an answer is left to a judge."""
    judged = {} if res is None else {"res": res}
    assert value("mathvision", "17\\%", "0.17", choices="[]", judged=judged) == expected
