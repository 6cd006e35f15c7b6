"""Broken inputs, as a table: what is written, and the words, the place and the fix that its error must hold.

Nothing here may crash, pass, or come out as a number.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import openpyxl
import pytest

Make = Callable[[Any, Path], object]
"""Writes a broken file at a path below the tree."""

EXTENSIONS = (".xlsx", ".tsv", ".json")
PICTURE = "iVBORw0KGgo" + "A" * 101
RUN = "T20260901-120000"


@attrs.frozen
class Broken:
    """A broken input: how it is written, how it is read, and what its error must say.

    ``place`` stands for the file's name where it begins with a comma or is empty.
    """

    id: str
    name: str
    make: Make
    words: tuple[str, ...]
    place: str
    fix: str
    dataset: str = "MMStar"
    read: str = "outcomes"
    params: Mapping[str, Any] = attrs.field(factory=dict)


# --- writing ----------------------------------------------------------------------------------------------------------


def content(data: bytes | str) -> Make:
    """Write these bytes."""
    return lambda logs, path: path.write_bytes(data.encode() if isinstance(data, str) else data)


def table(*rows: Mapping[str, Any]) -> Make:
    """Write these rows, in the format that the file's name tells."""

    def make(logs: Any, path: Path) -> None:
        where = path.relative_to(logs.root)
        if path.suffix == ".xlsx":
            logs.book(where, rows)
        elif path.suffix == ".json":
            path.write_text(json.dumps(rows), encoding="utf-8")
        else:
            logs.tsv(where, [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows])

    return make


def damaged(change: Callable[[bytes], bytes], *, member: str = "") -> Make:
    """Write a workbook, and change its bytes or those of one file inside it."""

    def make(logs: Any, path: Path) -> None:
        logs.book(path.relative_to(logs.root), [{"index": i, "prediction": f"answer {i}"} for i in range(40)])
        if member:
            logs.rewrite(path, member, change)
        else:
            path.write_bytes(change(path.read_bytes()))

    return make


def archive(**members: str) -> Make:
    """Write a zip archive of something else."""

    def make(logs: Any, path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name, text in members.items():
                file.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)

    return make


def formula(column: str, text: str, value: object, *, calculated: bool = True) -> Make:
    """Write a workbook with a formula, or an error cell, in one column of its second row."""

    def make(logs: Any, path: Path) -> None:
        row = {"index": 1, "question": "?", "prediction": "A", "hit": 1, "output_tokens": 3}
        rows = [row, row | {"index": 2, column: logs.formula(text, value)}]
        logs.book(path.relative_to(logs.root), rows, calculated=calculated)

    return make


def duration(days: str) -> Make:
    """Write a workbook with a cell that is shown as a duration."""

    def make(logs: Any, path: Path) -> None:
        book = openpyxl.Workbook()
        book.active.append(["index", "prediction"])
        book.active.append([1, 77])
        book.active["B2"].number_format = "[h]:mm:ss"
        book.save(path)
        logs.rewrite(path, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b">77<", f">{days}<".encode()))

    return make


def answer(**cells: Any) -> dict[str, Any]:
    """Return a row of results."""
    return {"index": 1, "question": "?", "prediction": "A"} | cells


def question(**cells: Any) -> dict[str, Any]:
    """Return a row of a TSV file of samples."""
    return {"index": "1", "question": "?", "image": PICTURE} | cells


def by_path(named: str) -> Make:
    """Write a TSV file whose second row names an image file."""
    return table(*({"index": str(i), "question": "?", "image_path": p} for i, p in ((1, "a.png"), (2, named))))


# --- the table --------------------------------------------------------------------------------------------------------


