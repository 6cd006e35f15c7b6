"""Speed of the neural routers' data pipeline, training and routing, with full-size bodies whose weights are random.

Usage: python benchmarks/neural_routers.py [pipeline] [latency] [learning] [THREADS]

``pipeline``: samples per second that come out of the cache of pixels and tokens, against those that training takes in the same
run; on a GPU, training runs in bfloat16.  ``latency``: routing one request, and 16, from encoded images and texts to choices.
``learning``: the four routers with tiny bodies, on the demo, seeing and blind.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 256
MODELS = 17
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "what",
    "is",
    "the",
    "value",
    "of",
    "this",
    "chart",
    "in",
    "year",
    "which",
    "one",
    "largest",
    "a",
    "b",
    "c",
    "d",
    ".",
    "?",
]


def photo(rng: np.random.Generator) -> bytes:
    """Return a JPEG of 800 x 600 pixels with some structure in it."""
    from PIL import Image

    small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    file = io.BytesIO()
    small.resize((800, 600), Image.Resampling.BICUBIC).save(file, "JPEG", quality=88)
    return file.getvalue()


def queries(folder: Path) -> Any:
    """Return requests, each with an image of its own and a question of some forty words."""
    from vlrb.api.images import Images, ImageStore, ImageWriter
    from vlrb.api.routing import Candidate, Queries

    rng = np.random.default_rng(0)
    with ImageWriter(folder / "images.arrow") as writer:
        hashes = [(writer.add(photo(rng), str(i)).hash,) for i in range(IMAGES)]
    texts = [" ".join(rng.choice(WORDS[5:], 40)) for _ in range(IMAGES)]
    ids = [f"{i:05d}" for i in range(IMAGES)]
    images = Images(ImageStore([folder / "images.arrow"]), hashes, ids)
    candidates = tuple(Candidate(f"m{i}") for i in range(MODELS))
    return Queries(ids, texts, [()] * IMAGES, [""] * IMAGES, images, candidates)


def network() -> Any:
    """Return ViT-base, LXMERT and a linear head of full size."""
    from transformers import LxmertConfig, LxmertModel, ViTConfig, ViTModel

    from vlrb_plugins.neural_routers.bodies import Lxmert, Network, Sight
    from vlrb_plugins.neural_routers.heads import Linear

    body = Lxmert(LxmertModel(LxmertConfig()))
    vit = ViTModel(ViTConfig(), add_pooling_layer=False)
    sight = Sight(vit, body.visual_width, (0.5,) * 3, (0.5,) * 3, frozen=False)
    return Network(sight, body, Linear(body.width, MODELS, 0.1))


def tokenizer(folder: Path) -> Any:
    """Return a WordPiece tokenizer of few words."""
    from transformers import BertTokenizerFast

    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return BertTokenizerFast(vocab=str(folder / "vocab.txt"))


def reading() -> Any:
    """Return how samples are read."""
    from vlrb_plugins.neural_routers.pixels import Resizing
    from vlrb_plugins.neural_routers.samples import Reading

    return Reading(128, True, 4, Resizing(224), (0.5,) * 3, (0.5,) * 3, False)


def quiet(done: int, total: int) -> None:
    """Show no progress."""


def per_second(count: int, work: Callable[[], Any]) -> float:
    """Return how many of ``count`` things are done in a second."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def pipeline(folder: Path, threads: int) -> None:
    """Print samples per second of decoding, of the cache, and of training, and their ratio."""
    import torch

    from vlrb_plugins.neural_routers.device import chosen_device
    from vlrb_plugins.neural_routers.params import VlcParams
    from vlrb_plugins.neural_routers.samples import kept_samples

    asked = queries(folder)

    def fill() -> Any:
        return kept_samples(asked, tokenizer(folder), reading(), folder / "pixels", threads, quiet)

    print(f"decode, resize, tokenise (once)   {per_second(IMAGES, fill):9.0f} samples/s")
    began = time.perf_counter()
    samples = fill()
    print(f"find them again in the cache      {time.perf_counter() - began:9.3f} s for {IMAGES} samples")
    orders = np.random.default_rng(0).permutation(np.tile(np.arange(IMAGES), 8)).reshape(-1, 16)
    supplied = per_second(orders.size, lambda: [samples.batch(rows) for rows in orders])
    print(f"batches of 16 from the cache      {supplied:9.0f} samples/s")

    where = chosen_device(VlcParams())
    size, steps = (64, 20) if where.kind == "cuda" else (8, 2)
    model = network().to(where.kind).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def step() -> None:
        with where.precision():
            logits, _ = model(samples.batch(np.arange(size)).to(where.kind))
        logits.logsumexp(1).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    def train() -> None:
        for _ in range(steps):
            step()
        if where.kind == "cuda":
            torch.cuda.synchronize()

    step()
    consumed = per_second(size * steps, train)
    print(f"training, batches of {size:<3}          {consumed:9.2f} samples/s on {where.described()}")
    print(f"the pipeline alone delivers       {supplied / consumed:9.1f} x what training consumes")


