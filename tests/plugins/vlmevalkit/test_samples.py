"""Samples and their images from LMUData TSV files."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.api.images import open_image
from vlrb.api.logs import Part
from vlrb.errors import DataError
from vlrb_plugins.vlmevalkit import samples
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams


def row(index: str, image: str, **more: str) -> dict[str, str]:
    """Return a row of a TSV file."""
    return {"index": index, "question": f"Question {index}?", "image": image, **more}


def raw(image: str) -> bytes:
    """Return the bytes of an image's base64 text."""
    return base64.b64decode(image)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_a_sample(logs: Any, png: Any) -> None:
    """Question, options, hint, answer and image of a row."""
    path = logs.tsv("x.tsv", [row("1", png(), hint="Look.", A="cat", B="dog", C="", answer="B", category="pets")])
    assert logs.samples(path)["1"] == {
        "dataset": "MMStar",
        "key": "1",
        "question": "Question 1?",
        "options": [{"letter": "A", "text": "cat"}, {"letter": "B", "text": "dog"}],
        "hint": "Look.",
        "answer": "B",
        "images": [raw(png())],
        "fields": [("category", "pets")],
        "rotations": None,
        "groups": None,
    }


@pytest.mark.parametrize(
    "text", ["None", "NA", "nan", "007", "3.0", " A ", "a\nb", "a\r\nb", "a\tb", 'say "a"', "\f", "="]
)
def test_texts_are_kept(logs: Any, png: Any, text: str) -> None:
    """What pandas would make a gap or a number, and line breaks and tabs inside quotes, are texts as they stand."""
    path = logs.tsv(
        "x.tsv",
        [
            row("1", png(), A=text, B="b", answer=text) | {"question": text},
            row("2", png()) | dict.fromkeys(["A", "B", "answer"], "x"),
        ],
    )
    sample = logs.samples(path)["1"]
    assert (sample["question"], sample["answer"]) == (text, text)
    assert sample["options"][0] == {"letter": "A", "text": text}
    assert len(logs.samples(path)) == 2


def test_byte_order_mark(logs: Any, png: Any) -> None:
    """A mark that spreadsheet programs put before the first name is not part of it."""
    path = logs.tsv("x.tsv", [row("1", png())])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(logs.samples(path)) == ["1"]


@pytest.mark.parametrize(
    ("choices", "options"),
    [
        ("['10', '12']", ["10", "12"]),
        ("[10, 2.5, None]", ["10", "2.5", "None"]),
        ("[]", []),
        ("", []),
        ('["it\'s", "a\\tb"]', ["it's", "a\tb"]),
    ],
)
def test_choices(logs: Any, png: Any, choices: str, options: list[str]) -> None:
    """MathVision and MathVista keep their options in a list literal; an empty one is an open question."""
    sample = logs.samples(logs.tsv("x.tsv", [row("1", png(), choices=choices)]))["1"]
    assert [o["text"] for o in sample["options"]] == options
    assert [o["letter"] for o in sample["options"]] == ["A", "B", "C"][: len(options)]


def test_lettered_options_come_before_choices(logs: Any, png: Any) -> None:
    """Where both are there, the columns A, B, ... are what was asked."""
    sample = logs.samples(logs.tsv("x.tsv", [row("1", png(), A="x", choices="['y']")]))["1"]
    assert sample["options"] == [{"letter": "A", "text": "x"}]


@pytest.mark.parametrize("choices", ["['a'", "[open('x')]", "[" * 5000])
def test_broken_choices(logs: Any, refused: Any, png: Any, choices: str) -> None:
    """A list literal that is none is an error with its line; nothing is evaluated."""
    path = logs.tsv("x.tsv", [row("1", png(), choices=choices)])
    with refused("not a list literal", choices[:10], place=f"{path}, line 2", fix="['...', '...']"):
        logs.samples(path)


