"""The value of short arithmetic in Python's or LaTeX's notation: parsed and computed here, never evaluated as code.

Everything is bounded: the length of a text, the depth of its brackets and the size of its powers.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

Number = int | float

LONGEST = 200
"""Characters of the longest text that is parsed."""

DEEPEST = 50
"""Levels of brackets in LaTeX."""

MOST_BITS = 4_096
"""Bits of the largest power of integers."""

TOLERANCE = 1e-6

_ARITHMETIC = re.compile(r"[0-9a-fox_.+\-*/%() \t]*[0-9][0-9a-fox_.+\-*/%() \t]*")
_UNREADABLE = (SyntaxError, ValueError, ArithmeticError, MemoryError, RecursionError)


def _power(base: Number, exponent: Number) -> Number:
    """Return a real power.

    :raises ValueError: when it is complex, or an integer of more than ``MOST_BITS``
    """
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MOST_BITS:
        raise ValueError("the power is too large")
    value = base**exponent
    if isinstance(value, int | float):
        return value
    raise ValueError("the power is not real")


_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def python_number(text: str) -> Number | None:
    """Return the value of arithmetic in Python's notation, or None for anything else.

    Numbers in any of Python's notations (lower case), ``+ - * / // % **`` and brackets; no names, calls, comparisons or bitwise
    operators.
    """
    if len(text) > LONGEST or not _ARITHMETIC.fullmatch(text):
        return None
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except _UNREADABLE:
        return None


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
    raise ValueError("not arithmetic")


# --- LaTeX ------------------------------------------------------------------------------------------------------------

_BOX = "\\boxed{"
_GROUPED = re.compile(r"[\s$\\]*(-?[1-9][0-9]{0,2}(?:(?:,|\{,\})[0-9]{3})+(?:\.[0-9]+)?)[\s$\\]*")
_TOKEN = re.compile(
    r"(?P<skip>\s+|\\[,;:!$() ]|\$|\\(?:quad|left|right|displaystyle)(?![a-z]))"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<wrapped>\\(?:text|textbf|mathrm|mathbf)\{[^{}]*\})"
    r"|(?P<command>\\[a-z]+)|(?P<sign>[-+*/:^(){}×÷⋅−]|\[|\])"
)
_SAME = {"\\cdot": "*", "\\times": "*", "×": "*", "⋅": "*", "\\div": "/", "÷": "/", ":": "/", "−": "-"}
_FRACTIONS = frozenset({"\\frac", "\\dfrac", "\\tfrac", "\\cfrac"})
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def latex_number(text: str) -> Number | None:
    r"""Return the value of a number in LaTeX, or None for anything else.

    If there is a ``\boxed{}``, only its content counts.  Numbers (``1,000`` alone is a thousand), mixed numbers, fractions,
    integer powers, products, ratios (``3:4`` is 0.75) and degrees, in lower case.  The content of ``\text{}`` and the like is a
    number in Python's notation, or plain digits if anything else surrounds it.  Roots, pi, percent and all other symbols have no
    value, as in VLMEvalKit: its parser (latex2sympy2_extended 1.11 on antlr 4.11.1) fails on any percent sign.
    """
    try:
        text = _unboxed(text)
        if len(text) > LONGEST:
            return None
        grouped = _GROUPED.fullmatch(text)
        return _plain(grouped[1]) if grouped else _Latex(_tokens(text)).whole()
    except _UNREADABLE:
        return None


def _unboxed(text: str) -> str:
    """Return the content of a text's box, or all of a text without one.

    :raises ValueError: when boxes differ, or one is not closed within ``LONGEST`` characters
    """
    _, *parts = text.split(_BOX)
    if not parts:
        return text
    boxes = {_closed(part) for part in parts}
    if len(boxes) > 1:
        raise ValueError("several boxes")
    return boxes.pop()


def _closed(text: str) -> str:
    """Return a text up to its closing brace."""
    depth = 1
    for at, sign in enumerate(text[: LONGEST + 1]):
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return text[:at]
    raise ValueError("a box is not closed")


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError("no number in LaTeX")
        at = found.end()
        if found.lastgroup != "skip":
            tokens.append(_SAME.get(found[0], found[0]))
    return tokens


class _Latex:
    """A recursive descent parser; its methods return values, or raise ValueError if the text is not a number."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Number:
        value = self._sum()
        if self._at < len(self._tokens):
            raise ValueError("something follows the number")
        return value

    def _take(self, *wanted: str) -> str:
        """Consume and return the next token if it is wanted; otherwise return an empty text."""
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return self._tokens[self._at - 1]
        return ""

    def _next(self) -> str:
        if self._at == len(self._tokens):
            raise ValueError("the number breaks off")
        self._at += 1
        return self._tokens[self._at - 1]

    def _group(self, opening: str) -> Number:
        """Read the content of brackets after the opening one."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("too deep")
        value = self._sum()
        self._depth -= 1
        if not self._take(_CLOSING[opening]):
            raise ValueError("a bracket is not closed")
        return value

    def _sum(self) -> Number:
        value = self._product()
        while sign := self._take("+", "-"):
            right = self._product()
            value = value + right if sign == "+" else value - right
        return value

    def _product(self) -> Number:
        value = self._signed()
        while sign := self._take("*", "/"):
            right = self._signed()
            value = value * right if sign == "*" else value / right
        return value

    def _signed(self) -> Number:
        negative = False
        while sign := self._take("+", "-"):
            negative ^= sign == "-"
        value = self._with_suffixes()
        return -value if negative else value

    def _with_suffixes(self) -> Number:
        value = self._atom()
        while self._take("^"):
            value = self._raised(value)
        return value

    def _raised(self, base: Number) -> Number:
        if self._tokens[self._at : self._at + 3] == ["{", "\\circ", "}"]:
            self._at += 3
            return base
        token = self._next()
        if token == "\\circ":
            return base
        exponent = self._group(token) if token == "{" else _plain(token)
        if not isinstance(exponent, int):
            raise ValueError("roots have no value here")
        return _power(base, exponent)

    def _atom(self) -> Number:
        token = self._next()
        if token in ("(", "["):
            return self._group(token)
        if token in _FRACTIONS:
            return self._fraction()
        if token[0] == "\\":
            return self._wrapped(token)
        value = _plain(token)
        if isinstance(value, int) and self._take(*_FRACTIONS):
            mixed = self._is_mixed()
            return value + self._fraction() if mixed else value * self._fraction()
        return value

    def _wrapped(self, token: str) -> Number:
        """Read the content of a command such as text, which VLMEvalKit inserts unchanged into the expression that it evaluates."""
        held = token.partition("{")[2].removesuffix("}").strip()
        value = python_number(held) if len(self._tokens) == 1 or _PLAIN.fullmatch(held) else None
        if value is None:
            raise ValueError("no number in a text")
        return value

    def _is_mixed(self) -> bool:
        """Tell whether the fraction after a number is added to it: 1 1/2, but not 2 (1+1)/2."""
        signs = self._tokens[self._at : self._at + 6]
        return signs[0:3:2] == signs[3:6:2] == ["{", "}"] and signs[1].isdecimal() and signs[4].isdecimal()

    def _fraction(self) -> Number:
        return self._braced() / self._braced()

    def _braced(self) -> Number:
        if not self._take("{"):
            raise ValueError("a brace is missing")
        return self._group("{")


def _plain(token: str) -> Number:
    digits = token.replace("{,}", "").replace(",", "")
    return float(digits) if "." in digits else int(digits)
