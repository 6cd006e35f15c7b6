"""The rows of the 14 datasets: pictures and questions in the columns that each dataset has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import attrs
import numpy as np

from vlrb_plugins.demo.canvas import Look, Picture
from vlrb_plugins.demo.charts import bar_chart, line_chart
from vlrb_plugins.demo.figures import food_web, geometry
from vlrb_plugins.demo.pages import form, poster, sign, word
from vlrb_plugins.demo.questions import Drawn, Question, one_of, shuffled
from vlrb_plugins.demo.scenes import shapes, street

Form = Literal["letter", "yes-no", "text"]
Draw = Callable[[np.random.Generator, Look], Drawn]
LETTERS = "ABCDE"
ROTATION = 1_000_000
"""MMBench: the index of rotation r of a question is the question's index + r times this."""


@attrs.frozen(kw_only=True)
class Row:
    """A row of a dataset.

    ``image_of`` is the index of an earlier row with the same picture, or empty.  ``right`` and ``wrong`` are what models may
    answer: letters, Yes and No, or texts.  ``rotation`` is above 0 in the further rows of a circular question.
    """

    index: str
    cells: Mapping[str, str]
    picture: Picture
    look: Look
    question: Question
    form: Form
    right: str
    wrong: tuple[str, ...]
    image_of: str = ""
    rotation: int = 0
    in_words: bool = False


@attrs.frozen
class Recipe:
    """How a dataset is made: what is drawn, how many questions one picture gets at most, and how its rows look."""

    draw: tuple[Draw, ...]
    questions: int
    rows: Callable[[np.random.Generator, int, int, Drawn, Question], list[Row]]
    hard: float = 0.0


def dataset_rows(name: str, count: int, seed: int, number: int) -> Iterator[Row]:
    """Yield the rows of a dataset in groups: ``count`` of them besides rotations."""
    rng = np.random.default_rng([seed, number])
    recipe = RECIPES[name]
    made = pictures = 0
    while made < count:
        drawn = recipe.draw[int(rng.integers(len(recipe.draw)))](rng, Look.any(rng))
        most = 1 + int(rng.integers(recipe.questions))
        first = ""
        for question in shuffled(rng, [q for q in drawn.questions if len(q.wrong) >= 2])[:most]:
            for row in recipe.rows(rng, made + 1, pictures, drawn, question):
                if made == count and not row.rotation:
                    break
                made += not row.rotation
                yield attrs.evolve(row, image_of=first) if first else row
                first = first or row.index
        pictures += 1


# --- multiple choice --------------------------------------------------------------------------------------------------


def _options(rng: np.random.Generator, question: Question, most: int = 4) -> tuple[str, ...]:
    return tuple(shuffled(rng, (question.answer, *question.wrong[: most - 1])))


def _choice(
    index: str, drawn: Drawn, question: Question, options: tuple[str, ...], further: Mapping[str, str], width: int = 4
) -> Row:
    lettered = {LETTERS[i]: options[i] if i < len(options) else "" for i in range(width)}
    right = LETTERS[options.index(question.answer)]
    return Row(
        index=index,
        cells={"question": question.text, **lettered, "answer": right, **further},
        picture=drawn.picture,
        look=drawn.look,
        question=question,
        form="letter",
        right=right,
        wrong=tuple(c for c in LETTERS[: len(options)] if c != right),
    )


