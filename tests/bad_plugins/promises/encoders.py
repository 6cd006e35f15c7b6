"""An encoder for each promise that it breaks, and which keeps all others."""

import itertools

import numpy as np

from vlrb import Column, EncoderSpec, Features
from vlrb.testing import make_queries

BAD = []
FIRST = make_queries(20, seed=3).texts[0]
NAMES = ("length", "options", "images")


class Good:
    """Lengths of the texts, numbers of options and images."""

    names = NAMES

    def columns(self, queries):
        return tuple(Column(n, "numeric") for n in self.names)

    def matrix(self, queries):
        rows = zip(queries.texts, queries.options, queries.images.hashes, strict=True)
        return np.array([[len(t), len(o), len(i)] for t, o, i in rows], np.float32).reshape(-1, 3)

    def encode(self, queries):
        return Features(self.matrix(queries), self.columns(queries))


class Streaming(Good):
    def stream(self, chunks):
        for chunk in chunks:
            yield self.encode(chunk)


def breaks(promise):
    """Register the class as the encoder that breaks a promise."""

    def add(cls):
        BAD.append((promise, EncoderSpec(name="bad", summary=cls.__name__, factory=lambda _: cls())))
        return cls

    return add


@breaks("valid-features")
class Double(Good):
    def matrix(self, queries):
        found = super().matrix(queries)
        return found.astype(float) if len(found) == 20 and all(queries.texts) else found


@breaks("same-every-time")
class Numbered(Good):
    count = itertools.count()

    def __init__(self):
        self.shift = next(self.count)

    def matrix(self, queries):
        return super().matrix(queries) + np.float32(self.shift)


@breaks("same-columns")
class Named(Good):
    def columns(self, queries):
        return tuple(Column(f"{n}-{len(queries)}", "numeric") for n in self.names)


@breaks("order-does-not-matter")
class Ordered(Good):
    def matrix(self, queries):
        elsewhere = len(queries) == 20 and queries.texts[0] != FIRST
        return super().matrix(queries) + np.float32(elsewhere)


@breaks("batch-does-not-matter")
class Standardised(Good):
    def matrix(self, queries):
        found = super().matrix(queries)
        return found - found.mean(axis=0)


@breaks("content-only")
class ByName(Good):
    def matrix(self, queries):
        other = np.array([i.startswith("other") for i in queries.ids], np.float32)
        return super().matrix(queries) + other[:, None]


@breaks("missing-values")
class FirstLetter(Good):
    def matrix(self, queries):
        if len(queries) == 20:
            assert all(t[0] for t in queries.texts)
        return super().matrix(queries)


@breaks("any-text")
class Ascii(Good):
    def matrix(self, queries):
        "".join(queries.texts).encode("ascii")
        return super().matrix(queries)


@breaks("any-image")
class Colours(Good):
    def matrix(self, queries):
        for images in queries.images:
            for image in images:
                assert len(image.getpixel((0, 0))) == 3
        return super().matrix(queries)


@breaks("stream-agrees")
class Ahead(Streaming):
    def stream(self, chunks):
        return super().stream(list(chunks)[::-1])


@breaks("random-state-untouched")
class Global(Good):
    def matrix(self, queries):
        np.random.rand()
        return super().matrix(queries)


@breaks("prints-nothing")
class Talking(Good):
    def matrix(self, queries):
        print("encoding")
        return super().matrix(queries)


GOOD = [EncoderSpec(name="good", summary="", factory=lambda _, c=cls: c()) for cls in (Good, Streaming)]