def files() -> Iterator[Broken]:
    """Yield files that are not what their name says."""
    contents = {
        "nothing": b"",
        "a page of HTML": b"<!DOCTYPE html><html>Not found</html>",
        "a page of text": "no table at all\n",
        "an LFS pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
        "NULs": bytes(64),
        "UTF-16": "index\tprediction\n1\tA\n".encode("utf-16"),
        "a pickle": b"\x80\x04cos\nsystem\n(S'false'\ntR.",
    }
    for what, data in contents.items():
        said = {".xlsx": ("not a readable xlsx workbook", "again"), ".json": ("is not valid JSON", "again")}
        tsv = (
            ("is not encoded as UTF-8", "UTF-8") if what in ("UTF-16", "a pickle") else ("no column 'index'", "'index'")
        )
        tsv = ("first line, which names the columns, is empty", "again") if what == "nothing" else tsv
        for extension in EXTENSIONS:
            word, fix = said.get(extension, tsv)
            yield Broken(f"{extension} of {what}", f"x{extension}", content(data), (word,), "", fix)


def workbooks() -> Iterator[Broken]:
    """Yield workbooks that are damaged, or hold what cannot be trusted."""
    unreadable = ("not a readable xlsx workbook",)
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        cut = damaged(lambda b, share=share: b[: int(len(b) * share)])  # type: ignore[misc]
        yield Broken(f"cut at {share:.0%}", "x.xlsx", cut, unreadable, "", "half-written")
    yield Broken("an empty archive", "x.xlsx", archive(), (*unreadable, "xl/workbook.xml"), "", "another format")
    yield Broken("an archive of notes", "x.xlsx", archive(notes="hi"), unreadable, "", "another format")
    yield Broken("broken XML of the book", "x.xlsx", archive(xl__workbook_xml="<workbook"), unreadable, "", "again")
    edits = {
        "xl/workbook.xml": (b"<sheet ", b"<sheep "),
        "xl/_rels/workbook.xml.rels": (b"rId1", b"rId7"),
        "xl/worksheets/sheet1.xml": (b"</sheetData>", b""),
        "xl/sharedStrings.xml": (b"</si>", b""),
    }
    for member, (old, new) in edits.items():
        change = damaged(lambda b, old=old, new=new: b.replace(old, new), member=member)  # type: ignore[misc]
        yield Broken(f"broken {member}", "x.xlsx", change, unreadable, "", "again")
    row = b'<row r="2"'
    for number in (b"", b"x", b"A2", b"-1"):
        new = b'<row r="' + number + b'"><c t="e"><v>#N/A</v></c></row>' + row
        change = damaged(lambda b, new=new: b.replace(row, new), member="xl/worksheets/sheet1.xml")  # type: ignore[misc]
        yield Broken(f"a row of number {number!r}", "x.xlsx", change, (".xlsx",), "", "again")
    yield Broken("a duration beyond all bounds", "x.xlsx", duration("1e308"), unreadable, "", "again")
    far = damaged(lambda b: b.replace(b'r="A2"', b'r="XFD1048576"'), member="xl/worksheets/sheet1.xml")
    yield Broken("a cell far out", "x.xlsx", far, ("spans 1,048,576 rows", "limit"), "", "far from the table")
    for place in (b'r="xfd1048576"', b'r = "B99999999"', b"r\n=\t'CCC9999999'", b'r="AAAAAA41"', b'r="B000099999999"'):
        far = damaged(lambda b, place=place: b.replace(b'r="A2"', place), member="xl/worksheets/sheet1.xml")  # type: ignore[misc]
        yield Broken(f"a cell at {place!r}", "x.xlsx", far, ("spans", "limit"), "", "far from the table")
    sheet = ", sheet 'Sheet1'"
    for column in ("index", "prediction", "hit", "output_tokens"):
        for error in ("#N/A", "#REF!"):
            words = (repr(column), "row 3 is an error cell", error)
            yield Broken(f"{error} in {column}", "x.xlsx", formula(column, "=x", error), words, sheet, "plain values")
        words = (repr(column), "row 3 is a formula that was never calculated", "=1+1")
        lost = formula(column, "=1+1", 0, calculated=False)
        yield Broken(f"an old formula in {column}", "x.xlsx", lost, words, sheet, "plain values")
    for column in ("index", "prediction", "output_tokens"):
        words = (repr(column), "row 3 is a formula (=1+1)")
        yield Broken(f"a formula in {column}", "x.xlsx", formula(column, "=1+1", 2), words, sheet, "plain values")
    lost = formula("question", "=1+1", 2)
    words = ("'question'", "row 3 is a formula")
    yield Broken("a formula in a question", "x.xlsx", lost, words, sheet, "plain values", read="questions")


