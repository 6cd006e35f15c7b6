"""Question structure and visual cues: what the columns say of questions and images made to show it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from vlrb.api.frozen import Array
from vlrb.api.routing import Features, Queries
from vlrb.testing import make_queries
from vlrb_plugins.encoders import structure as s
from vlrb_plugins.encoders import vlrb_encoders
from vlrb_plugins.encoders.cues import KINDS, NUMERIC, VisualCues, cues
from vlrb_plugins.encoders.structure import CATEGORICAL, TOPICS, QuestionStructure, language


def queries(texts: list[str], images: Sequence[Sequence[Any]] | None = None) -> Queries:
    """Return queries without options."""
    return make_queries(texts, images=images, candidates=0)


def asked(text: str, options: tuple[str, ...] = (), hint: str = "") -> dict[str, Any]:
    """Return what the columns say of a question; categorical ones by name."""
    pairs = tuple(zip("ABCDEFGH", options, strict=False))
    query = attrs.evolve(queries([text]), options=[pairs], hints=[hint])
    features = QuestionStructure().encode(query)
    row = {c.name.split("/")[1]: float(v) for c, v in zip(features.columns, features.matrix[0], strict=True)}
    return row | {name: codes[int(row[name])] for name, codes in CATEGORICAL.items()}


# --- questions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("How many dogs are in the image?", "how-many"),
        ("What is the number of bars?", "how-many"),
        ("How tall is the tower?", "how-much"),
        ("Is the man wearing a hat?", "yes-no"),
        ("Who wrote this letter?", "who"),
        ("In what year was the bridge built?", "when"),
        ("Where is the cat?", "where"),
        ("Why is the child crying?", "why"),
        ("Which of these is a mammal?", "which"),
        ("What colour is the car?", "what"),
        ("The area of the circle is ____.", "blank"),
        ("Find the length of AB.", "order"),
        ("", "none"),
        ("图中有几只狗？", "other"),
    ],
)
def test_types_of_questions(text: str, kind: str) -> None:
    """The words that open a question, or stand in it."""
    assert asked(text)["type"] == kind


@pytest.mark.parametrize(
    ("text", "options", "hint", "expected"),
    [
        ("Which one?", ("cat", "dog"), "", "letter"),
        ("Which one?\nA. cat\nB. dog", (), "", "letter"),
        ("Is it?", ("Yes", "no"), "", "yes-no"),
        ("Is it? Answer yes or no.", (), "", "yes-no"),
        ("What is x?", (), "Please answer with an integer", "integer"),
        ("What is x?", (), "a floating-point number with two decimal places", "decimal"),
        ("What is it?\nAnswer the question using a single word or phrase.", (), "", "short"),
        ("Describe the image in detail.", (), "", "long"),
        ("What are they?", (), "answer with a Python list", "list"),
        ("What is it?", (), "", "open"),
    ],
)
def test_formats_of_answers(text: str, options: tuple[str, ...], hint: str, expected: str) -> None:
    """What the options, the question or its hint ask for."""
    assert asked(text, options, hint)["format"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the height of the bar?", "english"),
        ("Solve 3x = 11", "english"),
        ("Quelle est la hauteur de cette tour en mètres ?", "latin"),
        ("图中有几只狗？", "chinese"),
        ("この写真には何が写っていますか", "japanese"),
        ("이 그림에는 무엇이 있습니까", "korean"),
        ("Что изображено на картинке?", "cyrillic"),
        ("ما هذا", "arabic"),
        ("Τι είναι αυτό", "greek"),
        ("यह क्या है", "devanagari"),
        ("זה מה", "other"),
        ("3 + 4 = ?", "none"),
        ("", "none"),
    ],
)
def test_languages(text: str, expected: str) -> None:
    """By the script; English by its commonest words."""
    assert language(text) == expected


def test_numbers_options_and_signs() -> None:
    """Counts are counts, and what has none is 0, not missing."""
    row = asked("In 2019, sales rose from 1,200 to 3.5% of $x^2 + \\frac{1}{2}$?", ("12", "13 cm", "none"), "a hint")
    empty = asked("")

    assert (row["numbers"], row["options"], row["year"], row["latex"], row["money-or-percent"]) == (6, 3, 1, 1, 1)
    assert row["options-numbers"] == pytest.approx(2 / 3)
    assert row["log-hint-words"] == pytest.approx(np.log1p(2))
    assert row["log-largest-number"] == pytest.approx(np.log1p(2019))
    assert row["maths-signs"] >= 3
    assert {v for v in empty.values() if not isinstance(v, str)} == {0}
    assert asked("Is it 5?", ("Yes", "No"))["options-yes-no"] == 1


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("How many dogs?", "counting"),
        ("Which bar is higher?", "comparing"),
        ("What is the total?", "arithmetic"),
        ("What does the x axis show?", "charts"),
        ("Find the angle at A.", "geometry"),
        ("Solve x = 3y.", "algebra"),
        ("What is written on the sign?", "reading"),
        ("What is to the left of the cup?", "space"),
        ("Is the car red?", "colour"),
        ("What is the woman doing?", "people"),
        ("What happens to the species if the food vanishes?", "science"),
        ("Which is not a fruit?", "negated"),
        ("What differs between the two images?", "several-images"),
    ],
)
def test_topics(text: str, topic: str) -> None:
    """Each topic has words of its own; a neutral question has none."""
    assert asked(text)[topic] == 1
    assert not any(asked("What happened then?")[t] for t in TOPICS)


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=5), st.text(max_size=20))
def test_any_text_has_finite_numbers(text: str, options: list[str], hint: str) -> None:
    """Whatever the characters, and the same alone as beside others."""
    pairs = tuple((str(i), o) for i, o in enumerate(options))
    query = attrs.evolve(queries([text, "other"]), options=[pairs, ()], hints=[hint, ""])
    both = QuestionStructure().encode(query).matrix
    alone = QuestionStructure().encode(query.take(np.array([0]))).matrix

    assert np.isfinite(both).all()
    assert np.array_equal(both[:1], alone)


def test_columns_carry_their_kinds() -> None:
    """Tree routers split categorical columns by value, and learn which way gaps go."""
    text = QuestionStructure().encode(queries(["q"]))
    image = VisualCues().encode(queries(["q"]))

    assert [c.kind for c in text.columns] == ["numeric"] * (len(s.NUMERIC) + len(TOPICS)) + ["categorical"] * 3
    assert not any(c.may_be_missing for c in text.columns)
    assert [c.kind for c in image.columns] == ["numeric"] * len(NUMERIC) + ["categorical"]
    assert all(c.may_be_missing for c in image.columns)
    assert np.isnan(image.matrix).all()


# --- images ---------------------------------------------------------------------------------------------------------------


def looked_at(*images: Image.Image) -> tuple[list[dict[str, float]], Features]:
    """Return what the columns say of images."""
    features = VisualCues().encode(queries(["q"] * len(images), [(image,) for image in images]))
    names = [c.name.split("/")[1] for c in features.columns]
    return [dict(zip(names, row.tolist(), strict=True)) for row in features.matrix], features


def photo(seed: int = 0) -> Image.Image:
    """Return smooth areas with noise, as a camera gives them."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(
        (320, 240), Image.Resampling.BICUBIC
    )
    return Image.fromarray((np.asarray(small) + rng.normal(0, 6, (240, 320, 3))).clip(0, 255).astype(np.uint8))


