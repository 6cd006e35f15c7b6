"""The quick look at a sheet's XML never says plain where a search finds something."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlrb_plugins.vlmevalkit import workbook

PIECES = (
    *(
        '<c r="A1"',
        "<c r='A1'",
        ' t="s"',
        ' t="e"',
        " t='e'",
        "<f>",
        "<x:f ",
        "<v>1</v>",
        "</c>",
        '<row r="2"',
        ' spans="1:12"',
    ),
    *(
        '<c r="AB12"',
        '<c r="zz1"',
        '<c r="XFD1048576"',
        '<row r="1234567"',
        '<c r="A99999"',
        '<c r = "AA1"',
        "<c\nr\t=\n'A1234567'",
    ),
    *(' t="err"', "a = b", "r=1", "<is><t>fe:f f= t=</t></is>", 'r="', '"', "=", "é", " "),
)
PLAIN = '<row r="2" spans="1:12"><c r="A2" t="s"><v>0</v></c><c r="L2" s="12"><v>0.25</v></c></row>'


def found(xml: bytes) -> bool:
    """Tell whether the searches find a far reference, or a trace of an error cell or a formula."""
    return bool(workbook._FAR.search(xml)) or any(t in xml for t in workbook._TRACES)


@given(st.lists(st.sampled_from(PIECES) | st.text("rtef<:=\"' A1z9", max_size=6), max_size=12).map("".join))
@example('<c r="A1" t="e"')
@example("<f/>")
def test_plain_sheets_have_nothing_to_find(text: str) -> None:
    """Whatever the searches find, the quick look finds too."""
    xml = text.encode()
    assert not (workbook._surely_plain(xml) and found(xml))


@pytest.mark.parametrize("trace", ['<c r="AB3">', '<c r="A3" t="e">', "<f>", '<row r="1000000">'])
@pytest.mark.parametrize("offset", range(-12, 3))
def test_traces_across_the_borders_of_pieces(trace: str, offset: int) -> None:
    """A trace is found wherever it stands, also where one piece ends and the next begins."""
    before = (PLAIN.encode() * (workbook._PIECE // len(PLAIN) + 1))[: workbook._PIECE + offset]
    before = before[: before.rfind(b"<row")].ljust(workbook._PIECE + offset)
    assert workbook._surely_plain(before + PLAIN.encode())
    assert not workbook._surely_plain(before + trace.encode() + PLAIN.encode())


def test_ordinary_sheets_are_plain() -> None:
    """The quick look is of use: it lets an ordinary sheet pass."""
    assert workbook._surely_plain(
        f'<worksheet xmlns:r="http://x.org"><sheetData>{PLAIN}</sheetData></worksheet>'.encode()
    )