def columns_and_rows() -> Iterator[Broken]:
    """Yield tables of each format whose columns, indices or answers are wrong."""
    second = {".xlsx": ", sheet 'Sheet1', row 3", ".tsv": ", line 3", ".json": ", object 2"}
    unit = {".xlsx": "row 2", ".tsv": "line 2", ".json": "object 1"}
    for extension in EXTENSIONS:
        name, place = f"x{extension}", second[extension]
        for column in ("index", "prediction"):
            row = {k: v for k, v in answer().items() if k != column}
            words = (f"there is no column {column!r}", ", ".join(row))
            yield Broken(f"no {column} in {extension}", name, table(row), words, "", f"add a column {column!r}")
        row = {"index": 1, "prediction": "A"}
        words = ("no column 'question'",)
        yield Broken(f"no question in {extension}", name, table(row), words, "", "'question'", read="questions")
        for shown, index in {"empty": "", "gone": None}.items():
            rows = table(answer(), answer(index=index), answer(index=3))
            yield Broken(f"{shown} index in {extension}", name, rows, ("index is empty",), place, "give every row")
        for index in (1, "1", 1.0, "1.00"):
            words = ("index '1' stands in", unit[extension])
            rows = table(answer(), answer(index=index))
            yield Broken(f"index {index!r} again in {extension}", name, rows, words, place, "remove one")
        rows = table(answer(id="a"), answer(index=2, id="a"))
        words = ("id 'a' stands in", unit[extension])
        yield Broken(f"id again in {extension}", name, rows, words, place, "remove one", "MMMU_DEV_VAL")
        rows = table(answer(id="a"), answer(index=2, id=""))
        yield Broken(f"empty id in {extension}", name, rows, ("id is empty",), place, "the id", "MMMU_DEV_VAL")


def cells() -> Iterator[Broken]:
    """Yield verdicts and token counts that are none."""
    second = {".xlsx": ", sheet 'Sheet1', row 3", ".tsv": ", line 3", ".json": ", object 2"}
    verdicts = {"is_correct": "MMStar", "hit": "MMStar", "score": "HallusionBench"}
    for column, dataset in verdicts.items():
        for extension in EXTENSIONS:
            for cell in ("maybe", 0.5, 2, ""):
                rows = table(answer(**{column: 1}), answer(index=2, **{column: cell}))
                words = (f"{column} of index '2' is", "neither 0 nor 1")
                name = f"{column} {cell!r} in {extension}"
                yield Broken(name, f"x{extension}", rows, words, second[extension], "write 0 or 1", dataset)
    for cell in ("[2.0]", "[-0.5]", "[nan]", "[]", "['a']", "[0.5", "f()", "", "{[]}"):
        rows = table(answer(eval_match="[1.0]"), answer(index=2, eval_match=cell))
        words = ("eval_match of index '2' is", "not a list of numbers from 0 to 1")
        yield Broken(f"eval_match {cell}", "x.tsv", rows, words, ", line 3", "evaluate again", "DocVQA_VAL")
    for column in ("input_tokens", "completion_tokens"):
        for cell in (1.5, -1, "many", "", "1e999"):
            rows = table(answer(**{column: 3}), answer(index=2, **{column: cell}))
            words = (f"{column} of index '2' is", "not a number of tokens")
            yield Broken(f"{column} {cell!r}", "x.tsv", rows, words, ", line 3", "whole number")