def page(lines: int = 12) -> Image.Image:
    """Return a white page with lines of letters."""
    image = Image.new("RGB", (320, 420), "white")
    draw = ImageDraw.Draw(image)
    for i in range(lines):
        draw.text((20, 20 + 30 * i), "the quick brown fox jumps over the lazy dog" * 2, fill="black")
    return image


def chart() -> Image.Image:
    """Return coloured bars between axes."""
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    draw.line((30, 10, 30, 210), fill="black", width=2)
    draw.line((30, 210, 310, 210), fill="black", width=2)
    for i, colour in enumerate(("red", "green", "blue", "orange")):
        draw.rectangle((50 + 60 * i, 60 + 20 * i, 90 + 60 * i, 208), fill=colour)
    return image


def table() -> Image.Image:
    """Return a grid of lines."""
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    for i in range(5):
        draw.line((20, 20 + 60 * i, 280, 20 + 60 * i), fill="black", width=2)
        draw.line((20 + 60 * i, 20, 20 + 60 * i, 260), fill="black", width=2)
    return image


def test_kinds_of_images() -> None:
    """A photograph, a page, a chart and a drawing are distinguished by what they look like."""
    drawing = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(drawing).line((20, 180, 180, 20), fill="black", width=3)
    rows, _ = looked_at(photo(), page(), chart(), drawing)

    assert [KINDS[int(r["kind"])] for r in rows] == ["photo", "page", "chart", "drawing"]


