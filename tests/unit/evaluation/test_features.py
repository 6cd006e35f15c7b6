"""Features: encoded once by content, kept whole, resumed, checked, and fused as the reference does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.routing import Column, Features
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import ConfigError, DataError, PluginError
from vlrb.evaluation import encoding, features
from vlrb.evaluation.feature_store import FeatureStore
from vlrb.evaluation.features import Encoded, content_keys, encode
from vlrb.executor import quiet
from vlrb.experiment.plan import Plan
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places
from vlrb_plugins.fusions.fusing import fuse

PLUGIN = '''
"""Encoders that write down what they were asked for, and misbehave to order."""
import os, time, zlib
from pathlib import Path
import attrs
import numpy as np
from vlrb import hookimpl
from vlrb.errors import DataError
from vlrb.api.components import EncoderSpec, param
from vlrb.api.routing import Column, Features

@attrs.frozen
class Params:
    file: str = param(default="")
    wait: float = param(default=0.0)
    fault: str = param(default="")
    width: int = param(default=3)
    speed: int = attrs.field(default=1, kw_only=True, metadata={"help": "", "when": "fit", "same_numbers": True})
    path: str = attrs.field(default="", kw_only=True, metadata={"help": "", "when": "fit", "folder_or_name": True})

class Encoder:
    calls = 0

    def __init__(self, params):
        self.params = params
        if params.fault == "make":
            raise RuntimeError("no such weights")

    def encode(self, queries):
        self.calls += 1
        fault, n = self.params.fault, len(queries)
        if self.params.file:
            with open(self.params.file, "a") as file:
                seen = zip(queries.texts, queries.images.hashes)
                file.write("".join(f"{t}|{len(h)}|{len(queries.candidates)}\\n" for t, h in seen))
        time.sleep(self.params.wait * n)
        bad = [i for i, t in zip(queries.ids, queries.texts) if t.endswith((" 5", " 7"))]
        if fault == "bad" and bad:
            raise DataError("an image cannot be read", where=bad[0], fix="replace it")
        if fault == "raise":
            raise RuntimeError("no memory")
        if fault == "data":
            raise DataError("the weights are gone")
        keys = [t + "".join(h) for t, h in zip(queries.texts, queries.images.hashes)]
        matrix = np.array([[zlib.crc32(f"{j}{k}".encode()) / 2**32 for j in range(self.params.width)] for k in keys], np.float32)
        matrix = matrix.reshape(n, self.params.width)
        columns = tuple(Column(f"x/{j}") for j in range(self.params.width))
        if fault == "gap-allowed":
            columns = tuple(Column(f"x/{j}", "numeric", True) for j in range(self.params.width))
        return {
            "shape": lambda: Features(matrix[1:], columns),
            "wide": lambda: Features(np.hstack([matrix, matrix]), columns),
            "dtype": lambda: Features(matrix.astype(np.float64), columns),
            "nan": lambda: Features(np.where(np.arange(n)[:, None] == 1, np.nan, matrix).astype(np.float32), columns),
            "gap-allowed": lambda: Features(np.where(np.arange(n)[:, None] == 1, np.nan, matrix).astype(np.float32), columns),
            "inf": lambda: Features(matrix + np.float32("inf"), columns),
            "type": lambda: matrix,
            "list": lambda: Features(matrix.tolist(), columns),
            "no-columns": lambda: Features(matrix[:, :0], ()),
            "column-type": lambda: Features(matrix, ("a", "b", "c")),
            "twice": lambda: Features(matrix, (Column("a"),) * self.params.width),
            "later": lambda: Features(matrix[:, : 3 - (self.calls > 1)], columns[: 3 - (self.calls > 1)]),
            "codes": lambda: Features(np.full((n, 1), 3, np.float32), (Column("c", "categorical", categories=3),)),
            "renamed": lambda: Features(matrix, tuple(Column(f"y{self.calls}/{j}") for j in range(3))),
        }.get(fault, lambda: Features(matrix, columns))()

class Streaming(Encoder):
    def stream(self, chunks):
        for queries in chunks:
            yield self.encode(queries)
            if self.params.fault == "ends":
                return

class Numbers:
    def __init__(self, params):
        pass

    def encode(self, queries):
        matrix = np.array([[len(t), 3] for t in queries.texts], np.float32)
        return Features(matrix, (Column("n/a", "numeric"), Column("n/b", "categorical")))

def revision(params):
    if params.fault == "revision":
        raise DataError("nobody knows the weights", fix="provide them")
    return os.environ.get("REVISION", "1")

@hookimpl
def vlrb_encoders():
    def spec(name, modality, factory=Encoder, **more):
        return EncoderSpec(name=name, summary="for tests", factory=factory, params=Params, modality=modality, **more)
    return [
        spec("e-text", "text", revision=revision), spec("e-image", "image"), spec("e-both", "both"),
        spec("e-stream", "text", Streaming), spec("e-numbers", "text", Numbers), spec("e-pictured", "image", Numbers),
    ]
'''


class Case:
    """An experiment in a folder, and what its encoders were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked.txt"
        (folder / "enc.py").write_text(PLUGIN, encoding="utf-8")

    @property
    def places(self) -> Places:
        """Return the places of this folder."""
        return Places(self.folder / "runs", self.folder / "cache")

    def plan(self, table: str, samples: int = 40, images: bool = True, name: str = "t") -> Plan:
        """Plan an experiment with one feature set."""
        tiny = Path(__file__).parents[2] / "support" / "tiny.py"
        path = self.folder / f"{name}.toml"
        text = f"""
            name = "{name}"
            plugins = ["{tiny}", "enc.py"]
            requires = []
            [logs]
            use = "tiny"
            samples = {samples}
            images = {str(images).lower()}
            [features.f]
            """
        path.write_text(textwrap.dedent(text) + textwrap.dedent(table), encoding="utf-8")
        return make_plan(path)

    def encode(self, use: str = "e-text", more: str = "", **plan: Any) -> tuple[Encoded, Benchmark]:
        """Encode with one encoder that writes down what it is asked."""
        table = f'encoders = [{{ use = "{use}", file = "{self.asked}"{", " * bool(more)}{more} }}]\nfusion = "concat"\n'
        made = self.plan(table, **plan)
        benchmark = build(made, self.places)
        return encode(made.feature_sets["f"], benchmark, self.places, quiet), benchmark

    def lines(self) -> list[str]:
        """Return what was asked since the last look."""
        text = self.asked.read_text(encoding="utf-8") if self.asked.exists() else ""
        self.asked.unlink(missing_ok=True)
        return text.splitlines()

    def chunks(self) -> list[Path]:
        """Return the files of the only encoder that is in the cache."""
        return sorted(self.folder.glob("cache/features/*/*.arrow"))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Return an experiment whose encoders work in chunks of 8."""
    monkeypatch.setattr(encoding, "CHUNK", 8)
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    return Case(tmp_path)


# --- by content -----------------------------------------------------------------------------------------------------------


def test_equal_contents_are_encoded_once_and_every_sample_gets_its_row(case: Case) -> None:
    """Two datasets of the same 40 questions: 40 rows of work, 80 of features, each that of its own text."""
    encoded, benchmark = case.encode()
    import zlib

    texts = benchmark.samples.column("question").to_pylist()
    expected = np.array([[zlib.crc32(f"{j}{t}".encode()) / 2**32 for j in range(3)] for t in texts], np.float32)

    assert len(case.lines()) == 40
    assert np.array_equal(encoded.features.matrix, expected)
    assert encoded.features.matrix.dtype == np.float32
    assert not encoded.features.matrix.flags.writeable


def test_what_is_known_is_not_encoded_again(case: Case) -> None:
    """A second time, in another experiment, and in a benchmark that has grown: only what is new."""
    first, _ = case.encode()
    case.lines()
    again, _ = case.encode(name="other")
    assert case.lines() == []
    assert np.array_equal(first.features.matrix, again.features.matrix)
    grown, _ = case.encode(samples=50)
    assert len(case.lines()) == 10
    assert len(grown.features.matrix) == 100
    smaller, benchmark = case.encode(samples=20)

    assert case.lines() == []
    assert len(smaller.features.matrix) == len(benchmark) == 40


def test_an_encoder_sees_only_what_its_modality_names(case: Case) -> None:
    """Else features that are kept by content would depend on more than that; candidates are nobody's."""
    case.encode("e-text")
    assert all(line.endswith("|0|0") and line.startswith("question") for line in case.lines())
    case.encode("e-image")
    assert set(case.lines()) == {"|1|0"}
    case.encode("e-both")
    assert all(line.endswith("|1|0") and line.startswith("question") for line in case.lines())


