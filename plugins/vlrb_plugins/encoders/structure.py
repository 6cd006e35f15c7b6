"""The structure of questions: type, requested answer format, topics, length and language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from vlrb import Column, Features, NoParams, Queries

TYPES = (
    ("none", r"$"),
    ("how-many", r"\bhow many\b|\bcount the\b|\bnumber of\b"),
    ("how-much", r"\bhow (much|long|tall|far|old|high|large|big|wide|deep|often|fast|heavy)\b"),
    ("yes-no", r"^(is|are|was|were|does|do|did|can|could|has|have|had|will|would|should|may|might)\b"),
    ("who", r"\b(who|whose|whom)\b"),
    ("when", r"\bwhen\b|\bwhat (year|date|time|day|month)\b"),
    ("where", r"\bwhere\b"),
    ("why", r"\bwhy\b"),
    ("which", r"\bwhich\b"),
    ("how", r"\bhow\b"),
    ("what", r"\bwhat('s)?\b"),
    ("blank", r"_{2,}|\(\s*\)|\[\s*\]|\bfill in\b"),
    (
        "order",
        r"^(find|solve|calculate|compute|determine|evaluate|describe|identify|name|read|write|list|give|choose|select)\b",
    ),
    ("other", r""),
)
"""Types of questions; the first match counts, since a question may match several."""

FORMATS = (
    ("yes-no", r"\b(yes or no|true or false|yes/no|answer with yes)\b"),
    ("letter", r"\b(option'?s? letter|letter of the|correct letter|answer with the letter)\b"),
    ("integer", r"\binteger\b|\bwhole number\b|\bhow many\b"),
    ("decimal", r"\bdecimal\b|\bfloating-point\b|\bround(ed)?\b|\bpercent(age)?\b|\bnumerical (value|answer)\b"),
    ("list", r"\bpython list\b|\blist (all|of)\b|\bcomma[- ]separated\b"),
    ("short", r"\b(single|one) word\b|\bword or phrase\b|\bshort answer\b"),
    ("long", r"\b(explain|describe|detailed|step by step|in your own words|summari[sz]e|essay)\b"),
)
"""Answer formats that a question without options or its hint asks for; the first match counts, without a match it is open."""

TOPICS = {
    "counting": r"how many|count|number of",
    "comparing": r"more|less|fewer|than|highe(r|st)|lowe(r|st)|large(r|st)|smalle(r|st)|most|least|compare|same|differ\w*",
    "arithmetic": r"sum|total|average|mean|median|ratio|product|percent\w*|times|divide\w*|multipl\w+|subtract\w*|add\w*",
    "charts": r"chart|graph|plot|bars?|axis|axes|legend|pie|histogram|table|rows?|columns?|trend|curve",
    "geometry": r"angle|triangle|circle|square|rectangle|parallel|perpendicular|radius|diameter|degrees?|area|perimeter|polygon|cm",
    "algebra": r"equation|function|solve|variable|polynomial|derivative|integral|matrix|vector|slope|[xyz]\s*[=^+\-]\s*\w*",
    "reading": r"text|word|written|says?|read|sign|title|label|letters?|name|brand|document|page|date|address|author",
    "space": r"left|right|above|below|behind|front|between|under|top|bottom|next to|near|closest|position|direction|facing",
    "colour": r"colou?rs?|red|blue|green|yellow|black|white|orange|purple|pink|brown|gr[ea]y",
    "people": r"person|people|man|woman|boy|girl|child|player|he|she|his|her",
    "science": r"organism|food|cell|planet|energy|force|atom|molecule|species|experiment|plant|circuit|velocity|reaction",
    "negated": r"not|no|none|except|never|neither|without|isn't|doesn't|incorrect|false",
    "several-images": r"images|pictures|both|first image|second image|figures|image ?\d",
}
"""Topic -> words that indicate it."""

SCRIPTS = (
    "none",
    "english",
    "latin",
    "chinese",
    "japanese",
    "korean",
    "cyrillic",
    "arabic",
    "greek",
    "devanagari",
    "other",
)
"""Languages as far as scripts distinguish them; Latin text is English if enough of its words are common English ones."""

_BLOCKS = (
    ("chinese", "CJK"), ("japanese", "HIRAGANA"), ("japanese", "KATAKANA"), ("korean", "HANGUL"), ("cyrillic", "CYRILLIC"),
    ("arabic", "ARABIC"), ("greek", "GREEK"), ("devanagari", "DEVANAGARI"), ("latin", "LATIN"),
)  # fmt: skip
_ENGLISH = re.compile(
    r"\b(the|an?|of|in|is|are|to|and|what|which|how|on|at|for|with|this|that|it|from|by|as|be|does|do|or|if|you|there|can|many|was|"
    r"were|has|have|not|answer|question|choose|using|image|shown|picture|who|where|when|why|find|name)\b",
    re.IGNORECASE,
)

NUMERIC = (
    "log-words",
    "sentences",
    "lines",
    "word-length",
    "capitals",
    "numbers",
    "digits",
    "log-largest-number",
    "maths-signs",
    "latex",
    "money-or-percent",
    "year",
    "quotation",
    "question-mark",
    "log-hint-words",
    "options",
    "log-option-words",
    "option-spread",
    "options-numbers",
    "options-yes-no",
)
CATEGORICAL = {
    "type": tuple(name for name, _ in TYPES),
    "format": (*(name for name, _ in FORMATS), "open"),
    "language": SCRIPTS,
}
"""Categorical columns, and the meanings of their codes 0, 1, 2 ..."""

_TYPES = [(i, re.compile(p)) for i, (_, p) in enumerate(TYPES)]
_FORMATS = [(i, re.compile(p)) for i, (_, p) in enumerate(FORMATS)]
_TOPICS = [re.compile(rf"\b({p})\b") for p in TOPICS.values()]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\w+")
_SIGNS = re.compile(r"[=+×÷√^∫∑≤≥≠±∞π<>|{}]|\\[a-z]+")
_YEAR = re.compile(r"\b(1[5-9]|20)\d\d\b")
_OPTION_LINE = re.compile(r"^\s*\(?([A-H])[).:]\s*(\S.*)$", re.MULTILINE)


@attrs.frozen
class QuestionStructure:
    """NUMERIC, a column of 0 and 1 for each of TOPICS, and CATEGORICAL; no value is ever missing.

    The requested format is read from question and hint, the rest from the question alone.  If a sample has no options, lines
    ``A. ...`` in its question count as options.
    """

    params: NoParams = NoParams()

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, 36]."""
        rows = [_row(*t) for t in zip(queries.texts, queries.options, queries.hints, strict=True)]
        columns = [Column(f"question-structure/{n}", "numeric") for n in (*NUMERIC, *TOPICS)]
        columns += [
            Column(f"question-structure/{name}", "categorical", categories=len(codes))
            for name, codes in CATEGORICAL.items()
        ]
        return Features(np.array(rows, dtype=np.float32).reshape(len(rows), len(columns)), tuple(columns))


