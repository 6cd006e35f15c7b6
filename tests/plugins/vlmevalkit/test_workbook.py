"""Reading workbooks: what cells become, and what is refused."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vlrb_plugins.vlmevalkit import workbook

ROWS = [{"index": 1, "prediction": "A"}, {"index": 2, "prediction": "B"}]


def predictions(logs: Any, *cells: object, calculated: bool = False) -> list[str]:
    """Write predictions into a workbook and read them back through the log source."""
    rows = [{"index": i, "prediction": cell} for i, cell in enumerate(cells)]
    book = logs.book("book.xlsx", rows, calculated=calculated)
    return [row["prediction"] for row in logs.outcomes(book)]


# --- files that are no workbooks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"PK", b"index,prediction\n1,A\n"], ids=["empty", "two bytes", "csv"])
def test_what_is_no_zip_is_refused(logs: Any, refused: Any, content: bytes) -> None:
    """A file of another format is named with its size, and no traceback of a library reaches the user."""
    path = logs.text("book.xlsx")
    path.write_bytes(content)
    with refused("no", "workbook", f"{len(content)} bytes", place=path, fix="export the file again"):
        logs.sheet(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_truncated_workbooks_are_refused(logs: Any, refused: Any, kept: float) -> None:
    """A copy that was cut off is an error, never a shorter table."""
    path = logs.book("book.xlsx", ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with refused("not a readable xlsx workbook", place=path, fix="half-written"):
        logs.sheet(path)


def test_damaged_content_is_refused(logs: Any, refused: Any) -> None:
    """Flipped bytes inside a workbook are an error of that file."""
    path = logs.book("book.xlsx", [{"index": i, "prediction": f"x{i * 7919}"} for i in range(500)])
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("xl/worksheets/sheet1.xml").header_offset + 60
    data = bytearray(path.read_bytes())
    data[start : start + 60] = bytes(byte ^ 0xFF for byte in data[start : start + 60])
    path.write_bytes(data)
    with refused("not a readable xlsx workbook", place=path, fix="export the file again"):
        logs.sheet(path)


def test_a_zip_of_something_else_is_refused(logs: Any, refused: Any) -> None:
    """A zip archive that is not a workbook says which part of a workbook it lacks."""
    path = logs.text("book.xlsx")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    with refused("xl/workbook.xml", place=path, fix="another format"):
        logs.sheet(path)


def test_a_missing_file_is_refused(logs: Any, refused: Any) -> None:
    """A dangling link or a file removed after listing is an error of that file."""
    path = logs.root / "book.xlsx"
    with refused("No such file", place=path, fix="copy"):
        logs.sheet(path)


def test_workbooks_that_unpack_to_too_much_are_refused(logs: Any, refused: Any, monkeypatch: Any) -> None:
    """A small file that unpacks to gigabytes is refused before it is unpacked."""
    path = logs.book("book.xlsx", ROWS)
    monkeypatch.setattr(workbook, "MAX_UNPACKED_BYTES", 1000)
    with refused("unpacks to", "limit of 1,000", place=path, fix="where the file comes from"):
        logs.sheet(path)


# --- header and rows --------------------------------------------------------------------------------------------------


def test_header_rows_and_places(logs: Any) -> None:
    """Row numbers in messages are those that a spreadsheet program shows."""
    path = logs.book("book.xlsx", ROWS)
    sheet = logs.sheet(path)
    assert sheet.header == ("index", "prediction")
    assert list(sheet.column("prediction")) == ["A", "B"]
    assert sheet.where(1) == f"{path}, sheet 'Sheet1', row 3"


def test_only_the_first_sheet_is_read(logs: Any) -> None:
    """The table is on the first sheet; its name does not matter."""
    path = logs.root / "book.xlsx"
    logs.root.mkdir()
    book = openpyxl.Workbook()
    book.active.title = "answers"
    book.active.append(["index", "prediction"])
    book.active.append([1, "A"])
    book.create_sheet("notes").append(["nothing"])
    book.save(path)
    assert logs.sheet(path).name == "answers"
    assert logs.outcomes(path)[0]["prediction"] == "A"


def test_missing_column(logs: Any, refused: Any) -> None:
    """A missing column is named beside those that are there; the gold answer never stands in for a prediction."""
    path = logs.book("book.xlsx", [{"index": 1, "answer": "A"}])
    with refused("no column 'prediction'", "index, answer", place=f"{path}, sheet 'Sheet1'", fix="'prediction'"):
        logs.outcomes(path)


def test_repeated_column(logs: Any, refused: Any) -> None:
    """Of two columns with one name none is chosen."""
    path = logs.book("book.xlsx", [{"a": 1, "b": "A", "c": "B"}], ["index", "prediction", "prediction"])
    with refused("several columns 'prediction'", place=f"{path}, sheet 'Sheet1'", fix="keep one"):
        logs.outcomes(path)


@pytest.mark.parametrize("rows", [[], [{"a": "", "b": "A"}]], ids=["empty sheet", "empty first row"])
def test_empty_header(logs: Any, refused: Any, rows: list[dict[str, str]]) -> None:
    """A sheet without names of columns is refused, wherever its cells are."""
    path = logs.book("book.xlsx", rows, ["", ""])
    with refused("names the columns, is empty", place=f"{path}, sheet 'Sheet1'", fix="first sheet"):
        logs.sheet(path)


def test_no_rows(logs: Any, refused: Any) -> None:
    """A workbook with a header and nothing below it is no result of zero samples."""
    path = logs.book("book.xlsx", [], ["index", "prediction"])
    with refused("no rows below the header", place=f"{path}, sheet 'Sheet1'", fix="leave the file out"):
        logs.outcomes(path)


def test_empty_rows_at_the_end_are_no_rows(logs: Any) -> None:
    """Rows that a spreadsheet program keeps below the table are not samples."""
    path = logs.book("book.xlsx", [*ROWS, {"index": "", "prediction": ""}, {"index": None, "prediction": None}])
    assert [row["key"] for row in logs.outcomes(path)] == ["1", "2"]


def test_empty_index(logs: Any, refused: Any) -> None:
    """A row without an index inside the table is an error with its number."""
    path = logs.book("book.xlsx", [ROWS[0], {"index": None, "prediction": "B"}, {"index": 3, "prediction": "C"}])
    with refused("index is empty", place=f"{path}, sheet 'Sheet1', row 3", fix="give every row"):
        logs.outcomes(path)


def test_repeated_index(logs: Any, refused: Any) -> None:
    """Of two rows with one index none wins: both are named, however the index is stored."""
    path = logs.book("book.xlsx", [*ROWS, {"index": "1", "prediction": "C"}])
    with refused("index '1'", "row 2", place=f"{path}, sheet 'Sheet1', row 4", fix="remove one"):
        logs.outcomes(path)


# --- error cells and formulas -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["#N/A", "#DIV/0!", "#NAME?"])
def test_error_cells_in_a_text_column(logs: Any, refused: Any, error: str) -> None:
    """An error cell reads as empty text, so it is searched for and named: a lost answer is no answer."""
    path = logs.book("book.xlsx", [ROWS[0], {"index": 2, "prediction": logs.formula("=1/0", error)}])
    with refused("'prediction'", "row 3 is an error cell", error, place=f"{path}, sheet 'Sheet1'", fix="plain values"):
        logs.outcomes(path)


def test_error_cells_written_by_openpyxl(logs: Any, refused: Any) -> None:
    """openpyxl turns the text #N/A into an error cell."""
    path = logs.root / "book.xlsx"
    logs.root.mkdir()
    book = openpyxl.Workbook()
    for row in (["index", "prediction", "log"], [1, "A", "#N/A"], [2, "#N/A", ""]):
        book.active.append(row)
    book.save(path)
    with refused("'prediction'", "row 3 is an error cell (#N/A)", place=path, fix="plain values"):
        logs.outcomes(path)