def test_images_do_not_matter_to_an_encoder_of_text(case: Case) -> None:
    """The same questions without their images are known; one image under many questions is one content."""
    case.encode("e-text")
    case.lines()
    case.encode("e-text", images=False)
    assert case.lines() == []
    case.encode("e-image")
    assert len(case.lines()) == 20
    case.encode("e-both")
    assert len(case.lines()) == 40


def test_content_keys_tell_contents_apart(case: Case) -> None:
    """Options and hints belong to the text, the order of images to the images; modalities never meet."""
    _, benchmark = case.encode(samples=6)
    keys = {m: content_keys(benchmark, m) for m in ("text", "image", "both")}

    assert {m: len(set(k.tolist())) for m, k in keys.items()} == {"text": 6, "image": 3, "both": 6}
    assert not set(keys["text"].tolist()) & set(keys["both"].tolist())


@pytest.mark.parametrize(
    ("more", "again"),
    [("width = 4", True), ("speed = 2", False)],
    ids=["a parameter", "a parameter that changes no number"],
)
def test_other_parameters_are_other_features(case: Case, more: str, again: bool) -> None:
    """A parameter decides the features, unless its field says that it does not (the batch size after a lack of memory)."""
    case.encode()
    case.lines()
    encoded, _ = case.encode(more=more)

    assert bool(case.lines()) is again
    assert len(encoded.features.columns) == (4 if again else 3)