def test_samples_are_named_by_id(logs: Any, refused: Any, png: Any) -> None:
    """MMMU's samples are named by ``id``; references to images still go by ``index``."""
    path = logs.tsv("x.tsv", [row("1", png(), id="dev_1"), row("2", "1", id="dev_2")])
    read = logs.samples(path, "MMMU_DEV_VAL")
    assert list(read) == ["dev_1", "dev_2"]
    assert read["dev_2"]["images"] == [raw(png())]
    path = logs.tsv("y.tsv", [row("1", png(), id="dev_1"), row("2", png(), id="dev_1")])
    with refused("id 'dev_1' stands in line 2", place=f"{path}, line 3", fix="keep one"):
        logs.samples(path, "MMMU_DEV_VAL")


@pytest.mark.parametrize("column", ["index", "id"])
def test_empty_keys(logs: Any, refused: Any, png: Any, column: str) -> None:
    """A sample without a key cannot be joined to its answers."""
    path = logs.tsv("x.tsv", [row("1", png(), id="dev_1") | {column: ""}])
    dataset = "MMMU_DEV_VAL" if column == "id" else "MMStar"
    with refused(f"{column} is empty", place=f"{path}, line 2", fix="every sample"):
        logs.samples(path, dataset)


# --- images -----------------------------------------------------------------------------------------------------------


def test_several_images(logs: Any, png: Any) -> None:
    """A list literal holds several images, in order."""
    path = logs.tsv("x.tsv", [row("1", str([png(1), png(2)])), row("2", "1")])
    read = logs.samples(path)
    assert read["1"]["images"] == [raw(png(1)), raw(png(2))]
    assert read["2"]["images"] == read["1"]["images"]


def test_references(logs: Any, png: Any) -> None:
    """A short image cell names the row that holds the image, before it or after it, whatever its index looks like."""
    rows = [row("2", "b-7"), row("1", png(1)), row("3", "1"), row("b-7", png(2)), row("4", "1"), row("5", "2")]
    read = logs.samples(logs.tsv("x.tsv", rows))
    one, two = [raw(png(1))], [raw(png(2))]
    assert {key: sample["images"] for key, sample in read.items()} == {
        "1": one,
        "2": two,
        "3": one,
        "4": one,
        "5": two,
        "b-7": two,
    }


@pytest.mark.parametrize("order", [["1", "2", "3"], ["2", "3", "1"], ["2", "1", "3"]])
def test_references_to_references(logs: Any, png: Any, order: list[str]) -> None:
    """A reference to a row that is itself a reference works when that row comes first, as in VLMEvalKit."""
    rows = {"1": row("1", png()), "2": row("2", "1"), "3": row("3", "2")}
    read = logs.samples(logs.tsv("x.tsv", [rows[i] for i in order]))
    assert [read[i]["images"] for i in "123"] == [[raw(png())]] * 3


@pytest.mark.parametrize(
    "rows",
    [
        [row("1", "7")],
        [row("1", "1")],
        [row("2", ""), row("1", "2")],
        [row("1", "2"), row("2", "")],
        [row("1", "2"), row("2", "1")],
    ],
    ids=["nothing", "itself", "no image before", "no image after", "each other"],
)
def test_references_to_nothing(logs: Any, refused: Any, png: Any, rows: list[dict[str, str]]) -> None:
    """A row whose image is nowhere is an error, not a question without an image."""
    path = logs.tsv("x.tsv", [*rows, row("9", png())])
    line = 2 + [r["index"] for r in rows].index("1")
    words = ("index '1'", repr(next(r["image"] for r in rows if r["index"] == "1")), "which has none")
    with refused(*words, place=f"{path}, line {line}", fix="base64"):
        logs.samples(path)


def test_rows_without_image(logs: Any, png: Any) -> None:
    """Where other rows have images, a row without one is left out, as VLMEvalKit does, and counted: never blackened."""
    path = logs.tsv("x.tsv", [row("1", ""), row("2", png())])
    assert list(logs.samples(path)) == ["2"]
    assert logs.counts(path) == {samples.NO_IMAGE: 1}


