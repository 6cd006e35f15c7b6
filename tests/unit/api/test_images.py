"""Images: kept once, decoded lazily, never replaced."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlrb.api import images
from vlrb.api.images import Images, ImageStore, ImageWriter, decode_image
from vlrb.errors import DataError


def png(size: tuple[int, int] = (4, 3), colour: tuple[int, int, int] = (1, 2, 3)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_equal_files_are_kept_once_and_come_back_as_they_were(tmp_path: Path) -> None:
    """The store is addressed by content; images of a sample keep their order."""
    with ImageWriter(tmp_path / "a.arrow") as writer:
        one, two, again = (writer.add(f, "s") for f in (png(), png((2, 2)), png()))
    assert one == again != two
    assert (two.width, two.height, one.width, one.height) == (2, 2, 4, 3)
    store = ImageStore([tmp_path / "a.arrow"])
    found = Images(store, [(two.hash, one.hash), ()], ["x", "y"])

    assert [i.size for i in found[0]] == [(2, 2), (4, 3)]
    assert found[1] == ()
    assert found.encoded(0) == (png((2, 2)), png())
    assert [i.size for i in found.take(np.array([1, 0]))[1]] == [(2, 2), (4, 3)]
    assert len(found[1:]) == 1


def test_many_threads_may_open_a_store_at_once(tmp_path: Path) -> None:
    """Encoders decode in threads: the first use opens the files once, for all."""
    made = [png(colour=(i, 0, 0)) for i in range(60)]
    for number in range(6):
        with ImageWriter(tmp_path / f"{number}.arrow") as writer:
            for file in made[number * 10 : number * 10 + 10]:
                writer.add(file, "s")
    names = [images.content_hash(f) for f in made]
    for _ in range(20):
        store = ImageStore(tmp_path / f"{n}.arrow" for n in range(6))
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(store.data, names)) == made


@pytest.mark.parametrize("data", [b"", b"no image", png()[:20]])
def test_a_file_that_is_no_image_is_named_with_its_sample(tmp_path: Path, data: bytes) -> None:
    """The header is looked at when the benchmark is built."""
    with pytest.raises(DataError, match="D/7: an image cannot be read"), ImageWriter(tmp_path / "a.arrow") as writer:
        writer.add(data, "D/7")


def test_formats_that_start_programs_are_not_opened() -> None:
    """PostScript would run Ghostscript; a file that says it is one is no image here."""
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 3\n%%EndComments\nshowpage\n%%EOF\n"

    with pytest.raises(DataError, match="it is none of PNG, JPEG"):
        decode_image(eps, "D/7")


def test_a_cut_off_image_is_an_error_when_it_is_decoded() -> None:
    """No black or grey part is ever filled in."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")

    with pytest.raises(DataError, match="D/7"):
        decode_image(file.getvalue()[:1000], "D/7")


def test_an_image_with_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file cannot ask for gigabytes."""
    monkeypatch.setattr(images, "MAX_PIXELS", 10)

    with pytest.raises(DataError, match="4 x 3 pixels is above the limit"):
        decode_image(png(), "D/7")


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    """A hash that no file holds, and a file that is gone or broken."""
    with ImageWriter(tmp_path / "a.arrow") as writer:
        name = writer.add(png(), "s").hash
    with pytest.raises(DataError, match=r"a\.arrow: image 000000000000 is missing\n.*build the benchmark again"):
        ImageStore([tmp_path / "a.arrow"]).data("0" * 64)
    with pytest.raises(DataError, match="b.arrow"):
        ImageStore([tmp_path / "b.arrow"]).data(name)
    (tmp_path / "c.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:50])
    with pytest.raises(DataError, match="c.arrow"):
        ImageStore([tmp_path / "c.arrow"]).data(name)