def test_cells_without_references_are_searched_too(logs: Any, refused: Any) -> None:
    """Some writers leave out the positions of cells, which the format allows."""
    path = logs.book("book.xlsx", [ROWS[0], {"index": 2, "prediction": logs.formula("=1/0", "#DIV/0!")}])
    logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb'<(c|row) r="\w+"', rb"<\1", xml))
    with refused("row 3 is an error cell (#DIV/0!)", place=path, fix="plain values"):
        logs.outcomes(path)


def test_error_cells_in_columns_that_are_not_read(logs: Any) -> None:
    """An error cell among a judge's notes does not matter."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "log": logs.formula("=x", "#NAME?")}])
    assert logs.outcomes(path)[0]["prediction"] == "A"


@pytest.mark.parametrize(("value", "calculated"), [(0, False), (0.5, True), ("x", True), ("", True)])
def test_formulas_in_a_text_column(logs: Any, refused: Any, value: object, calculated: bool) -> None:
    r"""A prediction such as =\frac{1}{2} becomes a formula in some writers; its value is never taken for the text."""
    cell = logs.formula("=frac<2>", value)
    path = logs.book("book.xlsx", [{"index": 7, "prediction": cell}], calculated=calculated)
    with refused("'prediction'", "row 2 is a formula", "=frac<2>", place=f"{path}, sheet 'Sheet1'", fix="plain values"):
        logs.outcomes(path)


def test_formulas_written_by_openpyxl(logs: Any, refused: Any) -> None:
    """openpyxl stores no value for a formula."""
    path = logs.root / "book.xlsx"
    logs.root.mkdir()
    book = openpyxl.Workbook()
    for row in (["index", "prediction"], [1, "=1+1"]):
        book.active.append(row)
    book.save(path)
    with refused("row 2 is a formula without a stored value (=1+1)", place=path, fix="plain values"):
        logs.outcomes(path)


def test_formulas_in_a_verdict_column(logs: Any) -> None:
    """The stored value of a formula that a spreadsheet program calculated is a verdict."""
    cells = [logs.formula("=1=1", True), logs.formula("=1-1", 0), logs.formula('="1"', "1")]
    rows = [{"index": i, "prediction": "A", "is_correct": cell} for i, cell in enumerate(cells)]
    path = logs.book("book.xlsx", rows, calculated=True)
    assert [row["score"] for row in logs.outcomes(path)] == [1, 0, 1]


def test_formulas_that_were_never_calculated(logs: Any, refused: Any) -> None:
    """xlsxwriter stores 0 for every formula and asks for calculation on opening: that 0 is no verdict."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "is_correct": logs.formula("=1=1")}])
    with refused("'is_correct'", "row 2 is a formula that was never calculated (=1=1)", place=path, fix="plain values"):
        logs.outcomes(path)