def test_datasets_without_images(logs: Any) -> None:
    """Where no row has an image, the dataset asks about texts alone."""
    path = logs.tsv("x.tsv", [row("1", ""), row("2", "")])
    assert [s["images"] for s in logs.samples(path).values()] == [[], []]
    assert logs.counts(path) == {}


def test_rotations_are_no_samples(logs: Any, png: Any) -> None:
    """MMBench's rotations are no samples of their own, but their images can be referred to."""
    rows = [row("5", "1000005"), row("1000005", png(1)), row("2000005", "5"), row("6", png(2)), row("7", "1000005")]
    read = logs.samples(logs.tsv("x.tsv", rows), "MMBench_DEV_EN_V11")
    assert sorted(read) == ["5", "6", "7"]
    assert read["5"]["images"] == read["7"]["images"] == [raw(png(1))]
    assert len(logs.samples(logs.root / "x.tsv", "MMStar")) == 5


@pytest.mark.parametrize("broken", ["x" * 81, "*" * 80, "data:image/png," + "A" * 80, "['" + "x" * 81 + "']"])
def test_broken_base64(logs: Any, refused: Any, png: Any, broken: str) -> None:
    """An image that is no base64 is an error with its line."""
    path = logs.tsv("x.tsv", [row("1", png()), row("2", broken)])
    with refused("not valid base64", place=f"{path}, line 3", fix="copy the file"):
        logs.samples(path)


def test_large_files_come_in_several_batches(logs: Any, png: Any, monkeypatch: Any) -> None:
    """Memory holds a batch, not the file; nothing is lost or repeated at the seams."""
    monkeypatch.setattr(samples, "BATCH_BYTES", 2 * len(raw(png())))
    path = logs.tsv("x.tsv", [row("f", "9"), *(row(str(i), png(i)) for i in range(10)), row("b", "0")])
    batches = list(samples.read_samples(path, logs.catalog.dataset("MMStar"), VlmevalkitParams(path=logs.root)))
    assert len(batches) > 3
    read = logs.samples(path)
    assert len(read) == 12
    assert read["f"]["images"] == [raw(png(9))]


def test_a_cell_longer_than_the_csv_modules_limit(logs: Any) -> None:
    """Images are longer than Python's default limit for a field."""
    image = base64.b64encode(bytes(200_000)).decode()
    assert logs.samples(logs.tsv("x.tsv", [row("1", image)]))["1"]["images"] == [bytes(200_000)]


# --- image files ------------------------------------------------------------------------------------------------------


def by_path(logs: Any, named: str, *, name: str = "MMStar", folder: str = "LMUData") -> Path:
    """Write a TSV file whose one row names image files."""
    path: Path = logs.tsv(f"{folder}/{name}.tsv", [{"index": "1", "question": "?", "image_path": named}])
    return path


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("images/MMStar/a.png", "a.png"),
        ("images/MMStar/x/a.png", "x/a.png"),
        ("images/other/a.png", "other/a.png"),
        ("pictures/a.png", "pictures/a.png"),
        ("images/MMStar/a.png", "./x/../a.png"),
        ("images/MMStar/a.png", "ROOT/LMUData/images/MMStar/a.png"),
        ("images/MMStar/a.png", "/another/machine/LMUData/images/MMStar/a.png"),
    ],
)
def test_images_by_path(logs: Any, where: str, named: str) -> None:
    """``image_path`` is looked up in LMUData/images/DATASET, then above it; absolute paths of another machine are found."""
    logs.text(f"LMUData/{where}", "picture")
    (sample,) = logs.samples(by_path(logs, named.replace("ROOT", str(logs.root)))).values()
    assert sample["images"] == [b"picture"]


