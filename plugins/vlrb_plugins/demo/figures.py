"""Figures of geometry, and diagrams of who eats whom."""

from __future__ import annotations

import itertools

import numpy as np

from vlrb_plugins.demo.canvas import Canvas, Look, Point
from vlrb_plugins.demo.questions import Drawn, Kind, Question, Skill, one_of, pick, shuffled, slips, wrong_answers

TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (9, 40, 41), (12, 35, 37))
PLANTS = ("Grass", "Clover", "Algae", "Acorn")
GRAZERS = ("Rabbit", "Mouse", "Beetle", "Snail", "Deer")
HUNTERS = ("Fox", "Owl", "Hawk", "Snake", "Wolf")


def _number(
    rng: np.random.Generator, text: str, value: int, claim: str, steps: int, given: str = "", kind: Kind = "compute"
) -> Question:
    return Question(text, str(value), wrong_answers(rng, str(value), slips(value)), claim, kind, "math", steps, given)


def geometry(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw one figure of geometry with its measures."""
    return (right_triangle, rectangle, angles, circles)[int(rng.integers(4))](rng, look)


def right_triangle(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a right triangle with its two short sides."""
    short, long, hypotenuse = one_of(rng, TRIPLES)
    factor = int(rng.integers(1, 5))
    a, b, c = short * factor, long * factor, hypotenuse * factor
    canvas = Canvas(rng, look, 0.7)
    canvas.scribble()
    w, h = canvas.width, canvas.height
    p, q, r = (w * 0.2, h * 0.82), (w * 0.82, h * 0.82), (w * 0.2, h * 0.2)
    _labelled(canvas, {"P": p, "Q": q, "R": r}, look)
    canvas.box((p[0], p[1] - 9), (9, 9), outline=canvas.ink)
    canvas.text((w * 0.5, h * 0.83), str(b), canvas.points(13), anchor="ma")
    canvas.text((w * 0.18, h * 0.5), str(a), canvas.points(13), anchor="rm")
    given = f"In triangle PQR the angle at P is a right angle, PR = {a} and PQ = {b}."
    questions = (
        _number(rng, "What is the length of QR?", c, "QR is {}.", 4, given),
        _number(rng, "What is the area of triangle PQR?", a * b // 2, "The area is {}.", 3, given),
        _number(rng, "What is the perimeter of triangle PQR?", a + b + c, "The perimeter is {}.", 5, given),
    )
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, questions)))


def rectangle(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a rectangle with its two sides."""
    a, b = (int(v) for v in rng.choice(np.arange(3, 30), 2, replace=False))
    canvas = Canvas(rng, look, 0.65)
    canvas.scribble()
    w, h = canvas.width, canvas.height
    x, y, across, down = w * 0.2, h * 0.2, w * (0.35 + 0.3 * a / (a + b)), h * 0.6
    corners = {"P": (x, y), "Q": (x + across, y), "R": (x + across, y + down), "S": (x, y + down)}
    _labelled(canvas, corners, look)
    canvas.text((x + across / 2, y - 3), str(a), canvas.points(13), anchor="ms")
    canvas.text((x - 5, y + down / 2), str(b), canvas.points(13), anchor="rm")
    given = f"In rectangle PQRS, PQ = {a} and PS = {b}."
    questions = (
        _number(rng, "What is the area of rectangle PQRS?", a * b, "The area is {}.", 2, given),
        _number(rng, "What is the perimeter of rectangle PQRS?", 2 * (a + b), "The perimeter is {}.", 3, given),
        _number(rng, "How much longer is one side than the other?", abs(a - b), "It is longer by {}.", 2, given),
    )
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, questions)))


def angles(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a triangle with two of its angles."""
    at_p, at_q = int(rng.integers(35, 76)), int(rng.integers(35, 76))
    canvas = Canvas(rng, look, 0.7)
    canvas.scribble()
    w, h = canvas.width, canvas.height
    tan_p, tan_q = np.tan(np.radians([at_p, at_q]))
    base = min(w * 0.64, h * 0.62 * float(1 / tan_p + 1 / tan_q))
    foot = base * float(tan_q / (tan_p + tan_q))
    p = (w * 0.16, h * 0.82)
    _labelled(canvas, {"P": p, "Q": (p[0] + base, p[1]), "R": (p[0] + foot, p[1] - foot * float(tan_p))}, look)
    canvas.text((p[0] + 14, p[1] - 3), f"{at_p}°", canvas.points(11), anchor="ls")
    canvas.text((p[0] + base - 12, p[1] - 3), f"{at_q}°", canvas.points(11), anchor="rs")
    given = f"In triangle PQR the angle at P is {at_p} degrees and the angle at Q is {at_q} degrees."
    at_r = 180 - at_p - at_q
    questions = (
        _number(rng, "How many degrees has the angle at R?", at_r, "The angle at R has {} degrees.", 3, given),
        _number(rng, "How many degrees has the exterior angle at R?", 180 - at_r, "It has {} degrees.", 4, given),
    )
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, questions)))