def _row(question: str, options: Sequence[tuple[str, str]], hint: str) -> list[float]:
    text = unicodedata.normalize("NFKC", question).strip()
    lower = text.lower()
    choices = [o for _, o in options] or [o for _, o in _OPTION_LINE.findall(text)]
    first = lower.splitlines()[0].strip() if lower else ""
    kind = next(i for i, p in _TYPES if (p.match(first) if i == 0 else p.search(lower)))
    return [
        *_shape(text, lower, hint),
        *_choices(choices),
        *(float(p.search(lower) is not None) for p in _TOPICS),
        float(kind),
        float(_format(f"{lower}\n{hint.lower()}", choices)),
        float(SCRIPTS.index(language(text))),
    ]


def _shape(text: str, lower: str, hint: str) -> list[float]:
    words = _WORD.findall(text)
    numbers = _NUMBER.findall(text)
    letters = sum(c.isalpha() for c in text)
    values = [float(x) for n in numbers if len(x := n.replace(",", "").replace(".", "", n.count(".") - 1)) < 16]
    return [
        np.log1p(len(words)),
        float(len(re.findall(r"[.!?。？！](\s|$)", text))),
        float(text.count("\n") + bool(text)),
        letters / max(len(words), 1),
        sum(c.isupper() for c in text) / max(letters, 1),
        float(len(numbers)),
        sum(c.isdigit() for c in text) / max(len(text), 1),
        np.log1p(max(values, default=0.0)),
        float(len(_SIGNS.findall(text))),
        float("\\" in text or "$" in text),
        float(bool(re.search(r"[%$€£¥]|percent|dollar", lower))),
        float(_YEAR.search(text) is not None),
        float(bool(re.search("[\"“”«»]|'\\w[^']*'", text))),
        float("?" in text),
        np.log1p(len(_WORD.findall(hint))),
    ]


def _choices(choices: Sequence[str]) -> list[float]:
    lengths = [len(_WORD.findall(c)) for c in choices]
    plain = {c.strip().lower().rstrip(".") for c in choices}
    return [
        float(len(choices)),
        np.log1p(np.mean(lengths)) if lengths else 0.0,
        float(np.std(lengths)) if lengths else 0.0,
        sum(bool(re.match(r"\s*[-+$€£]?\d", c)) for c in choices) / max(len(choices), 1),
        float(bool(plain) and plain <= {"yes", "no", "true", "false"}),
    ]


def _format(asked: str, choices: Sequence[str]) -> int:
    names: Mapping[str, int] = {name: i for i, name in enumerate(CATEGORICAL["format"])}
    if choices:
        yes_no = {c.strip().lower() for c in choices} <= {"yes", "no", "true", "false"}
        return names["yes-no"] if yes_no else names["letter"]
    found = next((i for i, p in _FORMATS if p.search(asked)), None)
    return names["open"] if found is None else found


def language(text: str) -> str:
    """Return one of SCRIPTS."""
    counts = dict.fromkeys(SCRIPTS, 0)
    for character in text[:400]:
        if character.isascii():
            counts["latin"] += character.isalpha()
        elif character.isalpha():
            name = unicodedata.name(character, "")
            counts[next((s for s, block in _BLOCKS if name.startswith(block)), "other")] += 1
    if counts["japanese"]:
        counts["japanese"] += counts.pop("chinese")
    # formulas put Latin letters into texts of every language, so letters of other scripts count three times
    best = max(counts, key=lambda s: counts[s] * (1 if s == "latin" else 3))
    if not counts[best]:
        return "none"
    if best != "latin":
        return best
    words = len(_WORD.findall(text))
    short = words < 4 and text.isascii()
    return "english" if short or len(_ENGLISH.findall(text)) >= 0.15 * words else "latin"
