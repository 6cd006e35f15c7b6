"""The rows of the 14 datasets, with the columns that VLMEvalKit's TSV files have."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from vlrb_plugins.demo.canvas import Look, Picture
from vlrb_plugins.demo.charts import bar_chart, infographic
from vlrb_plugins.demo.documents import card, formula, page
from vlrb_plugins.demo.figures import diagram, geometry
from vlrb_plugins.demo.phrasing import Form
from vlrb_plugins.demo.questions import Drawn, Question, one_of, shuffled
from vlrb_plugins.demo.scenes import shapes, street
from vlrb_plugins.vlmevalkit.source import ROTATION

Cell = str | int
Options = tuple[tuple[str, str], ...]
Draw = Callable[[np.random.Generator, Look], Drawn]


@attrs.frozen
class Spot:
    """A question on a picture that is about to become rows: where it stands, and what is known of it."""

    rng: np.random.Generator
    serial: int
    picture_number: int
    place: int
    question: Question
    picture: Picture
    look: Look
    other_picture: Picture | None = None


@attrs.frozen
class Pass:
    """A row: its cells but the image, and its options by letter (none: the answer is a text)."""

    cells: Mapping[str, Cell]
    options: Options = ()


@attrs.frozen
class Item:
    """A sample: its rows (several only where options rotate), and how it is answered.

    ``answer`` and ``wrong`` are texts, also where a letter stands for them; ``sizes`` are those of the pictures.
    """

    passes: tuple[Pass, ...]
    form: Form
    question: Question
    answer: str
    wrong: tuple[str, ...]
    look: Look
    sizes: tuple[tuple[int, int], ...]
    reliance: float = 1.0


@attrs.frozen
class Layout:
    """How a dataset looks.

    ``columns`` are those of the TSV file; ``suffix`` and ``scored`` name the scored workbooks and the columns that they have
    besides; ``draws`` are the kinds of pictures (twice for twice as many), ``asks`` the fewest and most questions on one
    picture; ``shared`` says that only the first row of a picture holds it, the others refer to that row.
    """

    name: str
    columns: tuple[str, ...]
    suffix: str
    scored: tuple[str, ...]
    draws: tuple[Draw, ...]
    rows: Callable[[Spot], Sequence[Item]]
    asks: tuple[int, int] = (1, 1)
    skills: frozenset[str] = frozenset()
    shared: bool = False
    thinking_apart: bool = False
    booleans: bool = False


def _lettered(rng: np.random.Generator, question: Question, most: int = 4) -> tuple[Options, str]:
    """Return up to ``most`` options in random order, and the letter of the right one."""
    texts = shuffled(rng, [question.answer, *question.wrong[: most - 1]])
    options = tuple(zip(string.ascii_uppercase, texts, strict=False))
    return options, _letter(options, question.answer)


def _letter(options: Options, text: str) -> str:
    return next(letter for letter, option in options if option == text)


def _item(
    spot: Spot, form: Form, passes: Sequence[Pass], question: Question | None = None, reliance: float = 1.0
) -> Item:
    asked = question or spot.question
    others = {text for _, text in passes[0].options} - {asked.answer}
    wrong = tuple(w for w in asked.wrong if w in others) if passes[0].options else asked.wrong
    sizes = tuple((p.width, p.height) for p in (spot.picture, spot.other_picture) if p is not None)
    if asked.kind == "recall":
        reliance *= 0.6
    return Item(tuple(passes), form, asked, asked.answer, wrong, spot.look, sizes, reliance)


# --- multiple choice --------------------------------------------------------------------------------------------------


def _mmbench(spot: Spot) -> list[Item]:
    options, _ = _lettered(spot.rng, spot.question, 4 if spot.serial % 8 else 3)
    fixed = {
        "question": spot.question.text,
        "hint": "Look at the whole picture." if spot.serial % 4 == 0 else "",
        "category": spot.question.kind,
        "l2-category": spot.question.skill,
        "split": "dev",
    }
    passes = []
    for turn in range(len(options)):
        texts = [t for _, t in options]
        turned = tuple(zip(string.ascii_uppercase, texts[turn:] + texts[:turn], strict=False))
        answer = _letter(turned, spot.question.answer)
        passes.append(Pass({**fixed, "index": spot.serial + turn * ROTATION, **dict(turned), "answer": answer}, turned))
    return [_item(spot, "choice", passes)]


def _mcq(spot: Spot, **more: Cell) -> list[Item]:
    options, answer = _lettered(spot.rng, spot.question)
    cells = {"index": spot.serial, "question": spot.question.text, **dict(options), "answer": answer, **more}
    return [_item(spot, "choice", [Pass(cells, options)])]


def _mmstar(spot: Spot) -> list[Item]:
    return _mcq(spot, category=spot.question.skill, l2_category=spot.question.kind, bench="demo")


def _ai2d(spot: Spot) -> list[Item]:
    return _mcq(spot, abcLabel="False")


_SUBJECTS = {"chart": "Economics", "math": "Math", "science": "Biology", "document": "Accounting"}


def _mmmu(spot: Spot) -> list[Item]:
    question = spot.question
    subject = _SUBJECTS.get(question.skill) or question.subject or "Design"
    split = "dev" if spot.serial % 7 == 0 else "validation"
    images = [f"{split}_{spot.serial}_{i}.png" for i in range(1, 3 if spot.other_picture else 2)]
    cells: dict[str, Cell] = {
        "index": spot.serial,
        "id": f"{split}_{subject}_{spot.serial}",
        "question": f"<image 1> {question.text}",
        "image_path": str(images) if spot.other_picture else images[0],
        "category": subject,
        "l2-category": subject,
        "split": split,
    }
    if spot.other_picture:
        cells["question"] = f"<image 1> <image 2> Use the first picture only. {question.text}"
    if spot.serial % 15 == 0:
        open_cells = {**cells, "answer": question.answer, "question_type": "open"}
        return [_item(spot, "brief", [Pass(open_cells)])]
    options, answer = _lettered(spot.rng, question)
    cells |= {**dict(options), "answer": answer, "question_type": "multiple-choice"}
    return [_item(spot, "choice", [Pass(cells, options)])]


def _hallusion(spot: Spot) -> list[Item]:
    told = spot.rng.random() < 0.5
    question, answer, other = spot.question, *(("Yes", "No") if told else ("No", "Yes"))
    claim = question.claim.format(question.answer if told else question.wrong[0])
    branch = "chart" if question.skill == "chart" else "figure"
    index = f"{spot.serial}_VS_{branch}_{spot.picture_number}_{spot.picture_number % 2}_{spot.place}"
    text = f"Is it true that {claim}? Please answer yes or no."
    cells: dict[str, Cell] = {
        "index": index,
        "question": text,
        "answer": answer,
        "category": "VS",
        "l2-category": f"VS_{branch}",
    }
    asked = attrs.evolve(question, text=text, answer=answer, wrong=(other,))
    return [_item(spot, "yes-no", [Pass(cells)], asked)]


# --- free text --------------------------------------------------------------------------------------------------------


def _listed(spot: Spot) -> list[Item]:
    cells = {"index": spot.serial, "question": spot.question.text, "answer": str([spot.question.answer])}
    return [_item(spot, "exact", [Pass(cells)])]


def _textvqa(spot: Spot) -> list[Item]:
    """Ten people answered; at most two of them wrongly."""
    answer, mistaken = spot.question.answer, int(spot.rng.integers(0, 3))
    people = [answer] * (10 - mistaken) + [spot.question.wrong[0]] * mistaken
    cells = {"index": spot.serial, "question": spot.question.text, "answer": str(shuffled(spot.rng, people))}
    return [_item(spot, "exact", [Pass(cells)])]


def _chartqa(spot: Spot) -> list[Item]:
    human = spot.question.kind in ("compute", "compare")
    cells = {
        "index": spot.serial,
        "question": spot.question.text,
        "answer": str([spot.question.answer]) if spot.serial % 2 else spot.question.answer,
        "split": "test_human" if human else "test_augmented",
    }
    return [_item(spot, "exact", [Pass(cells)])]


def _ocrbench(spot: Spot) -> list[Item]:
    question = spot.question
    if question.skill == "math":
        category = "Handwritten Mathematical Expression Recognition"
    elif question.skill == "document":
        category = "Key Information Extraction" if question.kind == "read" else "Doc-oriented VQA"
    elif question.answer.replace(" ", "").isdigit():
        category = "Digit String Recognition"
    else:
        category = one_of(spot.rng, ("Regular Text Recognition", "Scene Text-centric VQA"))
    cells = {"index": spot.serial, "question": question.text, "answer": str([question.answer]), "category": category}
    return [_item(spot, "contains", [Pass(cells)])]


# --- mathematics ------------------------------------------------------------------------------------------------------


def _mathvista(spot: Spot) -> list[Item]:
    question = spot.question
    cells: dict[str, Cell] = {
        "index": spot.serial,
        "answer": question.answer,
        "task": "geometry problem solving" if question.skill == "math" else "figure question answering",
        "skills": str(["geometry reasoning" if question.skill == "math" else "statistical reasoning"]),
    }
    if question.answer.isdigit() and spot.serial % 2:
        hint = "Hint: Please answer the question requiring an integer answer and provide the final value at the end.\n"
        free = {"choices": "", "answer_option": "", "question_type": "free_form", "answer_type": "integer"}
        return [_item(spot, "number", [Pass({**cells, **free, "question": f"{hint}Question: {question.text}"})])]
    options, letter = _lettered(spot.rng, question)
    hint = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
    lines = "\n".join(f"({a}) {text}" for a, text in options)
    chosen = {
        "question": f"{hint}Question: {question.text}\nChoices:\n{lines}",
        "choices": str([text for _, text in options]),
        "answer_option": letter,
        "question_type": "multi_choice",
        "answer_type": "integer" if question.answer.isdigit() else "text",
    }
    return [_item(spot, "choice", [Pass({**cells, **chosen}, options)])]


def _mathvision(spot: Spot) -> list[Item]:
    question = spot.question
    cells: dict[str, Cell] = {
        "index": spot.serial,
        "question": f"{question.text}\n<image1>",
        "category": question.subject or "counting",
        "level": min(5, question.steps + 1),
    }
    if spot.serial % 2 and question.answer.isdigit():
        return [_item(spot, "number", [Pass({**cells, "answer": question.answer, "choices": "[]"})])]
    options, letter = _lettered(spot.rng, question, 5)
    choices = str([text for _, text in options])
    return [_item(spot, "choice", [Pass({**cells, "answer": letter, "choices": choices}, options)])]


_VERSIONS = (
    ("Text Dominant", "{given} {text}", 0.15, 0),
    ("Text Lite", "The figure shows the measures. {text}", 0.6, 0),
    ("Vision Intensive", "As in the figure. {text}", 0.9, 0),
    ("Vision Dominant", "{text}", 1.1, 0),
    ("Vision Only", "Solve the problem of the figure: {text}", 1.3, 1),
)
"""MathVerse's versions of a problem: name, wording, how much must be seen, and steps more than in the others."""


