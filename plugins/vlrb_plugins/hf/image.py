"""Encoders of images through transformers."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
import transformers
from PIL import Image

from vlrb import Array, Column, DataError, Features, Queries
from vlrb_plugins.hf.params import ImageParams
from vlrb_plugins.hf.torch_tools import loading, missing_pooler, unit_rows, working
from vlrb_plugins.hf.weights import weights_of
from vlrb_plugins.shared.pretrained.device import device_of
from vlrb_plugins.shared.pretrained.loading import image_processor
from vlrb_plugins.shared.pretrained.preparing import ahead, rgb


@attrs.define(eq=False)
class _Rows:
    """A chunk of queries that is being encoded.

    ``sums`` float64[n, d] are the sums of each query's image vectors, ``counts`` int64[n] its number of images; ``prepared`` counts
    the queries whose images are decoded, ``waiting`` the images that wait for the model.
    """

    queries: Queries
    sums: Array
    counts: Array
    prepared: int = 0
    waiting: int = 0

    @property
    def finished(self) -> bool:
        """Tell whether all images have been encoded."""
        return self.prepared == len(self.queries) and not self.waiting


@attrs.frozen(eq=False)
class _Job:
    """An image that is ready for the model, float32[3, h, w], and the row that it belongs to."""

    rows: _Rows
    row: int
    pixels: Array


class ImageEncoder:
    """One vector of unit length per sample, and whether the sample has an image.

    For several images, their unit vectors are averaged and scaled to unit length again; without an image the vector is zero and
    the column ``has-image`` says so.  Threads decode and prepare images ahead of the model.  The other images of a batch change
    a vector by rounding only (about 1e-6 in float32).
    """

    def __init__(self, name: str, hub_id: str, params: ImageParams) -> None:
        """Load the model, and encode a grey image to learn its number of columns.

        :raises DataError: when its files are missing or cannot be loaded
        """
        self.name = name
        self.params = params
        self._device, self._dtype = device_of(params.device), getattr(torch, params.dtype)
        self._threads = min(16, os.cpu_count() or 1)
        folder = weights_of(name, hub_id, params).local()
        with loading(name, folder):
            self._processor = image_processor(str(folder), local_files_only=True)
            model, self._pooling = _model(folder, getattr(params, "pooling", "auto"))
            self._model = model.to(device=self._device, dtype=self._dtype).eval()
            grey = self._pixels(Image.new("RGB", (64, 64), "grey"))
            with self._working():
                self._width = int(self._vectors([grey]).shape[1])

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, d + 1].

        :raises DataError: naming the sample whose image cannot be read, or whose vector is not finite
        :raises ConfigError: when memory runs out, naming the batch size
        """
        return next(self.stream([queries]))

    def stream(self, chunks: Iterable[Queries]) -> Iterator[Features]:
        """Yield the features of each chunk, as ``encode`` does, in order; a batch may hold images of several chunks."""
        order: deque[_Rows] = deque()

        def samples() -> Iterator[tuple[_Rows, int]]:
            for queries in chunks:
                n = len(queries)
                order.append(_Rows(queries, np.zeros((n, self._width)), np.zeros(n, np.int64)))
                yield from ((order[-1], i) for i in range(n))

        batches = _Batches(self._vectors, self.params.batch_size)
        limit = 2 * self.params.batch_size + self._threads
        with ThreadPoolExecutor(self._threads) as pool:
            for (rows, i), images in ahead(pool, self._prepare, samples(), limit):
                rows.prepared += 1
                rows.counts[i] = len(images)
                rows.waiting += len(images)
                with self._working():
                    for pixels in images:
                        batches.add(_Job(rows, i, pixels))
                while order and order[0].finished:
                    yield self._features(order.popleft())
            with self._working():
                batches.end()
            while order:
                yield self._features(order.popleft())

    def _working(self) -> AbstractContextManager[None]:
        return working(self.name, self.params.batch_size, self._device)

    def _prepare(self, item: tuple[_Rows, int]) -> list[Array]:
        rows, i = item
        return [self._pixels(image) for image in rows.queries.images[i]]

    def _pixels(self, image: Image.Image) -> Array:
        """Return an image as the model's own processor prepares it, float32[3, h, w]."""
        pixels = np.asarray(rgb(image))
        made = self._processor(images=[pixels], return_tensors="np", input_data_format="channels_last")
        return np.asarray(made["pixel_values"][0], dtype=np.float32)

    def _vectors(self, pixels: Sequence[Array]) -> Any:
        """Return unit vectors of images of one size, on the device."""
        batch = torch.from_numpy(np.stack(pixels)).to(device=self._device, dtype=self._dtype)
        if self._pooling == "features":
            out = self._model.get_image_features(pixel_values=batch)
            vectors = out if isinstance(out, torch.Tensor) else out.pooler_output
        else:
            out = self._model(pixel_values=batch)
            hidden = out.last_hidden_state
            vectors = {
                "pooler": lambda: out.pooler_output.flatten(1),
                "cls": lambda: hidden[:, 0],
                "mean": lambda: hidden.mean(dim=1),
            }[self._pooling]()
        return torch.nn.functional.normalize(vectors.float(), dim=-1)

    def _features(self, rows: _Rows) -> Features:
        dense = unit_rows(rows.sums, rows.queries.ids, self.name)
        matrix = np.column_stack([dense, rows.counts > 0]).astype(np.float32)
        columns = (Column(f"{self.name}/{i}") for i in range(self._width))
        return Features(matrix, (*columns, Column(f"{self.name}/has-image", "numeric")))


class _Batches:
    """Collects images into batches; the vectors of a batch are fetched after the next one is launched."""

    def __init__(self, vectors: Callable[[Sequence[Array]], Any], size: int) -> None:
        self._vectors = vectors
        self._size = size
        self._jobs: list[_Job] = []
        self._launched: tuple[list[_Job], Any] | None = None

    def add(self, job: _Job) -> None:
        """Add an image; one of another size starts a new batch."""
        if self._jobs and self._jobs[0].pixels.shape != job.pixels.shape:
            self._launch()
        self._jobs.append(job)
        if len(self._jobs) == self._size:
            self._launch()

    def end(self) -> None:
        """Encode the remaining images."""
        if self._jobs:
            self._launch()
        self._collect()

    def _launch(self) -> None:
        made = self._vectors([j.pixels for j in self._jobs])
        self._collect()
        self._launched, self._jobs = (self._jobs, made), []

    def _collect(self) -> None:
        if self._launched is None:
            return
        jobs, made = self._launched
        self._launched = None
        for job, vector in zip(jobs, made.cpu().numpy(), strict=True):
            job.rows.sums[job.row] += vector
            job.rows.waiting -= 1


def _model(folder: Path, pooling: str) -> tuple[Any, str]:
    """Return the model, and how its output becomes a vector.

    :raises DataError: when weights are missing, which transformers would draw at random
    """
    arguments = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    model, report = transformers.AutoModel.from_pretrained(str(folder), output_loading_info=True, **arguments)
    no_pooler = missing_pooler(report, folder)
    if pooling == "auto":
        own = "cls" if no_pooler else "pooler"
        pooling = "features" if callable(getattr(model, "get_image_features", None)) else own
    elif pooling == "pooler" and no_pooler:
        raise DataError("has no weights of a pooler", where=str(folder), fix='set pooling = "cls" or "mean"')
    return model, pooling
