"""A metric for each promise that it breaks, and which keeps all others."""

import itertools

import numpy as np

from vlrb import MetricSpec, Undefined

BAD = []


class Good:
    """The mean quality of the chosen models."""

    def __call__(self, evaluation):
        return float(np.mean(evaluation.chosen(evaluation.quality)))


class Means(Good):
    def columns(self, evaluation):
        return {"right": np.asarray(evaluation.chosen(evaluation.quality), dtype=float)}

    def of_means(self, means, bounds):
        return np.asarray(means["right"], dtype=float)


class Cautious(Good):
    def cautions(self, evaluation):
        return ["it is a mean"]


def breaks(promise):
    """Register the class as the metric that breaks a promise."""

    def add(cls):
        BAD.append((promise, MetricSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


def usual(evaluation):
    return evaluation.quality.shape == (60, 3) and evaluation.timing and evaluation.cost.any() and evaluation.quality.dtype == bool


@breaks("valid-value")
class Nan(Good):
    def __call__(self, evaluation):
        mixed = usual(evaluation) and 0 < evaluation.quality.mean() < 1
        return True if mixed else super().__call__(evaluation)


@breaks("same-value-every-time")
class Numbered(Good):
    count = itertools.count()

    def __init__(self):
        self.number = next(self.count)

    def __call__(self, evaluation):
        return super().__call__(evaluation) + self.number


@breaks("order-of-samples-does-not-matter")
class First(Good):
    def __call__(self, evaluation):
        return float(evaluation.cost[0, 0])


@breaks("one-sample")
class Spread(Good):
    def __call__(self, evaluation):
        return float(np.sum(evaluation.quality) / (len(evaluation.choices) - 1))


@breaks("one-model")
class Second(Good):
    def __call__(self, evaluation):
        return float(np.mean(evaluation.quality[:, 1]))


@breaks("extreme-outcomes")
class Ratio(Good):
    def __call__(self, evaluation):
        return float(1.0 / float(evaluation.bounds.high))


@breaks("without-timing")
class Fast(Good):
    def __call__(self, evaluation):
        return evaluation.timing.requests / evaluation.timing.route_seconds


@breaks("estimated-quality")
class Verdicts(Good):
    def __call__(self, evaluation):
        return float(np.mean(~evaluation.quality))


@breaks("means-agree")
class Other(Means):
    def of_means(self, means, bounds):
        return super().of_means(means, bounds) / 2


@breaks("means-agree")
class Single(Means):
    def of_means(self, means, bounds):
        return np.asarray(float(np.mean(means["right"])))


@breaks("columns-of-each-sample")
class AboveMedian(Good):
    """Looks at the samples that cost more than half of the others."""

    def __call__(self, evaluation):
        columns = self.columns(evaluation)
        return float(columns["right"].mean() / columns["dear"].mean())

    def columns(self, evaluation):
        cost = evaluation.cost.mean(axis=1)
        dear = (cost >= np.median(cost)).astype(float)
        return {"dear": dear, "right": dear * evaluation.chosen(evaluation.quality)}

    def of_means(self, means, bounds):
        return np.asarray(means["right"] / means["dear"])


@breaks("cautions-are-texts")
class Careless(Cautious):
    def cautions(self, evaluation):
        return "it is a mean"


@breaks("evaluation-untouched")
class Writing(Good):
    def __call__(self, evaluation):
        if evaluation.cost.flags.writeable:
            evaluation.cost[0] += 1
        return super().__call__(evaluation)


@breaks("random-state-untouched")
class Global(Good):
    def __call__(self, evaluation):
        np.random.rand()
        return super().__call__(evaluation)


@breaks("prints-nothing")
class Talking(Good):
    def __call__(self, evaluation):
        print("computing")
        return super().__call__(evaluation)


class Never(Good):
    def __call__(self, evaluation):
        return Undefined("it never has a value")


GOOD = [MetricSpec(name="good", summary="", factory=lambda _, c=cls: c()) for cls in (Good, Means, Cautious, Never)]