def test_other_weights_are_other_features(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new revision is encoded anew and has another identity; going back finds the old one."""
    case.encode()
    case.lines()
    old = case.plan('encoders = ["e-text"]').feature_sets["f"].identity()
    monkeypatch.setenv("REVISION", "2")
    case.encode()
    assert len(case.lines()) == 40
    assert case.plan('encoders = ["e-text"]').feature_sets["f"].identity() != old
    monkeypatch.setenv("REVISION", "1")
    case.encode()

    assert case.lines() == []


def test_weights_that_nobody_can_tell_fail_the_features_only(case: Case) -> None:
    """The plan and the keys of cells can be made, so that other routers run; encoding says what is wrong."""
    plan = case.plan('encoders = [{ use = "e-text", fault = "revision" }]')
    identity = plan.feature_sets["f"].identity()

    assert identity["encoders"][0]["revision"] is None
    with pytest.raises(DataError, match="nobody knows the weights"):
        encode(plan.feature_sets["f"], build(plan, case.places), case.places, quiet)


def test_features_of_another_version_are_not_used(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another vlrb, another schema: its features lie beside and are left alone."""
    case.encode()
    before = case.chunks()
    case.lines()
    monkeypatch.setattr(features, "__version__", "99")
    case.encode()

    assert len(case.lines()) == 40
    assert set(before) < set(case.chunks())


def test_the_time_of_a_sample_is_that_of_its_encoding(case: Case) -> None:
    """Throughput is told from the work that was done, also when it was done in an earlier run; loading is no part of it."""
    slow, _ = case.encode(more="wait = 0.004")
    cached, _ = case.encode(more="wait = 0.004")
    grown, _ = case.encode(more="wait = 0.004", samples=48)

    assert 0.004 <= slow.seconds_per_sample < 0.05
    assert cached.seconds_per_sample == slow.seconds_per_sample
    assert 0.004 <= grown.seconds_per_sample < 0.05


def test_progress_counts_contents_and_begins_at_what_is_known(case: Case) -> None:
    """The bar of a resumed run goes on where it stopped."""
    case.encode(samples=20)
    plan = case.plan(f'encoders = [{{ use = "e-text", file = "{case.asked}" }}]', samples=40)
    seen: list[tuple[str, int, int]] = []
    encode(plan.feature_sets["f"], build(plan, case.places), case.places, lambda *what: seen.append(what))

    assert seen == [("encoding with e-text", n, 40) for n in (20, 28, 36, 40)]


# --- kills, other processes, broken files -------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from vlrb.evaluation import encoding, features
from vlrb.evaluation.feature_store import FeatureStore
from vlrb.benchmark.build import build; from vlrb.executor import quiet
from vlrb.storage import Places
from vlrb.experiment.resolve import make_plan
encoding.CHUNK = 8
plan = make_plan(Path(sys.argv[1]))
places = Places(Path("runs").absolute(), Path("cache").absolute())
matrix = features.encode(plan.feature_sets["f"], build(plan, places), places, quiet).features.matrix
print(matrix.shape, matrix.sum())
"""


def started(case: Case, wait: float) -> subprocess.Popen[str]:
    """Encode in a process of its own."""
    table = f'encoders = [{{ use = "e-text", file = "{case.asked}", wait = {wait} }}]\n'
    case.plan(table)
    command = [sys.executable, "-c", SCRIPT, str(case.folder / "t.toml")]
    return subprocess.Popen(
        command, cwd=case.folder, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_process_loses_one_chunk(case: Case) -> None:
    """SIGKILL in the middle: what was whole stays, the rest is encoded by the next, no file is left aside."""
    process = started(case, 0.02)
    while len(case.chunks()) < 2:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = len(case.chunks())
    (case.chunks()[0].parent / ".left.123.partial").write_bytes(b"half")
    case.lines()
    out, err = started(case, 0.02).communicate(timeout=60)

    assert out.startswith("(80, 3)"), err
    assert len(case.lines()) == 40 - 8 * kept
    assert not list(case.chunks()[0].parent.glob(".*"))


def test_two_processes_share_the_work(case: Case) -> None:
    """Both at once on one cache: every content is encoded once, and both get the same."""
    processes = [started(case, 0.01), started(case, 0.01)]
    outs = [p.communicate(timeout=60) for p in processes]

    assert outs[0][0] == outs[1][0], outs
    assert outs[0][0].startswith("(80, 3)")
    assert len(case.lines()) == 40


def cut(file: Path) -> None:
    """Cut a file off."""
    file.write_bytes(file.read_bytes()[:-200])


def flip(file: Path) -> None:
    """Change a byte of the matrix."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "harm",
    [cut, flip, lambda f: f.write_bytes(b""), lambda f: f.write_text("{}")],
    ids=["cut", "flip", "empty", "text"],
)
def test_a_broken_chunk_is_named_and_made_anew(
    case: Case, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    """Its samples are encoded again, and no others; the file is kept under another name, and complained about once."""
    before, _ = case.encode()
    case.lines()
    broken = case.chunks()[2]
    harm(broken)
    after, _ = case.encode()

    assert np.array_equal(before.features.matrix, after.features.matrix)
    assert len(case.lines()) == 8
    assert str(broken) in caplog.text
    assert broken.with_suffix(".rejected").is_file()
    caplog.clear()
    case.encode()
    assert (case.lines(), caplog.text) == ([], "")


def test_a_chunk_of_another_encoder_is_not_taken(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Keys of content are the same for all encoders of text; a file that was copied over must not be believed."""
    case.encode()
    (mine,) = {c.parent for c in case.chunks()}
    case.encode(more="width = 4")
    case.lines()
    (other,) = {c.parent for c in case.chunks()} - {mine}
    victim = sorted(mine.glob("*.arrow"))[0]
    victim.write_bytes((other / victim.name).read_bytes())
    encoded, _ = case.encode()

    assert "another encoder" in caplog.text
    assert len(case.lines()) == 8
    assert encoded.features.matrix.shape == (80, 3)


def test_many_chunks_need_no_open_files(tmp_path: Path) -> None:
    """A million samples are thousands of chunks; a process may have a thousand files open."""
    import resource

    store = FeatureStore(tmp_path, "k")
    keys = np.array([f"{i:032x}" for i in range(300)], dtype=features.KEY)
    for i in range(300):
        store.write(keys[i : i + 1], dense("a", [[i]]), 1.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 40, hard))
    try:
        encoded = features._assembled(keys[::-1], store.chunks(), store)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert encoded.features.matrix.ravel().tolist() == list(range(299, -1, -1))


def test_the_cache_says_whose_it_is(case: Case) -> None:
    """A folder of the cache tells a reader which encoder, parameters and weights it is of."""
    case.encode()
    about = json.loads((case.chunks()[0].parent / "encoder.json").read_text(encoding="utf-8"))

    assert about["encoder"]["id"] == "enc/e-text"
    assert about["encoder"]["revision"] == "1"
    assert "speed" not in about["encoder"]["parameters"]


# --- encoders that misbehave ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("shape", r"matrix of shape \(7, 3\) with 3 columns for 8 queries"),
        ("wide", r"matrix of shape \(8, 6\)"),
        ("dtype", "float64 instead of float32"),
        ("nan", "nan in column 'x/0' of sample 'Tiny[AB]/[0-9]+'"),
        ("codes", "3.0 in column 'c' of sample 'Tiny[AB]/[0-9]+', whose codes are 0 to 2"),
        ("inf", "inf in column 'x/0' of sample 'Tiny[AB]/[0-9]+'"),
        ("type", "ndarray instead of Features"),
        ("list", "list instead of an array"),
        ("no-columns", "no columns"),
        ("column-type", "columns that are not a Column"),
        ("twice", "two columns named 'a'"),
        ("later", r"other columns than before \(2 instead of 3\)"),
        ("renamed", r"other columns than before \(\['y2/0', 'dense', False\] instead of \['y1/0'"),
        ("raise", "RuntimeError: no memory"),
        ("make", "RuntimeError: no such weights"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_blamed(case: Case, fault: str, said: str) -> None:
    """The plugin is named, and the sample by its own id; nothing wrong is kept."""
    with pytest.raises(PluginError, match=said) as caught:
        case.encode(more=f'fault = "{fault}"')

    assert "plugin 'enc'" in str(caught.value)
    assert len(case.chunks()) == (fault in ("later", "renamed"))


def test_changed_columns_are_found_against_the_cache_too(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that depends on something it does not say must not add rows of another meaning."""
    with pytest.raises(PluginError, match="other columns"):
        case.encode(more='fault = "renamed"')
    kept = case.chunks()
    with pytest.raises(PluginError, match="other columns than before"):
        case.encode(more='fault = "renamed", speed = 2', samples=48)
        case.encode(more='fault = "renamed", speed = 2', samples=48)

    assert set(kept) <= set(case.chunks())


def test_gaps_are_fine_where_a_column_may_have_them(case: Case) -> None:
    """NaN in a column that may be missing is kept as it is."""
    encoded, _ = case.encode(more='fault = "gap-allowed"')

    assert np.isnan(encoded.features.matrix).any()


def test_samples_that_cannot_be_encoded_are_named_at_once_and_the_others_kept(case: Case) -> None:
    """One report with sample ids; when they are mended, only they are encoded."""
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')
    first = str(caught.value)
    case.lines()
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')

    assert {p.where for p in caught.value.problems} <= {f"Tiny{d}/{n}" for d in "AB" for n in (5, 7)}
    assert len(caught.value.problems) == 2
    assert str(caught.value) == first
    assert all(line.split("|")[0].endswith((" 5", " 7")) for line in case.lines())


def test_an_endless_list_of_bad_samples_ends(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be read, the first few are enough."""
    monkeypatch.setattr(encoding, "MOST_PROBLEMS", 1)
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')

    assert len(caught.value.problems) == 1


def test_an_error_that_names_no_sample_ends_the_encoding(case: Case) -> None:
    """Weights that are gone are gone for every sample."""
    with pytest.raises(DataError, match="the weights are gone"):
        case.encode(more='fault = "data"')

    assert len(case.lines()) == 8


def test_a_streaming_encoder_gives_the_same(case: Case) -> None:
    """An encoder that prepares the next chunk ahead: the same rows, the same care with bad samples, blame if it ends early."""
    plain, _ = case.encode()
    streamed, _ = case.encode("e-stream")
    with pytest.raises(DataError) as caught:
        case.encode("e-stream", more='fault = "bad"')
    with pytest.raises(PluginError, match="NoneType instead of Features"):
        case.encode("e-stream", more='fault = "ends"')

    assert np.array_equal(plain.features.matrix, streamed.features.matrix)
    assert len(caught.value.problems) == 2


# --- fusion ---------------------------------------------------------------------------------------------------------------

FUSIONS = (
    "concat",
    "normalize-concat",
    "average",
    "weighted-average",
    "concat-interaction",
    "normalize-concat-interaction",
    "only-text",
    "only-image",
)


def dense(name: str, matrix: Any) -> Features:
    """Return dense features."""
    array = np.asarray(matrix, dtype=np.float32)
    return Features(array, tuple(Column(f"{name}/{i}") for i in range(array.shape[1])))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusions_are_those_of_the_reference(fusion: str, shared: Callable[[str], Path]) -> None:
    """All eight, on vectors that the reference's own code made; rows of zeros among them."""
    with np.load(shared("vectors/fusion.npz")) as vectors:
        parts = [dense("t", vectors["X_text"]), dense("v", vectors["X_vision"])]
        fused = fuse(parts, fusion, ["text", "image"], float(vectors["text_weight"]))
        expected = vectors[fusion.replace("-", "_")]

    assert np.allclose(fused.matrix, expected, atol=1e-6)
    assert fused.matrix.shape[1] == len({c.name for c in fused.columns})
    assert not fused.matrix.flags.writeable


@pytest.mark.parametrize("fusion", FUSIONS)
def test_numeric_columns_are_never_mixed(fusion: str) -> None:
    """They have units of their own: each stands in the result as it was, gaps included."""
    numbers = np.array([[3.0, 4, 100], [0, 2, np.nan]], np.float32)
    columns = (Column("t/0"), Column("t/1"), Column("t/words", "numeric", may_be_missing=True))
    image = dense("v", [[6, 8], [0, 0]])
    fused = fuse([Features(numbers, columns), image], fusion, ["text", "image"])
    kept = [i for i, c in enumerate(fused.columns) if c.kind == "numeric"]

    assert len(kept) == (fusion != "only-image")
    assert all(np.array_equal(fused.matrix[:, i], numbers[:, 2], equal_nan=True) for i in kept)
    assert np.isfinite(np.delete(fused.matrix, kept, axis=1)).all()


def test_several_encoders_of_a_modality_are_one_part() -> None:
    """Their dense columns stand side by side before text and image meet."""
    parts = [dense("a", [[1.0, 2]]), dense("i", [[10.0, 20, 30]]), dense("b", [[3.0]])]
    fused = fuse(parts, "average", ["text", "image", "text"])

    assert fused.matrix.tolist() == [[5.5, 11, 16.5]]


def test_an_encoder_used_twice_has_columns_of_two_names() -> None:
    """Tree routers name columns; two of one name could not be told apart."""
    fused = fuse([dense("a", [[1.0]]), dense("a", [[2.0]])], "concat")

    assert [c.name for c in fused.columns] == ["a/0", "a/0#2"]


@given(st.lists(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=5))
def test_normalizing_gives_unit_length_or_zero(rows: list[list[float]]) -> None:
    """Whatever the rows: length 1, or 0 for a row of zeros; never a NaN."""
    matrix = fuse([dense("a", np.round(rows, 2))], "normalize-concat").matrix
    lengths = np.linalg.norm(matrix, axis=1)

    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))


def test_a_fusion_without_dense_columns_says_so(case: Case) -> None:
    """That an encoder of images gives numbers only is known once it has run."""
    plan = case.plan('encoders = ["e-text", "e-pictured"]\nfusion = "average"')
    with pytest.raises(DataError, match="the encoders of image give none") as caught:
        encode(plan.feature_sets["f"], build(plan, case.places), case.places, quiet)

    assert caught.value.problems[0].where == "[features.f]"


def test_only_text_does_not_encode_images(case: Case) -> None:
    """Nobody waits for features that are thrown away, nor needs their weights."""
    table = f'encoders = ["e-text", {{ use = "e-image", file = "{case.asked}" }}]\nfusion = "only-text"'
    plan = case.plan(table)
    encoded = encode(plan.feature_sets["f"], build(plan, case.places), case.places, quiet)

    assert encoded.features.matrix.shape == (80, 3)
    assert case.lines() == []


# --- the plan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said", "fix"),
    [
        ('encoders = ["e-text"]\nfusion = "average"', "needs an encoder of text and an encoder of image", "vlrb list encoder"),
        ('encoders = ["e-text", "e-both"]\nfusion = "concat-interaction"', "'enc/e-both' (looks at both)", "normalize-concat"),
        ('encoders = ["e-image"]\nfusion = "only-text"', "needs an encoder of text", ""),
        ('encoders = ["e-text"]\nfusion = "averages"', "'averages'", "did you mean 'average'"),
        ('encoders = ["e-text"]\ntext_weight = 0.3', "is now called a parameter of the fusion", "write it so"),
        (
            'encoders = ["e-text", "e-image"]\nfusion = { use = "weighted-average", text_weight = 1.5 }',
            "fusion.text_weight",
            "",
        ),
        ('encoders = ["e-text", { use = "e-text" }]', "'enc/e-text' is listed twice", "remove one"),
    ],
)  # fmt: skip
def test_feature_sets_that_cannot_be_are_refused(case: Case, table: str, said: str, fix: str) -> None:
    """With the set, the encoders and the fix, before anything is encoded."""
    with pytest.raises(ConfigError) as caught:
        case.plan(table)

    assert "features.f" in str(caught.value)
    assert said in str(caught.value)
    assert fix in str(caught.value)