def latency(folder: Path) -> None:
    """Print how long routing takes, with decoding, for one request and for 16."""
    from vlrb_plugins.neural_routers.device import chosen_device
    from vlrb_plugins.neural_routers.fitted import FittedNeural, Made
    from vlrb_plugins.neural_routers.params import VlcParams
    from vlrb_plugins.neural_routers.samples import passing_samples

    asked, params = queries(folder), VlcParams()
    where = chosen_device(params)
    made = Made(network().to(where.kind).eval(), tokenizer(folder), reading(), "lxmert", {})
    fitted = FittedNeural("vlc", params, made, where, tuple(c.name for c in asked.candidates), tuple(range(MODELS)), {})
    from concurrent.futures import ThreadPoolExecutor

    for size, rounds in ((1, 15), (16, 5)):
        whole, before = [], []
        for i in range(rounds + 1):
            some = asked.take(np.arange(i * size, (i + 1) * size) % IMAGES)
            began = time.perf_counter()
            with ThreadPoolExecutor(1) as pool:
                passing_samples(some, made.tokenizer, made.reading, pool)
            middle = time.perf_counter()
            fitted.route(some)
            before.append(middle - began)
            whole.append(time.perf_counter() - middle)
        times, prepared = sorted(1000 * t for t in whole[1:]), 1000 * statistics.median(before[1:])
        high = times[int(0.95 * (rounds - 1))]
        print(f"route, batch {size:<3} p50 {statistics.median(times):8.1f} ms  p95 {high:8.1f} ms  on {where.kind}")
        print(f"    of which decoding, resizing, tokenising {prepared:8.1f} ms")


def tiny(folder: Path) -> dict[str, str]:
    """Write checkpoints of two layers with random weights, and a tokenizer of the demo's commonest words."""
    from transformers import BertTokenizerFast, LxmertConfig, LxmertModel, ViTConfig, ViTModel

    small = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "initializer_range": 0.1}
    ViTModel(ViTConfig(**small, num_hidden_layers=2, image_size=32, patch_size=8)).save_pretrained(folder / "vit")
    settings = '{"size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    (folder / "vit" / "preprocessor_config.json").write_text(settings, encoding="utf-8")
    letters = [chr(c) for c in range(33, 127)]
    words = WORDS[:5] + letters + [f"##{c}" for c in letters] + [w for w in COMMON if w not in letters]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder / "text")
    config = LxmertConfig(
        **small,
        vocab_size=len(words),
        l_layers=1,
        r_layers=1,
        x_layers=2,
        visual_feat_dim=64,
        max_position_embeddings=128,
    )
    LxmertModel(config).save_pretrained(folder / "lxmert")
    return {"vision": str(folder / "vit"), "cross": str(folder / "lxmert"), "text": str(folder / "text")}


COMMON = [
    "what",
    "which",
    "how",
    "many",
    "is",
    "are",
    "the",
    "of",
    "in",
    "on",
    "to",
    "a",
    "and",
    "does",
    "do",
    "it",
    "this",
    "that",
    "chart",
    "value",
    "text",
    "image",
    "picture",
    "number",
    "shown",
    "written",
    "say",
    "says",
    "color",
    "colour",
    "largest",
    "smallest",
    "total",
    "sum",
    "year",
    "angle",
    "area",
    "answer",
    "option",
    "following",
    "correct",
    "yes",
    "no",
    "true",
]


def learning(folder: Path, threads: int, samples: int = 600) -> None:
    """Print what the four routers reach on the demo's test split, seeing and blind, beside the reference points."""
    os.cpu_count = lambda: threads  # what the core gives a router
    import torch

    from vlrb import cli

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        values: dict[str, Any] = dict(tiny(folder))
    values |= {"text_length": 48, "images": 1, "learning_rate": 1e-3}
    lines = "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items())
    epochs = {"cosinecls": 8, "routerdc": 16, "zooter": 8, "vlc": 8}
    tables = [
        f'[[router]]\nuse = "{n}"\nlabel = "{n}{"-blind" * blind}"\nblind = {str(blind).lower()}\nlambda = 100\n'
        f"epochs = {count}\npatience = {count}\n{lines}"
        for n, count in epochs.items()
        for blind in (False, True)
    ]
    simple = "".join(f'[[router]]\nuse = "{n}"\n' for n in ("random", "strongest", "cheapest"))
    text = f'name = "learning"\nrequires = []\n[logs]\nuse = "demo"\nsamples = {samples}\n{simple}' + "\n".join(tables)
    (folder / "experiment.toml").write_text(text, encoding="utf-8")
    os.chdir(folder)
    began = time.perf_counter()
    cli.run(["-p", "no:mlflow", *os.environ.get("VLRB_BENCH_OPTIONS", "").split(), "run", "experiment.toml"])
    print(f"{time.perf_counter() - began:.0f} s")


def main() -> None:
    """Run what is asked for, or pipeline and latency."""
    import torch

    names = [a for a in sys.argv[1:] if not a.isdigit()] or ["pipeline", "latency"]
    threads = next((int(a) for a in sys.argv[1:] if a.isdigit()), os.cpu_count() or 1)
    torch.set_num_threads(threads)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder).resolve()
            if name == "latency":
                latency(at)
            else:
                {"pipeline": pipeline, "learning": learning}[name](at, threads)


if __name__ == "__main__":
    main()
