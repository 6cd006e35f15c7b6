"""Readers under fire: whatever the bytes, there are rows or a clean error that names the file."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlrb.api.logs import Listing
from vlrb.errors import DataError

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
DATASETS = st.sampled_from(
    ["MMStar", "MMMU_DEV_VAL", "MMBench_DEV_EN_V11", "DocVQA_VAL", "MathVerse_MINI", "HallusionBench"]
)
COLUMNS = ["index", "id", "question", "prediction", "image", "image_path", "A", "choices", "hit", "score", "is_correct"]
COLUMNS += ["eval_match", "thinking", "output_tokens", "problem_index", "log", "extract", "", "a\nb", "\0"]


def clean(logs: Any, act: Callable[[], Any], *places: Path) -> None:
    """Run something that may fail, but only with errors that name the place and a fix."""
    try:
        act()
    except DataError as error:
        for problem in error.problems:
            assert problem.message
            assert problem.fix
            assert any(str(p) in problem.where for p in places) or not places, problem


def outcomes(logs: Any, path: Path, dataset: str, **params: Any) -> None:
    """Read a file as outcomes, alone and as verdicts beside others, and as questions."""
    clean(logs, lambda: logs.outcomes(path, dataset=dataset, **params), path)
    clean(logs, lambda: logs.outcomes(path, path, dataset=dataset, stale="drop-verdict"), path)
    clean(logs, lambda: logs.samples(path, dataset, images="none"), path)


# --- text files -------------------------------------------------------------------------------------------------------

SCRAPS = [
    "1",
    "1000001",
    "1.0",
    "nan",
    "None",
    "",
    "[0.0]",
    "['a'",
    "{[]}",
    "[1, {[]: 2}]",
    "'" * 3,
    "True",
    "1e999",
    "\0",
]
SCRAPS += [
    "</think>",
    "<think>",
    "_x000D_",
    "\\ud800",
    "A" * 70,
    "iVBORw0KGgo=",
    "9" * 30,
    "-1",
    "a/b",
    "../../x",
    "\u2028",
]
CELLS = st.one_of(st.sampled_from(SCRAPS), st.text(max_size=8), st.integers().map(str))
TABLES = st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=7).flatmap(
    lambda names: st.tuples(
        st.just(names), st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), max_size=4)
    )
)


def as_tsv(table: tuple[list[str], list[list[str]]]) -> bytes:
    """Write a table as text that is almost a TSV file: cells are quoted where they must be."""
    lines = [table[0], *table[1]]
    quoted = [[f'"{c}"' if set(c) & set("\n\r\t") else c for c in line] for line in lines]
    return "\n".join("\t".join(line) for line in quoted).encode(errors="replace")


TSV = st.one_of(
    st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode(errors="surrogatepass")), TABLES.map(as_tsv)
)


@given(content=TSV, dataset=DATASETS, head=st.sampled_from([b"", b"index\tquestion\timage\tprediction\n"]))
@QUICK
def test_tsv_files(logs: Any, content: bytes, dataset: str, head: bytes) -> None:
    """TSV files of results, and of samples."""
    path = logs.text("x.tsv")
    path.write_bytes(head + content)
    outcomes(logs, path, dataset)
    clean(logs, lambda: logs.samples(path, dataset), path)
    clean(logs, lambda: logs.samples(path, dataset, duplicates="first"), path)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), CELLS, st.just("\ud800"), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(CELLS, inner, max_size=2)),
    max_leaves=4,
)
OBJECTS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=8), max_size=4)
FULL = st.lists(st.fixed_dictionaries(dict.fromkeys(("index", "prediction", "hit", "question"), VALUES)), max_size=3)
JSON = st.one_of(st.binary(max_size=60), st.one_of(OBJECTS, FULL, VALUES).map(lambda v: json.dumps(v).encode()))


@given(content=JSON, dataset=DATASETS, kept=st.floats(0.5, 1), duplicates=st.sampled_from(["error", "first"]))
@QUICK
def test_json_files(logs: Any, content: bytes, dataset: str, kept: float, duplicates: str) -> None:
    """JSON files, whole and cut off, with values of every type where a text or a number belongs."""
    path = logs.text("x.json")
    for part in (content, content[: int(len(content) * kept)]):
        path.write_bytes(part)
        outcomes(logs, path, dataset, duplicates=duplicates)


# --- workbooks --------------------------------------------------------------------------------------------------------


@cache
def workbook() -> bytes:
    """Return a small workbook with texts, numbers, truth values and a formula."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["index", "question", "prediction", "hit", "is_correct", "log"])
        for row in (1, 2, 3):
            sheet.write_row(row, 0, [row, "What?", "a_x000D_<b>&", 1, True])
            sheet.write_formula(row, 5, "=1+1", value=2)
    return file.getvalue()


@cache
def members() -> dict[str, bytes]:
    """Return the files inside the workbook."""
    with zipfile.ZipFile(io.BytesIO(workbook())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=4)
"""Places (as a share of the length), how many bytes go, and what comes instead."""


