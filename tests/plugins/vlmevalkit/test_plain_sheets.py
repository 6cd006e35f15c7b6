"""The quick look at a sheet's XML never says plain where a search finds something."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vlrb.errors import DataError
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
    """Tell whether the searches find a cell far out, or a trace of an error cell or a formula."""
    rows, columns = workbook._extent(xml)
    return rows > 99_999 or columns > 26 or bool(workbook._TRACES.search(xml))


@given(st.lists(st.sampled_from(PIECES) | st.text("rtef<:=\"' A1z9", max_size=6), max_size=12).map("".join))
@example('<c r="A1" t="e"')
@example("<f/>")
@example('<c s="1"r="AB2">')
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


@pytest.mark.parametrize("lone", ["<c>", "<c/>", '<c t="s">', "<row>", '<row spans="1:2">', "<x:c>", "<c\n>"])
def test_cells_without_a_place_are_not_plain(lone: str) -> None:
    """They follow the one before, so that only counting tells how far they reach."""
    assert not workbook._surely_plain(f"{PLAIN}{lone}{PLAIN}".encode())


def test_the_extent_counts_cells_without_a_place() -> None:
    """What calamine makes of them: a million rows of one cell below a row of ten thousand are ten billion cells."""
    wide, long = b"<row>" + b"<c/>" * 300 + b"</row>", b"<row><c><v>1</v></c></row>" * 500

    assert workbook._extent(wide + long) == (501, 300)
    assert workbook._extent(b'<row r="7"><c r="B7"/><c/></row><row><c/></row>') == (8, 3)
    assert workbook._extent(b'<cols><col min="1"/></cols><row r="000000000000002"><c r="A2"/></row>') == (2, 1)


def test_ordinary_sheets_are_plain() -> None:
    """The quick look is of use: it lets an ordinary sheet pass."""
    assert workbook._surely_plain(
        f'<worksheet xmlns:r="http://x.org"><sheetData>{PLAIN}</sheetData></worksheet>'.encode()
    )


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (b'<c r="B2" t="e"><v>#N/A</v></c>', "is an error cell"),
        (b"<c r='B2' t = 'e'><v>#N/A</v></c>", "is an error cell"),
        (b'<c t="e"\nr="B2"><v>#N/A</v></c>', "is an error cell"),
        (b'<c r="B2"><f>1+1</f></c>', "is a formula without a stored value"),
        (b'<c r="B2"><f\rca="1">1+1</f></c>', "is a formula without a stored value"),
        (b'<c r="B2"><f\n>1+1</f><v></v></c>', "is a formula without a stored value"),
    ],
)
def test_cells_without_a_value_are_found_however_they_are_written(logs: Any, cell: bytes, kind: str) -> None:
    """calamine reads all of these as empty cells."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A"}])
    logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb'<c r="B2".*?</c>', lambda _: cell, xml))

    (suspect,) = workbook.read_sheet(path).suspects
    assert (suspect.column, suspect.row, suspect.kind) == (1, 2, kind)


def test_a_far_cell_without_a_blank_before_its_place_is_refused(logs: Any) -> None:
    """No blank is needed between two attributes for calamine to read the second."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A"}])
    far = b'<c t="n"r="XFD1048576"><v>1</v></c>'
    logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb'<c r="B2".*?</c>', far, xml))

    with pytest.raises(DataError, match="spans 1,048,576 rows and 16,384 columns"):
        workbook.read_sheet(path)
