"""The log source ``prepared``: what is said of folders that are broken, or that parameters contradict."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vlrb.errors import DataError
from vlrb_plugins.prepared.params import PreparedParams
from vlrb_plugins.prepared.source import PreparedSource


def remove(*names: str) -> Callable[[Any], None]:
    """Remove files."""

    def change(prepared: Any) -> None:
        for name in names:
            (prepared.root / name).unlink()

    return change


def quality(value: Any, **more: Any) -> Callable[[Any], None]:
    """Write other arrays into Y.npz."""
    return lambda p: np.savez(p.matrices / "Y.npz", **({"Y": value} if value is not None else {}), **more)


def cost(value: Any) -> Callable[[Any], None]:
    """Write another C.npy."""
    return lambda p: np.save(p.matrices / "C.npy", value)


def changed(matrix: Any, value: float, dtype: Any = np.float32) -> Any:
    """Return a matrix with one entry of row 1, column 1 changed."""
    other = np.array(matrix, dtype=dtype)
    other[1, 1] = value
    return other


def pickled(name: str) -> Callable[[Any], None]:
    """Have a pickle in the place of a list; one that fails the test if it is ever loaded."""

    def change(prepared: Any) -> None:
        for file in prepared.matrices.glob(f"{name}.*"):
            file.unlink()
        (prepared.matrices / f"{name}.pkl").write_bytes(b"cbuiltins\nexit\n(S'loaded'\ntR.")

    return change


def text(name: str, content: str) -> Callable[[Any], None]:
    """Write a text file."""
    return lambda p: (p.root / name).write_text(content, encoding="utf-8")


Y, C = np.array([[1, 0], [0, 1], [1, 1], [0, 0]]), np.full((4, 2), 0.5)
IDS = "data/matrices/sample_ids.json"
NAMES = "data/matrices/model_names.txt"


def _archive(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


FOLDERS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "no Y": (remove("data/matrices/Y.npz"), ["Y.npz: there is no such file; it holds the quality matrix"]),
    "Y is not an array": (
        lambda p: _archive(p.matrices / "Y.npz", {"Y.npy": b"Y is not an array"}),
        ["Y.npz: Y is not an array"],
    ),
    "C is 1e30": (
        lambda p: np.save(p.matrices / "C.npy", np.full((4, 2), 1e30)),
        ["4 of 4 costs of model 'small' are above 1,000,000,000 US dollars"],
    ),
    "nothing": (
        remove("data/matrices/Y.npz", "data/matrices/C.npy", "data/registry/meta.parquet", NAMES),
        ["Y.npz: there is no such file", "C.npy: there is no such file", "meta.parquet: there is", "model_names.json"],
    ),
    "no samples": (remove("BENCHMARKS/vqa/dataset_samples.jsonl"), ["BENCHMARKS: holds no TASK/dataset_samples.jsonl"]),
    "no ids": (
        remove(IDS),
        ["the order of the rows of Y and C is not known", 'set order = "meta" in [logs]', "sample_ids.json"],
    ),
    "pickled ids": (
        pickled("sample_ids"),
        ["sample_ids.pkl: is a pickle, which can run any program", "python -c", "json.dump(list(pickle.load(open("],
    ),
    "pickled names": (
        pickled("model_names"),
        ["model_names.pkl: is a pickle", "model_names.json", "if you trust the file"],
    ),
    "two lists": (text("data/matrices/sample_ids.txt", "a\n"), ["several files say the same", "keep one of them"]),
    "ids are no list": (
        text(IDS, '{"0": "a"}'),
        ["sample_ids.json: must be a list of sample ids (texts), but holds a dict"],
    ),
    "ids are numbers": (text(IDS, "[1, 2]"), ["must be a list of sample ids (texts), but holds 1"]),
    "ids are cut off": (text(IDS, '["Charts/1", '), ["sample_ids.json: cannot be read"]),
    "no ids in it": (text(IDS, "[]"), ["sample_ids.json: holds no sample ids"]),
    "surrogate": (text(IDS, '["\\ud800"]'), ["item 1", "is not a text that can be written as UTF-8"]),
    "an id twice": (
        text(IDS, '["Charts/1", "Charts/1", "Charts/2", "Maths/a"]'),
        ["item 2: 'Charts/1' is already there, in place 1"],
    ),
    "other ids": (
        text(IDS, '["Charts/1", "Charts/2", "Maths/a", "Maths/new"]'),
        ["1 sample ids are not in", "meta.parquet: 'Maths/new'", "sample_ids.json: 'Maths/b/c'", "written together"],
    ),
    "a gap in names": (text(NAMES, "large\n\nsmall\n"), ["model_names.txt, line 2: is empty"]),
    "a name too many": (text(NAMES, "a\nb\nc\n"), ["is 4 x 2, but there are 4 samples and 3 models: it must be 4 x 3"]),
    "one model twice": (
        text(NAMES, "large\nlarge-2024\n"),
        ["columns 'large', 'large-2024' are all of model 'large'", "model_names.txt"],
    ),
    "Y has no Y": (quality(None, quality=Y), ["Y.npz: has no array Y; it holds: quality"]),
    "Y transposed": (quality(Y.T), ["Y.npz: is 2 x 4, but there are 4 samples and 2 models: it must be 4 x 2"]),
    "Y is flat": (quality(Y.ravel()), ["Y.npz: is 8, but there are"]),
    "Y is a number": (quality(np.array(1)), ["Y.npz: is a single number"]),
    "Y is text": (quality(Y.astype("U1")), ["Y.npz: holds <U1, must hold numbers"]),
    "Y of objects": (quality(Y.astype(object)), ["Y.npz: is not a readable array", "allow_pickle=False"]),
    "Y is 2": (quality(changed(Y, 2, np.int8)), ["row 1, column 1 (model 'small'): 2 is not in [0, 1]"]),
    "Y is -1": (quality(changed(Y, -1, np.int8)), ["row 1, column 1 (model 'small'): -1 is not in [0, 1]"]),
    "Y is NaN": (quality(changed(Y, np.nan)), ["row 1, column 1 (model 'small'): nan is not in [0, 1]"]),
    "Y is huge": (quality(np.zeros((100_000, 2))), ["Y holds 1,600,128 bytes, too many for 4 samples and 2 models"]),
    "Y is no zip": (
        text("data/matrices/Y.npz", "hello"),
        ["Y.npz: is not a readable array", "write or copy the file again"],
    ),
    "C is NaN": (
        cost(changed(C, np.nan)),
        ["C.npy, column 1: 1 of 4 costs of model 'small' are NaN", "[benchmark] models"],
    ),
    "C is negative": (cost(changed(C, -1)), ["1 of 4 costs of model 'small' are negative"]),
    "C is infinite": (cost(changed(C, np.inf)), ["1 of 4 costs of model 'small' are infinite"]),
    "C has a row less": (cost(C[1:]), ["C.npy: is 3 x 2, but there are 4 samples and 2 models"]),
    "C is text": (cost(C.astype("U3")), ["C.npy: holds <U3, must hold numbers"]),
    "C of objects": (cost(C.astype(object)), ["C.npy: is not a readable array"]),
    "C is complex": (cost(C.astype(complex)), ["C.npy: holds complex128, must hold numbers"]),
    "C is empty": (text("data/matrices/C.npy", ""), ["C.npy: is not a readable array"]),
    "C is an archive": (
        lambda p: (p.matrices / "C.npy").write_bytes((p.matrices / "Y.npz").read_bytes()),
        ["C.npy: is an archive, not an array"],
    ),
    "meta without ids": (lambda p: p.meta(sample_id=None), ["meta.parquet: has no column 'sample_id'"]),
    "meta with numbers": (lambda p: p.meta(dataset=[1, 2, 3, 4]), ["column dataset: holds int64, must hold text"]),
    "meta is empty": (
        lambda p: p.meta(sample_id=pa.array([], pa.string()), dataset=[""][:0], task=[]),
        ["column dataset"],
    ),
    "meta with a null": (
        lambda p: p.meta(dataset=["Maths", None, "Maths", "Charts"]),
        ["row 2, column dataset: is empty"],
    ),
    "meta with an id twice": (
        lambda p: p.meta([*p.ids, "Charts/1"]),
        ["meta.parquet, column sample_id: 1 sample ids appear twice: 'Charts/1'"],
    ),
    "meta with a split": (
        lambda p: p.meta(split=["dev", "tset", "dev", "dev"]),
        ["row 2, column split: 'tset' is not a split"],
    ),
    "other dataset": (
        lambda p: p.meta(dataset=["Maths", "Charts", "unknown", "Charts"]),
        ["sample id 'Maths/a' is not 'unknown/' and a key, though its dataset is 'unknown'"],
    ),
    "meta is cut off": (text("data/registry/meta.parquet", "PAR1"), ["meta.parquet: is not a readable Parquet file"]),
}


@pytest.mark.parametrize("case", FOLDERS, ids=str)
def test_broken_folders(prepared: Any, case: str) -> None:
    """What is missing, broken or of another shape is named, with a fix."""
    change, pieces = FOLDERS[case]
    change(prepared)
    error = str(prepared.refused("outcomes"))
    for piece in [*pieces, "fix: "]:
        assert piece in error


LINES: dict[str, tuple[Callable[[Any], list[Any]], list[str]]] = {
    "cut off": (lambda rows: [*rows[:-1], '{"sample_id": "Ma'], ["line 4: is not JSON"]),
    "missing": (lambda rows: rows[:-1], ["1 samples have no prompt: 'Maths/b/c'", "sample_ids.json has them"]),
    "unknown": (lambda rows: [*rows, rows[0] | {"sample_id": "Charts/9"}], ["line 5: sample 'Charts/9' is not in"]),
    "twice": (lambda rows: [*rows, rows[0]], ["line 5: sample 'Charts/2' is already there"]),
    "no id": (lambda rows: [*rows, {"prompt": "x"}], ["line 5: has no text sample_id"]),
    "no prompt": (lambda rows: [rows[0] | {"prompt": None}, *rows[1:]], ["line 1: prompt of 'Charts/2' is not a text"]),
    "surrogate": (
        lambda rows: [rows[0] | {"prompt": "\ud800"}, *rows[1:]],
        ["line 1: prompt of 'Charts/2' is not a text"],
    ),
    "dataset": (lambda rows: [rows[0] | {"dataset": "x"}, *rows[1:]], ["line 1: dataset of 'Charts/2' is 'x', in"]),
    "assets": (lambda rows: [rows[0] | {"assets": "x"}, *rows[1:]], ["line 1: assets is 'x', which is not a list"]),
}


@pytest.mark.parametrize("case", LINES, ids=str)
def test_broken_samples(prepared: Any, case: str) -> None:
    """What does not fit the matrices is named with file and line."""
    change, pieces = LINES[case]
    prepared.samples(change([prepared.sample(i) for i in prepared.ids]))
    error = prepared.refused("samples")
    assert len(error.problems) == 1
    for piece in [str(prepared.samples_file), *pieces, "fix: "]:
        assert piece in str(error)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"order": "meta"}, 'order = "meta", but'),
        ({"models": ("a", "b")}, "[logs] models names the models, and so does"),
    ],
)
def test_parameters_that_contradict_files(prepared: Any, params: dict[str, Any], message: str) -> None:
    """What is said twice could be said differently."""
    assert message in str(prepared.refused("outcomes", **params))


def test_parameters() -> None:
    """Models must be distinct; folders must be there."""
    with pytest.raises(ValueError, match="models must be distinct names"):
        PreparedParams(path=Path(), models=("a", "a"))


def test_no_folder(prepared: Any) -> None:
    """A path that is wrong is told as such."""
    source = PreparedSource(PreparedParams(path=prepared.root / "typo"))
    with pytest.raises(DataError, match="typo: is not a folder"):
        source.list(prepared.catalog)
    assert "is not a folder" in str(prepared.refused("samples", assets=prepared.root / "typo"))


def whole_npz() -> bytes:
    """Return a right Y.npz."""
    file = io.BytesIO()
    np.savez(file, Y=Y)
    return file.getvalue()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), place=st.integers(0, 600), cut=st.integers(0, 600))
@example(content=b"", place=0, cut=600)
def test_any_bytes_in_matrices(prepared: Any, content: bytes, place: int, cut: int) -> None:
    """Whatever stands in Y.npz and C.npy, there is a DataError or valid batches."""
    whole = whole_npz()[:cut]
    (prepared.matrices / "Y.npz").write_bytes(whole[:place] + content + whole[place + len(content) :])
    with contextlib.suppress(DataError):
        prepared.batches("outcomes")
    np.savez(prepared.matrices / "Y.npz", Y=Y)
    np.save(prepared.matrices / "C.npy", C)
    array = (prepared.matrices / "C.npy").read_bytes()[:cut]
    (prepared.matrices / "C.npy").write_bytes(array[:place] + content + array[place + len(content) :])
    with contextlib.suppress(DataError):
        prepared.batches("outcomes")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.binary(max_size=30)
        | st.fixed_dictionaries(
            {"sample_id": st.sampled_from(["Charts/1", "Charts/2", 1])},
            optional={
                "prompt": st.text(max_size=5) | st.none(),
                "assets": st.lists(
                    st.dictionaries(
                        st.sampled_from(["type", "uri", "tsv_file", "index"]),
                        st.sampled_from(["image", "image_tsv", "x.tsv", ".", "\0", 0, 1, None, [], "data:,"]),
                    ),
                    max_size=2,
                )
                | st.integers(),
            },
        ).map(lambda row: json.dumps(row).encode()),
        max_size=5,
    )
)
def test_any_lines_of_samples(prepared: Any, lines: list[bytes]) -> None:
    """Whatever stands in the samples, there is a DataError or valid batches."""
    prepared.tsv([prepared.png(0)])
    prepared.samples_file.write_bytes(b"\n".join(lines))
    with contextlib.suppress(DataError):
        prepared.batches("samples")