def edited(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Replace bytes in some places."""
    for share, gone, new in edits:
        at = int(len(content) * share)
        content = content[:at] + new + content[at + gone :]
    return content


@given(edits=EDITS)
@settings(QUICK, max_examples=150)
def test_damaged_workbooks(logs: Any, edits: list[tuple[float, int, bytes]]) -> None:
    """Bytes changed, lost and added anywhere in the archive."""
    path = logs.text("x.xlsx")
    path.write_bytes(edited(workbook(), edits))
    outcomes(logs, path, "MMStar")


WORDS = [
    b't="s"',
    b't="e"',
    b't="b"',
    b't="inlineStr"',
    b't="d"',
    b't="n"',
    b'r="A1"',
    b'r="C2"',
    b'r="1"',
    b"<v>1</v>",
    b"<f>",
]
WORDS += [
    b"</row>",
    b"<row",
    b"<c ",
    b"</c>",
    b"</sheetData>",
    b"<si>",
    b"<t",
    b"rId1",
    b"sheet1.xml",
    b'count="',
    b"Sheet1",
]
REPLACED = [
    b"",
    b'r="a1"',
    b'r="C0"',
    b'r="A9999999"',
    b'r="XFD1048576"',
    b'r=""',
    b'r="-1"',
    b'r="12"',
    b'r="ZZZZ1"',
    b"\0",
]
REPLACED += [
    b"<v>1e999</v>",
    b"<v>nan</v>",
    b"<v>99999999999</v>",
    b"<v>-1</v>",
    b"<v/>",
    b"&#0;",
    b"&lol;",
    b"\xff",
    b"<c><c>",
]
REPLACED += [b'r="99999999999999999999"', b"<v>x</v>", b"../../x", b't="str"', b't="zz"', b"<f/>", b"<![CDATA[<f>]]>"]
MEMBERS = ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"]
MEMBERS += ["[Content_Types].xml", "xl/styles.xml"]
SWAPS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(REPLACED), st.integers(1, 3)), min_size=1, max_size=2
)


@given(name=st.sampled_from(MEMBERS), swaps=SWAPS, edits=st.one_of(st.just([]), EDITS))
@settings(QUICK, max_examples=350)
def test_workbooks_with_other_content(
    logs: Any, name: str, swaps: list[tuple[bytes, bytes, int]], edits: list[tuple[float, int, bytes]]
) -> None:
    """Whole archives with XML that is broken, or says what no program writes."""
    content = members()[name]
    for old, new, times in swaps:
        content = content.replace(old, new, times)
    path = logs.text("x.xlsx")
    with zipfile.ZipFile(path, "w") as archive:
        for member, plain in members().items():
            archive.writestr(member, edited(content, edits) if member == name else plain)
    outcomes(logs, path, "MMStar")


# --- trees ------------------------------------------------------------------------------------------------------------

STEMS = [
    "Gemini_MMStar",
    "Gemini_MMStar_openai_result",
    "Gemini_MMStar_KO",
    "Gemini",
    "x",
    "Gemini_MathVerse_MINI_gpt_score",
]
STEMS += [
    "Gemini-Pro_MMStar",
    "Gemini_AI2D",
    "Gemini_AI2D_TEST",
    "status",
    "~$Gemini_MMStar",
    "Gemini_MMStar_exact_matching",
]
NAMES = st.tuples(
    st.one_of(st.sampled_from(STEMS), st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8)),
    st.sampled_from(["", ".xlsx", ".tsv", ".json", ".pkl", ".csv", ".lock", ".XLSX"]),
).map("".join)
FOLDERS = st.sampled_from(
    ["", "Gemini", "Gemini-Pro", "Gemini/T20260901-120000", "Gemini/T20251025_G", "T20260901-120000"]
)
TREES = st.sampled_from(["", "VLMEvalKit_evaluation", "VLMEvalKit_inference", "LMUData"])
ENTRIES = st.lists(st.tuples(TREES, FOLDERS, NAMES, st.sampled_from(["file", "folder", "link", "loop"])), max_size=8)


@given(
    entries=ENTRIES, target=NAMES, run=st.sampled_from([None, "T20251025_G"]), judge=st.sampled_from([None, "openai"])
)
@settings(QUICK, max_examples=120)
def test_trees(logs: Any, entries: list[tuple[str, str, str, str]], target: str, run: str, judge: str) -> None:
    """Trees of any names, links among them: a listing that is the same twice, or an error."""
    shutil.rmtree(logs.root, ignore_errors=True)
    for tree, folder, name, kind in entries:
        path = logs.root / tree / folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "folder":
                path.mkdir()
            elif kind == "file":
                path.touch()
            else:
                path.symlink_to(target if kind == "link" else name)
        except (OSError, UnicodeEncodeError):  # a name that is taken, or that the file system does not hold
            continue
    listings: list[Listing] = []
    for _ in range(2):
        clean(logs, lambda: listings.append(logs.list(run=run, judge=judge)))
    if not listings:
        return
    first, second = listings
    assert first == second
    assert all(os.path.lexists(p) for p in first.ignored)
    assert all(f.is_file() for part in first.parts for f in part.files)


@pytest.mark.parametrize("column", ["image", "image_path"])
@given(cell=st.one_of(CELLS, st.lists(CELLS, max_size=3).map(str), st.text(max_size=300)))
@QUICK
def test_image_cells(logs: Any, png: Any, column: str, cell: str) -> None:
    """Whatever stands where an image or its path should stand."""
    other = png() if column == "image" else ""
    rows = [{"index": i, "question": "?", column: c} for i, c in (("1", cell), ("2", other))]
    clean(logs, lambda: logs.samples(logs.tsv("x.tsv", rows)), logs.root / "x.tsv")
