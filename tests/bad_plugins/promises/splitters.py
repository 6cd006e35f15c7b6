"""A splitter for each promise that it breaks, and which keeps all others."""

import itertools

import attrs
import numpy as np

from vlrb import DataError, SplitRows, Splits, SplitterSpec

BAD = []


def good(samples, shift=0):
    part = (samples.groups + shift) % 10
    rows = [np.flatnonzero(part < 7), np.flatnonzero(part == 7), np.flatnonzero(part > 7)]
    if not all(r.size for r in rows):
        raise DataError("too few samples", fix="use more")
    return Splits((SplitRows(*rows),), made="by number", keeps_groups=True)


def breaks(promise):
    """Register a function of the samples as a splitter that breaks a promise."""

    def add(function):
        BAD.append((promise, SplitterSpec(name="bad", summary=function.__name__, factory=lambda _: function)))
        return function

    return add


@breaks("valid-splits")
def twice(samples):
    made = good(samples)
    one = made.each[0]
    return attrs.evolve(made, each=(SplitRows(one.train, np.concatenate([one.dev, one.train[:1]]), one.test),), keeps_groups=False)


@breaks("no-part-is-empty")
def no_dev(samples):
    one = good(samples).each[0]
    return Splits((SplitRows(np.concatenate([one.train, one.dev]), one.dev[:0], one.test),), made="without dev")


class Numbered:
    count = itertools.count()

    def __init__(self):
        self.number = next(self.count)

    def __call__(self, samples):
        return good(samples, self.number)


BAD.append(("same-splits-every-time", SplitterSpec(name="bad", summary="", factory=lambda _: Numbered())))


@breaks("groups-kept")
def pretending(samples):
    part = np.arange(len(samples.ids)) % 10
    rows = [np.flatnonzero(part < 7), np.flatnonzero(part == 7), np.flatnonzero(part > 7)]
    return Splits((SplitRows(*rows),), made="by number", keeps_groups=True)


@breaks("says-what-it-lacks")
def assuming(samples):
    part = np.array([{"train": 0, "dev": 1, "test": 2}[g] for g in samples.given])
    return Splits((SplitRows(*(np.flatnonzero(part == i) for i in range(3))),), made="as given")


@breaks("inputs-untouched")
def sorting(samples):
    made = good(samples)
    if samples.groups.flags.writeable:
        samples.groups[::-1].sort()
    return made


@breaks("random-state-untouched")
def drawing(samples):
    np.random.rand()
    return good(samples)


@breaks("prints-nothing")
def talking(samples):
    print("splitting")
    return good(samples)


GOOD = [SplitterSpec(name="good", summary="", factory=lambda _: good)]
