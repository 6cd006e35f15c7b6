"""The log source ``prepared``: matrices and samples as VL-RouterBench's scripts leave them."""

from __future__ import annotations

import json
import pickle
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pytest

from vlrb.errors import DataError
from vlrb_plugins.prepared import matrices, outcomes, samples, vlrb_log_sources
from vlrb_plugins.prepared.params import PreparedParams
from vlrb_plugins.prepared.source import PreparedSource

PAIRS = {
    ("Charts", "2", "large"): (1.0, 0.5),
    ("Charts", "2", "small"): (0.0, 0.25),
    ("Mathematics", "a", "large"): (0.0, 0.125),
    ("Mathematics", "a", "small"): (1.0, 1.0),
    ("Charts", "1", "large"): (1.0, 2.0),
    ("Charts", "1", "small"): (1.0, 3.0),
    ("Mathematics", "b/c", "large"): (0.0, 4.0),
    ("Mathematics", "b/c", "small"): (0.0, 5.0),
}


# --- what is read ---------------------------------------------------------------------------------------------------------


def test_outcomes(prepared: Any) -> None:
    """Rows are those of sample_ids, not of meta.parquet; aliases are resolved; the key is what follows the dataset."""
    assert prepared.pairs() == PAIRS
    row = prepared.read("outcomes")[0]
    assert (row["prediction"], row["input_tokens"], row["output_tokens"]) == (None, None, None)


def test_the_verdict_names_the_file(prepared: Any) -> None:
    """So that the data report can say where scores come from."""
    metadata = prepared.batches("outcomes")[0].schema.metadata
    assert metadata[b"verdict"].decode() == f"Y of {prepared.matrices / 'Y.npz'}"
    assert json.loads(metadata[b"counts"]) == {}


def test_samples(prepared: Any) -> None:
    """Prompt, and no options, hint or answer: the layout has none."""
    rows = prepared.read("samples")
    assert [(r["dataset"], r["key"], r["question"]) for r in rows] == [
        ("Charts", "2", "What of Charts/2?"),
        ("Mathematics", "a", "What of Maths/a?"),
        ("Charts", "1", "What of Charts/1?"),
        ("Mathematics", "b/c", "What of Maths/b/c?"),
    ]
    assert rows[0]["options"] is rows[0]["answer"] is None
    assert "split" not in rows[0]


@pytest.mark.parametrize(("dtype", "order"), [(np.int8, "C"), (np.float32, "F"), (np.bool_, "C"), (np.uint8, "F")])
def test_types_of_matrices(prepared: Any, dtype: Any, order: Any) -> None:
    """Any numbers, in either order in memory."""
    np.savez_compressed(
        prepared.matrices / "Y.npz", Y=np.asarray(prepared.quality, dtype=dtype, order=order), other=[1]
    )
    np.save(prepared.matrices / "C.npy", np.asarray(prepared.cost, dtype=np.float64, order=order))
    assert prepared.pairs() == PAIRS


