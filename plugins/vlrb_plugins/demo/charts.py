"""Bar charts and line charts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from vlrb_plugins.demo.canvas import COLOURS, Canvas, Look
from vlrb_plugins.demo.questions import Drawn, Kind, Question, one_of, pick, slips, wrong_answers

TOPICS: Mapping[str, tuple[str, ...]] = {
    "Books sold per shop": ("Harbour", "Station", "Castle", "Market", "Museum", "Airport", "Bridge", "Garden"),
    "Visitors per country": ("Italy", "Kenya", "Japan", "Brazil", "Norway", "Canada", "India", "Egypt"),
    "Votes per fruit": ("Apple", "Cherry", "Mango", "Lemon", "Grape", "Banana", "Plum", "Melon"),
    "Goals per team": ("Lions", "Sharks", "Bears", "Eagles", "Wolves", "Tigers", "Foxes", "Hawks"),
    "Trees per park": ("Oakwood", "Riverside", "Hilltop", "Lakeview", "Meadow", "Sunrise", "Willow", "Granite"),
}
YEARS = tuple(str(y) for y in range(2011, 2023))


def bar_chart(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a bar chart with its values written on the bars."""
    title = one_of(rng, sorted(TOPICS))
    names = pick(rng, TOPICS[title], look.many(3, 8))
    values = [int(v) for v in rng.choice(np.arange(11, 96), len(names), replace=False)]
    colours = pick(rng, sorted(COLOURS), len(names))
    canvas = Canvas(rng, look, 0.72)
    canvas.scribble()
    canvas.text((canvas.width / 2, 4), title, canvas.points(14), anchor="ma")
    _axes(canvas)
    step = (canvas.width - 40) / len(names)
    for i, (name, value, colour) in enumerate(zip(names, values, colours, strict=True)):
        height = value / 100 * (canvas.height - 60)
        x, y = 32 + i * step, canvas.height - 22 - height
        canvas.box((x, y), (step * 0.7, height), canvas.tone(colour))
        canvas.text((x + step * 0.35, y - 2), str(value), canvas.points(10), anchor="ms")
        canvas.text((x + step * 0.35, canvas.height - 18), name, canvas.points(9 if len(names) < 7 else 8), anchor="ma")
    known = dict(zip(names, values, strict=True))
    questions = (*_on_values(rng, known, "bar"), _colour(rng, names, colours), _name_by_colour(rng, names, colours))
    return Drawn(canvas.finish(), look, questions)


def line_chart(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw one line over years, each point with its value."""
    title = one_of(rng, ("Rainfall in May", "Members of a club", "Price of wheat", "Trains per day"))
    count = look.many(4, 9)
    first = int(rng.integers(0, len(YEARS) - count + 1))
    names = list(YEARS[first : first + count])
    values = [int(v) for v in rng.choice(np.arange(11, 96), count, replace=False)]
    canvas = Canvas(rng, look, 0.72)
    canvas.scribble()
    canvas.text((canvas.width / 2, 4), title, canvas.points(14), anchor="ma")
    _axes(canvas)
    step = (canvas.width - 50) / (count - 1)
    spots = [(38 + i * step, canvas.height - 22 - v / 100 * (canvas.height - 60)) for i, v in enumerate(values)]
    tone = canvas.tone(one_of(rng, sorted(COLOURS)))
    for start, end in itertools.pairwise(spots):
        canvas.line(start, end, 2, tone)
    for (x, y), name, value in zip(spots, names, values, strict=True):
        canvas.disc((x, y), 3, tone)
        canvas.text((x, y - 4), str(value), canvas.points(10), anchor="ms")
        canvas.text((x, canvas.height - 18), name, canvas.points(9), anchor="ma")
    return Drawn(canvas.finish(), look, _on_values(rng, dict(zip(names, values, strict=True)), "point"))


def _axes(canvas: Canvas) -> None:
    bottom = canvas.height - 22
    canvas.line((28, 24), (28, bottom))
    canvas.line((28, bottom), (canvas.width - 6, bottom))
    for tick in (25, 50, 75):
        y = bottom - tick / 100 * (canvas.height - 60)
        canvas.line((25, y), (28, y))
        canvas.text((23, y), str(tick), canvas.points(9), anchor="rm")


def _on_values(rng: np.random.Generator, known: Mapping[str, int], mark: str) -> tuple[Question, ...]:
    name, other = pick(rng, sorted(known), 2)
    top, low = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    limit = int(rng.integers(3, 9)) * 10
    above = sum(v > limit for v in known.values())
    gap, total = abs(known[name] - known[other]), known[name] + known[other]

    def number(text: str, value: int, claim: str, steps: int) -> Question:
        kind: Kind = "read" if steps == 1 else "count" if "many" in text else "compute"
        return Question(text, str(value), wrong_answers(rng, str(value), slips(value)), claim, kind, "chart", steps)

    def which(text: str, answer: str, claim: str) -> Question:
        return Question(text, answer, wrong_answers(rng, answer, known), claim, "compare", "chart", 2)

    return (
        number(f"What is the value of the {mark} for {name}?", known[name], f"The value for {name} is {{}}.", 1),
        which(f"Which {mark} has the highest value?", top, f"The {mark} with the highest value is {{}}."),
        which(f"Which {mark} has the lowest value?", low, f"The {mark} with the lowest value is {{}}."),
        number(
            f"What is the difference between the values of {name} and {other}?",
            gap,
            f"The values of {name} and {other} differ by {{}}.",
            3,
        ),
        number(
            f"What is the sum of the values of {name} and {other}?",
            total,
            f"The values of {name} and {other} add up to {{}}.",
            3,
        ),
        number(f"How many values of this chart are above {limit}?", above, f"{{}} values are above {limit}.", 3)
        if above
        else number(f"How many {mark}s does this chart have?", len(known), f"This chart has {{}} {mark}s.", 2),
    )


def _colour(rng: np.random.Generator, names: list[str], colours: list[str]) -> Question:
    spot = int(rng.integers(len(names)))
    wrong = wrong_answers(rng, colours[spot], COLOURS)
    text = f"What is the colour of the bar for {names[spot]}?"
    return Question(text, colours[spot], wrong, f"The bar for {names[spot]} is {{}}.", "read", "chart")


def _name_by_colour(rng: np.random.Generator, names: list[str], colours: list[str]) -> Question:
    spot = int(rng.integers(len(names)))
    wrong = wrong_answers(rng, names[spot], names)
    text = f"What does the {colours[spot]} bar stand for?"
    return Question(text, names[spot], wrong, f"The {colours[spot]} bar stands for {{}}.", "read", "chart")
