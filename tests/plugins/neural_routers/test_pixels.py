"""Pixels are decoded and resized once, as they should be, and shared."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlrb.api.images import Images, ImageStore, ImageWriter
from vlrb.errors import ConfigError, DataError
from vlrb_plugins.neural_routers import pixels
from vlrb_plugins.neural_routers.backbones import preprocessing
from vlrb_plugins.neural_routers.pixels import Resizing, cached, in_memory
from vlrb_plugins.shared.pretrained.loading import image_processor


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """Return eight samples; the fourth has two images, one of them the first's; the fifth has none."""
    rng = np.random.default_rng(0)
    with ImageWriter(tmp_path / "images.arrow") as writer:
        drawn = [
            writer.add(png(Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8))), str(i)).hash
            for i in range(7)
        ]
    hashes = [(drawn[0],), (drawn[1],), (drawn[2],), (drawn[3], drawn[0]), (), (drawn[4],), (drawn[5],), (drawn[6],)]
    return Images(ImageStore([tmp_path / "images.arrow"]), hashes, [f"s{i}" for i in range(8)])


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each decoding."""
    counted: list[str] = []
    real = pixels.decode_image

    def count(data: bytes, whose: str) -> Any:
        counted.append(whose)
        return real(data, whose)

    monkeypatch.setattr(pixels, "decode_image", count)
    return counted


IDS = [f"s{i}" for i in range(8)]


def from_cache(images: Images, folder: Path, size: int = 8, **more: Any) -> pixels.Pixels:
    return cached(images, IDS, 2, Resizing(size, **more), folder, 2, lambda done, total: None)


def test_pixels_are_those_of_the_decoded_images(images: Images, tmp_path: Path) -> None:
    """What comes from the cache, what is decoded on the way, and what Pillow gives are equal."""
    names = list(pixels.wanted(images, 2))
    kept = from_cache(images, tmp_path / "cache").take(np.arange(7))
    with ThreadPoolExecutor(2) as pool:
        passing = in_memory(images, IDS, 2, Resizing(8), pool).take(np.arange(7))
    where = names.index(images.hashes[3][0])

    assert np.array_equal(kept, passing)
    expected = np.asarray(images[3][0].convert("RGB").resize((8, 8), Image.Resampling.BILINEAR))
    assert np.array_equal(kept[where], expected)


def test_an_image_is_decoded_once(
    images: Images, tmp_path: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once however many samples, calls and subsets have it; another size is another decoding; the store is in several files."""
    monkeypatch.setattr(pixels, "SHARD_BYTES", 3 * 8 * 8 * 2)
    from_cache(images[:3], tmp_path / "cache")
    assert len(decodings) == 3
    first = from_cache(images, tmp_path / "cache")
    assert len(decodings) == 7
    assert len(first.arrays) == 4
    again = from_cache(images, tmp_path / "cache")
    assert len(decodings) == 7
    assert np.array_equal(first.take(np.array([6, 0, 3])), again.take(np.array([6, 0, 3])))
    assert isinstance(again.arrays[0], np.memmap)
    from_cache(images, tmp_path / "cache", size=16)
    assert len(decodings) == 14