def _mcq(
    further: Callable[[Question], Mapping[str, str]],
) -> Callable[[np.random.Generator, int, int, Drawn, Question], list[Row]]:
    def rows(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
        return [_choice(str(index), drawn, question, _options(rng, question), further(question))]

    return rows


def _mmbench(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
    options = _options(rng, question, int(rng.integers(2, 5)))
    hint = "Look at the whole picture before you answer." if rng.random() < 0.3 else ""
    category = {"hint": hint, "category": question.kind, "l2-category": question.skill, "split": "dev"}
    rows = []
    for turn in range(len(options)):
        turned = options[turn:] + options[:turn]
        row = _choice(str(index + turn * ROTATION), drawn, question, turned, category)
        rows.append(attrs.evolve(row, rotation=turn, image_of=str(index) if turn else ""))
    return rows


SUBJECTS: Mapping[str, tuple[str, str]] = {
    "chart": ("Economics", "A lecture on markets uses this chart. "),
    "science": ("Biology", "The figure is from a course in ecology. "),
    "knowledge": ("Biology", "The figure is from a course in ecology. "),
    "math": ("Math", "The figure belongs to an exercise. "),
    "document": ("Accounting", "An auditor studies this document. "),
}


def _mmmu(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
    subject, lead = SUBJECTS[question.skill]
    text = f"<image 1> {lead}{question.text}"
    further = {
        "id": f"{'dev' if index % 7 == 0 else 'validation'}_{subject}_{index}",
        "category": subject,
        "l2-category": question.skill,
        "split": "dev" if index % 7 == 0 else "validation",
        "question_type": "multiple-choice",
    }
    row = _choice(str(index), drawn, question, _options(rng, question), further)
    row = attrs.evolve(row, cells={**row.cells, "question": text})
    if question.skill != "math" or rng.random() < 0.7:
        return [row]
    blank = dict.fromkeys("ABCD", "")
    cells = {**row.cells, **blank, "answer": question.answer, "question_type": "open"}
    return [attrs.evolve(row, cells=cells, form="text", right=question.answer, wrong=question.wrong)]


# --- free answers -----------------------------------------------------------------------------------------------------


def _open(index: str, drawn: Drawn, question: Question, cells: Mapping[str, str]) -> Row:
    return Row(
        index=index,
        cells={"question": question.text, **cells},
        picture=drawn.picture,
        look=drawn.look,
        question=question,
        form="text",
        right=question.answer,
        wrong=question.wrong,
    )


def _golds(
    copies: int, further: Mapping[str, tuple[str, ...]] | None = None
) -> Callable[[np.random.Generator, int, int, Drawn, Question], list[Row]]:
    def rows(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
        golds = [question.answer] * copies
        cells = {"answer": repr(golds), **{name: one_of(rng, texts) for name, texts in (further or {}).items()}}
        return [_open(str(index), drawn, question, cells)]

    return rows


def _yes_no(rng: np.random.Generator, index: int, picture: int, drawn: Drawn, question: Question) -> list[Row]:
    true = bool(rng.random() < 0.5)
    claim = question.claim.format(question.answer if true else one_of(rng, question.wrong)).rstrip(".")
    asked = f'Is this statement about the image right: "{claim}"? Please answer yes or no.'
    area = {"chart": "chart", "math": "math", "document": "table"}.get(question.skill, "figure")
    cells = {"question": asked, "answer": "Yes" if true else "No", "category": "VS", "l2-category": area}
    row = _open(f"VS_{area}_1_{picture}_1_{index}", drawn, question, cells)
    return [attrs.evolve(row, form="yes-no", right=cells["answer"], wrong=("No" if true else "Yes",))]


def _mathvista(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
    choose = not question.answer.isdigit() or rng.random() < 0.5
    options = _options(rng, question) if choose else ()
    row = _choice(str(index), drawn, question, options, {}, 0) if choose else _open(str(index), drawn, question, {})
    cells = {
        "question": question.text,
        "answer": question.answer,
        "answer_option": row.right if choose else "",
        "choices": repr(list(options)),
        "question_type": "multi_choice" if choose else "free_form",
        "answer_type": "integer" if question.answer.isdigit() else "text",
        "task": "figure question answering" if question.skill == "chart" else "geometry problem solving",
    }
    return [attrs.evolve(row, cells=cells)]


def _mathvision(rng: np.random.Generator, index: int, _: int, drawn: Drawn, question: Question) -> list[Row]:
    choose = rng.random() < 0.5
    options = _options(rng, question, 5) if choose else ()
    row = _choice(str(index), drawn, question, options, {}, 0) if choose else _open(str(index), drawn, question, {})
    cells = {"question": question.text, "answer": row.right, "choices": repr(list(options)), "category": "geometry"}
    return [attrs.evolve(row, cells=cells)]


VERSIONS = ("Text Dominant", "Text Lite", "Vision Intensive", "Vision Dominant", "Vision Only")


def _mathverse(_: np.random.Generator, index: int, picture: int, drawn: Drawn, question: Question) -> list[Row]:
    rows = []
    for i, version in enumerate(VERSIONS):
        given = question.given if version == "Text Dominant" else ""
        words = {"Text Lite": "Use the figure.", "Vision Only": "Solve the exercise in the figure."}.get(version, given)
        asked = f"{words} {question.text}".strip()
        cells = {
            "question": asked,
            "answer": question.answer,
            "metadata": repr({"split": "testmini", "source": "demo", "subject": "Plane Geometry"}),
            "problem_version": version,
            "problem_index": str(picture + 1),
            "question_for_eval": question.text,
            "query_cot": f"Please first work out the question, then give the answer. Question: {asked}",
        }
        row = _open(str(index + i), drawn, question, cells)
        rows.append(attrs.evolve(row, in_words=bool(given), image_of=str(index) if i else ""))
    return rows


def _category(question: Question) -> Mapping[str, str]:
    return {"category": question.kind, "l2_category": question.skill, "bench": "demo"}


_OCR = {"category": ("Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition")}
_SPLIT = {"split": ("test_human", "test_augmented")}

RECIPES: Mapping[str, Recipe] = {
    "MMBench_DEV_EN_V11": Recipe((shapes, street, food_web), 1, _mmbench, 0.0),
    "MMStar": Recipe((shapes, bar_chart, geometry, food_web), 1, _mcq(_category), 0.25),
    "MMMU_DEV_VAL": Recipe((bar_chart, food_web, geometry, form), 1, _mmmu, 0.45),
    "RealWorldQA": Recipe((street,), 1, _mcq(lambda _: {}), 0.15),
    "InfoVQA_VAL": Recipe((poster,), 4, _golds(1), 0.1),
    "HallusionBench": Recipe((shapes, bar_chart, line_chart), 4, _yes_no, 0.3),
    "MathVista_MINI": Recipe((bar_chart, geometry, line_chart), 1, _mathvista, 0.2),
    "MathVision_MINI": Recipe((geometry,), 1, _mathvision, 0.7),
    "MathVerse_MINI": Recipe((geometry,), 1, _mathverse, 0.3),
    "AI2D_TEST": Recipe((food_web,), 3, _mcq(lambda _: {"abcLabel": "False"}), -0.1),
    "TextVQA_VAL": Recipe((sign, street), 2, _golds(10), -0.1),
    "ChartQA_TEST": Recipe((bar_chart, line_chart), 3, _golds(1, _SPLIT), 0.0),
    "DocVQA_VAL": Recipe((form,), 4, _golds(1), -0.2),
    "OCRBench": Recipe((word, sign), 1, _golds(1, _OCR), 0.0),
}
"""How each dataset is made."""
