"""A token counter for each promise that it breaks, and which keeps all others."""

import itertools

import numpy as np
import pyarrow as pa

from vlrb import TokenCounterSpec

BAD = []


class Good:
    """A token per word, ten per image."""

    def sample_tokens(self, samples, images):
        return self.words(samples.column("question")) + 10 * images

    def outcome_tokens(self, outcomes):
        return None, self.words(outcomes.column("prediction"))

    def words(self, texts):
        return np.array([len((t or "").split()) for t in texts.to_pylist()], np.int64)


class PerModel(Good):
    per_model = True

    def model_tokens(self, name, model, sizes):
        return np.array([len(s) for s in sizes], np.int64)


def breaks(promise):
    """Register the class as the counter that breaks a promise."""

    def add(cls):
        BAD.append((promise, TokenCounterSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


@breaks("valid-counts")
class Texts(Good):
    def outcome_tokens(self, outcomes):
        found = self.words(outcomes.column("prediction"))
        usual = len(found) == 12 and not outcomes.column("prediction").null_count
        return None, pa.array(found, pa.float64()) if usual else found


@breaks("inputs-counted-once")
class Twice(Good):
    def outcome_tokens(self, outcomes):
        _, found = super().outcome_tokens(outcomes)
        return found, found


@breaks("same-counts-every-time")
class Numbered(Good):
    count = itertools.count()

    def __init__(self):
        self.number = next(self.count)

    def words(self, texts):
        return super().words(texts) + self.number


@breaks("order-does-not-matter")
class Ordered(Good):
    def words(self, texts):
        found = super().words(texts)
        return found + int((np.diff(found) < 0).all() and len(found) == 12)


@breaks("batch-does-not-matter")
class Counting(Good):
    def words(self, texts):
        return super().words(texts) + len(texts)


@breaks("missing-columns")
class Known(Good):
    def outcome_tokens(self, outcomes):
        assert all(t is not None for t in outcomes.column("prediction").to_pylist())
        return super().outcome_tokens(outcomes)


@breaks("any-text-counted")
class Ascii(Good):
    def words(self, texts):
        "".join(t or "" for t in texts.to_pylist()).encode("ascii")
        return super().words(texts)


@breaks("any-number-of-images")
class Fewer(Good):
    def sample_tokens(self, samples, images):
        return 100 + self.words(samples.column("question")) - 10 * images


@breaks("model-tokens-valid")
class Unknown(PerModel):
    def model_tokens(self, name, model, sizes):
        assert model.name
        return super().model_tokens(name, model, sizes)


@breaks("random-state-untouched")
class Global(Good):
    def words(self, texts):
        np.random.rand()
        return super().words(texts)


@breaks("prints-nothing")
class Talking(Good):
    def words(self, texts):
        print(len(texts))
        return super().words(texts)


GOOD = [TokenCounterSpec(name="good", summary="", factory=lambda _, c=cls: c()) for cls in (Good, PerModel)]
