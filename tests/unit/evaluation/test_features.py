"""Features: encoded once by content, fused, refused where the plan cannot be; encoders that break their contract are blamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from encoding_case import Case

from vlrb.benchmark.build import build
from vlrb.errors import ConfigError, DataError, PluginError
from vlrb.evaluation import encoding, features
from vlrb.evaluation.encoding import content_keys
from vlrb.evaluation.features import encode
from vlrb.executor import quiet


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
    """A new revision is encoded again and has another identity; going back finds the old one."""
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
        encode(plan, "f", build(plan, case.places), case.places, quiet)


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
    encode(plan, "f", build(plan, case.places), case.places, lambda *what: seen.append(what))

    assert seen == [("encoding with e-text", n, 40) for n in (20, 28, 36, 40)]


@pytest.mark.parametrize("fusion", ["normalize-concat", "normalize-concat-interaction", "average"])
def test_features_are_the_same_whatever_the_size_of_blocks(
    case: Case, monkeypatch: pytest.MonkeyPatch, fusion: str
) -> None:
    """Fusing in blocks, which keeps the memory small, gives every bit that fusing all at once gives."""
    plan = case.plan(f'encoders = ["e-text", "e-image"]\nfusion = "{fusion}"')
    benchmark = build(plan, case.places)
    whole = encode(plan, "f", benchmark, case.places, quiet).features.matrix.tobytes()
    shutil.rmtree(case.places.cache / "fused")
    monkeypatch.setattr(features, "BLOCK", 7)

    assert encode(plan, "f", benchmark, case.places, quiet).features.matrix.tobytes() == whole


def test_a_matrix_is_mapped_and_cannot_be_written(case: Case) -> None:
    """Processes share its pages, and no router can change what the next one sees."""
    encoded, _ = case.encode()
    matrix = encoded.features.matrix

    assert str(case.places.cache / "fused") in Path("/proc/self/maps").read_text(encoding="utf-8")
    for array in (matrix, matrix[1:3], matrix.base):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_a_damaged_matrix_is_made_again(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks for the cells of a run looks at the checksum; nothing is encoded again."""
    plan = case.plan(f'encoders = [{{ use = "e-text", file = "{case.asked}" }}]\nfusion = "concat"\n')
    benchmark = build(plan, case.places)
    before = encode(plan, "f", benchmark, case.places, quiet, 1).features.matrix.copy()
    case.lines()
    (file,) = case.places.cache.glob("fused/*/matrix.npy")
    data = file.read_bytes()
    file.write_bytes(data[:-40] + bytes(40))
    after = encode(plan, "f", benchmark, case.places, quiet, 1).features.matrix

    assert "its checksum differs" in caplog.text
    assert np.array_equal(before, after)
    assert case.lines() == []


def test_an_encoder_edited_meanwhile_leaves_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes import it anew: features of the new code must not stand under the key of the old, in any process."""
    monkeypatch.setattr(encoding, "GROUP", 2)
    for jobs in (1, 2):
        plan = case.plan(f'encoders = [{{ use = "e-text", file = "{case.asked}" }}]\nfusion = "concat"\n')
        benchmark = build(plan, case.places)
        source = Path(plan.feature_sets["f"].encoders[0].plugin.source or "")
        text = source.read_text(encoding="utf-8")
        source.write_text(text + "\nCHANGED = 1\n", encoding="utf-8")
        with pytest.raises(ConfigError, match="changed"):
            encode(plan, "f", benchmark, case.places, quiet, jobs)
        source.write_text(text, encoding="utf-8")

        assert not list(case.places.cache.glob("features/*/*.arrow"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_executor_encodes_in_groups(case: Case, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """Groups of chunks are tasks, in other processes too: every content once, the same features, the same progress at the end."""
    monkeypatch.setattr(encoding, "GROUP", 2)
    plan = case.plan(f'encoders = [{{ use = "e-text", file = "{case.asked}" }}]\nfusion = "concat"\n')
    benchmark, seen = build(plan, case.places), list[tuple[str, int, int]]()
    encoded = encode(plan, "f", benchmark, case.places, lambda *what: seen.append(what), jobs)
    asked = case.lines()
    shutil.rmtree(case.places.cache / "features")
    shutil.rmtree(case.places.cache / "fused")
    alone = encode(plan, "f", benchmark, case.places, quiet)

    assert len(asked) == 40
    assert seen[-1] == ("encoding with e-text", 40, 40)
    assert encoded.features.matrix.tobytes() == alone.features.matrix.tobytes()


def test_an_encoder_that_is_used_twice_is_two(case: Case) -> None:
    """With other parameters: each has its own progress, and its own tasks."""
    given = f'use = "e-text", file = "{case.asked}"'
    plan = case.plan(f'encoders = [{{ {given} }}, {{ {given}, width = 4 }}]\nfusion = "concat"\n')
    seen = list[tuple[str, int, int]]()
    encoded = encode(plan, "f", build(plan, case.places), case.places, lambda *what: seen.append(what), 1)

    assert len(encoded.features.columns) == 7
    assert {what for what in seen if what[1] == what[2]} == {(f"encoding with e-text ({i})", 40, 40) for i in (1, 2)}


def test_a_fusion_without_dense_columns_says_so(case: Case) -> None:
    """That an encoder of images gives numbers only is known once it has run."""
    plan = case.plan('encoders = ["e-text", "e-pictured"]\nfusion = "average"')
    with pytest.raises(DataError, match="the encoders of image give none") as caught:
        encode(plan, "f", build(plan, case.places), case.places, quiet)

    assert caught.value.problems[0].where == "[features.f]"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nan", "returned nan in column 'c' of sample 'TinyA/1'"),
        ("inf", "returned inf in column 'x/2' of sample 'TinyA/1'"),
        ("dtype", "returned a matrix of float64 instead of float32\n    fix: return matrix.astype(np.float32)"),
    ],
)
def test_a_fusion_that_breaks_its_contract_is_blamed(case: Case, fault: str, said: str) -> None:
    """Its values are checked as an encoder's are: routers would make choices of NaN and infinity."""
    plan = case.plan(f'encoders = ["e-text"]\nfusion = {{ use = "odd", fault = "{fault}" }}')
    with pytest.raises(PluginError) as caught:
        encode(plan, "f", build(plan, case.places), case.places, quiet)

    assert f"fusion 'enc/odd' of plugin 'enc' {said}" in str(caught.value)


def test_only_text_does_not_encode_images(case: Case) -> None:
    """Nobody waits for features that are thrown away, nor needs their weights."""
    table = f'encoders = ["e-text", {{ use = "e-image", file = "{case.asked}" }}]\nfusion = "only-text"'
    plan = case.plan(table)
    encoded = encode(plan, "f", build(plan, case.places), case.places, quiet)

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
        ('encoders = ["e-text"]\ntext_weight = 0.3', "is no longer a key here", "move it to the fusion"),
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
    plans = [
        case.plan(f'encoders = ["e-text", "e-image"]\nfusion = {{ use = "weighted-average", text_weight = {w} }}')
        for w in (0.0, 1.0)
    ]
    sets = [p.feature_sets["f"] for p in plans]
    benchmark = build(case.plan('encoders = ["e-text"]'), case.places)
    matrices = [encode(p, "f", benchmark, case.places, quiet).features.matrix for p in plans]
    alone = []
    for modality in ("image", "text"):
        one = case.plan(f'encoders = ["e-text", "e-image"]\nfusion = "only-{modality}"')
        alone.append(encode(one, "f", benchmark, case.places, quiet).features)

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