def circles(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw circles in a row, each with its radius."""
    radii = [int(v) for v in rng.choice(np.arange(2, 20), look.many(2, 6), replace=False)]
    canvas = Canvas(rng, look, 0.45)
    canvas.scribble()
    step = canvas.width / len(radii)
    for i, radius in enumerate(radii):
        centre = ((i + 0.5) * step, canvas.height / 2)
        canvas.disc(centre, min(step, canvas.height) * (0.2 + 0.28 * radius / 20), None, canvas.ink)
        canvas.text(centre, f"r={radius}", canvas.points(11), anchor="mm")
    given = "The radii are " + ", ".join(str(r) for r in radii) + "."
    big, total = 2 * max(radii), sum(radii)
    questions = (
        _number(rng, "What is the diameter of the largest circle?", big, "The largest diameter is {}.", 3, given),
        _number(rng, "What is the sum of the radii of all circles?", total, "The radii add up to {}.", 4, given),
    )
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, questions)))


def _labelled(canvas: Canvas, corners: dict[str, Point], look: Look) -> None:
    """Draw a polygon with the names of its corners, and helper lines that grow in number with the density."""
    points = list(corners.values())
    middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    for turn in range(look.many(0, 7)):
        x, y = points[turn % len(points)]
        end = (2 * middle[0] - x + 9 * turn, 2 * middle[1] - y)
        canvas.line((x, y), end, colour=canvas.tone("blue"))
    for i, start in enumerate(points):
        canvas.line(start, points[(i + 1) % len(points)], 2)
    for name, (x, y) in corners.items():
        out = (10 if x > middle[0] else -10, 9 if y > middle[1] else -9)
        canvas.text((x + out[0], y + out[1]), name, canvas.points(12), anchor="mm")


def food_web(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a diagram with arrows from what is eaten to what eats it."""
    layers = [pick(rng, names, look.many(1, most)) for names, most in ((PLANTS, 3), (GRAZERS, 4), (HUNTERS, 4))]
    canvas = Canvas(rng, look, 0.75)
    canvas.scribble()
    spots = {
        name: ((i + 0.5) * canvas.width / len(names), canvas.height * (0.86 - 0.36 * row))
        for row, names in enumerate(layers)
        for i, name in enumerate(names)
    }
    eats = {n: one_of(rng, below) for below, names in itertools.pairwise(layers) for n in names}
    for eater, food in eats.items():
        (x, y), (u, v) = spots[food], spots[eater]
        canvas.arrow((x, y - 9), (u, v + 10))
    for name, spot in spots.items():
        canvas.text(spot, name, canvas.points(13), anchor="mm")
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, _web_questions(rng, layers, eats))))


def _web_questions(rng: np.random.Generator, layers: list[list[str]], eats: dict[str, str]) -> list[Question]:
    every = [*PLANTS, *GRAZERS, *HUNTERS]
    eater = one_of(rng, sorted(eats))
    hunter, plant = one_of(rng, layers[2]), one_of(rng, layers[0])
    count = sum(len(names) for names in layers)

    def ask(text: str, answer: str, claim: str, wrong: list[str], kind: Kind, skill: Skill, steps: int) -> Question:
        return Question(text, answer, wrong_answers(rng, answer, wrong), claim, kind, skill, steps)

    others = [n for n in every if n not in layers[0]]
    prey, far, low = eats[hunter], eats[eats[hunter]], "bottom of the food web"
    unharmed = [n for n in every if eats.get(n) != prey]
    sun = "Which of the living things in this diagram makes its own food from sunlight?"
    starving = f"What would be left without food if the {prey} died out?"
    return [
        ask(f"What does the {eater} eat?", eats[eater], f"The {eater} eats {{}}.", every, "read", "science", 1),
        ask("How many living things are shown?", str(count), "{} are shown.", slips(count), "count", "science", 2),
        ask(f"Which of these is at the {low}?", plant, f"{{}} is at the {low}.", others, "recall", "knowledge", 1),
        ask(starving, hunter, "{} would be left without food.", unharmed, "recall", "science", 3),
        ask(f"What is the food of the {hunter}'s food?", far, "It is {}.", every, "compare", "science", 3),
        ask(sun, plant, "It is {}.", others, "recall", "knowledge", 2),
    ]