def test_batches_name_the_image_files_that_were_looked_for(logs: Any) -> None:
    """Also those that were not there and would come first: when one of them appears, the part is read again."""
    logs.text("LMUData/images/other/a.png", "picture")
    part = Part("samples", "samples", (by_path(logs, "other/a.png"),), "MMStar")
    (batch,) = logs.batches(part, images="required")
    folder = logs.root / "LMUData" / "images"
    assert json.loads(batch.schema.metadata[b"files"]) == [
        str(folder / "MMStar" / "other" / "a.png"),
        str(folder / "other" / "a.png"),
    ]


def test_several_images_by_path(logs: Any) -> None:
    """A list literal names several files, in order."""
    for name in "ab":
        logs.text(f"LMUData/images/MMStar/{name}.png", name)
    (sample,) = logs.samples(by_path(logs, "['b.png', 'a.png']")).values()
    assert sample["images"] == [b"b", b"a"]


def test_the_folder_of_mmbench(logs: Any) -> None:
    """VLMEvalKit keeps MMBench's images in a folder of another name."""
    logs.text("LMUData/images/MMBench_V11/a.png", "picture")
    samples = logs.samples(by_path(logs, "a.png"), "MMBench_DEV_EN_V11")
    assert samples["1"]["images"] == [b"picture"]


def test_embedded_images_come_before_paths(logs: Any, png: Any) -> None:
    """Where the images are in the file, ``image_path`` only says what they were once called."""
    path = logs.tsv("x.tsv", [row("1", png(), image_path="nowhere.png")])
    assert logs.samples(path)["1"]["images"] == [raw(png())]


def test_images_in_lines(logs: Any, png: Any) -> None:
    """Some programs break base64 into lines."""
    image = png()
    path = logs.tsv("x.tsv", [row("1", "\n".join(image[i : i + 76] for i in range(0, len(image), 76)))])
    assert logs.samples(path)["1"]["images"] == [raw(image)]


@pytest.mark.parametrize("folder", ["LMUData", "TSV_images"])
def test_local_tsv_files(logs: Any, folder: str) -> None:
    """VLMEvalKit turns a TSV file of more than a gigabyte into DATASET_local.tsv, with paths of images."""
    logs.book("Gemini/Gemini_MMStar.xlsx", [{"index": 1, "prediction": "A"}])
    image = logs.text(f"{folder}/images/MMStar/a.png", "picture")
    local = by_path(logs, str(image), name="MMStar_local", folder=folder)
    part = next(p for p in logs.list(images="required").parts if p.kind == "samples")
    assert part.files == (local,)
    assert logs.read(part)[0]["images"] == [b"picture"]
    whole = logs.tsv(f"{folder}/MMStar.tsv", [row("1", "")])
    listing = logs.list(images="required")
    assert next(p for p in listing.parts if p.kind == "samples").files == (whole,)
    assert listing.ignored == {str(local): "another form of MMStar.tsv, which is read"}


def test_unreadable_images_are_named(logs: Any, tmp_path: Path) -> None:
    """Base64 that holds no picture is an error that names the sample where pictures are opened: nothing stands in."""
    path = logs.tsv("x.tsv", [row("1", base64.b64encode(b"no picture" * 9).decode())])
    (image,) = logs.samples(path)["1"]["images"]
    with pytest.raises(DataError, match="MMStar/1: an image cannot be read"):
        open_image(image, "MMStar/1")


# --- rotations, groups and duplicates -----------------------------------------------------------------------------------


def test_rotations(logs: Any, png: Any) -> None:
    """A question of MMBench carries its rotations: their keys, options and answers, in the order of the file."""
    rows = [
        row("5", png(), A="cat", B="dog", answer="A"),
        row("2000005", "5", A="b", B="", answer="A"),
        row("1000005", "5", A="dog", B="cat", answer="B"),
    ]
    sample = logs.samples(logs.tsv("x.tsv", rows), "MMBench_DEV_EN_V11")["5"]
    assert sample["rotations"] == [
        {"key": "2000005", "options": [{"letter": "A", "text": "b"}], "answer": "A"},
        {
            "key": "1000005",
            "options": [{"letter": "A", "text": "dog"}, {"letter": "B", "text": "cat"}],
            "answer": "B",
        },
    ]


