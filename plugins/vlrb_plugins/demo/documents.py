"""Pages with fields and values, handwritten-like formulas, and cards that name a thing one has to know about."""

from __future__ import annotations

import attrs
import numpy as np

from vlrb_plugins.demo.canvas import COLOURS, Canvas, Look
from vlrb_plugins.demo.questions import Drawn, Question, misread, one_of, pick, shuffled, slips, wrong_answers

_PEOPLE = ("Ana Weber", "Tom Hughes", "Ines Costa", "Omar Said", "Lena Novak", "Kurt Olsen", "Mia Rossi", "Paul Stone")
_TOWNS = ("Bristol", "Ghent", "Turin", "Porto", "Lyon", "Graz", "Malmo", "Utrecht", "Basel", "Tampere")
_FIRMS = (
    "Birch Paper Ltd",
    "Nordlight",
    "Marsh and Sons",
    "Copper Kettle",
    "Blue Harbour",
    "Quill Press",
    "Stonebridge",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PAGES = ("Invoice", "Receipt", "Delivery note", "Order form", "Contract", "Claim form")
_MONEY = ("Freight", "Tax", "Deposit", "Discount")
_FIELDS = (
    *_MONEY,
    "Number",
    "Reference",
    "Room",
    "Client",
    "Signed by",
    "Ship to",
    "Seller",
    "Carrier",
    "Date",
    "Due date",
    "City",
    "Phone",
)


def page(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a form with a field and its value per line."""
    canvas = Canvas(rng, look, 1.15)
    canvas.scribble()
    title = one_of(rng, _PAGES)
    names = pick(rng, _FIELDS, look.many(5, 12))
    if sum(n in _MONEY for n in names) < 2:
        names = list(dict.fromkeys(["Freight", "Tax", *names]))
    fields = {name: _value(rng, name) for name in names}
    canvas.text((10, 6), title, 16)
    canvas.line((10, 27), (canvas.width - 10, 27), 2)
    step = (canvas.height - 36) / len(fields)
    for i, (name, value) in enumerate(fields.items()):
        canvas.text((10, 32 + i * step), f"{name}:", 11)
        canvas.text((canvas.width * 0.42, 32 + i * step), value, 11)
        canvas.line((10, 32 + (i + 0.86) * step), (canvas.width - 10, 32 + (i + 0.86) * step), 1, canvas.tone("blue"))
    return Drawn(canvas.finish(), tuple(shuffled(rng, _on_page(rng, title.lower(), fields))))


def _value(rng: np.random.Generator, field: str) -> str:
    if field in _MONEY:
        return f"${int(rng.integers(11, 99))}"
    if field in ("Client", "Signed by", "Ship to"):
        return one_of(rng, _PEOPLE)
    if field in ("Seller", "Carrier"):
        return one_of(rng, _FIRMS)
    if field in ("Date", "Due date"):
        return f"{int(rng.integers(1, 29))} {one_of(rng, _MONTHS)} {int(rng.integers(1998, 2024))}"
    if field == "City":
        return one_of(rng, _TOWNS)
    if field == "Phone":
        return f"555 {int(rng.integers(1000, 10000))}"
    return str(int(rng.integers(10_000, 99_999)))


def _on_page(rng: np.random.Generator, title: str, fields: dict[str, str]) -> list[Question]:
    questions = []
    for name, value in pick(rng, list(fields.items()), 7):
        text = one_of(
            rng,
            (
                f"What is given under '{name}'?",
                f"What does the {title} say for {name.lower()}?",
                f"Find the line '{name}' of the {title}. What stands there?",
            ),
        )
        alike = [v for n, v in fields.items() if n != name] + [_value(rng, name) for _ in range(3)]
        wrong = wrong_answers(rng, value, [*alike, *misread(rng, value), *misread(rng, value)])
        questions.append(Question(text, value, wrong, f"the line {name} says {{}}", "read", "document"))
    money = {n: int(v.strip("$")) for n, v in fields.items() if n in _MONEY}
    one, other = pick(rng, list(money), 2)
    for text, number, steps in (
        (f"What do {one.lower()} and {other.lower()} come to together?", money[one] + money[other], 2),
        (f"How far apart are {one.lower()} and {other.lower()} in dollars?", abs(money[one] - money[other]), 2),
    ):
        if number:
            wrong = wrong_answers(rng, f"${number}", [f"${s}" for s in slips(number)])
            questions.append(Question(text, f"${number}", wrong, "the amount is {}", "compute", "document", steps))
    return questions


def formula(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw an equation, larger than life."""
    canvas = Canvas(rng, look, 0.4)
    canvas.scribble()
    a, b, c = (int(v) for v in rng.integers(2, 90, 3))
    names = one_of(rng, ("x y", "p q", "m n", "u v")).split()
    text = f"{a} {names[0]} + {b} {names[1]} = {c}"
    canvas.text((canvas.width / 2, canvas.height / 2), text, canvas.fits(text, 26), anchor="mm")
    wrong = [f"{x} {names[0]} {sign} {y} {names[1]} = {z}" for x, y, z, sign in ((a + 1, b, c, "+"), (a, b, c, "-"))]
    wrong += [f"{a} {names[0]} + {b + 1} {names[1]} = {c}", f"{a} {names[1]} + {b} {names[0]} = {c}"]
    question = "Write out the expression in the picture as LaTeX."
    return Drawn(
        canvas.finish(),
        (Question(question, text, wrong_answers(rng, text, wrong), "the expression is {}", "read", "math"),),
    )


@attrs.frozen
class _Topic:
    subject: str
    question: str
    claim: str
    known: dict[str, str]


_TOPICS = (
    _Topic(
        "Geography",
        "What is the capital of the country named in the picture?",
        "its capital is {}",
        dict(France="Paris", Japan="Tokyo", Egypt="Cairo", Peru="Lima", Kenya="Nairobi", Norway="Oslo", Cuba="Havana"),
    ),
    _Topic(
        "Chemistry",
        "Which element has the symbol that the card shows?",
        "it stands for {}",
        dict(Fe="iron", Au="gold", Pb="lead", Sn="tin", Na="sodium", K="potassium", Hg="mercury", W="tungsten"),
    ),
    _Topic(
        "Biology",
        "To which class of animals does the animal on the card belong?",
        "it is one of the {}",
        dict(Sparrow="birds", Cobra="reptiles", Salmon="fish", Newt="amphibians", Whale="mammals", Wasp="insects"),
    ),
    _Topic(
        "Physics",
        "Which quantity is measured in the unit written on the card?",
        "the unit measures {}",
        dict(Newton="force", Joule="energy", Watt="power", Volt="voltage", Ohm="resistance", Hertz="frequency"),
    ),
    _Topic(
        "Music",
        "To which family of instruments does the instrument in the picture belong?",
        "it belongs to the {}",
        dict(Violin="strings", Flute="woodwinds", Trumpet="brass", Drum="percussion", Piano="keyboards"),
    ),
    _Topic(
        "Literature",
        "Who wrote the work whose title the picture shows?",
        "it was written by {}",
        dict(Hamlet="Shakespeare", Emma="Austen", Ulysses="Joyce", Faust="Goethe", Candide="Voltaire", Inferno="Dante"),
    ),
    _Topic(
        "History",
        "In which century did the event named on the card begin?",
        "it began in the {} century",
        {
            "Black Death": "14th",
            "Waterloo": "19th",
            "Moon landing": "20th",
            "Salem trials": "17th",
            "Reformation": "16th",
        },
    ),
    _Topic(
        "Astronomy",
        "Which planet has the moon whose name is on the card?",
        "it goes round {}",
        dict(Titan="Saturn", Europa="Jupiter", Phobos="Mars", Triton="Neptune", Oberon="Uranus"),
    ),
)


def card(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a card with a word on it, among decorations; what is asked is not on the card."""
    topic = one_of(rng, _TOPICS)
    shown = one_of(rng, list(topic.known))
    canvas = Canvas(rng, look, 0.7)
    canvas.scribble()
    tones = [canvas.tone(c) for c in shuffled(rng, list(COLOURS))]
    for i, (x, y) in enumerate(rng.random((look.many(3, 26), 2)).tolist()):
        canvas.disc((x * canvas.width, y * canvas.height), 6 + 5 * (i % 4), tones[i % len(tones)])
    middle = canvas.height / 2
    canvas.box((12, middle - 24), (canvas.width - 24, 48), canvas.paper, canvas.ink)
    canvas.text((canvas.width / 2, middle), shown, canvas.fits(shown, 24), anchor="mm")
    answer = topic.known[shown]
    wrong = wrong_answers(rng, answer, topic.known.values())
    question = Question(topic.question, answer, wrong, topic.claim, "recall", "knowledge", subject=topic.subject)
    return Drawn(canvas.finish(), (question,))
