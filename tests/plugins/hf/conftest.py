"""Tiny models with random weights, written as their makers write them and loaded by the same code as real ones."""

from __future__ import annotations

import io
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

import torch
import transformers

from vlrb.api.routing import Queries
from vlrb.testing import make_queries

WORDS = (
    "what",
    "is",
    "the",
    "height",
    "of",
    "bar",
    "how",
    "many",
    "dogs",
    "yes",
    "no",
    "query",
    ":",
    ".",
    "?",
    "a",
    "b",
)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what is remembered of weights in the test's own cache, and torch to one thread."""
    monkeypatch.setenv("VLRB_CACHE", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def drawn(make: Callable[[], Any]) -> Any:
    """Make a model with weights that are the same every time, and large enough to tell inputs apart."""
    torch.manual_seed(0)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def tokenizer(folder: Path) -> Any:
    """Return a tokenizer of whole words."""
    vocabulary = folder / "vocab.txt"
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)), encoding="utf-8")
    return transformers.BertTokenizerFast(str(vocabulary))


def bert(folder: Path) -> Path:
    """Write a plain transformers model of text."""
    words = tokenizer(folder)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    drawn(lambda: transformers.BertModel(config)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def sentence_model(folder: Path, pooling: str) -> Path:
    """Write a model of sentence-transformers."""
    import sentence_transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers.sentence_transformer import modules

        body = modules.Transformer(str(bert(folder.with_name(folder.name + "-body"))))
        pool = modules.Pooling(16, pooling_mode=pooling)
        model = sentence_transformers.SentenceTransformer(modules=[body, pool, modules.Normalize()], device="cpu")
        model.save(str(folder))
    return folder


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def vision_model(folder: Path, kind: str) -> Path:
    """Write a model of images with its processor."""
    size = {"height": 32, "width": 32}
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 16}
    t = transformers
    makers: dict[str, Any] = {
        "vit": (lambda: t.ViTModel(t.ViTConfig(**vision)), lambda: t.ViTImageProcessor(size=size)),
        "vit-without-pooler": (
            lambda: t.ViTModel(t.ViTConfig(**vision), add_pooling_layer=False),
            lambda: t.ViTImageProcessor(size=size),
        ),
        "dinov2": (
            lambda: t.Dinov2Model(t.Dinov2Config(**vision)),
            lambda: t.BitImageProcessor(
                size={"shortest_edge": 36}, crop_size=size, do_convert_rgb=True, image_mean=[0.5] * 3, image_std=[0.5] * 3
            ),
        ),
        "clip": (
            lambda: t.CLIPModel(t.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)),
            lambda: t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size),
        ),
        "siglip": (
            lambda: t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=vision)),
            lambda: t.SiglipImageProcessor(size=size),
        ),
    }  # fmt: skip
    model, processor = makers[kind]
    drawn(model).save_pretrained(folder)
    processor().save_pretrained(folder)
    return folder


class Tiny:
    """Makes models in a folder, images, and queries about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}

    def bert(self, name: str = "bert") -> Path:
        """Write a plain transformers model of text."""
        return bert(self.folder / name)

    def sentence(self, pooling: str = "mean", name: str = "sentence") -> Path:
        """Write a model of sentence-transformers."""
        return sentence_model(self.folder / name, pooling)

    def vision(self, kind: str, name: str = "vision") -> Path:
        """Write a model of images."""
        return vision_model(self.folder / name, kind)

    def hub(self, hub_id: str, model: Path, cache: Path, commit: str = "c" * 40) -> Path:
        """Put a model where the hub's cache would have it."""
        root = cache / f"models--{hub_id.replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text(commit, encoding="utf-8")
        shutil.copytree(model, root / "snapshots" / commit)
        return root / "snapshots" / commit

    def image(self, seed: int = 0, size: tuple[int, int] = (50, 40), mode: str = "RGB") -> str:
        """Keep an image of noise and return its name."""
        random = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        return self.put(Image.fromarray(random).convert(mode))

    def put(self, image: Image.Image) -> str:
        """Keep an image and return its name."""
        file = io.BytesIO()
        image.save(file, "PNG")
        self.files[str(len(self.files))] = file.getvalue()
        return str(len(self.files) - 1)

    def data(self, name: str) -> bytes:
        """Return an image file."""
        return self.files[name]

    def queries(self, texts: Sequence[str] = (), images: Sequence[tuple[str, ...]] = ()) -> Queries:
        """Return queries without options and hints."""
        n = len(texts) or len(images)
        files = [[self.files[name] for name in of_sample] for of_sample in images]
        return make_queries(list(texts) or [""] * n, images=files or None, candidates=0)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Return a maker of tiny models."""
    return Tiny(tmp_path)
