"""A router for each promise that it breaks, and which keeps all others."""

import itertools
import time

import attrs
import numpy as np

from vlrb import Estimate, RouterSpec


class Good:
    """Chooses by the text alone; router and fitted router in one."""

    def fit(self, train, dev, context):
        fitted = Fitted()
        fitted.owner = self
        return fitted

    def route(self, queries):
        raise RuntimeError("not fitted")


class Fitted:
    def numbers(self, queries):
        return np.array([sum(map(ord, t)) for t in queries.texts], dtype=np.int64)

    def route(self, queries):
        return self.numbers(queries) % len(queries.candidates)


class Ranking(Fitted):
    def scores(self, queries):
        return np.eye(len(queries.candidates))[self.route(queries)]


class Estimating(Fitted):
    def estimate(self, queries):
        p = 0.2 + 0.6 * np.eye(len(queries.candidates))[self.route(queries)]
        return Estimate(p, np.ones(p.shape))


BAD = []


def breaks(promise, load=None, fits=True):
    """Register a class as the router, or the fitted router, that breaks a promise."""

    def add(cls):
        if fits:
            made = type("Router", (Good,), {"fit": lambda self, train, dev, context: cls()})
        else:
            made = cls
        spec = RouterSpec(name="bad", summary=cls.__name__, factory=lambda _: made(), load=load)
        BAD.append((promise, spec))
        return cls

    return add


@breaks("valid-choices")
class OneTooMany(Fitted):
    def route(self, queries):
        k = len(queries.candidates)
        return self.numbers(queries) % (k + 1) if k > 1 else super().route(queries)


@breaks("valid-choices")
class Fractions(Fitted):
    def route(self, queries):
        choices = super().route(queries)
        return choices if len(queries.candidates) == 1 or not len(queries) else choices.astype(float)


@breaks("raises-before-fit", fits=False)
class Ready(Good):
    def route(self, queries):
        return np.zeros(len(queries), dtype=int)


@breaks("same-seed-same-choices")
class Unseeded(Fitted):
    count = itertools.count()

    def __init__(self):
        self.shift = next(self.count)

    def route(self, queries):
        return (self.numbers(queries) + self.shift) % len(queries.candidates)


@breaks("second-fit-forgets-the-first", fits=False)
class Remembering(Good):
    seen = 0

    def fit(self, train, dev, context):
        self.seen += 1
        fitted = Fitted()
        shift = self.seen
        fitted.route = lambda queries: (fitted.numbers(queries) + shift) % len(queries.candidates)
        return fitted


@breaks("order-does-not-matter")
class Ordered(Fitted):
    def route(self, queries):
        ascending = list(queries.ids) == sorted(queries.ids)
        return (self.numbers(queries) + ascending) % len(queries.candidates)


@breaks("batch-does-not-matter")
class Counting(Fitted):
    def route(self, queries):
        return (self.numbers(queries) + len(queries)) % len(queries.candidates)


@breaks("inputs-untouched", fits=False)
class Writing(Good):
    def fit(self, train, dev, context):
        try:
            train.quality[0] = ~train.quality[0]
        except ValueError:
            pass
        return Fitted()


@breaks("random-state-untouched")
class Global(Fitted):
    def route(self, queries):
        np.random.seed(0)
        return super().route(queries)


@breaks("prints-nothing")
class Talking(Fitted):
    def route(self, queries):
        print("routing")
        return super().route(queries)


@breaks("one-candidate")
class TwoAtLeast(Fitted):
    def route(self, queries):
        return super().route(queries) if len(queries.candidates) > 1 else np.ones(len(queries), dtype=int)


@breaks("empty-batch")
class Longest(Fitted):
    def route(self, queries):
        max(map(len, queries.texts))
        return super().route(queries)


@breaks("missing-values")
class FirstLetter(Fitted):
    def route(self, queries):
        assert all(ord(t[0]) for t in queries.texts)
        return super().route(queries)


@breaks("missing-values")
class Pictured(Fitted):
    def route(self, queries):
        assert all(images[0].width for images in queries.images)
        return super().route(queries)


class Loaded(Fitted):
    def route(self, queries):
        return (self.numbers(queries) + 1) % len(queries.candidates)


@breaks("saved-and-loaded", load=lambda directory: Loaded())
class Forgetting(Fitted):
    def save(self, directory):
        (directory / "router.json").write_text("{}")


@breaks("saved-and-loaded", load=lambda directory: Fitted())
class Pickling(Fitted):
    def save(self, directory):
        import pickle

        (directory / "router.pkl").write_bytes(pickle.dumps({}))


@breaks("saved-and-loaded")
class OnlySaving(Fitted):
    def save(self, directory):
        (directory / "router.json").write_text("{}")


@breaks("saved-and-loaded", load=lambda directory: Fitted())
class Elsewhere(Fitted):
    def save(self, directory):
        (directory.parent / "router.json").write_text("{}")


@breaks("scores-agree")
class Disagreeing(Ranking):
    def scores(self, queries):
        return -super().scores(queries)


@breaks("scores-agree")
class Infinite(Ranking):
    def scores(self, queries):
        return np.where(super().scores(queries) > 0, np.inf, 0.0) if len(queries) else np.zeros((0, len(queries.candidates)))


@breaks("estimate-agrees")
class Contrary(Estimating):
    def estimate(self, queries):
        worst = np.eye(len(queries.candidates))[self.route(queries)]
        return Estimate(0.9 - 0.8 * worst, 1.0 + worst)


@breaks("estimate-agrees")
class Certain(Estimating):
    def estimate(self, queries):
        found = super().estimate(queries)
        return attrs.evolve(found, p_correct=found.p_correct * 2)


@breaks("two-threads")
class Shared(Fitted):
    def route(self, queries):
        self.queries = queries
        time.sleep(0.01)
        return super().route(self.queries)


GOOD = [
    RouterSpec(name="good", summary="keeps all", factory=lambda _, c=cls: type("Router", (Good,), {"fit": lambda s, t, d, x: c()})())
    for cls in (Fitted, Ranking, Estimating)
]