def test_formulas_without_a_value_in_a_verdict_column(logs: Any, refused: Any) -> None:
    """A formula without a stored value is no verdict."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "A", "is_correct": logs.formula("=1=1", "")}])
    logs.rewrite(path, "xl/workbook.xml", lambda xml: xml.replace(b' fullCalcOnLoad="1"', b""))
    logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb' t="str"(><f>1=1</f>)<v></v>', rb"\1", xml))
    with refused("'is_correct'", "formula without a stored value (=1=1)", place=path, fix="plain values"):
        logs.outcomes(path)


def test_the_words_of_a_formula_in_a_text_are_text(logs: Any) -> None:
    """Texts that look like formulas, error cells or the XML of either are kept."""
    texts = ["=1+1", "#N/A", '<c t="e"><f>1</f></c>', "+1", "-1", "@x", "http://example.org/ is it"]
    assert predictions(logs, *texts) == texts


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["None", "NA", "N/A", "n/a", "null", "nan", "<NA>", "True", "False", "007", "3.0", "1e3"]
)
def test_texts_that_look_like_something_else(logs: Any, text: str) -> None:
    """What pandas would make a gap, a number or a truth value is an answer here."""
    assert predictions(logs, text) == [text]


@pytest.mark.parametrize("text", [" A", "A ", "\tA\n", " ", "\n\n", "a\n\nb"])
def test_blanks_are_kept(logs: Any, text: str) -> None:
    """Blanks at both ends count as tokens and may matter to a scorer."""
    assert predictions(logs, text) == [text]


def test_an_empty_prediction_is_an_empty_text(logs: Any) -> None:
    """A model that answered nothing gave an answer: the empty one."""
    assert predictions(logs, "", None, "A") == ["", "", "A"]


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("a_x000D_b", "a\rb"),
        ("_x000C_frac", "\ffrac"),
        ("_x0000_", "\0"),
        ("_x005F_x000D_", "_x000D_"),
        ("_x005F_x005F_x000D_", "_x005F\r"),
        ("_x00G1_", "_x00G1_"),
        ("_x000D", "_x000D"),
    ],
)
def test_escapes_are_decoded_once(logs: Any, stored: str, text: str) -> None:
    """Control characters are stored as _xHHHH_; what an escaped underscore protects stays as it is."""
    path = logs.book("book.xlsx", [{"index": 1, "prediction": "PLACE"}])
    logs.rewrite(path, "xl/sharedStrings.xml", lambda xml: xml.replace(b"PLACE", stored.encode()))
    assert logs.outcomes(path)[0]["prediction"] == text


def test_numeric_predictions(logs: Any) -> None:
    """A workbook stores no integers: whole numbers are shown without a point, others as short as they can be."""
    cells = {3.0: "3", -0.0: "0", 0.1: "0.1", -2.5: "-2.5", 1234567890123456.0: "1234567890123456", 1e300: "1e+300"}
    assert predictions(logs, *cells) == list(cells.values())


def test_truth_values_as_predictions(logs: Any) -> None:
    """A truth value reads as the word that Python's writers took it from."""
    assert predictions(logs, True, False) == ["True", "False"]


