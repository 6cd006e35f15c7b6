"""Arithmetic in Python's and in LaTeX notation, and list literals: values without evaluation, at a bounded price."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb_plugins.scorers.arithmetic import LONGEST, latex_number, python_number
from vlrb_plugins.scorers.literals import alternatives, list_literal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("0xff", 255),
        ("0b101", 5),
        ("1_000", 1000),
        ("2 + 3*4", 14),
        ("(2 + 3)*4", 20),
        ("2**10", 1024),
        ("2**-1", 0.5),
        ("7//2", 3),
        ("7%4", 3),
        ("1/0", None),
        ("(-8)**0.5", None),
        ("007", None),
        ("1 2", None),
        ("2^3", None),
        ("1,000", None),
        ("e", None),
        ("", None),
        ("(1)(2)", None),
        ("1e999", float("inf")),
    ],
)
def test_python_arithmetic(text: str, expected: float | None) -> None:
    """Python's numbers and operators; nothing else is arithmetic."""
    assert python_number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("007", 7),
        (".5", 0.5),
        ("1,234,567.5", 1234567.5),
        ("1{,}234", 1234),
        ("$-1,234$", -1234),
        ("1,23", None),
        ("1,234,5", None),
        ("0,123", None),
        ("1,234+1", None),
        ("5.", None),
        ("$$5$$", 5),
        (r"\(5\)", 5),
        (r"\$5", 5),
        (r"\frac{3}{4}", 0.75),
        (r"-\dfrac{ 3 }{ 4 }", -0.75),
        (r"\frac{1+2}{2^{2}}", 0.75),
        (r"\frac34", None),
        (r"\frac{3}{0}", None),
        (r"1\frac{3}{4}", 1.75),
        (r"-1 \frac{3}{4}", -1.75),
        (r"2\frac{1+2}{4}", 1.5),
        (r"2.5\frac{1}{2}", None),
        ("2^3", 8),
        ("2^{-1}", 0.5),
        ("-2^2", -4),
        (r"4^{\frac{1}{2}}", None),
        ("2^", None),
        ("9:12", 0.75),
        ("12:2:3", 2),
        (r"2\times 3\cdot 4 \div 6", 4),
        ("2×3÷4−1", 0.5),
        ("2--3", 5),
        (r"\left(1+2\right)[3]", None),
        (r"\left[1+2\right]", 3),
        ("(1+2", None),
        ("75%", None),
        (r"75\%", None),
        (r"\text{17\%}", None),
        (r"\mathrm{17\%}", None),
        (r"\text{17}\%", None),
        (r"\boxed{17\%}", None),
        (r"5+10\%", None),
        (r"\text{-17\%}", None),
        (r"30^\circ", 30),
        (r"30^{\circ}", 30),
        (r"\text{30}", 30),
        (r"\text{ 1/2 }", 0.5),
        (r"-\text{12}", -12),
        (r"3\times\mathrm{4}", 12),
        (r"\frac{\text{1}}{2}", 0.5),
        (r"\text{-3}", -3),
        (r"\text{1e3}", 1000),
        (r"\text{1+2}\times 3", None),
        (r"\text{007}", None),
        (r"\text{2^3}", None),
        (r"\text{\frac{1}{2}}", None),
        (r"\text", None),
        (r"\text{}", None),
        (r"\text{cm}", None),
        (r"30\text{ cm}", None),
        (r"\boxed{30}", 30),
        (r"thus $\boxed{\frac{3}{4}}$ it is.", 0.75),
        (r"\boxed{3} or \boxed{3}", 3),
        (r"\boxed{3} or \boxed{4}", None),
        (r"\boxed{3", None),
        (r"\boxed{}", None),
        (r"\sqrt{4}", None),
        (r"2\pi", None),
        ("2x", None),
        ("{2}", None),
        ("", None),
        ("٣", None),
    ],
)
def test_latex_numbers(text: str, expected: float | None) -> None:
    """What has a value for the kit has it here; roots, pi, units and sets have none."""
    assert latex_number(text) == expected


