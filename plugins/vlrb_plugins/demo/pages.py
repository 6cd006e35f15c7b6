"""Pictures that are read: forms, posters with figures, signs and words."""

from __future__ import annotations

import numpy as np

from vlrb_plugins.demo.canvas import COLOURS, Canvas, Look
from vlrb_plugins.demo.questions import Drawn, Question, misread, one_of, pick, shuffled, slips, wrong_answers

FIRST = ("Nora", "Felix", "Greta", "Oscar", "Ida", "Hugo", "Lena", "Emil", "Vera", "Anton")
LAST = ("Lindqvist", "Marlow", "Okafor", "Tanaka", "Duarte", "Novak", "Fischer", "Haddad", "Moreau", "Sorensen")
TOWNS = ("Ashford", "Belmont", "Cranbrook", "Dunmore", "Elsworth", "Fairview", "Glenrock", "Haverhill")
MONTHS = ("January", "March", "April", "June", "July", "August", "October", "December")
COMPANIES = ("Arden Textiles", "Blue Ridge Foods", "Corwin Freight", "Delta Optics", "Everly Paper", "Fenton Tools")
SHOPS = ("Bakery", "Garage", "Florist", "Pharmacy", "Bookshop", "Tailor", "Diner", "Barber", "Hotel", "Cinema")
ADJECTIVES = ("Golden", "Silver", "Corner", "Royal", "Sunny", "Old Town", "Harbour", "Green Leaf", "Lucky", "Northern")
FACTS = ("walk to work", "read every day", "own a bicycle", "drink coffee", "speak two languages", "cook at home")
FACTS_MORE = ("work at night", "use public transport", "grow vegetables", "play an instrument", "save for a house")