def json_files() -> Iterator[Broken]:
    """Yield what is wrong with JSON files only."""
    again = "again"
    listed = "not a JSON list of objects"
    contents: dict[str, tuple[str, tuple[str, ...], str, str]] = {
        "half a list": ('[{"index": 1, "prediction": "A"}, {"ind', ("not valid JSON",), "", again),
        "half a text": ('[{"index": 1, "prediction": "A', ("not valid JSON",), "", again),
        "lines of objects": ('{"index": 1}\n{"index": 2}\n', ("not valid JSON", "Extra data"), "", again),
        "lists by column": ('{"index": [1], "prediction": ["A"]}', ("by columns", "index, prediction"), "", "by rows"),
        "objects by column": ('{"index": {"0": 1}, "prediction": {"0": "A"}}', ("by columns",), "", "by rows"),
        "an object": ('{"index": 1, "prediction": "A"}', (listed,), "", again),
        "a cache of a judge": ('{"1": {"hit": 1, "log": ""}}', (listed,), "", again),
        "a list of lists": ('[["index", "prediction"], [1, "A"]]', (listed,), "", again),
        "a number": ("7", (listed,), "", again),
        "null": ("null", (listed,), "", again),
        "an empty list": ("[]", ("an empty list",), "", "run the model again"),
        "an empty object": ("[{}]", ("no column 'index'",), "", "'index'"),
        "deep nesting": ("[" * 100_000, ("not valid JSON",), "", again),
        "a key twice": ('[{"index": 1, "index": 2}]', ("one key twice",), "", again),
        "a huge number": (f'[{{"index": {"9" * 5000}}}]', ("not valid JSON",), "", again),
        "a missing answer": (
            '[{"index": 1, "prediction": "A"}, {"index": 2}]',
            ("object 2 does not have it",),
            "",
            "plain",
        ),
        "a listed index": (
            '[{"index": [1], "prediction": "A"}]',
            ("index is a list",),
            ", object 1",
            "a text or a number",
        ),
        "an answer in parts": (
            '[{"index": 1, "prediction": {"role": "assistant"}}]',
            ("prediction is an object",),
            ", object 1",
            "a text or a number",
        ),
        "a listed verdict": (
            '[{"index": 1, "prediction": "A", "hit": [1]}]',
            ("hit of index '1' is [1]",),
            "",
            "write 0 or 1",
        ),
        "a verdict NaN": (
            '[{"index": 1, "prediction": "A", "hit": NaN}]',
            ("hit of index '1' is nan",),
            "",
            "write 0 or 1",
        ),
        "infinitely many tokens": (
            '[{"index": 1, "prediction": "A", "input_tokens": Infinity}]',
            ("input_tokens of index '1' is inf",),
            ", object 1",
            "whole number",
        ),
        "an index NaN": ('[{"index": NaN, "prediction": "A"}]', ("index is empty",), ", object 1", "give every row"),
    }
    for what, (data, words, place, fix) in contents.items():
        yield Broken(f"JSON: {what}", "x.json", content(data), words, place, fix)
    yield Broken("JSON: Latin-1", "x.json", content(b'[{"a": "\xe9"}]'), ("utf-8",), "", again)
    yield Broken("JSON: raw surrogate", "x.json", content(b'["\xed\xa0\x80"]'), ("utf-8",), "", again)


