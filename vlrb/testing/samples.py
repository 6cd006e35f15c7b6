"""Small data for tests: queries, outcomes and contexts as routers get them in a run."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from PIL import Image

from vlrb.api.frozen import Array, sealed
from vlrb.api.images import Images, ImageStore, content_hash
from vlrb.api.routing import Candidate, Column, CostBounds, Features, FitContext, Labelled, MetricValue, Queries, Scalar

PRICES = (8.0, 2.0, 0.5, 0.1)
"""USD per million input tokens of the first candidates; later ones cost what the last does."""
KINDS = ("What is the value of the bar", "Which animal is in the photo", "Solve for x", "Read the sign")


class MemoryStore(ImageStore):
    """Image files in memory, by content hash."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(())
        self.held = dict(files)

    def data(self, name: str) -> bytes:
        """Return an image file."""
        return self.held[name]


def image_file(image: Image.Image | bytes) -> bytes:
    """Return an image as a PNG file; a file is returned as it is."""
    if isinstance(image, bytes):
        return image
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def make_images(images: Sequence[Sequence[Image.Image | bytes]], ids: Sequence[str]) -> Images:
    """Return images, given as PIL images or as files, as queries hold them."""
    files = [[image_file(one) for one in of_sample] for of_sample in images]
    held = {content_hash(f): f for of_sample in files for f in of_sample}
    return Images(MemoryStore(held), [tuple(map(content_hash, fs)) for fs in files], ids)


def make_candidates(count: int) -> tuple[Candidate, ...]:
    """Return candidate models with prices, the most expensive first."""
    prices = [PRICES[min(i, len(PRICES) - 1)] for i in range(count)]
    return tuple(Candidate(f"model-{i}", p, 2 * p, 4 * p) for i, p in enumerate(prices))


def make_features(matrix: Any, columns: Sequence[Column] = ()) -> Features:
    """Return features from a matrix, whose columns are dense unless others are given."""
    held = sealed(np.array(matrix, dtype=np.float32))
    return Features(held, tuple(columns) or tuple(Column(f"x{i}") for i in range(held.shape[1])))


def make_queries(
    texts: int | Sequence[str] = 24,
    *,
    ids: Sequence[str] | None = None,
    options: Sequence[Sequence[tuple[str, str]]] | None = None,
    hints: Sequence[str] | None = None,
    images: Sequence[Sequence[Image.Image | bytes]] | None = None,
    candidates: int | Sequence[Candidate] = 3,
    features: Any = None,
    seed: int = 0,
) -> Queries:
    """Return queries as routers and encoders see them.

    :param texts: the questions, or how many to make up; made-up ones have options and a small picture each
    :param images: of each query, PIL images or image files
    :param candidates: the candidate models, or how many to make up
    :param features: :class:`vlrb.Features`, a matrix, or True for made-up columns of every kind
    """
    rng = np.random.default_rng([seed, 1])
    if isinstance(texts, int):
        kinds = rng.integers(0, len(KINDS), texts)
        images = [[_picture(k, rng)] for k in kinds] if images is None else images
        options = [(("A", "yes"), ("B", "no"))[: 2 * (k < 2)] for k in kinds] if options is None else options
        texts = [f"{KINDS[k]} {rng.integers(1000)}?" for k in kinds]
    n = len(texts)
    names = [f"{seed:04x}{i:020x}" for i in range(n)] if ids is None else list(ids)
    if features is True:
        features = _made_features(texts, rng)
    elif features is not None and not isinstance(features, Features):
        features = make_features(features)
    return Queries(
        names,
        texts,
        [()] * n if options is None else [tuple(map(tuple, o)) for o in options],
        [""] * n if hints is None else hints,
        make_images([()] * n if images is None else images, names),
        make_candidates(candidates) if isinstance(candidates, int) else tuple(candidates),
        features,
    )


def _picture(kind: int, rng: np.random.Generator) -> bytes:
    """Return a small image whose colour shows the kind of question."""
    pixels = rng.integers(0, 60, (12, 16, 3), dtype=np.uint8)
    pixels[..., kind % 3] += np.uint8(120 + 60 * (kind > 2))
    return image_file(Image.fromarray(pixels))


COLUMNS = (
    *(Column(f"text/{i}") for i in range(4)),
    Column("image/width", "numeric", may_be_missing=True),
    Column("question/topic", "categorical", categories=len(KINDS) + 1),
)


