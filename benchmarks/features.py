"""How fast samples are encoded, against decoding their images only, and how fast features come back from the cache, in one run.

Usage: python benchmarks/features.py FOLDER [SAMPLES]      (default: 3,000 of the demo)

FOLDER keeps the demo's logs and the cache of the benchmark; features are made again.  With the extra ``hf`` installed, a small
vision transformer with random weights stands for real ones: its images are prepared by the same code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vlrb.api.routing import Column, Features
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.encoding import CHUNK
from vlrb.evaluation.feature_store import KEY, FeatureStore, gather
from vlrb.evaluation.features import BLOCK, encode
from vlrb.executor import quiet
from vlrb.experiment.plan import Plan
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places
from vlrb_plugins.fusions.fusing import fuse

OFFLINE = ("hashed-text", "question-structure", "image-statistics", "visual-cues")
PAPER = (30_540, 1024, 768)
"""Samples of the paper's benchmark, and columns of its encoders of text and image."""


@contextlib.contextmanager
def timed(what: str, count: int, bare: float = 0.0, against: str = "") -> Iterator[list[float]]:
    """Print how long a piece of work took, and its ratio to bare work."""
    taken: list[float] = []
    began = time.perf_counter()
    yield taken
    taken.append(time.perf_counter() - began)
    ratio = f"   {taken[0] / bare:6.2f} x {against}" if bare else ""
    print(f"  {what:<52} {taken[0]:8.2f} s  {1000 * taken[0] / count:8.3f} ms each{ratio}")


def tiny_model(folder: Path) -> str:
    """Write a small vision transformer; return its table for the experiment file, or an empty text without the extra."""
    try:
        import torch
        import transformers
    except ImportError:
        print("(torch and transformers are not installed: no model of images)")
        return ""
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=224, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder / "model")
    processor = transformers.ViTImageProcessor(size={"height": 224, "width": 224})
    processor.save_pretrained(folder / "model")
    return f'{{ use = "vision-transformer", path = "{folder / "model"}" }}'


def sets(folder: Path, samples: int) -> tuple[Plan, dict[str, str], Benchmark]:
    """Return a plan, encoder -> the name of its feature set there, and the benchmark."""
    encoders = {name: f'"{name}"' for name in OFFLINE}
    model = tiny_model(folder)
    encoders |= {"vision-transformer (tiny)": model} if model else {}
    tables = "".join(f"[features.f{i}]\nencoders = [{e}]\n" for i, e in enumerate(encoders.values()))
    text = f'name = "features"\nrequires = []\n[logs]\nuse = "demo"\nsamples = {samples}\n{tables}'
    (folder / "features.toml").write_text(text, encoding="utf-8")
    plan = make_plan(folder / "features.toml")
    made = {name: f"f{i}" for i, name in enumerate(encoders)}
    return plan, made, build(plan, Places.of(None, str(folder / "cache")))


def without_last(benchmark: Benchmark) -> Benchmark:
    """Return a benchmark without its last sample."""
    return benchmark.take(np.arange(len(benchmark) - 1))


def work(folder: Path, samples: int) -> None:
    """Print what encoding costs against decoding, what is cached, and one sample more."""
    plan, chosen, benchmark = sets(folder, samples)
    places = Places.of(None, str(folder / "cache"))
    for kind in ("features", "fused"):
        shutil.rmtree(places.cache / kind, ignore_errors=True)
    n = len(benchmark)
    print(f"{n:,} samples, {os.cpu_count()} CPUs, chunks of {CHUNK}")
    with timed("decoding all images, in threads", n) as bare, ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda i: [image.convert("RGB") for image in benchmark.images[i]], range(n)))
    for name, one in chosen.items():
        with timed(f"{name}, all but one", n, bare[0], "decoding"):
            encode(plan, one, without_last(benchmark), places, quiet)
        with timed(f"{name}, one sample more", 1):
            encode(plan, one, benchmark, places, quiet)
        with timed(f"{name}, all known", n):
            encode(plan, one, benchmark, places, quiet)


def reading(folder: Path) -> None:
    """Print how long features of the paper's size take to come back and to be fused, against reading the bare arrays."""
    n, *widths = PAPER
    rng = np.random.default_rng(0)
    keys = np.array([hashlib.sha256(str(i).encode()).hexdigest()[:32] for i in range(n)], dtype=KEY)
    print(f"{n:,} samples with {' + '.join(map(str, widths))} columns")
    stores, files = [], []
    for width in widths:
        store = FeatureStore(folder / f"store-{width}", str(width))
        shutil.rmtree(store.folder, ignore_errors=True)
        store.folder.mkdir(parents=True)
        matrix = rng.standard_normal((n, width), dtype=np.float32)
        columns = tuple(Column(f"{width}/{i}") for i in range(width))
        for start in range(0, n, CHUNK):
            rows = slice(start, start + CHUNK)
            store.write(np.sort(keys[rows]), Features(matrix[rows], columns), 1.0)
        np.save(folder / f"{width}.npy", matrix)
        stores.append(store)
        files.append(folder / f"{width}.npy")
    with timed("bare arrays read and put side by side", n) as bare:
        np.hstack([np.load(f) for f in files])
    with timed("chunks checked and put in order, in files", n, bare[0], "bare"):
        parts = [gather(s, keys, folder / f"gathered-{s.key}") for s in stores]
    with timed("fused in blocks: normalize-concat", n, bare[0], "bare"):
        for start in range(0, n, BLOCK):
            fuse([p.rows(slice(start, min(start + BLOCK, n))) for p in parts], "normalize-concat")
    for store in stores:
        shutil.rmtree(store.folder)


def main() -> None:
    """Print both."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    work(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 3_000)
    reading(folder)


if __name__ == "__main__":
    main()