@pytest.mark.parametrize(
    ("dataset", "index", "more", "group"),
    [
        ("MathVerse_MINI", "7", {"problem_index": "12"}, "MathVerse_MINI/12"),
        ("MathVerse_MINI", "7", {"problem_index": ""}, None),
        ("MathVerse_MINI", "7", {}, None),
        ("HallusionBench", "VD_video_0_1_2_3", {}, "HallusionBench/VD_video_0_1_2"),
        ("HallusionBench", "VS_chart_1_14_0_2", {}, "HallusionBench/VS_chart_1_14_0"),
        ("HallusionBench", "7", {}, None),
        ("MMStar", "7", {"problem_index": "12"}, None),
    ],
)
@pytest.mark.parametrize("extension", [".tsv", ".xlsx"])
def test_groups(
    logs: Any, png: Any, dataset: str, index: str, more: dict[str, str], group: str, extension: str
) -> None:
    """Problems of MathVerse and figures of HallusionBench are kept on one side of a split."""
    write = logs.tsv if extension == ".tsv" else logs.book
    path = write(f"x{extension}", [row(index, png(), **more)])
    (sample,) = logs.samples(path, dataset).values()
    assert sample["groups"] == ([group] if group else None)


def test_fields(logs: Any, png: Any) -> None:
    """Further columns go to the scorers; what answering and scoring add, or has no name or no text, does not."""
    more = {"answer_type": "text", "l2-category": "x", "log": "x", "hit": "1", "res": "x", "empty": "", "": "0"}
    sample = logs.samples(logs.tsv("x.tsv", [row("1", png(), **more)]))["1"]
    assert sample["fields"] == [("answer_type", "text"), ("l2-category", "x")]


def test_the_first_of_duplicates(logs: Any, png: Any) -> None:
    """duplicates = "first" keeps the first row of an index, and counts the others."""
    rows = [row("1", png(1)), row("2", png(2)), row("1", png(3)) | {"question": "again"}]
    path = logs.tsv("x.tsv", rows)
    assert [s["question"] for s in logs.samples(path, duplicates="first").values()] == ["Question 1?", "Question 2?"]
    assert logs.counts(path, duplicates="first") == {"rows left out, their index stood in an earlier one": 1}


def test_repeated_rotations(logs: Any, png: Any) -> None:
    """A rotation that appears twice is one rotation."""
    rows = [row("5", png(), answer=""), row("1000005", "5", answer="A"), row("1000005", "5", answer="B")]
    path = logs.tsv("x.tsv", rows)
    sample = logs.samples(path, "MMBench_DEV_EN_V11", duplicates="first")["5"]
    assert sample["rotations"] == [{"key": "1000005", "options": [], "answer": "A"}]


# --- broken files -----------------------------------------------------------------------------------------------------


def test_cut_off_inside_quotes(logs: Any, refused: Any, png: Any) -> None:
    """A file that ends inside a quoted field was cut off."""
    path = logs.tsv("x.tsv", [row("1", png()), row("2", png()) | {"question": "a\nb"}])
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("a\nb") + 2], encoding="utf-8")
    with refused("broken or cut off", "unexpected end", place=f"{path}, after line 2", fix="again"):
        logs.samples(path)


def test_cut_off_inside_an_image(logs: Any, refused: Any, png: Any) -> None:
    """Three of four cuts inside an image leave no valid base64; the fourth is a broken picture for whoever decodes it."""
    path = logs.tsv("x.tsv", [row("1", png()), row("2", png())])
    path.write_bytes(path.read_bytes()[:-4])
    with refused("not valid base64", place=f"{path}, line 3", fix="copy the file"):
        logs.samples(path)