def form(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a business form: a heading and lines of label and value."""
    fields = _fields(rng)
    shown = pick(rng, sorted(fields), look.many(4, len(fields)))
    canvas = Canvas(rng, look, 1.2)
    canvas.scribble()
    company = one_of(rng, COMPANIES)
    canvas.text((10, 8), company, canvas.points(16))
    canvas.line((10, 30), (canvas.width - 10, 30))
    step = (canvas.height - 44) / 12
    for i, label in enumerate(shown):
        y = 38 + i * step
        canvas.text((10, y), label + ":", canvas.points(11))
        canvas.text((canvas.width * 0.46, y), fields[label], canvas.points(11))
    questions = [_field_question(rng, label, fields[label]) for label in pick(rng, shown, 4)]
    wrong = wrong_answers(rng, company, COMPANIES)
    text = "Which company's name is at the head of this document?"
    questions.append(Question(text, company, wrong, "The company is {}.", "read", "document"))
    first, last = shown[0], shown[-1]
    wrong = wrong_answers(rng, last, fields)
    text = "What is the label of the last line of this document?"
    questions.append(
        Question(text, last, wrong, f"The first line is {first}, the last one {{}}.", "count", "document", 2)
    )
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, questions)))


def _fields(rng: np.random.Generator) -> dict[str, str]:
    def digits(count: int) -> str:
        return "".join(str(d) for d in rng.integers(1, 10, count))

    def name() -> str:
        return f"{one_of(rng, FIRST)} {one_of(rng, LAST)}"

    day = f"{one_of(rng, MONTHS)} {int(rng.integers(1, 29))}, {int(rng.integers(1962, 2020))}"
    return {
        "Invoice number": f"{one_of(rng, 'KLMNRT')}{digits(5)}",
        "Date": day,
        "Customer": name(),
        "Signed by": name(),
        "Town": one_of(rng, TOWNS),
        "Telephone": f"{digits(3)}-{digits(4)}",
        "Total": f"${digits(2)}.{digits(2)}",
        "Tax": f"${digits(1)}.{digits(2)}",
        "Quantity": digits(3),
        "Order code": f"{digits(2)}-{one_of(rng, 'XYZ')}{digits(3)}",
        "Page": str(int(rng.integers(2, 90))),
    }


def _field_question(rng: np.random.Generator, label: str, value: str) -> Question:
    others = {"Customer": [f"{f} {n}" for f in FIRST for n in LAST], "Town": list(TOWNS)}
    candidates = others.get(label, others["Customer"] if label == "Signed by" else misread(rng, value))
    if value.isdigit():
        candidates += slips(int(value))
    text = one_of(rng, ("What is the {} given in this document?", "What is written under {}?", "Which {} is stated?"))
    claim = f"The document gives {{}} as {label.lower()}."
    return Question(text.format(label.lower()), value, wrong_answers(rng, value, candidates), claim, "read", "document")


def poster(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw an information poster: coloured boxes, each with a percentage and what it says."""
    facts = pick(rng, FACTS + FACTS_MORE, look.many(3, 8))
    shares = [int(v) for v in rng.choice(np.arange(11, 97), len(facts), replace=False)]
    town = one_of(rng, TOWNS)
    canvas = Canvas(rng, look, 1.15)
    canvas.scribble()
    canvas.text((canvas.width / 2, 6), f"Life in {town}", canvas.points(17), anchor="ma")
    step = (canvas.height - 36) / len(facts)
    for i, (fact, share) in enumerate(zip(facts, shares, strict=True)):
        y = 32 + i * step
        canvas.box((8, y), (canvas.width * 0.25, step - 4), canvas.tone(one_of(rng, sorted(COLOURS))))
        canvas.text((12 + canvas.width * 0.1, y + step / 2 - 2), f"{share}%", canvas.points(15), anchor="mm")
        canvas.text((canvas.width * 0.32, y + step / 2 - 2), fact, canvas.points(12), anchor="lm")
    known = dict(zip(facts, shares, strict=True))
    return Drawn(canvas.finish(), look, tuple(shuffled(rng, _poster_questions(rng, known, town))))


def _poster_questions(rng: np.random.Generator, known: dict[str, int], town: str) -> list[Question]:
    fact, other = pick(rng, sorted(known), 2)
    top = max(known, key=known.__getitem__)
    share, gap = f"{known[fact]}%", abs(known[fact] - known[other])
    percents = [f"{v}%" for v in slips(known[fact])]
    highest = "Which activity has the highest percentage in this infographic?"
    shares = f"The shares of people who {fact} and who {other} differ by {{}}."
    ask = f"By how many percentage points do those who {fact} differ from those who {other}?"
    read = f"What percentage of people {fact}?"
    where = "Which town is this infographic about?"
    many = "How many activities does this infographic list?"
    return [
        Question(read, share, wrong_answers(rng, share, percents), f"{{}} of people {fact}.", "read", "document"),
        Question(highest, top, wrong_answers(rng, top, known), "Most people {}.", "compare", "document", 2),
        Question(ask, str(gap), wrong_answers(rng, str(gap), slips(gap)), shares, "compute", "document", 3),
        Question(where, town, wrong_answers(rng, town, TOWNS), "It is about {}.", "read", "document"),
        Question(
            many,
            str(len(known)),
            wrong_answers(rng, str(len(known)), slips(len(known))),
            "It lists {} activities.",
            "count",
            "document",
            2,
        ),
    ]


def sign(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a shop front with a sign, a telephone number and a price, like a photo."""
    shop = f"{one_of(rng, ADJECTIVES)} {one_of(rng, SHOPS)}"
    phone = "".join(str(d) for d in rng.integers(1, 10, 6))
    price, year = f"${int(rng.integers(2, 60))}", str(int(rng.integers(1880, 2015)))
    colour = one_of(rng, sorted(COLOURS))
    canvas = Canvas(rng, look, 0.75)
    width, height = canvas.width, canvas.height
    canvas.box((0, height * 0.85), (width, height), canvas.tone("brown"))
    for i in range(look.many(1, 7)):
        canvas.box((8 + i * width / 7, height * 0.62), (width / 9, height * 0.2), outline=canvas.ink)
    canvas.scribble()
    canvas.box((width * 0.06, height * 0.1), (width * 0.88, height * 0.24), canvas.tone(colour))
    size = canvas.fits(shop, canvas.points(26))
    canvas.text((width / 2, height * 0.22), shop.upper(), canvas.fits(shop.upper(), size), anchor="mm")
    canvas.text((width / 2, height * 0.42), f"since {year}", canvas.points(13), anchor="mm")
    canvas.text((width * 0.06, height * 0.52), f"Tel. {phone}", canvas.points(13), anchor="lm")
    canvas.text((width * 0.94, height * 0.52), f"Menu {price}", canvas.points(13), anchor="rm")
    others = [f"{a} {s}" for a in ADJECTIVES for s in SHOPS]

    def ask(text: str, answer: str, claim: str, wrong: list[str]) -> Question:
        return Question(text, answer, wrong_answers(rng, answer, wrong), claim, "read", "text")

    questions = [
        ask("What is the name of this shop?", shop, "The shop is called {}.", others),
        ask("What is the telephone number on the wall?", phone, "The number is {}.", misread(rng, phone)),
        ask("What price is written next to the word menu?", price, "The menu is {}.", [f"${v}" for v in range(2, 60)]),
        ask("Since what year has this shop been open?", year, "It has been open since {}.", misread(rng, year)),
        ask("What colour is the sign?", colour, "The sign is {}.", list(COLOURS)),
    ]
    return Drawn(canvas.finish(photo=True), look, tuple(shuffled(rng, questions)))


def word(rng: np.random.Generator, look: Look) -> Drawn:
    """Draw a few words to be recognised."""
    words = pick(rng, [w.lower() for w in SHOPS + TOWNS + LAST + MONTHS], look.many(1, 3))
    canvas = Canvas(rng, look, 0.3)
    canvas.scribble()
    text = " ".join(words)
    size = canvas.fits(text, canvas.points(40))
    canvas.text((canvas.width / 2, canvas.height / 2), text, size, canvas.tone(one_of(rng, sorted(COLOURS))), "mm")
    wrong = wrong_answers(rng, text, misread(rng, text))
    ask = "What is written in the image?"
    return Drawn(canvas.finish(), look, (Question(ask, text, wrong, "It reads {}.", "read", "text", len(words)),))
