"""The log source ``demo``: its parameters, its place in the cache, and what a crash leaves behind."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from vlrb.api.logs import Catalog
from vlrb_plugins import demo
from vlrb_plugins.demo import generate
from vlrb_plugins.demo.params import GENERATOR_VERSION, DemoParams
from vlrb_plugins.demo.source import DemoSource
from vlrb_plugins.models import MODELS
from vlrb_plugins.shared.paper_datasets import DATASETS

CATALOG = Catalog(datasets=DATASETS, models=MODELS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLRB_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.mark.parametrize("wrong", [{"samples": 299}, {"samples": 30_541}, {"seed": -1}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    """Too few samples cannot be split, and more than the paper has are not defined."""
    with pytest.raises(ValueError):
        DemoParams(**wrong)


def test_spec_builds_the_source() -> None:
    """The registered factory gives a source with the parameters it was handed."""
    (spec,) = demo.vlrb_log_sources()
    made = spec.factory(DemoParams(samples=400))
    assert isinstance(made, DemoSource)
    assert made.params == DemoParams(samples=400, seed=0)


def test_tree_is_written_once_into_the_cache(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VLRB_CACHE is honoured, the user is told why it takes a while, and a second run draws nothing."""
    with caplog.at_level(logging.INFO, logger="vlrb"):
        listing = DemoSource(DemoParams(samples=300, seed=5)).list(CATALOG)
    assert "300 samples" in caplog.text
    target = cache / "demo" / f"300-seed5-v{GENERATOR_VERSION}"
    assert all(f.is_relative_to(target) for part in listing.parts for f in part.files)

    def never(*_: object) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(generate, "write_tree", never)
    again = DemoSource(DemoParams(samples=300, seed=5))
    assert again.list(CATALOG) == listing
    assert "300 samples" in listing.synthetic
    assert "seed 5" in listing.synthetic
    (batch,) = again.read(listing.parts[0], CATALOG)
    assert batch.num_rows >= 8


def test_interrupted_writing_leaves_no_tree(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written tree would be read as if it were whole; so nothing is left of it."""
    write, written = generate.write_tsv, []

    def break_down(path: Path, rows: object) -> None:
        if written:
            raise OSError("disk full")
        written.append(path)
        write(path, rows)

    monkeypatch.setattr(generate, "write_tsv", break_down)
    with pytest.raises(OSError, match="disk full"):
        DemoSource(DemoParams(samples=300)).list(CATALOG)
    assert written
    assert not [p for p in (cache / "demo").iterdir() if p.suffix != ".lock"]


def test_form_has_a_place_of_its_own(cache: Path) -> None:
    """A cache that holds one form must not be read as the other; the note says which form it is."""
    listing = DemoSource(DemoParams(samples=300, seed=5, form="vlmevalkit")).list(CATALOG)
    target = cache / "demo" / f"300-seed5-vlmevalkit-v{GENERATOR_VERSION}"
    assert all(f.is_relative_to(target) for part in listing.parts for f in part.files)
    assert (target / "LMUData").is_dir()
    assert not (target / "TSV_images").exists()
    assert "in the form of vlmevalkit" in listing.synthetic
