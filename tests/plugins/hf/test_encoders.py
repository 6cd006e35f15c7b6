"""Vectors of text and images: what the models themselves give, whatever else is in the batch."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from vlrb.api.frozen import Array
from vlrb.benchmark.build import build
from vlrb.errors import ConfigError, DataError
from vlrb.evaluation.features import encode
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places
from vlrb_plugins.hf.image import ImageEncoder
from vlrb_plugins.hf.params import AnyImageParams, AnyTextParams, E5Params
from vlrb_plugins.hf.text import TextEncoder
from vlrb_plugins.shared.pretrained.device import device_of
from vlrb_plugins.shared.pretrained.preparing import ahead, rgb

TEXTS = ["what is the height of the bar ?", "how many dogs", "no", "yes : yes " * 8]
KINDS = ("vit", "vit-without-pooler", "dinov2", "clip", "siglip")


def texts(path: Path, **more: Any) -> TextEncoder:
    """Return an encoder of text."""
    return TextEncoder("x", "", AnyTextParams(path=str(path), **more))


def images(path: Path, **more: Any) -> ImageEncoder:
    """Return an encoder of images."""
    return ImageEncoder("v", "", AnyImageParams(path=str(path), **more))


def unit(rows: Any) -> Array:
    """Scale rows to unit length."""
    array = np.asarray(rows, dtype=np.float64)
    return np.asarray(array / np.linalg.norm(array, axis=-1, keepdims=True))


# --- text -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_text_is_pooled_as_the_model_says(tiny: Any, pooling: str) -> None:
    """What transformers gives, pooled by hand; told by modules.json or by the parameter."""
    folder = tiny.bert()
    words = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in TEXTS:
        with torch.inference_mode():
            hidden = model(**words(text, return_tensors="pt")).last_hidden_state[0]
        rows.append((hidden[0] if pooling == "cls" else hidden.mean(dim=0)).numpy())
    named = texts(folder, pooling=pooling).encode(tiny.queries(TEXTS))
    own = texts(tiny.sentence(pooling)).encode(tiny.queries(TEXTS))

    assert np.allclose(named.matrix, unit(rows), atol=1e-5)
    assert np.allclose(own.matrix, unit(rows), atol=1e-5)
    assert named.matrix.dtype == np.float32
    assert [c.name for c in named.columns] == [f"x/{i}" for i in range(16)]
    assert {c.kind for c in named.columns} == {"dense"}


def test_a_text_does_not_depend_on_its_neighbours(tiny: Any) -> None:
    """Padding to the longest of the batch is masked; the order and the size of batches change nothing."""
    folder = tiny.sentence()
    together = texts(folder).encode(tiny.queries(TEXTS)).matrix
    alone = np.vstack([texts(folder).encode(tiny.queries([t])).matrix for t in TEXTS])
    small = texts(folder, batch_size=2).encode(tiny.queries(TEXTS[::-1])).matrix[::-1]

    assert np.allclose(together, alone, atol=1e-6)
    assert np.allclose(together, small, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_the_text_is_what_the_parameter_says(tiny: Any) -> None:
    """The question alone, as the paper has it, or with options and hint."""
    plain = tiny.queries(["how many dogs"])
    full = attrs.evolve(plain, options=[(("a", "yes"), ("b", "no"))], hints=["the height"])
    folder = tiny.sentence()
    rich, bare = texts(folder), texts(folder, text="question")
    joined = tiny.queries(["how many dogs\na. yes\nb. no\nthe height"])

    assert np.allclose(rich.encode(full).matrix, rich.encode(joined).matrix, atol=1e-6)
    assert np.allclose(bare.encode(full).matrix, bare.encode(plain).matrix, atol=1e-6)
    assert np.allclose(rich.encode(plain).matrix, bare.encode(plain).matrix, atol=1e-6)
    assert not np.allclose(rich.encode(full).matrix, bare.encode(full).matrix, atol=1e-3)


def test_prefix_and_length(tiny: Any) -> None:
    """A prefix stands before every text; what is longer than max_length is cut off."""
    folder = tiny.sentence()
    prefixed = TextEncoder("e5", "", E5Params(path=str(folder))).encode(tiny.queries(["dogs"])).matrix
    plain = texts(folder).encode(tiny.queries(["query: dogs"])).matrix
    short, same = ("how many dogs is the height of the bar", "how many dogs is the height")
    cut = texts(folder, max_length=8)

    assert np.allclose(prefixed, plain, atol=1e-6)
    assert np.allclose(cut.encode(tiny.queries([short])).matrix, cut.encode(tiny.queries([same])).matrix, atol=1e-6)


def test_an_empty_text_and_unknown_words_have_vectors(tiny: Any) -> None:
    """No text is refused, and none is NaN."""
    made = texts(tiny.sentence()).encode(tiny.queries(["", "图中有几只狗", "\x00", "word " * 500])).matrix

    assert np.isfinite(made).all()
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)


def test_pooling_is_not_guessed(tiny: Any) -> None:
    """sentence-transformers would take the mean of any model; the makers know better."""
    with pytest.raises(DataError, match="no modules.json") as caught:
        texts(tiny.bert())

    assert 'pooling = "mean"' in caught.value.problems[0].fix


# --- images ---------------------------------------------------------------------------------------------------------------


def by_hand(folder: Path, kind: str, image: Image.Image) -> Array:
    """Return an image's vector, as the model's documentation says."""
    pixels = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")(images=image, return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        if kind in ("clip", "siglip"):
            return unit(model.get_image_features(**pixels).pooler_output[0].numpy())
        out = model(**pixels)
    return unit((out.last_hidden_state[0, 0] if kind == "vit-without-pooler" else out.pooler_output[0]).numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_images_are_encoded_as_the_model_does(tiny: Any, kind: str) -> None:
    """DINOv2's pooler, CLIP's and SigLIP's image features, ViT's pooler or, where its weights are missing, first token."""
    folder = tiny.vision(kind)
    names = [tiny.image(i, (40 + 9 * i, 50)) for i in range(5)]
    made = images(folder, batch_size=2).encode(tiny.queries([], [(n,) for n in names]))
    if kind != "vit-without-pooler":
        expected = [by_hand(folder, kind, Image.open(io.BytesIO(tiny.data(n)))) for n in names]
        assert np.allclose(made.matrix[:, :-1], expected, atol=1e-5)
    alone = [images(folder).encode(tiny.queries([], [(n,)])).matrix[0] for n in names]

    assert np.allclose(made.matrix, alone, atol=1e-6)
    assert np.allclose(np.linalg.norm(made.matrix[:, :-1], axis=1), 1, atol=1e-5)
    assert np.abs(made.matrix[0] - made.matrix[1]).max() > 1e-3
    assert [c.kind for c in made.columns] == ["dense"] * (len(made.columns) - 1) + ["numeric"]


def test_several_images_are_averaged_and_none_is_zero(tiny: Any) -> None:
    """The mean of unit vectors, scaled again; a sample without an image is a zero vector that says so."""
    encoder = images(tiny.vision("dinov2"), batch_size=3)
    a, b = tiny.image(1), tiny.image(2)
    matrix = encoder.encode(tiny.queries([], [(a,), (b,), (a, b), (), (a, a)])).matrix

    assert np.allclose(matrix[2, :-1], unit(matrix[0, :-1] + matrix[1, :-1]), atol=1e-6)
    assert np.allclose(matrix[4, :-1], matrix[0, :-1], atol=1e-6)
    assert not matrix[3].any()
    assert matrix[:, -1].tolist() == [1, 1, 1, 0, 1]


def test_without_any_image_the_columns_are_the_same(tiny: Any) -> None:
    """A chunk of questions without images has the columns of any other."""
    encoder = images(tiny.vision("dinov2"))
    none = encoder.encode(tiny.queries(["q", "q"]))
    some = encoder.encode(tiny.queries([], [(tiny.image(),)]))

    assert none.columns == some.columns
    assert none.matrix.shape == (2, 17)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK"])
def test_any_kind_of_image_is_taken(tiny: Any, mode: str) -> None:
    """Black and white, palettes, transparency; a single pixel, and lines of one or three pixels."""
    image = Image.new("RGB", (30, 20), (10, 200, 30)).convert("RGB" if mode == "CMYK" else mode)
    odd = [tiny.put(Image.new("RGB", size)) for size in ((1, 1), (3, 3), (1, 90), (90, 3))]
    matrix = images(tiny.vision("vit")).encode(tiny.queries([], [(tiny.put(image),), *((n,) for n in odd)])).matrix

    assert np.isfinite(matrix).all()


def test_chunks_are_worked_on_as_one_stream(tiny: Any) -> None:
    """Batches are filled across chunks: the same rows as chunk by chunk, in fewer runs of the model."""
    encoder = images(tiny.vision("dinov2"), batch_size=4)
    queries = tiny.queries([], [(tiny.image(i),) if i % 4 else () for i in range(11)])
    parts = [queries.take(np.arange(i, min(i + 3, 11))) for i in range(0, 11, 3)]
    runs: list[int] = []
    real = encoder._vectors

    def counted(pixels: Any) -> Any:
        runs.append(len(pixels))
        return real(pixels)

    encoder._vectors = counted  # type: ignore[method-assign]
    streamed = list(encoder.stream(parts))

    assert runs == [4, 4]
    assert [len(f.matrix) for f in streamed] == [3, 3, 3, 2]
    assert np.allclose(np.vstack([f.matrix for f in streamed]), encoder.encode(queries).matrix, atol=1e-6)


def test_a_broken_image_names_its_sample(tiny: Any) -> None:
    """In the middle of a batch: the sample's id, as the harness gave it, and no thread is left."""
    good = [tiny.image(i) for i in range(6)]
    tiny.files[good[4]] = tiny.files[good[4]][:-100]
    before = threading.active_count()
    with pytest.raises(DataError) as caught:
        images(tiny.vision("vit"), batch_size=2).encode(tiny.queries([], [(n,) for n in good]))

    assert caught.value.problems[0].where == f"{4:024x}"
    assert threading.active_count() == before