def test_blocks_are_bounded(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes and samples come in portions."""
    monkeypatch.setattr(outcomes, "BATCH_ROWS", 2)
    monkeypatch.setattr(matrices, "BLOCK_ROWS", 3)
    monkeypatch.setattr(samples, "BATCH_ROWS", 3)
    assert [b.num_rows for b in prepared.batches("outcomes")] == [2, 2, 2, 2]
    assert [b.num_rows for b in prepared.batches("samples")] == [3, 1]
    assert prepared.pairs() == PAIRS


@pytest.mark.parametrize(
    ("ids", "models"),
    [
        ("sample_ids.txt", "models.json"),
        ("sample_ids.json", "models.txt"),
        ("sample_ids.txt", "../registry/models.txt"),
    ],
)
def test_lists_of_names(prepared: Any, ids: str, models: str) -> None:
    """JSON or text, under the names that users give them."""
    for file in prepared.matrices.glob("*s.*"):
        if file.suffix in (".json", ".txt"):
            file.unlink()
    prepared.names(ids, prepared.ids)
    prepared.names(models, prepared.models)
    assert prepared.pairs() == PAIRS


def test_models_of_the_experiment_file(prepared: Any) -> None:
    """Where no file names them."""
    (prepared.matrices / "model_names.txt").unlink()
    assert prepared.pairs(models=("large-2024", "small")) == PAIRS


def test_order_of_meta(prepared: Any) -> None:
    """Only when it is asked for."""
    (prepared.matrices / "sample_ids.json").unlink()
    prepared.meta(prepared.ids)
    assert prepared.pairs(order="meta") == PAIRS


def test_wanted(prepared: Any) -> None:
    """Only what is asked for is handed on."""
    catalog = attrs.evolve(
        prepared.catalog, wanted_datasets=frozenset(["Mathematics"]), wanted_models=frozenset(["small"])
    )
    assert [(r["key"], r["model"]) for r in prepared.read("outcomes", catalog)] == [("a", "small"), ("b/c", "small")]
    assert [r["key"] for r in prepared.read("samples", catalog)] == ["a", "b/c"]
    for kind in ("samples", "outcomes"):
        with pytest.raises(DataError, match="holds no rows of dataset 'Other'"):
            prepared.read(kind, attrs.evolve(catalog, wanted_datasets=frozenset(["Other"])))


def test_what_is_not_asked_for_may_be_anything(prepared: Any) -> None:
    """A model whose costs are not known is left out by [benchmark] models; its raw scores are not looked at either."""
    cost, quality = prepared.cost.copy(), prepared.quality.copy()
    cost[:, 1], quality[1, 1] = np.nan, 2
    np.save(prepared.matrices / "C.npy", cost)
    np.savez(prepared.matrices / "Y.npz", Y=quality)
    prepared.oracle([RAW | {"quality_raw": 7.0}, RAW | {"quality_raw": 7.0}])
    message = "4 of 4 costs of model 'small' are NaN"
    np.savez(prepared.matrices / "Y.npz", Y=prepared.quality)
    assert message in str(prepared.refused("outcomes"))
    np.savez(prepared.matrices / "Y.npz", Y=quality)
    asked = attrs.evolve(prepared.catalog, wanted_models=frozenset(["large"]))
    rows = prepared.read("outcomes", asked)
    assert {(r["dataset"], r["key"], r["model"]): (r["score"], r["cost"]) for r in rows} == {
        pair: values for pair, values in PAIRS.items() if pair[2] == "large"
    }


def test_models_that_cost_nothing(prepared: Any) -> None:
    """Where all costs of a model are 0 and others' are not, it is counted: the scripts write 0 for what they do not know."""
    cost = prepared.cost.copy()
    cost[:, 1] = 0
    np.save(prepared.matrices / "C.npy", cost)
    counts = [json.loads(b.schema.metadata[b"counts"]) for b in prepared.batches("outcomes")]
    assert counts == [{"costs of small that are 0, as all of its costs": 4}]
    np.save(prepared.matrices / "C.npy", np.zeros_like(cost))
    assert [json.loads(b.schema.metadata[b"counts"]) for b in prepared.batches("outcomes")] == [{}]


def test_pickles_are_passed_over(prepared: Any) -> None:
    """Beside the lists they do no harm; they are named in the listing."""
    pickle_file = prepared.matrices / "sample_ids.pkl"
    pickle_file.write_bytes(pickle.dumps(list(prepared.ids)))
    listing = PreparedSource(PreparedParams(path=prepared.root)).list(prepared.catalog)
    assert listing.ignored == {str(pickle_file): "a pickle, which vlrb never reads"}


def test_registration() -> None:
    """The source is registered under its name."""
    assert [s.name for s in vlrb_log_sources()] == ["prepared"]


# --- raw scores -----------------------------------------------------------------------------------------------------------


def test_raw_scores(prepared: Any) -> None:
    """They stand in the place of Y where they are there; the others come from Y."""
    prepared.oracle(
        [
            {"sample_id": "Charts/1", "model_id": "small", "quality_raw": 1.0, "quality": 1},
            {"sample_id": "Maths/a", "model_id": "large-2024", "quality_raw": 0.75, "quality": 0},
            {"sample_id": "Maths/a", "model_id": "small", "quality_raw": None, "quality": 1},
        ]
    )
    assert prepared.pairs() == PAIRS | {("Mathematics", "a", "large"): (0.75, 0.125)}
    verdicts = [b.schema.metadata[b"verdict"].decode() for b in prepared.batches("outcomes")]
    assert [v.split(" of ")[0] for v in verdicts] == ["quality_raw", "Y"]


def test_raw_scores_with_names_as_categories(prepared: Any) -> None:
    """Dictionaries of texts, as pandas writes categories, are texts, as they are in meta.parquet."""
    names = {n: pa.array([v]).dictionary_encode() for n, v in RAW.items() if n.endswith("_id")}
    prepared.oracle(pa.table({**names, "quality_raw": [0.5]}))
    assert prepared.pairs() == PAIRS | {("Charts", "1", "small"): (0.5, 3.0)}


@pytest.mark.parametrize("first", [None, 0.5])
def test_a_pair_twice_in_two_files(prepared: Any, first: float | None) -> None:
    """Whether or not the first row has a raw score."""
    prepared.oracle([RAW | {"quality_raw": first}], "a")
    path = prepared.oracle([RAW], "b")
    message = f"{path}: 1 pairs of sample and model appear twice: 'Charts/1'"
    assert message in str(prepared.refused("outcomes"))


RAW = {"sample_id": "Charts/1", "model_id": "small", "quality_raw": 0.5, "quality": 1}
SCORES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "sample": ([RAW, RAW | {"sample_id": "Charts/9"}], ["row 2, column sample_id", "'Charts/9'", "sample_ids.json"]),
    "model": ([RAW | {"model_id": "tiny"}], ["row 1, column model_id", "'tiny'"]),
    "twice": ([RAW, RAW], ["1 pairs of sample and model appear twice: 'Charts/1'"]),
    "score": ([RAW | {"quality_raw": 1.5}], ["row 1, column quality_raw: 1.5 is not in [0, 1]"]),
    "NaN": (
        [RAW, RAW | {"model_id": "large-2024", "quality_raw": float("nan")}],
        ["row 2, column quality_raw: nan is not"],
    ),
    "contradiction": ([RAW | {"quality": 0}], ["row 1, column quality: 0 contradicts 1 in", "Y.npz"]),
    "no column": ([{"sample_id": "Charts/1", "model_id": "small"}], ["has no column 'quality_raw'"]),
    "text": ([RAW | {"quality_raw": "1"}], ["column quality_raw: holds string, must hold numbers"]),
    "number": ([RAW | {"model_id": 1}], ["column model_id: holds int64, must hold text"]),
}