def _mathverse(spot: Spot) -> list[Item]:
    question = spot.question
    options, letter = _lettered(spot.rng, question) if spot.picture_number % 2 else ((), "")
    lines = "\nChoices:\n" + "\n".join(f"{a}:{text}" for a, text in options) if options else ""
    items = []
    for i, (version, wording, reliance, more) in enumerate(_VERSIONS):
        text = wording.format(given=question.given, text=question.text) + lines
        asked = attrs.evolve(question, steps=question.steps + more)
        about = {"split": "testmini", "source": "demo", "subject": "Plane Geometry", "subfield": question.subject}
        cells: dict[str, Cell] = {
            "index": spot.serial + i,
            "sample_index": spot.serial + i,
            "problem_index": spot.picture_number + 1,
            "problem_version": version,
            "question": text,
            "answer": letter or question.answer,
            "question_type": "multi-choice" if options else "free-form",
            "metadata": str(about),
            "query_wo": f"Please directly answer the question.\nQuestion: {text}",
            "query_cot": f"Please first reason, then answer the question.\nQuestion: {text}",
            "question_for_eval": question.text + lines,
        }
        items.append(_item(spot, "choice" if options else "number", [Pass(cells, options)], asked, reliance))
    return items


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MCQ, _VQA = "_gpt-4o-mini_result", "_results"
_HIT = ("hit", "log")
_JUDGED = ("res", "log")
_ASKED = "index image question"

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "MMBench_DEV_EN_V11",
        _columns(f"{_ASKED} hint A B C D answer category l2-category split"),
        _MCQ,
        ("g_index", *_HIT),
        (shapes, shapes, street, street, card, diagram),
        _mmbench,
        skills=frozenset({"scene", "knowledge", "science"}),
    ),
    Layout(
        "MMStar",
        _columns(f"{_ASKED} A B C D answer category l2_category bench"),
        _MCQ,
        _HIT,
        (shapes, street, bar_chart, card, diagram, geometry),
        _mmstar,
        booleans=True,
    ),
    Layout(
        "MMMU_DEV_VAL",
        _columns(f"index id image question A B C D answer image_path category l2-category split question_type"),
        _MCQ,
        _HIT,
        (card, card, card, bar_chart, diagram, geometry, page),
        _mmmu,
        thinking_apart=True,
    ),
    Layout(
        "RealWorldQA",
        _columns(f"{_ASKED} A B C D answer"),
        _MCQ,
        _HIT,
        (street,),
        _mcq,
        skills=frozenset({"scene"}),
        booleans=True,
    ),
    Layout(
        "InfoVQA_VAL",
        _columns(f"{_ASKED} answer"),
        _VQA,
        (),
        (infographic,),
        _listed,
        asks=(2, 5),
        shared=True,
        thinking_apart=True,
    ),
    Layout(
        "HallusionBench",
        _columns(f"{_ASKED} answer category l2-category"),
        "_auxmatch",
        ("extracted", "score"),
        (bar_chart, shapes),
        _hallusion,
        asks=(2, 3),
        booleans=True,
    ),
    Layout(
        "MathVista_MINI",
        _columns(f"{_ASKED} answer choices answer_option question_type answer_type task skills"),
        "_gpt-4o-mini",
        _JUDGED,
        (bar_chart, geometry, geometry, shapes),
        _mathvista,
        thinking_apart=True,
        booleans=True,
    ),
    Layout(
        "MathVision_MINI",
        _columns(f"{_ASKED} answer choices category level"),
        "_gpt-4o-mini",
        _JUDGED,
        (geometry, geometry, shapes),
        _mathvision,
        skills=frozenset({"math"}),
        thinking_apart=True,
    ),
    Layout(
        "MathVerse_MINI",
        _columns(
            "index sample_index problem_index problem_version image question answer question_type metadata query_wo"
            " query_cot question_for_eval"
        ),
        "_gpt-4o-mini_score",
        ("extract", "log_extract", "score", "log_score"),
        (geometry,),
        _mathverse,
        thinking_apart=True,
        booleans=True,
    ),
    Layout(
        "AI2D_TEST",
        _columns(f"{_ASKED} A B C D answer abcLabel"),
        _MCQ,
        _HIT,
        (diagram,),
        _ai2d,
        asks=(1, 3),
    ),
    Layout(
        "TextVQA_VAL",
        _columns(f"{_ASKED} answer"),
        _VQA,
        (),
        (street,),
        _textvqa,
        asks=(1, 3),
        skills=frozenset({"text"}),
        thinking_apart=True,
    ),
    Layout(
        "ChartQA_TEST",
        _columns(f"{_ASKED} answer split"),
        _VQA,
        (),
        (bar_chart,),
        _chartqa,
        asks=(1, 3),
        thinking_apart=True,
    ),
    Layout(
        "DocVQA_VAL",
        _columns(f"{_ASKED} answer"),
        _VQA,
        (),
        (page,),
        _listed,
        asks=(2, 6),
        shared=True,
        thinking_apart=True,
        booleans=True,
    ),
    Layout(
        "OCRBench",
        _columns(f"{_ASKED} answer category"),
        "",
        (),
        (street, street, street, page, formula),
        _ocrbench,
        skills=frozenset({"text", "document", "math"}),
    ),
)
"""In the order of the paper's table."""