def _made_features(texts: Sequence[str], rng: np.random.Generator) -> Features:
    """Return columns of every kind, some of which show the kind of question; a numeric one has gaps."""
    kinds = np.array([next((i for i, k in enumerate(KINDS) if t.startswith(k)), -1) for t in texts], dtype=np.int64)
    dense = rng.normal(0, 0.3, (len(texts), 4)) + np.eye(4)[kinds.clip(0)]
    width = np.where(rng.random(len(texts)) < 0.2, np.nan, 100 + 50 * rng.random(len(texts)))
    return make_features(np.column_stack([dense, width, kinds + 1]), COLUMNS)


def make_labelled(
    queries: int | Queries = 96,
    quality: Any = None,
    cost: Any = None,
    *,
    score: Any = None,
    candidates: int = 3,
    features: Any = None,
    seed: int = 0,
) -> Labelled:
    """Return queries with outcomes: those given, or made-up ones in which the kind of question decides which model is right.

    :param queries: the queries, or how many to make up
    :param quality: who is right, [n, k]
    :param cost: USD, [n, k] or a value per model
    :param score: raw scores, [n, k]; default: ``quality``
    """
    if isinstance(queries, int):
        candidates = candidates if quality is None else np.shape(quality)[1]
        queries = make_queries(queries, candidates=candidates, features=features, seed=seed)
    n, k = len(queries), len(queries.candidates)
    rng = np.random.default_rng([seed, 2])
    if quality is None:
        kinds = [next((i for i, kind in enumerate(KINDS) if t.startswith(kind)), 0) for t in queries.texts]
        knows = (np.array(kinds, dtype=np.int64)[:, None] + np.arange(k)) % 3 != 0
        quality = rng.random((n, k)) < np.where(knows, 0.9, 0.3)
    right = np.array(quality, dtype=np.bool_).reshape(n, k)
    if cost is None:
        prices = [1e-4 * (c.input_price or 1.0) for c in queries.candidates]
        cost = np.array(prices) * rng.uniform(0.8, 1.2, (n, k))
    dollars = np.broadcast_to(np.array(cost, dtype=np.float64), (n, k)).copy()
    scores = right.astype(np.float64) if score is None else np.array(score, dtype=np.float64)
    return Labelled(queries, sealed(right), sealed(scores), sealed(dollars))


def _ignore(*_: object) -> None:
    """Ignore what a router reports."""


def make_context(
    dev: Labelled,
    *,
    seed: int = 0,
    threads: int = 1,
    work_directory: Path | None = None,
    bounds: CostBounds | None = None,
    dev_score: Callable[[Array], MetricValue] | None = None,
    progress: Callable[[int, int], None] = _ignore,
    log: Callable[[int, Mapping[str, float]], None] = _ignore,
    kept: Mapping[str, Scalar] | None = None,
) -> FitContext:
    """Return what ``fit`` gets in addition to the data; ``dev_score`` is the accuracy on dev less a tenth of the relative cost.

    :param work_directory: default: a new temporary folder
    """
    means = dev.cost.mean(axis=0) if len(dev) else np.zeros(1)

    def score(choices: Array) -> MetricValue:
        at = np.arange(len(dev)), np.asarray(choices)
        return float(dev.quality[at].mean() - 0.1 * dev.cost[at].mean() / max(means.max(), 1e-12))

    return FitContext(
        candidates=dev.queries.candidates,
        bounds=bounds or CostBounds(float(means.min()), float(means.max())),
        dev_score=dev_score or score,
        rng=np.random.default_rng(seed),
        seed=seed,
        device="cpu",
        threads=threads,
        work_directory=work_directory or Path(tempfile.mkdtemp(prefix="vlrb-")),
        progress=progress,
        log=log,
        kept=kept,
    )


def take_rows(labelled: Labelled, rows: Array) -> Labelled:
    """Return some of the labelled queries."""
    matrices = {name: sealed(getattr(labelled, name)[rows]) for name in ("quality", "score", "cost")}
    return Labelled(labelled.queries.take(rows), **matrices)


def writable(value: Any) -> Any:
    """Return labelled queries, queries or features with arrays that can be written to; in a run they cannot."""
    if isinstance(value, Labelled):
        matrices = {name: getattr(value, name).copy() for name in ("quality", "score", "cost")}
        return Labelled(writable(value.queries), **matrices)
    if isinstance(value, Queries):
        return attrs.evolve(value, features=writable(value.features))
    return Features(value.matrix.copy(), value.columns) if isinstance(value, Features) else value
