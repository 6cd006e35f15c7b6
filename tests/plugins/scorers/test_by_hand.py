"""Rules that are formulas, each against a plain loop over its definition, on many small cases."""

from __future__ import annotations

import itertools
import random

import pytest

from vlrb.api.logs import Case, Rotation
from vlrb_plugins.scorers import vlrb_scorers

SPECS = {spec.name: spec for spec in vlrb_scorers()}


def value(name: str, prediction: str, answer: str, **fields: str) -> float | None:
    """Return the verdict on one answer."""
    spec = SPECS[name]
    (score,) = spec.factory(spec.params()).score([Case("D/1", "Which?", (), answer, prediction, fields, {}, ())])
    return score.value


def edit_distance(a: str, b: str) -> int:
    """Return the fewest insertions, deletions and replacements that turn one text into the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_the_edit_distance_of_this_file() -> None:
    """Textbook pairs."""
    assert [edit_distance(*p) for p in (("kitten", "sitting"), ("flaw", "lawn"), ("", "abc"), ("x", "x"))] == [
        3,
        2,
        3,
        0,
    ]


def test_anls() -> None:
    """1 - distance / length of the longer text to the nearest gold answer; less than one half counts as 0."""
    rng = random.Random(0)
    seen = set()
    for _ in range(400):
        golds = ["".join(rng.choices("aAbc", k=rng.randint(1, 7))) for _ in range(rng.randint(1, 3))]
        said = "".join(rng.choices("aAbc", k=rng.randint(1, 7)))
        best = max(1 - edit_distance(said.lower(), g.lower()) / max(len(said), len(g)) for g in golds)
        expected = best if best >= 0.5 else 0.0

        assert value("anls", said, repr(golds)) == pytest.approx(expected, abs=1e-12), (said, golds)
        seen.add(round(expected, 2))
    assert len(seen) > 8


@pytest.mark.parametrize("votes", [(10, 0, 0), (5, 5, 0), (3, 1, 6), (2, 2, 2), (1, 4, 1), (0, 0, 0)])
def test_vqa_with_ten_gold_answers(votes: tuple[int, int, int]) -> None:
    """For each of ten people: how many of the nine others gave the answer, over 3, at most 1; the mean of these."""
    golds = [word for word, n in zip(("red", "blue", "green"), votes, strict=True) for _ in range(n)]
    golds += [f"other{i}" for i in range(10 - len(golds))]
    for said in ("red", "blue", "green"):
        leave_one_out = [sum(g == said for j, g in enumerate(golds) if j != i) for i in range(10)]
        expected = sum(min(1.0, n / 3) for n in leave_one_out) / 10

        assert value("vqa", said, repr(golds)) == pytest.approx(expected, abs=1e-12)


def test_relaxed_accuracy() -> None:
    """A number counts where it is within five per cent of the gold number's size, whatever the signs."""
    numbers = ["100", "95", "94.9", "105", "105.1", "-100", "-96", "0.5", "0.52", "0.53", "1e2", "99.999", "2"]
    for said, gold in itertools.product(numbers, numbers):
        expected = abs(float(said) - float(gold)) <= 0.05 * abs(float(gold)) + 1e-12

        assert value("relaxed-accuracy", said, gold) == float(expected), (said, gold)


def test_ocr_contains() -> None:
    """Right where some gold answer, case aside, is a part of the answer."""
    words = ["Open", "open 24h", "pen", "shut", "SHUT up", "we are opening"]
    for said, one, other in itertools.product(words, repeat=3):
        expected = any(said.lower()[i:].startswith(g.lower()) for g in (one, other) for i in range(len(said)))

        found = value("ocrbench", said, repr([one, other]), category="Regular Text Recognition")
        assert found == float(expected), (said, one, other)


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_circular_passes_multiply(passes: int) -> None:
    """The options move on by one place in each pass; the score is the product of the passes' verdicts."""
    texts = ["horse", "owl", "newt", "frog"]
    turned = [tuple(zip("ABCD", texts[-n:] + texts[:-n] if n else texts, strict=True)) for n in range(passes)]
    spec = SPECS["mmbench"]
    for letters in itertools.product("AC", repeat=passes):
        golds = ["ABCD"[n] for n in range(passes)]  # where "horse" stands
        others = tuple(Rotation(o, g, p) for o, g, p in zip(turned[1:], golds[1:], letters[1:], strict=True))
        case = Case("D/1", "Which?", turned[0], golds[0], letters[0], {}, {}, others)
        expected = 1.0
        for letter, gold in zip(letters, golds, strict=True):
            expected *= letter == gold

        (found,) = spec.factory(spec.params()).score([case])
        assert found.value == expected