@pytest.mark.parametrize(("cells", "count"), [("2\tWhat?", 2), ("2\tWhat?\tabc\td", 4), ("2", 1)])
def test_wrong_number_of_cells(logs: Any, refused: Any, png: Any, cells: str, count: int) -> None:
    """A row with more or fewer cells than the header has is an error with its line."""
    path: Path = logs.tsv("x.tsv", [row("1", png())])
    with path.open("a", encoding="utf-8") as file:
        file.write(cells)
    with refused(f"{count} cells, the header 3", place=f"{path}, line 3", fix="cut off"):
        logs.samples(path)


def test_no_utf8(logs: Any, refused: Any, png: Any) -> None:
    """A file in another encoding is an error of that file."""
    path = logs.tsv("x.tsv", [row("1", png())])
    path.write_bytes(path.read_bytes().replace(b"Question", b"Qu\xe9stion"))
    with refused("utf-8", place=path, fix="UTF-8"):
        logs.samples(path)


@pytest.mark.parametrize("column", ["index", "question", "image"])
def test_missing_columns(logs: Any, refused: Any, png: Any, column: str) -> None:
    """A missing column is named beside those that are there."""
    rows = [{k: v for k, v in row("1", png(), answer="A").items() if k != column}]
    path = logs.tsv("x.tsv", rows)
    with refused(f"one column {column!r}", ", ".join(rows[0]), place=path, fix="columns index, question and image"):
        logs.samples(path)


def test_missing_id(logs: Any, refused: Any, png: Any) -> None:
    """The column that names a dataset's samples is needed too."""
    path = logs.tsv("x.tsv", [row("1", png())])
    with refused("one column 'id'", place=path, fix="download"):
        logs.samples(path, "MMMU_DEV_VAL")


def test_repeated_columns(logs: Any, refused: Any, png: Any) -> None:
    """Of two columns with one name none is chosen."""
    path = logs.text("x.tsv", f"index\tquestion\tquestion\timage\n1\ta\tb\t{png()}\n")
    with refused("one column 'question'", place=path, fix="download"):
        logs.samples(path)


def test_repeated_index(logs: Any, refused: Any, png: Any) -> None:
    """Both lines of a repeated index are named, counting the lines inside quotes."""
    path = logs.tsv("x.tsv", [row("1", png()), row("2", png()) | {"question": "a\nb"}, row("1", png())])
    with refused("index '1' stands in line 2", place=f"{path}, line 5", fix="keep one"):
        logs.samples(path)


@pytest.mark.parametrize(("text", "word"), [("", "the file is empty"), ("index\tquestion\timage\n", "no rows below")])
def test_empty_files(logs: Any, refused: Any, text: str, word: str) -> None:
    """A file without rows is no dataset of zero samples."""
    path = logs.text("x.tsv", text)
    with refused(word, place=path, fix="download"):
        logs.samples(path)


@pytest.mark.parametrize(
    "cell", ["", "[]", "['nan']", "[nan]", "[None]", "['']", "['None', 'nan']", "None", "nan", "NaN", " ", "<NA>"]
)
@pytest.mark.parametrize("column", ["image", "image_path"])
def test_gaps_are_no_images(logs: Any, png: Any, cell: str, column: str) -> None:
    """A text-only row is left out and counted, however its gap is written; none is the index of another row."""
    full = {"image": png(), "image_path": "a.png"}[column]
    if column == "image_path":
        path = logs.folder("images/MMStar") / "a.png"
        path.write_bytes(raw(png()))
    rows = [{"index": str(i), "question": "q", column: c} for i, c in enumerate([cell, full])]
    path = logs.tsv("x.tsv", rows)
    assert list(logs.samples(path)) == ["1"]
    assert logs.counts(path) == {samples.NO_IMAGE: 1}


@pytest.mark.parametrize("form", ["data:image/png;base64,{}", "['data:image/png;base64,{}']"])
def test_data_urls(logs: Any, png: Any, form: str) -> None:
    """An image may stand there as a data URL."""
    path = logs.tsv("x.tsv", [row("1", form.format(png()))])
    assert logs.samples(path)["1"]["images"] == [raw(png())]