def tsv_results() -> Iterator[Broken]:
    """Yield what is wrong with TSV files of results only."""
    head = "index\tprediction\n1\tA\n"
    yield Broken(
        "TSV: cut in quotes", "x.tsv", content(head + '2\t"B'), ("broken or cut off",), ", after line 2", "again"
    )
    yield Broken("TSV: a short row", "x.tsv", content(head + "2\n"), ("1 cells, the header 2",), ", line 3", "cut off")
    yield Broken("TSV: a long row", "x.tsv", content(head + "2\tB\tC"), ("3 cells",), ", line 3", "cut off")
    yield Broken(
        "TSV: a stray quote", "x.tsv", content(head + '2\t"B"C'), ("broken or cut",), ", after line 2", "again"
    )
    yield Broken("TSV: commas", "x.tsv", content("index,prediction\n1,A\n"), ("no column 'index'",), "", "'index'")
    yield Broken("TSV: no rows", "x.tsv", content("index\tprediction\n"), ("no rows below",), "", "leave the file out")
    twice = content("index\tprediction\tprediction\n1\tA\tB\n")
    yield Broken("TSV: a column twice", "x.tsv", twice, ("several columns 'prediction'",), "", "keep one")
    surrogate = content(head.encode() + b"2\t\xed\xa0\x80\n")
    yield Broken("TSV: a lone surrogate", "x.tsv", surrogate, ("not encoded as UTF-8",), "", "UTF-8")


def tsv_samples() -> Iterator[Broken]:
    """Yield TSV files of samples with broken rows and images."""

    def broken(what: str, make: Make, words: tuple[str, ...], place: str, fix: str, dataset: str = "MMStar") -> Broken:
        return Broken(f"samples: {what}", "x.tsv", make, words, place, fix, dataset, "samples")

    for column in ("index", "question", "image"):
        row = {k: v for k, v in question(answer="A").items() if k != column}
        yield broken(f"no {column}", table(row), (f"one column {column!r}",), "", "index, question and image")
    yield broken("no id", table(question()), ("one column 'id'",), "", "again", "MMMU_DEV_VAL")
    yield broken("no rows", content("index\tquestion\timage\n"), ("no rows below its header",), "", "again")
    yield broken("nothing", content(""), ("the file is empty",), "", "again")
    twice = content(f"index\tquestion\timage\tA\tA\n1\t?\t{PICTURE}\tx\ty\n")
    yield broken("a column twice", twice, ("several columns 'A'",), "", "keep one")
    yield broken(
        "an empty index", table(question(), question(index="")), ("index is empty",), ", line 3", "every sample"
    )
    again = table(question(), question(index="1.0"))
    yield broken("an index again", again, ("index '1' stands in line 2",), ", line 3", "keep one")
    rotation = table(question(), question(index="1000002"))
    words = ("1 questions have rotations, but no row of their own", "'1000002'")
    yield broken("a rotation alone", rotation, words, "", "lacks rows", "MMBench_DEV_EN_V11")
    for what, image in {
        "no base64": "*" * 80,
        "an odd length": "A" * 81,
        "a URL": "http://x/" * 9,
    }.items():
        rows = table(question(), question(index="2", image=image))
        yield broken(f"image of {what}", rows, ("not valid base64",), ", line 3", "copy the file")
    for what, image in {
        "nothing": "7",
        "itself": "2",
        "a word": "none",
        "a path": "images/1.png",
    }.items():
        rows = table(question(), question(index="2", image=image))
        words = (f"the image of index '2' is said to be that of index {image!r}",)
        yield broken(f"image of {what}", rows, words, ", line 3", "as base64")
    for cell in (f"['{PICTURE}'", f"[{PICTURE}]", f"['{PICTURE}'] + []", "[" * 90):
        rows = table(question(), question(index="2", image=cell))
        yield broken(f"images {cell[:3]}...{cell[-3:]}", rows, ("not a list literal",), ", line 3", "['...', '...']")
    for cell in ("['a'", "[{[]: 1}]", "[open('x')]"):
        rows = table(question(choices="[]"), question(index="2", choices=cell))
        yield broken(f"choices {cell}", rows, ("not a list literal",), ", line 3", "['...', '...']")
    many = table(question(choices=str(list(range(27)))))
    yield broken("27 choices", many, ("27 choices, more than there are letters",), ", line 2", "at most 26")


