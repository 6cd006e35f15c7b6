"""Pictures of things: coloured shapes on a table, and streets."""

from __future__ import annotations

from collections import Counter

import numpy as np

from vlrb_plugins.demo.canvas import COLOURS, Canvas, Look, Point
from vlrb_plugins.demo.questions import Drawn, Kind, Question, Skill, one_of, shuffled, slips, wrong_answers

FORMS = ("circle", "square", "triangle", "diamond")
COLUMNS, ROWS = 5, 3


def shapes(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw coloured shapes on a grid that is not shown."""
    canvas = Canvas(rng, look, 0.7)
    canvas.scribble()
    cells = shuffled(rng, [(c, r) for r in range(ROWS) for c in range(COLUMNS)])[: look.many(3, 14)]
    seen = [(one_of(rng, sorted(COLOURS)), one_of(rng, FORMS), c, r) for c, r in cells]
    for colour, name, column, row in seen:
        centre = ((column + 0.5) * canvas.width / COLUMNS, (row + 0.5) * canvas.height / ROWS)
        _shape(canvas, name, centre, canvas.width / 15, colour)
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, _shape_questions(rng, seen))))


def _shape(canvas: Canvas, name: str, centre: Point, r: float, colour: str) -> None:
    (x, y), tone = centre, canvas.tone(colour)
    if name == "circle":
        canvas.disc(centre, r, tone, canvas.ink)
    elif name == "square":
        canvas.box((x - r, y - r), (2 * r, 2 * r), tone, canvas.ink)
    elif name == "triangle":
        canvas.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], tone, canvas.ink)
    else:
        canvas.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], tone, canvas.ink)


def _shape_questions(rng: np.random.Generator, seen: list[tuple[str, str, int, int]]) -> list[Question]:
    count = len(seen)
    left = min(seen, key=lambda s: (s[2], s[3]))
    forms = Counter(s[1] for s in seen)
    form, many = sorted(forms.items())[int(rng.integers(len(forms)))]

    def number(text: str, value: int, claim: str, steps: int) -> Question:
        return Question(text, str(value), wrong_answers(rng, str(value), slips(value)), claim, "count", "scene", steps)

    found = [
        number("How many shapes are there in the picture?", count, "There are {} shapes.", 2),
        number(f"How many {form}s are there in the picture?", many, f"There are {{}} {form}s.", 3),
    ]
    if [s[2] for s in seen].count(left[2]) == 1:
        wrong = wrong_answers(rng, left[0], COLOURS)
        text = "What is the colour of the shape furthest to the left?"
        found.append(Question(text, left[0], wrong, "The shape furthest to the left is {}.", "compare", "scene", 2))
        wrong = wrong_answers(rng, left[1], FORMS)
        text = "What kind of shape is furthest to the left?"
        found.append(Question(text, left[1], wrong, "The shape furthest to the left is a {}.", "compare", "scene", 2))
    for colour, name, _, _ in seen:
        if forms[name] == 1:
            wrong = wrong_answers(rng, colour, COLOURS)
            text = f"What colour is the {name}?"
            found.append(Question(text, colour, wrong, f"The {name} is {{}}.", "read", "scene"))
            break
    return found


def street(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a street with cars, a traffic light, a house with a number and a speed limit, like a photo."""
    canvas = Canvas(rng, look, 0.62)
    width, height = canvas.width, canvas.height
    cars = [one_of(rng, sorted(COLOURS)) for _ in range(look.many(1, 6))]
    light = one_of(rng, ("red", "yellow", "green"))
    number, limit = str(int(rng.integers(11, 99))), str(int(rng.integers(3, 13)) * 10)
    canvas.box((0, height * 0.66), (width, height), canvas.tone((120, 120, 124)))
    canvas.scribble()
    _house(canvas, number)
    _post(canvas, light, limit)
    for i, colour in enumerate(cars):
        _car(canvas, (width * (0.02 + 0.165 * i), height * 0.78), colour)
    return Drawn(
        canvas.finish(photo=True), look, tuple(shuffled(rng, _street_questions(rng, cars, light, number, limit)))
    )


def _house(canvas: Canvas, number: str) -> None:
    width, height = canvas.width, canvas.height
    canvas.box((width * 0.08, height * 0.22), (width * 0.3, height * 0.44), canvas.tone("orange"), canvas.ink)
    roof = [(width * 0.05, height * 0.22), (width * 0.23, height * 0.04), (width * 0.41, height * 0.22)]
    canvas.polygon(roof, canvas.tone("brown"), canvas.ink)
    canvas.text((width * 0.23, height * 0.4), number, canvas.points(20), anchor="mm")


def _post(canvas: Canvas, light: str, limit: str) -> None:
    width, height = canvas.width, canvas.height
    canvas.box((width * 0.55, height * 0.1), (width * 0.09, height * 0.36), canvas.tone((40, 40, 44)))
    for i, name in enumerate(("red", "yellow", "green")):
        fill = canvas.tone(name) if name == light else canvas.tone((80, 80, 84))
        canvas.disc((width * 0.595, height * (0.16 + 0.12 * i)), height * 0.05, fill)
    canvas.disc((width * 0.84, height * 0.28), height * 0.13, canvas.paper, canvas.tone("red"))
    canvas.text((width * 0.84, height * 0.28), limit, canvas.points(16), anchor="mm")


def _car(canvas: Canvas, at: Point, colour: str) -> None:
    (x, y), long = at, canvas.width * 0.14
    canvas.box((x, y), (long, long * 0.32), canvas.tone(colour), canvas.ink)
    canvas.box((x + long * 0.2, y - long * 0.22), (long * 0.55, long * 0.22), canvas.tone(colour), canvas.ink)
    for wheel in (0.25, 0.75):
        canvas.disc((x + long * wheel, y + long * 0.34), long * 0.11, canvas.ink)


def _street_questions(rng: np.random.Generator, cars: list[str], light: str, number: str, limit: str) -> list[Question]:
    first, count = cars[0], str(len(cars))

    def ask(text: str, answer: str, claim: str, wrong: list[str], steps: int = 1) -> Question:
        kind: Kind = "count" if steps > 1 else "read"
        skill: Skill = "text" if answer in (number, limit) else "scene"
        return Question(text, answer, wrong_answers(rng, answer, wrong), claim, kind, skill, steps)

    return [
        ask("What is the state of the traffic light?", light, "The traffic light is {}.", ["red", "yellow", "green"]),
        ask("How many cars can be seen on the road?", count, "There are {} cars.", slips(len(cars)), 2),
        ask("What is the number on the house?", number, "The house has number {}.", slips(int(number))),
        ask("What speed limit does the sign show?", limit, "The limit is {}.", [str(v) for v in range(30, 130, 10)]),
        ask("What is the colour of the leftmost car?", first, "The leftmost car is {}.", list(COLOURS)),
    ]
