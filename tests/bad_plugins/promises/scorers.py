"""A scorer for each promise that it breaks, and which keeps all others."""

import itertools
import random

from vlrb import Score, ScorerSpec

BAD = []


class Good:
    """Exact match; no verdict where there is no gold answer."""

    def one(self, case):
        if not case.answer:
            return Score(None, "there is no gold answer", unscorable=True)
        return Score(float(case.prediction.strip() == case.answer))

    def score(self, cases):
        return [self.one(c) for c in cases]


def breaks(promise):
    """Register the class as the scorer that breaks a promise."""

    def add(cls):
        BAD.append((promise, ScorerSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


@breaks("valid-scores")
class Percent(Good):
    def one(self, case):
        return Score(100.0) if case.prediction == "Yes" else super().one(case)


@breaks("reasons-given")
class Silent(Good):
    def one(self, case):
        return Score(None) if case.prediction == "I cannot tell" else super().one(case)


@breaks("same-verdicts-every-time")
class Numbered(Good):
    count = itertools.count()

    def __init__(self):
        self.number = next(self.count)

    def one(self, case):
        return Score(None, f"scorer {self.number}") if case.prediction == "I cannot tell" else super().one(case)


@breaks("order-does-not-matter")
class Ordered(Good):
    def score(self, cases):
        cases = list(cases)
        numbers = [int(c.id[2:]) for c in cases if c.id[2:].isdigit()]
        ascending = numbers == sorted(numbers)
        return [self.one(c) if c.prediction != "I cannot tell" else Score(float(not ascending)) for c in cases]


@breaks("batch-does-not-matter")
class Counting(Good):
    def score(self, cases):
        many = len(cases) > 10
        return [self.one(c) if c.prediction != "I cannot tell" else Score(float(many)) for c in cases]


@breaks("no-cases")
class AtLeastOne(Good):
    def score(self, cases):
        assert cases[0]
        return super().score(cases)


@breaks("missing-answers")
class FirstLetter(Good):
    def one(self, case):
        if case.question:
            assert case.options or case.answer not in ("A", "B")
        else:
            assert case.fields["category"]
        return super().one(case)


@breaks("any-answer")
class Ascii(Good):
    def one(self, case):
        case.prediction.encode("ascii")
        return super().one(case)


@breaks("gold-scores-best")
class Contrary(Good):
    def one(self, case):
        found = super().one(case)
        return Score(1 - found.value) if found.value is not None else found


@breaks("random-state-untouched")
class Global(Good):
    def one(self, case):
        random.seed(3)
        return super().one(case)


@breaks("prints-nothing")
class Talking(Good):
    def one(self, case):
        print(case.id)
        return super().one(case)


GOOD = [ScorerSpec(name="good", summary="", factory=lambda _: Good())]
