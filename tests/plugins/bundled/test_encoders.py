"""Offline encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlrb.api.routing import Queries
from vlrb.testing import make_queries
from vlrb_plugins.encoders import HashedTextParams
from vlrb_plugins.encoders.image import NAMES, ImageStatistics
from vlrb_plugins.encoders.text import HashedText


def queries(texts: list[str], images: Sequence[Sequence[Any]] | None = None) -> Queries:
    return make_queries(texts, options=[(("A", "yes"),)] * len(texts), images=images, candidates=0)


def test_hashed_text_is_stateless_and_the_same_everywhere() -> None:
    """A query's features do not depend on the batch, and similar texts are closer than others."""
    texts = ["What is the height of the bar?", "What is the height of that bar?", "Solve for x: 3x + 2 = 11", ""]
    encoder = HashedText(HashedTextParams())
    together = encoder.encode(queries(texts)).matrix
    alone = np.vstack([HashedText(HashedTextParams()).encode(queries([t])).matrix for t in texts])

    assert together.dtype == np.float32
    assert together.shape == (4, 256)
    assert np.allclose(together, alone, atol=1e-6)
    assert together[0] @ together[1] > 2 * abs(together[0] @ together[2])
    assert not np.allclose(HashedText(HashedTextParams(seed=1)).encode(queries(texts)).matrix, together)


def test_hashed_text_sees_options_and_hints() -> None:
    """Two queries that differ in their options only have different features."""
    one = queries(["q"])
    import attrs

    other = attrs.evolve(one, options=[(("A", "no"),)])
    hinted = attrs.evolve(one, hints=["look left"])
    encoder = HashedText(HashedTextParams())
    rows = [encoder.encode(q).matrix[0] for q in (one, other, hinted)]

    assert not np.allclose(rows[0], rows[1])
    assert not np.allclose(rows[0], rows[2])


def test_image_statistics_measure_what_they_name() -> None:
    """Size, aspect, brightness, colour and edges of images made to differ in one of them."""
    stripes = np.zeros((100, 200, 3), np.uint8)
    for row in range(4):
        stripes[row::8] = 255
    made = {
        "white": Image.new("RGB", (200, 100), "white"),
        "red": Image.new("RGB", (200, 100), "red"),
        "stripes": Image.fromarray(stripes),
        "large": Image.new("L", (800, 400), 255),
    }
    matrix = ImageStatistics().encode(queries(["q"] * 4, [(image,) for image in made.values()]))
    column = {c.name.split("/")[1]: matrix.matrix[:, j] for j, c in enumerate(matrix.columns)}
    row = {
        k: dict(zip(column, values, strict=True))
        for k, values in zip(made, np.array(list(column.values())).T, strict=True)
    }

    assert row["large"]["log-width"] == pytest.approx(np.log(800))
    assert row["white"]["log-aspect"] == pytest.approx(np.log(2))
    assert row["white"]["brightness"] > 0.99 > row["red"]["brightness"]
    assert row["red"]["colourfulness"] > 0.2 > row["white"]["colourfulness"]
    assert (row["white"]["grey"], row["red"]["grey"]) == (1, 0)
    assert row["stripes"]["edges"] > 0.1 > row["white"]["edges"]
    assert row["stripes"]["horizontal-edges"] > 0.9


def test_a_sample_without_images_has_gaps_and_several_are_averaged() -> None:
    """No image is not a black image: gaps in columns that may have them, and a count of 0."""
    white, black = Image.new("RGB", (10, 10), "white"), Image.new("RGB", (10, 10), "black")
    features = ImageStatistics().encode(queries(["q"] * 3, [(), (white, black), (white,)]))

    assert features.matrix[:, 0].tolist() == [0, 2, 1]
    assert np.isnan(features.matrix[0, 1:]).all()
    assert [c.may_be_missing for c in features.columns] == [False] + [True] * len(NAMES)
    assert features.matrix[1, 1 + NAMES.index("brightness")] == pytest.approx(0.5)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16", "LA"])
def test_any_kind_of_image_is_taken(mode: str) -> None:
    """Black and white, palettes, transparency, 16 bits: finite numbers for each; and images of one pixel."""
    image = Image.new("RGB", (7, 5), (10, 200, 30))
    image = Image.new(mode, (7, 5)) if mode == "I;16" else image.convert(mode)
    if mode == "CMYK":
        image = image.convert("RGB")
    one = Image.new("RGB", (1, 1))
    matrix = ImageStatistics().encode(queries(["q"] * 2, [(image,), (one,)])).matrix

    assert np.isfinite(matrix).all()