@pytest.mark.parametrize("case", SCORES, ids=str)
def test_broken_scores(prepared: Any, case: str) -> None:
    """What does not fit the matrices is named with file, row, column and value."""
    rows, pieces = SCORES[case]
    path = prepared.oracle(rows)
    error = str(prepared.refused("outcomes"))
    for piece in [str(path), *pieces, "fix: "]:
        assert piece in error


def test_scores_that_are_cut_off(prepared: Any) -> None:
    """A Parquet file that is cut off is named."""
    path = prepared.oracle([RAW])
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path}: is not a readable Parquet file" in str(prepared.refused("outcomes"))


# --- splits ---------------------------------------------------------------------------------------------------------------


def splits(prepared: Any) -> dict[str, str | None]:
    """Return key -> split."""
    return {r["key"]: r.get("split") for r in prepared.read("samples")}


def test_split_of_meta(prepared: Any) -> None:
    """By sample id; what the scripts write for an unknown split is null."""
    prepared.meta(split=["train", "dev", "unknown", "test"])
    assert splits(prepared) == {"b/c": "train", "1": "dev", "a": None, "2": "test"}
    prepared.meta(split=["unknown"] * 4)
    assert "split" not in prepared.read("samples")[0]


def test_split_files(prepared: Any) -> None:
    """They win where meta.parquet says nothing, and must agree with it where it does."""
    prepared.splits(train=["Charts/1", "Charts/2"], dev=["Maths/a"], test=["Maths/b/c"])
    expected = {"1": "train", "2": "train", "a": "dev", "b/c": "test"}
    assert splits(prepared) == expected
    prepared.meta(split=["unknown", "train", None, "train"])
    assert splits(prepared) == expected


