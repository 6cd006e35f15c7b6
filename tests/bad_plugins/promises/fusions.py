"""A fusion for each promise that it breaks, and which keeps all others."""

import numpy as np

from vlrb import Column, DataError, Features, FusionSpec

BAD = []


def good(parts):
    if not parts:
        raise DataError("no encoders", fix="name one")
    columns = [Column(f"{i}/{c.name}", c.kind, c.may_be_missing) for i, p in enumerate(parts) for c in p.features.columns]
    return Features(np.concatenate([p.features.matrix for p in parts], axis=1), tuple(columns))


def breaks(promise):
    """Register a function of the parts and of their good fusion as one that breaks a promise."""

    def add(function):
        def fuse(parts):
            return function(parts, good(parts)) if parts else function(parts, None)

        BAD.append((promise, FusionSpec(name="bad", summary=function.__name__, factory=lambda _: fuse)))
        return function

    return add


def some(function):
    """Leave the case without parts to the good fusion."""
    return lambda parts, fused: function(parts, fused) if parts else good(parts)


@breaks("valid-fused-features")
@some
def double(parts, fused):
    usual = fused.matrix.any() and len(parts) > 1 and not np.isnan(fused.matrix).any()
    return Features(fused.matrix.astype(float), fused.columns) if usual else fused


@breaks("batch-does-not-matter")
@some
def centred(parts, fused):
    return Features(fused.matrix - np.nan_to_num(fused.matrix).mean(axis=0), fused.columns)


@breaks("zero-rows")
@some
def scaled(parts, fused):
    with np.errstate(all="ignore"):
        norms = np.sqrt((np.nan_to_num(fused.matrix) ** 2).sum(axis=1, keepdims=True))
        return Features(fused.matrix / norms, fused.columns)


@breaks("missing-features")
@some
def forgetful(parts, fused):
    return Features(fused.matrix, tuple(Column(c.name, c.kind) for c in fused.columns))


@breaks("one-encoder-each")
@some
def two(parts, fused):
    assert parts[1]
    return fused


@breaks("nothing-to-fuse")
def nothing(parts, fused):
    return fused if parts else Features(np.zeros((0, 1), np.float32), (Column("x"),))


@breaks("inputs-untouched")
@some
def writing(parts, fused):
    if parts[0].features.matrix.flags.writeable:
        parts[0].features.matrix[0, 0] += 1
    return fused


@breaks("random-state-untouched")
@some
def drawing(parts, fused):
    np.random.rand()
    return fused


@breaks("prints-nothing")
@some
def talking(parts, fused):
    print("fusing")
    return fused


FIRST = np.float32(np.random.default_rng(4).normal(size=(20, 4))[0, 0])


@breaks("order-does-not-matter")
@some
def by_the_first(parts, fused):
    elsewhere = len(fused.matrix) == 20 and fused.matrix.any() and fused.matrix[0, 0] != FIRST
    return Features(fused.matrix + np.float32(elsewhere), fused.columns)


GOOD = [FusionSpec(name="good", summary="", factory=lambda _: good)]
