"""Queries as tensors: texts tokenised once, pixels from :mod:`pixels`, combined by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from vlrb import Array, Queries
from vlrb_plugins.neural_routers.pixels import Pixels, Progress, Resizing, cached, in_memory, wanted
from vlrb_plugins.shared.pretrained.preparing import Item, Made, ahead

AHEAD = 2
"""Batches that are prepared while the model works on another one."""


@attrs.frozen
class Reading:
    """What a model sees of a sample: its texts and its pixels.

    Texts are cut after ``length`` tokens, and only the first ``images`` images of a sample are used.  ``mean`` and ``deviation``
    are per channel, for pixels from 0 to 1.  With ``blind``, one black image replaces all others.
    """

    length: int
    with_options: bool
    images: int
    resizing: Resizing
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    blind: bool


@attrs.frozen(eq=False)
class Batch:
    """Some samples as tensors.

    ``ids`` and ``mask`` are int64[b, t].  ``pixels`` uint8[j, size, size, 3] are the images of all samples in turn, ``counts``
    int64[b] the number of images of each.
    """

    ids: Tensor
    mask: Tensor
    pixels: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        if device == "cpu":
            return self
        parts = (self.ids, self.mask, self.pixels, self.counts)
        return Batch(*(p.pin_memory().to(device, non_blocking=True) for p in parts))


@attrs.frozen(eq=False)
class Samples:
    """Tokens int32[n, t] with lengths int64[n], and the images of every sample in ``slots`` int64[n, most], -1 for none."""

    tokens: Array
    lengths: Array
    pixels: Pixels
    slots: Array
    blind: bool

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: Array) -> Batch:
        """Return a batch of some samples."""
        lengths = self.lengths[rows]
        width = int(lengths.max(initial=1))
        ids = torch.from_numpy(self.tokens[rows, :width].astype(np.int64))
        mask = torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64))
        if self.blind:
            pixels: Array = np.zeros((len(rows), self.pixels.size, self.pixels.size, 3), np.uint8)
            return Batch(ids, mask, torch.from_numpy(pixels), torch.ones(len(rows), dtype=torch.int64))
        slots = self.slots[rows]
        pixels = self.pixels.take(slots[slots >= 0])
        return Batch(ids, mask, torch.from_numpy(pixels), torch.from_numpy((slots >= 0).sum(axis=1)))


def prompts(queries: Queries, with_options: bool) -> list[str]:
    """Return the questions, with options also the hint before and the options after each."""
    if not with_options:
        return list(queries.texts)
    texts = []
    for text, hint, options in zip(queries.texts, queries.hints, queries.options, strict=True):
        texts.append("\n".join([*([hint] if hint else []), text, *(f"{letter}. {said}" for letter, said in options)]))
    return texts


def tokenised(texts: Sequence[str], tokenizer: Any, length: int) -> tuple[Array, Array]:
    """Return tokens int32[n, t], cut at ``length`` and padded, and the number of tokens of each text, int64[n]."""
    found = tokenizer(list(texts), truncation=True, max_length=length, add_special_tokens=True)["input_ids"]
    lengths = np.array([len(f) for f in found], dtype=np.int64)
    tokens = np.full((len(found), int(lengths.max(initial=1))), tokenizer.pad_token_id or 0, dtype=np.int32)
    for row, ids in enumerate(found):
        tokens[row, : len(ids)] = ids
    return tokens, lengths


def kept_samples(
    queries: Queries, tokenizer: Any, reading: Reading, folder: Path, threads: int, progress: Progress
) -> Samples:
    """Return samples whose pixels are kept in the cache under ``folder``."""
    if reading.blind:
        pixels = _no_pixels(reading)
    else:
        pixels = cached(queries.images, queries.ids, reading.images, reading.resizing, folder, threads, progress)
    return _samples(queries, tokenizer, reading, pixels)


def passing_samples(queries: Queries, tokenizer: Any, reading: Reading, pool: ThreadPoolExecutor) -> Samples:
    """Return samples whose pixels are decoded now and not kept."""
    if reading.blind:
        pixels = _no_pixels(reading)
    else:
        pixels = in_memory(queries.images, queries.ids, reading.images, reading.resizing, pool)
    return _samples(queries, tokenizer, reading, pixels)


def _no_pixels(reading: Reading) -> Pixels:
    return Pixels(reading.resizing.size, (), np.empty((0, 2), np.int64))


def _samples(queries: Queries, tokenizer: Any, reading: Reading, pixels: Pixels) -> Samples:
    tokens, lengths = tokenised(prompts(queries, reading.with_options), tokenizer, reading.length)
    slots = np.full((len(queries), reading.images), -1, dtype=np.int64)
    if not reading.blind:
        number = {name: i for i, name in enumerate(wanted(queries.images, reading.images))}
        for row, hashes in enumerate(queries.images.hashes):
            for slot, name in enumerate(hashes[: reading.images]):
                slots[row, slot] = number[name]
    return Samples(tokens, lengths, pixels, slots, reading.blind)


def batches_ahead(items: Iterable[Item], make: Callable[[Item], Made]) -> Iterator[Made]:
    """Yield ``make(item)`` of every item in order, computed by a thread shortly before it is needed."""
    with ThreadPoolExecutor(1) as pool:
        yield from (made for _, made in ahead(pool, make, items, AHEAD + 1))


def row_blocks(n: int, size: int) -> Iterator[Array]:
    """Yield the numbers from 0 to n - 1 in blocks of at most ``size``."""
    return (np.arange(i, min(i + size, n)) for i in range(0, n, size))