expressions = st.recursive(
    st.integers(0, 99).map(str) | st.decimals(0, 99, places=2).map(str),
    lambda inner: st.one_of(
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(inner, st.sampled_from(["+", "-", "*", " / "]), inner).map("".join),
    ),
    max_leaves=12,
)


@given(expressions)
def test_generated_arithmetic_has_pythons_value(text: str) -> None:
    """The parser and Python agree on arithmetic, division by zero aside; so do both notations where they mean the same."""
    try:
        expected = eval(text)
    except ZeroDivisionError:
        expected = None

    if len(text) <= LONGEST:
        assert python_number(text) == expected
        found = latex_number(text)
        assert found is None if expected is None else found == pytest.approx(expected)


@given(st.text(), st.text(alphabet="0123456789abcdefoxj_.e+-*/%() \\{}^,:$"))
def test_any_other_text_has_a_number_or_none(text: str, near: str) -> None:
    """No text makes the parsers raise."""
    for each in (text, near, near.lower()):
        for read in (python_number, latex_number):
            assert isinstance(read(each), int | float | None)


@given(st.fractions(), st.sampled_from([r"\frac{%d}{%d}", "%d:%d", "$%d/%d$", r"so \boxed{\dfrac{%d}{%d}}, as said"]))
def test_generated_fractions_have_their_value(fraction: Fraction, form: str) -> None:
    """Every way to write a fraction gives the fraction."""
    assert latex_number(form % (fraction.numerator, fraction.denominator)) == pytest.approx(float(fraction))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getpid()",
        "exit()",
        "float(gt_asw)",
        "(lambda: 1)()",
        "[1][0]",
        "len('a')",
        "1 if 1 else 2",
        "1<2",
        "1 and 2",
        "0xf.real",
        "abc",
        "def",
        "'3'",
        "3j",
        "true",
    ],
)
def test_code_is_never_evaluated(text: str) -> None:
    """Names, calls, comparisons and texts have no value, whatever Python would make of them."""
    assert python_number(text) is None
    assert latex_number(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "9**9**9**9",
        "(((9**999)**999)**999)",
        "2.0**99999",
        "1e300**1e300",
        "9^{999999999}",
        "9^{99}^{99}^{99}^{99}",
        "(" * 10**6 + "1" + ")" * 10**6,
        "(" * 95 + "1" + ")" * 95,
        "(" * LONGEST,
        "-" * (LONGEST - 1) + "1",
        "{" * LONGEST,
        r"\frac{" * 33 + "1",
        r"\boxed{" * 10**5 + "1" + "}" * 10**5,
        r"\boxed{" + "9" * 10**6 + "}",
        "9" * 10**6,
        "+1" * 10**6,
    ],
)
def test_large_texts_and_powers_cost_nothing(text: str) -> None:
    """The length of a text, the depth of its brackets and the size of its powers are bounded (seconds would be minutes)."""
    started = time.perf_counter()
    for read in (python_number, latex_number):
        assert isinstance(read(text), int | float | None)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['a', 'b']", ("a", "b")),
        (" [1, 2.50, None]", ("1", "2.5", "None")),
        (r"['\sqrt{2}']", (r"\sqrt{2}",)),
        ("[]", ()),
        ("('a', 'b')", None),
        ("'a'", None),
        ("[a]", None),
        ("[open('x')]", None),
        ("['a'", None),
        ("['a'] + ['b']", None),
        ("[" * 5000, None),
        ("[" + "-" * 5000 + "1]", None),
        ("[0x" + "f" * 5000 + "]", None),
        ("[" + "9" * 5000 + "]", None),
        ("['\ud800']", None),
        ("['\0']", None),
        ("['" + "a" * 100_000 + "']", None),
    ],
)
def test_list_literals(text: str, expected: tuple[str, ...] | None) -> None:
    """Lists of literals, with warnings kept quiet; whatever is none of these, too deep, too long or no text is no list."""
    assert list_literal(text) == expected


def test_alternatives_of_a_gold_cell() -> None:
    """The items of a list, else the text as it stands; nothing in a blank cell."""
    assert alternatives("['a', 'b']") == ("a", "b")
    assert alternatives(" a ") == (" a ",)
    assert alternatives("[a]") == ("[a]",)
    assert alternatives(" ") == alternatives("[]") == ()