def test_work_ahead_is_bounded_and_in_order() -> None:
    """Threads prepare what comes next, and no more of it than the limit."""
    begun: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            begun.append(i)
            yield i

    with ThreadPoolExecutor(3) as pool:
        taken = []
        for item, made in ahead(pool, lambda i: i * i, items(), 5):
            taken.append((item, made))
            assert len(begun) - len(taken) < 5

    assert taken == [(i, i * i) for i in range(20)]


def test_images_are_prepared_ahead_of_the_model(tiny: Any) -> None:
    """When the model gets its first batch, the images of the next ones are in work."""
    encoder = images(tiny.vision("vit"), batch_size=2)
    begun: list[int] = []
    seen: list[int] = []
    real = encoder._vectors

    def chunks() -> Iterator[Any]:
        for i in range(12):
            begun.append(i)
            yield tiny.queries([], [(tiny.image(i),)])

    encoder._vectors = lambda batch: seen.append(len(begun)) or real(batch)  # type: ignore[method-assign]

    assert len(list(encoder.stream(chunks()))) == 12
    assert len(seen) == 6
    assert seen[0] > 4


def test_half_precision_gives_float32_close_by(tiny: Any) -> None:
    """dtype is that of the model; features are float32 in any case."""
    folder = tiny.vision("dinov2")
    query = tiny.queries([], [(tiny.image(),)])
    full, half = (images(folder, dtype=d).encode(query).matrix for d in ("float32", "bfloat16"))
    text = texts(tiny.sentence(), dtype="bfloat16").encode(tiny.queries(TEXTS)).matrix

    assert (half.dtype, text.dtype) == (np.float32, np.float32)
    assert np.allclose(full, half, atol=0.05)
    assert not np.array_equal(full, half)