def image_files() -> Iterator[Broken]:
    """Yield image paths that lead nowhere, or out of the logs."""

    def with_files(named: str) -> Make:
        def make(logs: Any, path: Path) -> None:
            logs.text("images/MMStar/a.png", "x")
            logs.text("../secret.png", "x")
            logs.text("images/MMStar/large.png", "x" * 2000)
            (logs.root / "images" / "MMStar" / "out.png").symlink_to("../../../secret.png")
            (logs.root / "images" / "MMStar" / "loop.png").symlink_to("loop.png")
            (logs.root / "images" / "MMStar" / "gone.png").symlink_to("nowhere.png")
            by_path(named.replace("OUT", str(logs.root.parent / "secret.png")))(logs, path)

        return make

    nowhere = [
        "b.png",
        "../a.png",
        "images",
        "loop.png",
        "gone.png",
        "a\0b.png",
        "n" * 300,
        "x/" * 3000,
        "/nowhere/b.png",
    ]
    for named in nowhere:
        words = ("there is no image", named[:8].replace("\0", r"\x00"))
        name = f"image {named[:12]!r} that is not there"
        yield Broken(name, "x.tsv", with_files(named), words, ", line 3", "give its path below that", read="samples")
    for named in ("../../../secret.png", "OUT", "out.png", "['a.png', '../../../secret.png']"):
        words = ("is outside the logs' folders",)
        name = f"image {named!r} outside the logs"
        yield Broken(name, "x.tsv", with_files(named), words, ", line 3", "give its path below that", read="samples")
    words = ("'large.png' is 2,000 bytes large", "limit of 1,000")
    large = with_files("large.png")
    yield Broken("an image that is large", "x.tsv", large, words, ", line 3", "a smaller one", read="samples")
    broken = with_files("['a.png'")
    yield Broken(
        "paths that are no list", "x.tsv", broken, ("not a list literal",), ", line 3", "['...'", read="samples"
    )


def pairs_of_files() -> Iterator[Broken]:
    """Yield predictions and verdicts that do not belong together."""
    others = table(answer(index=7, hit=1), answer(index=8, hit=0))
    words = ("2 scored rows have no prediction", "'7', '8'")
    yield Broken(
        "verdicts of other rows", "y.xlsx", others, words, ", sheet 'Sheet1', row 2", "of one run", read="scored"
    )
    changed = table(answer(prediction="B", hit=1))
    words = ("1 answers are not those of", "index '1'")
    yield Broken("stale verdicts", "y.tsv", changed, words, ", line 2", "drop-verdict", read="scored")
    broken = content('[{"index": 1, "hi')
    yield Broken("verdicts cut off", "y.json", broken, ("not valid JSON",), "", "again", read="scored")