def test_two_at_once_decode_once(images: Images, tmp_path: Path, decodings: list[str]) -> None:
    """The second waits for the first and finds everything there."""
    threads = [threading.Thread(target=from_cache, args=(images, tmp_path / "cache")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(decodings) == 7


def test_what_was_decoded_before_an_error_is_kept(
    images: Images, tmp_path: Path, decodings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption costs at most one file's worth of images."""
    monkeypatch.setattr(pixels, "SHARD_BYTES", 3 * 8 * 8 * 2)
    real = pixels.decode_image

    def failing(data: bytes, whose: str) -> Any:
        if whose == "s5":
            raise KeyboardInterrupt
        return real(data, whose)

    monkeypatch.setattr(pixels, "decode_image", failing)
    with pytest.raises(KeyboardInterrupt):
        from_cache(images, tmp_path / "cache")
    monkeypatch.setattr(pixels, "decode_image", real)
    before = len(decodings)
    from_cache(images, tmp_path / "cache")

    assert len(decodings) - before == 3
    assert not list((tmp_path / "cache").rglob("*.partial"))


PROCESSORS = {
    "vit": ("ViTImageProcessor", {"size": {"height": 32, "width": 32}}),
    "siglip": ("SiglipImageProcessor", {"size": {"height": 32, "width": 32}, "resample": 3}),
    "dinov2": ("BitImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}),
    "clip": ("CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
    "clip as published": ("CLIPImageProcessor", {"size": 32, "crop_size": 32, "do_center_crop": True, "resample": 3}),
}


@pytest.mark.parametrize("kind", list(PROCESSORS))
def test_pixels_are_prepared_as_the_makers_do(tmp_path: Path, kind: str) -> None:
    """Pixel by pixel what transformers' own processor makes of images of many shapes; an older CLIP's size is the shorter side."""
    name, settings = PROCESSORS[kind]
    content = {"image_processor_type": name, **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")
    resizing, mean, deviation = preprocessing(str(tmp_path))
    own = image_processor(str(tmp_path))
    rng = np.random.default_rng(0)
    for width, height in rng.integers(20, 120, (60, 2)).tolist():
        image = Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        made = (resizing(image) / 255 - mean) / deviation
        expected = own(images=image, return_tensors="np")["pixel_values"][0]
        assert np.allclose(made.transpose(2, 0, 1), expected, atol=1e-6)


def test_preprocessing_of_another_kind_is_refused(tmp_path: Path) -> None:
    """DeiT cuts a square out of a square: what is not known is not guessed."""
    content = {"image_processor_type": "DeiTImageProcessor", "size": 36, "crop_size": 32, "do_center_crop": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="in a way that is not known here"):
        preprocessing(str(tmp_path))


def test_the_references_crop_rounds_half_pixels() -> None:
    """torchvision cuts round(d / 2) off the beginning, to even numbers, where transformers cuts d // 2 off."""
    image = Image.fromarray(np.arange(35, dtype=np.uint8).repeat(3).reshape(1, 35, 3).repeat(32, axis=0))
    firsts = [Resizing(32, mode, 32)(image)[0, 0, 0] for mode in ("crop", "crop-rounded")]  # type: ignore[arg-type]

    assert firsts == [1, 2]


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (30, 30)])
def test_cropping_takes_the_middle(size: tuple[int, int]) -> None:
    """The shorter side is scaled to the edge, and the middle square is kept, whatever the shape."""
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), (size[0] // 2 - 6, size[1] // 2 - 6, size[0] // 2 + 6, size[1] // 2 + 6))
    found = Resizing(14, "crop", edge=16)(image)

    assert found.shape == (14, 14, 3)
    assert found[7, 7].tolist() == [0, 0, 255]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_image_becomes_rgb(mode: str) -> None:
    """Grey, transparent, with a palette, for print, black and white, deep: without a warning."""
    image = Image.new("RGB", (9, 9), (200, 10, 10))
    converted = Image.new("I;16", (9, 9), 300) if mode == "I;16" else image.convert(mode)
    if mode == "P":
        converted.info["transparency"] = bytes([0, 128, 255])

    assert Resizing(4)(converted).shape == (4, 4, 3)


def test_an_image_that_cannot_be_decoded_names_the_sample(images: Images, tmp_path: Path) -> None:
    """Neither a black image nor a traceback: the sample, the reason and what to do."""
    whole = png(Image.new("RGB", (50, 50), (1, 2, 3)))
    with ImageWriter(tmp_path / "more.arrow") as writer:
        cut = writer.add(whole[:-30], "s1").hash
    broken = Images(ImageStore([tmp_path / "more.arrow"]), [(cut,)], ["s1"])
    with pytest.raises(DataError, match="s1: an image cannot be read") as error:
        cached(broken, ["s1"], 1, Resizing(8), tmp_path / "cache", 1, lambda done, total: None)
    assert "leave the sample out" in str(error.value)


def test_a_broken_file_of_pixels_names_itself(images: Images, tmp_path: Path) -> None:
    """A file that was cut off is an error that says what to delete."""
    from_cache(images, tmp_path / "cache")
    file = next((tmp_path / "cache").rglob("pixels.npy"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"pixels\.npy: cannot be used") as error:
        from_cache(images, tmp_path / "cache")
    assert "delete the folder" in str(error.value)


def test_progress_counts_images(images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many images are ready, of how many."""
    monkeypatch.setattr(pixels, "SHARD_BYTES", 3 * 8 * 8 * 3)
    told: list[tuple[int, int]] = []
    report: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    cached(images, IDS, 2, Resizing(8), tmp_path / "cache", 1, report)

    assert told == [(3, 7), (6, 7), (7, 7)]