def test_a_pooler_without_weights_is_refused_when_asked_for(tiny: Any) -> None:
    """It would be drawn at random."""
    with pytest.raises(DataError, match="no weights of a pooler"):
        images(tiny.vision("vit-without-pooler"), pooling="pooler")


@pytest.mark.parametrize("pooling", ["pooler", "cls", "mean"])
def test_pooling_can_be_chosen(tiny: Any, pooling: str) -> None:
    """Three ways, three vectors of unit length."""
    matrix = images(tiny.vision("vit"), pooling=pooling).encode(tiny.queries([], [(tiny.image(),)])).matrix

    assert np.linalg.norm(matrix[0, :-1]) == pytest.approx(1, abs=1e-5)


def spoilt(encoder: Any) -> Any:
    """Give a model weights that overflow, as those of half precision may."""
    with torch.no_grad():
        for parameter in encoder._model.parameters():
            parameter.fill_(float("inf"))
    return encoder


def test_vectors_that_are_not_finite_are_no_zeros(tiny: Any) -> None:
    """A model that gives NaN: all samples are named, with the precision to set, and none gets a vector of zeros."""
    text = spoilt(texts(tiny.sentence()))
    image = spoilt(images(tiny.vision("vit")))
    queries = tiny.queries(["what", "is"], [(tiny.image(1),), (tiny.image(2),)])
    for encoder in (text, image):
        with pytest.raises(DataError, match="NaN or infinite") as caught:
            encoder.encode(queries)
        assert [p.where for p in caught.value.problems] == list(queries.ids)
        assert caught.value.problems[0].fix == 'set dtype = "float32"'