def test_text_is_seen() -> None:
    """More lines of text are more lines; a photograph and a chart have none."""
    (short, long, picture, bars), _ = looked_at(page(4), page(12), photo(), chart())

    assert (short["text-lines"], long["text-lines"]) == (4, 12)
    assert long["crossings"] > short["crossings"] > bars["crossings"]
    assert long["text-rows"] > 0.2
    assert np.expm1(long["log-text-height"]) == pytest.approx(8, abs=5)
    assert bars["text-rows"] == 0
    assert picture["flat"] < 0.3 < 0.7 < short["flat"]


def test_lines_and_colours_are_seen() -> None:
    """Axes make a frame, a table a grid; bars have several flat hues."""
    (bars, grid, picture), _ = looked_at(chart(), table(), photo())

    assert (bars["frame"], bars["grid"]) == (1, 0)
    assert (grid["frame"], grid["grid"], grid["horizontal-rules"], grid["vertical-rules"]) == (1, 1, 5, 5)
    assert bars["hues"] >= 3
    assert bars["flat-hues"] > 0.1 > picture["flat-hues"]
    assert bars["background"] > 0.4 > picture["background"]
    assert picture["noise"] > 0.005


def test_directions_and_layout_are_seen() -> None:
    """Diagonal lines, and where the ink stands."""
    diagonal = Image.new("RGB", (200, 200), "white")
    for i in range(0, 200, 20):
        ImageDraw.Draw(diagonal).line((i, 0, i + 100, 100), fill="black", width=3)
    corner = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(corner).rectangle((0, 0, 40, 40), fill="black")
    (slanted, small, grid), _ = looked_at(diagonal, corner, table())

    assert slanted["diagonal"] > 0.6 > 0.2 > grid["diagonal"]
    assert small["centre-x"] < 0.15
    assert small["centre-y"] < 0.15
    assert small["empty-fields"] == pytest.approx(8 / 9)
    assert small["filled"] < 0.1 < grid["filled"]


def test_resolution_is_that_of_the_whole_image() -> None:
    """What is looked at is reduced; what is told of the size is not. A blown-up image is less sharp."""
    small, large = photo(), photo().resize((1280, 960), Image.Resampling.BICUBIC)
    (one, other), _ = looked_at(small, large)
    upscaled = small.resize((80, 60)).resize((320, 240), Image.Resampling.BICUBIC)
    (blurred,), _ = looked_at(upscaled)

    assert np.exp(one["log-megapixels"]) == pytest.approx(0.0768, abs=1e-4)
    assert np.exp(other["log-shorter-side"]) == pytest.approx(960)
    assert blurred["sharpness"] < one["sharpness"]


def test_several_images_are_averaged_and_none_is_a_gap() -> None:
    """The kind is that of the first image; a sample without images is no black image."""
    one, other = photo(), page()
    matrix = VisualCues().encode(queries(["q"] * 4, [(one,), (other,), (one, other), ()])).matrix

    assert np.allclose(matrix[2, :-1], (matrix[0, :-1] + matrix[1, :-1]) / 2, atol=1e-5)
    assert matrix[2, -1] == matrix[0, -1]
    assert np.isnan(matrix[3]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16", "RGB"])
def test_any_kind_of_image_has_finite_numbers(mode: str, size: tuple[int, int]) -> None:
    """Whatever the mode, and whatever is left after it was reduced."""
    image = Image.new(mode, size) if mode == "I;16" else Image.new("RGB", size, (10, 200, 30)).convert(mode)

    assert np.isfinite(cues(image, 100)).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_noise_has_finite_numbers(width: int, height: int, seed: int) -> None:
    """No division by what a small image lacks."""
    pixels: Array = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

    assert np.isfinite(cues(Image.fromarray(pixels), 10)).all()


def test_registering_imports_nothing_heavy() -> None:
    """`vlrb list` shows the encoders without numpy and Pillow; each says what it looks at."""
    code = (
        "import sys\nfrom vlrb_plugins.encoders import vlrb_encoders\nvlrb_encoders()\n"
        "print([m for m in ('numpy', 'PIL', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stderr
    assert {e.name: e.modality for e in vlrb_encoders()} == {
        "hashed-text": "text",
        "image-statistics": "image",
        "question-structure": "text",
        "visual-cues": "image",
    }