def trees() -> Iterator[Broken]:
    """Yield trees that hold nothing, or what is not known."""

    def tree(what: str, name: str, words: tuple[str, ...], place: str, fix: str, **params: Any) -> Broken:
        return Broken(f"tree: {what}", name, table(answer()), words, place, fix, read="list", params=params)

    unknown = ("belongs to no known dataset", "Gemini_DATASET")
    for rest in ("MMStar_KO", "MMBench_DEV_EN", "Unheard", "MMStar_MINI_openai_result", "mmstar"):
        yield tree(f"dataset {rest}", f"Gemini/Gemini_{rest}.xlsx", unknown, f"Gemini_{rest}.xlsx", "[[dataset]]")
    yield tree("another model's file", "Gemini/GPT4o_MMStar.tsv", unknown, "GPT4o_MMStar.tsv", "[[dataset]]")
    yield tree(
        "an unknown model",
        "Gemini2/Gemini2_MMStar.xlsx",
        ("'Gemini2' is not a known model",),
        "Gemini2",
        "did you mean",
    )
    nothing = ("holds no results of a known model and dataset",)
    yield tree(
        "only intermediate files",
        "Gemini/Gemini_MathVerse_MINI_j_extract.xlsx",
        (*nothing, "intermediate"),
        "",
        "[logs]",
    )
    yield tree("one model's own folder", "Gemini_MMStar.xlsx", nothing, "", "a folder per model")
    yield tree(
        "one level too deep", "outputs/Gemini/Gemini_MMStar.xlsx", ("'outputs' is not a known model",), "", "[[model]]"
    )
    yield tree(
        "a run that is not there",
        "Gemini/Gemini_MMStar.xlsx",
        ("in run 'T1'", "none"),
        "[logs] run",
        "leave out",
        run="T1",
    )
    yield tree(
        "another run",
        f"Gemini/{RUN}/Gemini_MMStar.xlsx",
        ("in run 'T1'", RUN),
        "[logs] run",
        "one of these runs",
        run="T1",
    )
    verdicts = "Gemini/Gemini_MMStar_openai_result.xlsx"
    words = ("no verdicts of judge 'x'", "'chatgpt-0125'")
    yield tree("a judge that is not there", verdicts, words, "[logs] judge", "leave it out", judge="x")
    words = ("no folder with the datasets' TSV files", "TSV_images", "LMUData")
    yield tree("no images", "Gemini/Gemini_MMStar.xlsx", words, "[logs]", 'images = "none"', images="required")
    words = ("no folder with the datasets' TSV files", "/nowhere")
    far = {"images": "required", "data": Path("/nowhere")}
    yield tree("no folder of images", "Gemini/Gemini_MMStar.xlsx", words, "[logs]", "data =", **far)


TABLE = [
    *files(),
    *workbooks(),
    *columns_and_rows(),
    *cells(),
    *json_files(),
    *tsv_results(),
    *tsv_samples(),
    *image_files(),
    *pairs_of_files(),
    *trees(),
]


def reading(logs: Any, broken: Broken, path: Path) -> None:
    """Read a broken input in its way."""
    if broken.read == "list":
        logs.list(**broken.params)
    elif broken.read == "scored":
        logs.outcomes(logs.book("answers.xlsx", [{"index": 1, "prediction": "A"}]), path, dataset=broken.dataset)
    elif broken.read == "outcomes":
        logs.outcomes(path, dataset=broken.dataset)
    else:
        logs.samples(path, broken.dataset, images="required" if broken.read == "samples" else "none")


@pytest.mark.parametrize("broken", TABLE, ids=[b.id.replace("\0", "NUL") for b in TABLE])
def test_broken_inputs(logs: Any, refused: Any, monkeypatch: Any, broken: Broken) -> None:
    """Every broken input is refused with an error that names the thing, the value, the place and the fix."""
    monkeypatch.setattr("vlrb_plugins.vlmevalkit.samples.LARGEST_IMAGE_FILE", 1000)
    path = logs.root / broken.name
    path.parent.mkdir(parents=True)
    broken.make(logs, path)
    place = f"{path}{broken.place}" if not broken.place or broken.place.startswith(",") else broken.place
    with refused(
        *broken.words, place=logs.root if broken.read == "list" and not broken.place else place, fix=broken.fix
    ):
        reading(logs, broken, path)


def test_there_are_enough_broken_inputs() -> None:
    """The table covers at least 110 inputs, each of its own name."""
    assert len(TABLE) >= 110
    assert len({b.id for b in TABLE}) == len(TABLE)


def test_indices_that_a_workbook_has_rounded(logs: Any, refused: Any) -> None:
    """A workbook holds numbers of 15 digits: longer ones are not what they were, whether or not two of them became one."""
    path = logs.book("x.xlsx", [{"index": i, "prediction": "A"} for i in (7, 20231015123456781)])
    with refused("15 digits", "20231015123456780", "1 rows", place=f"{path}, sheet 'Sheet1', row 3", fix="as text"):
        logs.outcomes(path)
    path = logs.book("x.xlsx", [{"index": str(i), "prediction": "A"} for i in (7, 20231015123456781)])
    assert [row["key"] for row in logs.outcomes(path)] == ["7", "20231015123456781"]