def test_a_palette_with_transparency_is_no_warning() -> None:
    """Its colours are those of the palette."""
    image = Image.new("RGB", (9, 9), (200, 10, 10)).convert("P")
    plain = np.asarray(image.convert("RGB"))
    image.info["transparency"] = bytes([0, 128, 255])

    assert np.array_equal(np.asarray(rgb(image)), plain)


# --- devices --------------------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name it must be there; auto takes what there is."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == "cpu"
    with pytest.raises(ConfigError, match='device: is "cuda", and torch finds no GPU'):
        device_of("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    assert device_of("auto") == device_of("cuda") == "cuda"


@pytest.mark.parametrize(
    "lack",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_names_the_batch_size(tiny: Any, lack: Exception) -> None:
    """Of text and of images: its value, and a smaller one, which goes on where this one stopped; other errors stay as they are."""
    raised = [lack]

    def full(*_: Any, **__: Any) -> Any:
        raise raised[0]

    image = images(tiny.vision("vit"), batch_size=6)
    image._vectors = full  # type: ignore[method-assign]
    text = texts(tiny.sentence(), batch_size=6)
    text._model.encode = full
    queries = tiny.queries(["what"], [(tiny.image(),)])
    for encoder, name in ((image, "v"), (text, "x")):
        with pytest.raises(ConfigError) as caught:
            encoder.encode(queries)
        (problem,) = caught.value.problems
        assert problem.where == f"encoder {name!r}"
        assert "cpu ran out of memory with batch_size = 6: " in problem.message
        assert problem.fix == "set batch_size = 3 and run again: what has been encoded is kept"
    raised[0] = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        image.encode(queries)


def test_a_model_that_is_larger_than_the_memory(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are not at fault, and nobody is sent to look for others."""

    def full(*_: Any, **__: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(ConfigError, match="ran out of memory while the model of encoder 'v' was loaded") as caught:
        images(tiny.vision("vit"))

    assert "choose a smaller model" in caught.value.problems[0].fix


# --- through the experiment file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", ["normalize-concat", "average", "concat-interaction"])
def test_a_feature_set_of_text_and_image(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fusion: str
) -> None:
    """Folders beside the experiment file, through plan, cache and fusion; another batch size finds the same features."""
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    tiny.sentence(), tiny.vision("dinov2")
    support = Path(__file__).parents[2] / "support" / "tiny.py"
    seen: list[tuple[str, int, int]] = []

    def made(size: int) -> Any:
        file = tmp_path / "e.toml"
        file.write_text(
            f'name = "e"\nplugins = ["{support}"]\nrequires = []\n[logs]\nuse = "tiny"\nsamples = 6\n'
            f'[features.f]\nfusion = "{fusion}"\nencoders = [\n'
            f'{{ use = "sentence-transformer", path = "sentence", batch_size = {size} }},\n'
            f'{{ use = "vision-transformer", path = "./vision", batch_size = {size} }}]\n',
            encoding="utf-8",
        )
        plan = make_plan(file)
        places = Places(tmp_path / "runs", tmp_path / "cache")
        return encode(plan, "f", build(plan, places), places, lambda *what: seen.append(what))

    first = made(4)
    worked = len(seen)
    second = made(5)

    width = {"normalize-concat": 32, "average": 16, "concat-interaction": 64}[fusion]
    assert first.features.matrix.shape == (12, width + 1)
    assert np.array_equal(first.features.matrix, second.features.matrix)
    assert (worked > 0, len(seen)) == (True, worked)