SPLITS: dict[str, tuple[dict[str, list[Any]], list[str]]] = {
    "contradiction": (
        {"train": ["Charts/1", "Charts/2"], "dev": ["Maths/a"], "test": ["Maths/b/c"]},
        ["1 samples have another split in", "meta.parquet: 'Maths/b/c'", "'test' here and in 'dev' there"],
    ),
    "missing file": (
        {"train": ["Charts/1"]},
        ["dev.jsonl: there is no such file, but there are other splits", "test.jsonl"],
    ),
    "twice": ({"train": ["Charts/1"], "dev": ["Charts/1"], "test": []}, ["dev.jsonl, line 1", "is in 'train' already"]),
    "unknown": ({"train": ["Charts/7"], "dev": [], "test": []}, ["train.jsonl, line 1: sample 'Charts/7' is not in"]),
    "not all": ({"train": ["Charts/1"], "dev": [], "test": []}, ["3 samples are in none of the splits: 'Charts/2'"]),
    "no text": ({"train": [7], "dev": [], "test": []}, ["train.jsonl, line 1: has no text sample_id"]),
}


@pytest.mark.parametrize("case", SPLITS, ids=str)
def test_broken_splits(prepared: Any, case: str) -> None:
    """What contradicts or does not fit is named with file, line and id."""
    files, pieces = SPLITS[case]
    prepared.meta(split=["dev", None, None, None])
    prepared.splits(**files)
    error = str(prepared.refused("samples"))
    for piece in [*pieces, "fix: "]:
        assert piece in error


# --- images ---------------------------------------------------------------------------------------------------------------


def tsv(row: Any, file: str = "x.tsv") -> dict[str, Any]:
    """Return an asset in a TSV file."""
    return {"type": "image_tsv", "tsv_file": file, "index": row}


def image(uri: Any) -> dict[str, Any]:
    """Return an asset by path."""
    return {"type": "image", "uri": uri}


def test_images(prepared: Any) -> None:
    """By path, and by row of a TSV file in any order; a list of several; a reference to another row's index."""
    files = [prepared.png(i) for i in range(4)]
    (prepared.root / "a.png").write_bytes(files[3])
    import base64

    texts = [base64.b64encode(f).decode() for f in files]
    prepared.tsv([files[0], files[1], f"['{texts[1]}', '{texts[2]}']", "101"])
    rows = [[tsv(2)], [tsv(0), image("a.png")], [tsv(3)], [tsv(1)]]
    prepared.samples([prepared.sample(i, *a) for i, a in zip(prepared.ids, rows, strict=True)])
    expected = [[files[1], files[2]], [files[0], files[3]], [files[1]], [files[1]]]
    assert [r["images"] for r in prepared.read("samples")] == expected
    assert [r["images"] for r in prepared.read("samples", images="none")] == [[]] * 4


def test_folder_of_assets(prepared: Any) -> None:
    """Paths start from the folder that is named."""
    (prepared.root / "elsewhere").mkdir()
    prepared.tsv([prepared.png(1)], "elsewhere/y.tsv")
    prepared.samples([prepared.sample(i, tsv(0, "y.tsv")) for i in prepared.ids])
    found = [r["images"] for r in prepared.read("samples", assets=prepared.root / "elsewhere")]
    assert found == [[prepared.png(1)]] * 4


ASSETS: dict[str, tuple[Any, list[str]]] = {
    "row": (tsv(9), ["has rows 0 to 7, and no row 9"]),
    "row -1": (tsv(-1), ["has rows 0 to 7, and no row -1"]),
    "row as text": (tsv("1"), ["index '1' is not a row number"]),
    "row true": (tsv(True), ["index 'True' is not a row number"]),
    "no image": (tsv(1), ["row 1 of", "holds no image"]),
    "reference": (tsv(2), ["is said to be that of index '999', which is not in"]),
    "base64": (tsv(3), ["is not valid base64"]),
    "list": (tsv(4), ["row 4 of", "is not a list of texts"]),
    "index": (
        tsv(5),
        ["is said to be that of index '7', which appears twice in", "twice", "keep one row of each index"],
    ),
    "no TSV": (tsv(0, "no.tsv"), ["'no.tsv' is not a file below"]),
    "TSV leaves": (tsv(0, "../x.tsv"), ["'../x.tsv' is outside the folder"]),
    "no file": (image("no.png"), ["'no.png' is not a file below"]),
    "file leaves": (image("../../etc/passwd"), ["is outside the folder"]),
    "absolute": (image("/etc/passwd"), ["'/etc/passwd' is outside the folder"]),
    "no uri": (image(None), ["uri is 'None', which is not a path"]),
    "other": ({"type": "video", "uri": "x"}, ["is not an image", "image_tsv"]),
    "text": ("a.png", ["a.png is not an image"]),
}


