"""Fusing the features of several encoders."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from vlrb import Array, Column, DataError, EncodedFeatures, Features, sealed

PAIRED = ("average", "weighted-average", "concat-interaction", "normalize-concat-interaction")


@attrs.frozen
class NamedFusion:
    """A fusion by its name, see :func:`fuse`."""

    name: str
    text_weight: float

    def __call__(self, parts: Sequence[EncodedFeatures]) -> Features:
        """Return the fused features."""
        if not parts:
            raise DataError(f"fusion {self.name!r} has no features to fuse", fix="name an encoder in the feature set")
        return fuse([p.features for p in parts], self.name, [p.modality for p in parts], self.text_weight)


def fuse(parts: Sequence[Features], fusion: str, modalities: Sequence[str] = (), text_weight: float = 0.5) -> Features:
    """Fuse the features of several encoders (VL-RouterBench, fusion).

    ``concat`` puts them side by side.  ``only-text`` and ``only-image`` keep the encoders of one modality.  The others take t,
    the dense columns of the encoders of text, and v, those of the encoders of images: ``average`` is (t + v) / 2,
    ``weighted-average`` w t + (1 - w) v, both over the columns that the shorter one has, ``concat-interaction``
    [t, v, t v, abs(t - v)], the last two over these columns.  ``normalize-`` first scales the dense columns of each encoder to
    unit length, row by row; a row of zeros stays.

    Numeric and categorical columns have units of their own: they are never scaled, averaged or multiplied.  ``concat`` leaves
    them in their places; the other fusions put those of all encoders behind the dense columns.

    :param modalities: of the parts; ``concat`` and ``normalize-concat`` do without
    :raises DataError: when text or image has no dense columns to fuse
    """
    unit = fusion.startswith("normalize-")
    parts = _told_apart(parts)
    if fusion.startswith("only-"):
        return _beside([p for p, m in zip(parts, modalities, strict=True) if f"only-{m}" == fusion])
    if fusion not in PAIRED:
        return _beside(parts, unit)
    if unit:
        parts = [_beside([p], unit) for p in parts]
    text, image = (_dense([p for p, m in zip(parts, modalities, strict=True) if m == n]) for n in ("text", "image"))
    if not text.columns or not image.columns:
        lacking = "text" if not text.columns else "image"
        raise DataError(
            f"fusion {fusion!r} needs dense columns of text and image, and the encoders of {lacking} give none",
            fix=f'name another encoder of {lacking}, or set fusion = "normalize-concat"',
        )
    fused = _averaged(text, image, text_weight if fusion == "weighted-average" else 0.5)
    if fusion.endswith("interaction"):
        fused = _interacting(text, image)
    return _beside([fused, *(_only(p, dense=False) for p in parts)])


def _averaged(text: Features, image: Features, weight: float) -> Features:
    shared = min(len(text.columns), len(image.columns))
    matrix = np.float32(weight) * text.matrix[:, :shared] + np.float32(1 - weight) * image.matrix[:, :shared]
    return Features(matrix, tuple(_shared_columns("average", text, image)))


def _interacting(text: Features, image: Features) -> Features:
    shared = min(len(text.columns), len(image.columns))
    width = len(text.columns) + len(image.columns)
    matrix = np.empty((len(text.matrix), width + 2 * shared), np.float32)
    np.concatenate([text.matrix, image.matrix], axis=1, out=matrix[:, :width])
    left, right = text.matrix[:, :shared], image.matrix[:, :shared]
    np.multiply(left, right, out=matrix[:, width : width + shared])
    np.abs(left - right, out=matrix[:, width + shared :])
    more = (c for name in ("product", "difference") for c in _shared_columns(name, text, image))
    return Features(matrix, (*text.columns, *image.columns, *more))


def _shared_columns(name: str, text: Features, image: Features) -> list[Column]:
    """Return the columns of what is computed from text and image: one may be missing where a column of either may."""
    pairs = enumerate(zip(text.columns, image.columns, strict=False))
    return [Column(f"{name}/{i}", may_be_missing=t.may_be_missing or v.may_be_missing) for i, (t, v) in pairs]


def _beside(parts: Sequence[Features], unit: bool = False) -> Features:
    """Put parts side by side.

    :param unit: scale the dense columns of each part to unit length, row by row
    """
    parts = [p for p in parts if p.columns] or list(parts[:1])
    if len(parts) == 1 and not unit:
        return Features(sealed(parts[0].matrix), parts[0].columns)
    matrix = np.empty((len(parts[0].matrix), sum(len(p.columns) for p in parts)), np.float32)
    start = 0
    for part in parts:
        block = matrix[:, start : start + len(part.columns)]
        block[:] = part.matrix
        if unit:
            _scale(block, np.array([c.kind == "dense" for c in part.columns], dtype=np.bool_))
        start += len(part.columns)
    return Features(sealed(matrix), tuple(c for p in parts for c in p.columns))


def _scale(block: Array, dense: Array) -> None:
    """Scale some columns of a block to unit length, row by row, in place; a row of zeros stays."""
    rows = block if dense.all() else block[:, dense]
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    np.divide(rows, norms, out=rows, where=norms > 0)
    if rows is not block:
        block[:, dense] = rows


def _told_apart(parts: Sequence[Features]) -> list[Features]:
    """Give the columns of encoders that are used twice, with other parameters, names of their own."""
    known: set[str] = set()
    result = []
    for number, part in enumerate(parts, 1):
        if not known.isdisjoint(c.name for c in part.columns):
            columns = tuple(attrs.evolve(c, name=f"{c.name}#{number}") for c in part.columns)
            part = Features(part.matrix, columns)
        known |= {c.name for c in part.columns}
        result.append(part)
    return result


def _dense(parts: Sequence[Features]) -> Features:
    return _beside([_only(p, dense=True) for p in parts])


def _only(part: Features, *, dense: bool) -> Features:
    chosen = [i for i, c in enumerate(part.columns) if (c.kind == "dense") == dense]
    if len(chosen) == len(part.columns):
        return part
    return Features(part.matrix[:, chosen], tuple(part.columns[i] for i in chosen))