def test_the_weight_of_the_text_counts(case: Case) -> None:
    """text_weight reaches the fusion and the identity."""
    sets = [
        case.plan(
            f'encoders = ["e-text", "e-image"]\nfusion = {{ use = "weighted-average", text_weight = {w} }}'
        ).feature_sets["f"]
        for w in (0.0, 1.0)
    ]
    benchmark = build(case.plan('encoders = ["e-text"]'), case.places)
    matrices = [encode(s, benchmark, case.places, quiet).features.matrix for s in sets]
    alone = []
    for modality in ("image", "text"):
        one = case.plan(f'encoders = ["e-text", "e-image"]\nfusion = "only-{modality}"').feature_sets["f"]
        alone.append(encode(one, benchmark, case.places, quiet).features)

    assert sets[0].identity() != sets[1].identity()
    assert all(np.allclose(m, a.matrix) for m, a in zip(matrices, alone, strict=True))


@pytest.mark.parametrize(
    ("path", "becomes"),
    [("weights", "{folder}/weights"), ("./gone", "{folder}/gone"), ("org/model", "org/model"), ("/abs", "/abs")],
)
def test_a_folder_is_looked_for_beside_the_file(case: Case, path: str, becomes: str) -> None:
    """A parameter that is a folder or a name: a folder where there is one or it is written so, else left alone."""
    (case.folder / "weights").mkdir()
    plan = case.plan(f'encoders = [{{ use = "e-text", path = "{path}" }}]')

    assert plan.feature_sets["f"].encoders[0].params.path == becomes.format(folder=case.folder)
