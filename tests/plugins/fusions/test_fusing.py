"""Fusions, as the reference has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.routing import Column, Features
from vlrb_plugins.fusions.fusing import fuse

FUSIONS = (
    "concat",
    "normalize-concat",
    "average",
    "weighted-average",
    "concat-interaction",
    "normalize-concat-interaction",
    "only-text",
    "only-image",
)


def dense(name: str, matrix: Any) -> Features:
    """Return dense features."""
    array = np.asarray(matrix, dtype=np.float32)
    return Features(array, tuple(Column(f"{name}/{i}") for i in range(array.shape[1])))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusions_are_those_of_the_reference(fusion: str, shared: Callable[[str], Path]) -> None:
    """All eight, on vectors that the reference's own code made; rows of zeros among them."""
    with np.load(shared("vectors/fusion.npz")) as vectors:
        parts = [dense("t", vectors["X_text"]), dense("v", vectors["X_vision"])]
        fused = fuse(parts, fusion, ["text", "image"], float(vectors["text_weight"]))
        expected = vectors[fusion.replace("-", "_")]

    assert np.allclose(fused.matrix, expected, atol=1e-6)
    assert fused.matrix.shape[1] == len({c.name for c in fused.columns})
    assert not fused.matrix.flags.writeable


@pytest.mark.parametrize("fusion", FUSIONS)
def test_numeric_columns_are_never_mixed(fusion: str) -> None:
    """They have units of their own: each stands in the result as it was, gaps included."""
    numbers = np.array([[3.0, 4, 100], [0, 2, np.nan]], np.float32)
    columns = (Column("t/0"), Column("t/1"), Column("t/words", "numeric", may_be_missing=True))
    image = dense("v", [[6, 8], [0, 0]])
    fused = fuse([Features(numbers, columns), image], fusion, ["text", "image"])
    kept = [i for i, c in enumerate(fused.columns) if c.kind == "numeric"]

    assert len(kept) == (fusion != "only-image")
    assert all(np.array_equal(fused.matrix[:, i], numbers[:, 2], equal_nan=True) for i in kept)
    assert np.isfinite(np.delete(fused.matrix, kept, axis=1)).all()


def test_several_encoders_of_a_modality_are_one_part() -> None:
    """Their dense columns stand side by side before text and image meet."""
    parts = [dense("a", [[1.0, 2]]), dense("i", [[10.0, 20, 30]]), dense("b", [[3.0]])]
    fused = fuse(parts, "average", ["text", "image", "text"])

    assert fused.matrix.tolist() == [[5.5, 11, 16.5]]


def test_an_encoder_used_twice_has_columns_of_two_names() -> None:
    """Tree routers name columns; two of one name could not be distinguished."""
    fused = fuse([dense("a", [[1.0]]), dense("a", [[2.0]])], "concat")

    assert [c.name for c in fused.columns] == ["a/0", "a/0#2"]


@given(st.lists(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_normalizing_gives_unit_length_or_zero(rows: list[list[float]]) -> None:
    """Whatever the rows: length 1, or 0 for a row of zeros; never a NaN."""
    matrix = fuse([dense("a", np.round(rows, 2))], "normalize-concat").matrix
    lengths = np.linalg.norm(matrix, axis=1)

    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))