def test_dates_as_predictions(logs: Any) -> None:
    """A date that a spreadsheet program recognised is shown as ISO text, not as a number of days."""
    path = logs.root / "book.xlsx"
    logs.root.mkdir()
    book = openpyxl.Workbook()
    book.active.append(["index", "prediction"])
    book.active.append([1, datetime.date(2020, 1, 2)])
    book.save(path)
    assert logs.outcomes(path)[0]["prediction"] == "2020-01-02"


def test_indices_of_several_types(logs: Any) -> None:
    """12, 12.0 and the text 12 name the same sample; texts such as HallusionBench's stay as they are."""
    rows = [{"index": i, "prediction": "A"} for i in (12, 13.0, "14", "VD_figure_0_1_2_0", "015")]
    keys = [row["key"] for row in logs.outcomes(logs.book("book.xlsx", rows))]
    assert keys == ["12", "13", "14", "VD_figure_0_1_2_0", "015"]


ESCAPE = r"_x[0-9A-Fa-f]{4}"
OVERLAPPING = re.compile(f"{ESCAPE}(?={ESCAPE}_)")
"""Two things that look like escapes and share an underscore: xlsxwriter protects only the first of them."""

WRITABLE = (
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=20),
            st.sampled_from(["_x000D_", "_x0041_", "_x005F_", "_x", "_", "\r\n", "\r", "\n", " ", "\0", "\x1b", "="]),
        ),
        max_size=6,
    )
    .map("".join)
    .filter(lambda text: not OVERLAPPING.search(text) and not (text.startswith("<r>") and text.endswith("</r>")))
)
"""All texts but those that the writer or the format cannot hold: lone surrogates; U+FFFE and U+FFFF (stored as escapes that
calamine leaves alone); overlapping look-alikes of escapes; <r>...</r>, which xlsxwriter takes for its own rich text."""


@given(texts=st.lists(WRITABLE, min_size=1, max_size=5))
@example(texts=["a\r\nb", "\r", "_x000D_", "x" * 32_766, "\u2028", "\x85", "\U0001f600", "e\u0301", "&#13;", "<t>"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_back(logs: Any, texts: list[str]) -> None:
    """What a model answered is what is scored and counted, character for character."""
    assert predictions(logs, *texts) == texts


@pytest.mark.parametrize(
    ("text", "read"),
    [("\ufffe", "_xFFFE_"), ("\uffff", "_xFFFF_"), ("_x0041_x0042_", "_x0041B"), ("_x005F_x0041_", "_x005FA")],
)
def test_what_does_not_survive_writing(logs: Any, text: str, read: str) -> None:
    """The known exceptions of the test above, so that a change in a library is seen."""
    assert predictions(logs, text) == [read]


def test_reading_warns_of_nothing(logs: Any) -> None:
    """Reading a workbook leaves no open file and no warning behind."""
    path: Path = logs.book("book.xlsx", ROWS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logs.outcomes(path)
    assert not caught


def test_a_sheet_with_a_cell_far_out_is_refused(tmp_path: Path) -> None:
    """A few kilobytes must not ask for hundreds of gigabytes: all cells up to the farthest would be made."""
    import xlsxwriter

    from vlrb.errors import DataError
    from vlrb_plugins.vlmevalkit.workbook import read_sheet

    path = tmp_path / "far.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "index")
        sheet.write(1048575, 16383, "x")
    with pytest.raises(DataError, match="spans 1,048,576 rows and 16,384 columns") as caught:
        read_sheet(path)
    assert "remove the cells" in str(caught.value)