@pytest.mark.parametrize("case", ASSETS, ids=str)
def test_broken_assets(prepared: Any, case: str) -> None:
    """Nothing stands in for an image that cannot be had; file and line of the sample are named."""
    asset, pieces = ASSETS[case]
    prepared.tsv([prepared.png(0), "", "999", "@" * 80, "[" + "a" * 80, "7"])
    with (prepared.root / "x.tsv").open("a") as file:
        file.write("7\t\t\n7\t\t\n")
    prepared.samples([prepared.sample(i, *([asset] if i == "Maths/a" else [])) for i in prepared.ids])
    error = prepared.refused("samples")
    assert len(error.problems) == 1
    for piece in [f"{prepared.samples_file}, line 2, assets", *pieces, 'images = "none"']:
        assert piece in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"index\tquestion\n1\tx\n", "has no column 'image'"),
        (b"index\timage\n1\n", "row 2 (line 2): the row has 1 cells, the header 2"),
        (b'index\timage\n1\t"x\n', "is broken or cut off"),
        (b"index\timage\n1\t\xff\n", "cannot be read"),
    ],
)
def test_broken_tsv_files(prepared: Any, content: bytes, message: str) -> None:
    """A TSV file that is cut off is named with row and line."""
    (prepared.root / "x.tsv").write_bytes(content)
    prepared.samples([prepared.sample(i, tsv(0)) for i in prepared.ids])
    error = str(prepared.refused("samples"))
    assert message in error
    assert "x.tsv" in error


def test_a_benchmark_of_it(prepared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core joins the parts to the matrices that stood in the files, without tokens, and finds the split of the files."""
    from handmade import splitter

    from vlrb.benchmark.build import build
    from vlrb.evaluation.splits import make_splits
    from vlrb.experiment.resolve import make_plan
    from vlrb.experiment.sections import SplitSection
    from vlrb.storage import Places

    prepared.splits(train=["Charts/1", "Maths/a"], dev=["Maths/b/c"], test=["Charts/2"])
    for name in ("VLRB_CACHE", "VLRB_RUNS"):
        monkeypatch.setenv(name, "")
    path = prepared.root / "experiment.toml"
    logs = '[logs]\nuse = "prepared"\npath = "."\n[[router]]\nuse = "cheapest"\n'
    path.write_text(f'name = "t"\nrequires = []\n{logs}', encoding="utf-8")
    places = Places.of(str(prepared.root / "runs"), str(prepared.root / "cache"))
    places.use()
    benchmark = build(make_plan(path), places, jobs=1)
    order = sorted(range(4), key=lambda i: prepared.ids[i])
    assert list(benchmark.ids) == [prepared.ids[i] for i in order]
    np.testing.assert_array_equal(benchmark.quality, prepared.quality[order])
    np.testing.assert_array_equal(benchmark.cost, prepared.cost[order])
    assert (benchmark.output_tokens == -1).all()
    (made,) = make_splits(benchmark, splitter("given"), SplitSection()).splits
    split = {name: [benchmark.ids[i] for i in made.rows(name)] for name in ("train", "dev", "test")}
    assert split == {"train": ["Charts/1", "Maths/a"], "dev": ["Maths/b/c"], "test": ["Charts/2"]}


def test_batches_name_the_files_that_images_come_from(prepared: Any) -> None:
    """Pictures and TSV files, so that a changed one is read again."""
    prepared.write()
    (prepared.root / "a.png").write_bytes(prepared.png(1))
    assets = [{"type": "image", "uri": "a.png"}]
    prepared.samples([prepared.sample(i, *assets) for i in prepared.ids])
    source = PreparedSource(PreparedParams(path=prepared.root))
    part = next(p for p in source.list(prepared.catalog).parts if p.kind == "samples")
    (batch,) = source.read(part, prepared.catalog)
    assert json.loads(batch.schema.metadata[b"files"]) == [str(prepared.root / "a.png")]
