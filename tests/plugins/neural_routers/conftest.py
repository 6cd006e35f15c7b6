"""Tiny bodies with random weights, written as real checkpoints, and samples of which some can only be routed by the image."""

from __future__ import annotations

import importlib.util
import io
import json
import string
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

from vlrb.api.frozen import Array
from vlrb.api.routing import Candidate, CostBounds, FitContext, Labelled, MetricValue, Queries
from vlrb.testing import make_queries

HERE = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "safetensors"))
collect_ignore_glob = [] if HERE else ["test_*.py"]
if HERE:
    import torch

KINDS = ("light", "dark", "charts")
CANDIDATES = tuple(Candidate(f"{kind}-{size}") for size in ("small", "middle", "large") for kind in KINDS)
COST = np.repeat([1e-5, 2e-5, 4e-5], 3)
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] what is the shade of this picture read chart value a b . yes no 0 1 2 3 4 5 6 7 8 9".split()
SIZE = 32


DEMO_WORDS = tuple(
    "? . , : a an and answer angle are area as at by chart circle colour correct diagram do does document figure following for from"
    " has highest how image in is it largest length letter many map more most no number object of on option or picture question"
    " read say says shape shown side sign smallest sum text than that the there this to total triangle true value what where"
    " which who word words written year yes".split()
)
"""Some of the words of the demo's questions."""


def save_preprocessor(folder: Path, **changes: Any) -> None:
    content = {"do_resize": True, "size": {"height": SIZE, "width": SIZE}, "resample": 2}
    content |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, **changes}
    (folder / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")


@attrs.frozen
class Bodies:
    """Folders with tiny checkpoints."""

    folder: Path

    def of(self, name: str) -> str:
        """Return the folder of a checkpoint."""
        return str(self.folder / name)

    def parameters(self, cross: str = "lxmert") -> dict[str, Any]:
        """Return parameters that name them."""
        return {"vision": self.of("vit"), "cross": self.of(cross), "text": self.of("bert"), "device": "cpu"}


def write_bodies(folder: Path, words: Sequence[str] = WORDS, units: int = 32) -> Bodies:
    """Write a tokenizer of some words, and checkpoints of ViT, LXMERT, VisualBERT and BERT with two layers of so many units."""
    from transformers import (
        BertConfig,
        BertModel,
        BertTokenizerFast,
        LxmertConfig,
        LxmertModel,
        VisualBertConfig,
        VisualBertModel,
        ViTConfig,
        ViTModel,
    )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        common = {"hidden_size": units, "num_attention_heads": units // 16, "intermediate_size": 2 * units}
        text = {**common, "vocab_size": len(words), "max_position_embeddings": 128}
        vit = ViTModel(ViTConfig(**common, num_hidden_layers=2, image_size=SIZE, patch_size=8, initializer_range=0.1))
        lxmert = LxmertConfig(**text, l_layers=1, r_layers=1, x_layers=2, visual_feat_dim=48, initializer_range=0.1)
        visual = VisualBertConfig(**text, num_hidden_layers=2, visual_embedding_dim=40, initializer_range=0.1)
        bert = BertConfig(**text, num_hidden_layers=4, initializer_range=0.1)
        models = {
            "vit": vit,
            "lxmert": LxmertModel(lxmert),
            "visualbert": VisualBertModel(visual),
            "bert": BertModel(bert),
        }
        for name, model in models.items():
            model.save_pretrained(folder / name)
    save_preprocessor(folder / "vit")
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab=str(vocabulary), do_lower_case=True).save_pretrained(folder / "bert")
    return Bodies(folder)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute in one thread: for such small matrices, threads that wait for each other cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Bodies:
    """Return the tiny checkpoints."""
    return write_bodies(tmp_path_factory.mktemp("bodies"))


@pytest.fixture
def demo_bodies(tmp_path: Path) -> Bodies:
    """Return tiny checkpoints whose tokenizer knows some words of the demo, and spells the others."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = {*WORDS[5:], *DEMO_WORDS, *letters, *(f"##{c}" for c in letters)}
    return write_bodies(tmp_path / "bodies", [*WORDS[:5], *sorted(words)], units=64)


def png(shade: int, rng: np.random.Generator) -> bytes:
    """Return a light or dark picture of 40 x 30 pixels with some noise."""
    file = io.BytesIO()
    pixels = np.clip(rng.normal(shade, 25, (30, 40, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@attrs.frozen(eq=False)
class Shades:
    """Labelled samples: each of light pictures, dark pictures and charts has three models that are right on it.

    The text tells charts from pictures, and only the image light from dark.  Models for charts are the strongest alone: they
    also get one in four of the pictures right.
    """

    folder: Path
    queries: Queries
    quality: Array

    def part(self, rows: slice) -> Labelled:
        """Return some of the samples."""
        index = np.arange(len(self.quality))[rows]
        quality = self.quality[index]
        return Labelled(self.queries.take(index), quality, quality.astype(float), np.tile(COST, (len(index), 1)))


def write_shades(folder: Path, n: int, seed: int) -> Shades:
    """Draw samples; their images are in one file."""
    rng = np.random.default_rng(seed)
    chart, light = rng.random(n) < 0.4, rng.random(n) < 0.5
    texts = [f"read the chart {i % 10}" if c else f"what is the shade {i % 10}" for i, c in enumerate(chart)]
    images = [(png(205 if is_light else 50, rng),) for is_light in light]
    options = [(("A", "yes"), ("B", "no"))] * n
    quality = np.tile(np.stack([~chart & light, ~chart & ~light, chart | (rng.random(n) < 0.25)], axis=1), 3)
    ids = [f"{i:04d}" for i in range(n)]
    queries = make_queries(texts, ids=ids, options=options, images=images, candidates=CANDIDATES)
    return Shades(folder, queries, quality)


DEV = slice(240, 320)


@pytest.fixture(scope="session")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Shades:
    """Return 480 samples."""
    return write_shades(tmp_path_factory.mktemp("shades"), 480, seed=1)


@attrs.define
class Told:
    """What a fit reported."""

    logged: list[tuple[int, dict[str, float]]] = attrs.field(factory=list)
    progress: list[tuple[int, int]] = attrs.field(factory=list)

    def curve(self, name: str) -> list[float]:
        """Return the values logged under a name."""
        return [v[name] for _, v in self.logged if name in v]


@pytest.fixture
def context(tmp_path: Path, shades: Shades, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FitContext, Told]]:
    """Return a function that makes a context whose dev score is the accuracy, and what will be told through it."""
    monkeypatch.setenv("VLRB_CACHE", str(tmp_path / "cache"))

    def make(work: str = "work", dev: Labelled | None = None, **changes: Any) -> tuple[FitContext, Told]:
        told = Told()
        quality = (dev or shades.part(DEV)).quality

        def score(choices: Array) -> MetricValue:
            return float(quality[np.arange(len(choices)), choices].mean())

        folder = tmp_path / work
        folder.mkdir(exist_ok=True)
        values: dict[str, Any] = {
            "candidates": CANDIDATES,
            "bounds": CostBounds(1e-5, 4e-5),
            "dev_score": score,
            "rng": np.random.default_rng(7),
            "seed": 7,
            "device": "cpu",
            "threads": 1,
            "work_directory": folder,
            "progress": lambda done, total: told.progress.append((done, total)),
            "log": lambda step, values: told.logged.append((step, dict(values))),
        }
        return FitContext(**{**values, **changes}), told

    return make
