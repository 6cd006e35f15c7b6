"""Exporting a benchmark, and reading it back."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlrb.api.routing import Candidate
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places
from vlrb_plugins.records import export
from vlrb_plugins.records.export import export_benchmark
from vlrb_plugins.records.params import RecordsParams
from vlrb_plugins.records.source import RecordsSource

MATRICES = ("quality", "score", "cost", "input_tokens", "output_tokens")
TINY = Path(__file__).parents[2] / "support" / "tiny.py"


def built(folder: Path, text: str) -> Benchmark:
    """Build the benchmark of an experiment."""
    path = folder / "experiment.toml"
    path.write_text(f'name = "t"\nrequires = []\n{text}\n[[router]]\nuse = "cheapest"\n', encoding="utf-8")
    places = Places.of(str(folder / "runs"), str(folder / "cache"))
    places.use()
    return build(make_plan(path), places, jobs=1)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """Return the benchmark of the tests' own logs."""
    monkeypatch.setenv("VLRB_CACHE", "")
    monkeypatch.setenv("VLRB_RUNS", "")
    shutil.copy(TINY, tmp_path / "tiny.py")
    return built(tmp_path, 'plugins = ["tiny.py"]\n[logs]\nuse = "tiny"\nsamples = 30')


def read(folder: Path, kind: str, catalog: Any) -> list[dict[str, Any]]:
    """Read a table that was exported."""
    source = RecordsSource(RecordsParams(path=folder))
    part = next(p for p in source.list(catalog).parts if p.kind == kind)
    return [r for b in source.read(part, catalog) for r in b.to_pylist()]


def answers(benchmark: Benchmark, rows: slice = slice(None), **more: list[Any]) -> pa.RecordBatch:
    """Return outcomes as they stand in a part, for all models, in an order of their own."""
    ids = [i.split("/") for i in benchmark.ids[::-1][rows]]
    names = [c.name for c in benchmark.candidates]
    pairs = [(d, k, m) for m in names for d, k in ids]
    columns = dict(zip(("dataset", "key", "model"), map(list, zip(*pairs, strict=True)), strict=True))
    return pa.RecordBatch.from_pydict(columns | {"prediction": [f"{k} {m}" for _, k, m in pairs]} | more)


def test_samples_come_back(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """With the same texts and the very image files."""
    export_benchmark(tiny, tmp_path / "out")
    rows = read(tmp_path / "out", "samples", folder.catalog)
    assert [f"{r['dataset']}/{r['key']}" for r in rows] == list(tiny.ids)
    assert [tuple(r["images"]) for r in rows] == [tiny.images.encoded(i) for i in range(len(tiny))]
    for name in ("question", "options", "hint", "answer"):
        assert [r[name] for r in rows] == tiny.samples.column(name).to_pylist()


def test_outcomes_come_back(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """Every pair once, with score, cost and tokens to the last bit."""
    export_benchmark(tiny, tmp_path / "out")
    rows = read(tmp_path / "out", "outcomes", folder.catalog)
    names = [c.name for c in tiny.candidates]
    assert len(rows) == tiny.quality.size
    for row in rows:
        at = tiny.ids.index(f"{row['dataset']}/{row['key']}"), names.index(row["model"])
        for name in MATRICES[1:]:
            assert row[name] == getattr(tiny, name)[at]


def test_round_trip(tiny: Benchmark, tmp_path: Path) -> None:
    """A benchmark built from its own export is the same one, to the fingerprint."""
    export_benchmark(tiny, tmp_path / "out")
    again = built(tmp_path, 'include = ["out/models.toml"]\n[logs]\nuse = "records"\npath = "out"')
    assert again.ids == tiny.ids
    for name in MATRICES:
        np.testing.assert_array_equal(getattr(again, name), getattr(tiny, name))
    assert [c.name for c in again.candidates] == [c.name for c in tiny.candidates]
    assert [c.input_price for c in again.candidates] == [c.input_price for c in tiny.candidates]
    assert again.image_hashes == tiny.image_hashes
    assert again.fingerprint == tiny.fingerprint


def test_groups_fields_and_split(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """What is optional is written where the benchmark has it."""
    import attrs

    n = len(tiny)
    names = ["fields", "groups", "split"]
    samples = tiny.samples.drop_columns([c for c in names if c in tiny.samples.column_names])
    samples = samples.append_column("fields", pa.array([[("a", "1")]] * n, pa.map_(pa.string(), pa.string())))
    samples = samples.append_column("groups", pa.array([["g"]] * n)).append_column("split", pa.array(["dev"] * n))
    export_benchmark(attrs.evolve(tiny, samples=samples), tmp_path / "out")
    row = read(tmp_path / "out", "samples", folder.catalog)[0]
    assert (row["fields"], row["groups"], row["split"]) == ([("a", "1")], ["g"], "dev")


def test_tokens_that_are_not_known(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """They are null, not -1."""
    import attrs

    export_benchmark(attrs.evolve(tiny, input_tokens=np.full_like(tiny.input_tokens, -1)), tmp_path / "out")
    assert {r["input_tokens"] for r in read(tmp_path / "out", "outcomes", folder.catalog)} == {None}


def test_answers_are_joined_by_sample_and_model(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """In whatever order they come; scores are the benchmark's, and rows it left out are passed over."""
    extra = pa.RecordBatch.from_pydict({"dataset": ["X"], "key": ["0"], "model": ["tiny-large"], "prediction": ["?"]})
    batches = [answers(tiny, slice(0, 7)), extra, answers(tiny, slice(7, None))]
    export_benchmark(tiny, tmp_path / "out", iter(batches))
    rows = read(tmp_path / "out", "outcomes", folder.catalog)
    names = [c.name for c in tiny.candidates]
    assert len(rows) == tiny.quality.size
    for row in rows:
        assert row["prediction"] == f"{row['key']} {row['model']}"
        assert row["score"] == tiny.score[tiny.ids.index(f"{row['dataset']}/{row['key']}"), names.index(row["model"])]


def test_columns_that_only_some_batches_have(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """What later batches have and the first has not is written too; it is null where it was not said."""
    n, k = len(tiny), len(tiny.candidates)
    batches = [answers(tiny, slice(0, 4)), answers(tiny, slice(4, None), thinking=["Hm."] * ((n - 4) * k))]
    export_benchmark(tiny, tmp_path / "out", batches)
    rows = read(tmp_path / "out", "outcomes", folder.catalog)
    assert [r["thinking"] for r in rows] == [None] * 4 * k + ["Hm."] * (n - 4) * k


def test_synthetic_data_stay_synthetic(tiny: Benchmark, tmp_path: Path, folder: Any) -> None:
    """The exported tables say what the data are, so that results on them say it too."""
    import attrs

    export_benchmark(attrs.evolve(tiny, manifest=attrs.evolve(tiny.manifest, synthetic="made up")), tmp_path / "out")
    assert RecordsSource(RecordsParams(path=tmp_path / "out")).list(folder.catalog).synthetic == "made up"
    export_benchmark(attrs.evolve(tiny, manifest=attrs.evolve(tiny.manifest, synthetic="")), tmp_path / "real")
    assert RecordsSource(RecordsParams(path=tmp_path / "real")).list(folder.catalog).synthetic == ""


def test_answers_that_do_not_fit(tiny: Benchmark, tmp_path: Path) -> None:
    """A pair without an answer, or with two, is an error, and nothing is left behind."""
    with pytest.raises(
        DataError, match="12 pairs of the benchmark have no answer in the logs, the first: Tiny"
    ) as caught:
        export_benchmark(tiny, tmp_path / "out", [answers(tiny, slice(4, None))])
    assert "fix: use the logs that the benchmark was built of" in str(caught.value)
    with pytest.raises(DataError, match="pairs of the benchmark are in the logs twice"):
        export_benchmark(tiny, tmp_path / "out", [answers(tiny), answers(tiny, slice(0, 2))])
    with pytest.raises(DataError, match="180 pairs of the benchmark have no answer"):
        export_benchmark(tiny, tmp_path / "out", [])
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_a_folder_that_is_not_empty(tiny: Benchmark, tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "out").mkdir()
    export_benchmark(tiny, tmp_path / "out")
    with pytest.raises(DataError, match="out: is not empty"):
        export_benchmark(tiny, tmp_path / "out")
    with pytest.raises(DataError, match="tiny.py: is not a folder"):
        export_benchmark(tiny, tmp_path / "tiny.py")


def test_files_and_version(tiny: Benchmark, tmp_path: Path) -> None:
    """Three files; both tables say which schema they follow."""
    files = export_benchmark(tiny, tmp_path / "out")
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    for file in files[:2]:
        assert pq.read_schema(file).metadata[b"vlrb.records"] == b"1"


def test_row_groups_are_bounded(tiny: Benchmark, tmp_path: Path, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither images nor outcomes are held in memory as a whole."""
    monkeypatch.setattr(export, "ROW_GROUP_BYTES", 200)
    monkeypatch.setattr(export, "OUTCOME_ROWS", 12)
    samples, outcomes, _ = export_benchmark(tiny, tmp_path / "out")
    assert pq.ParquetFile(samples).metadata.num_row_groups > 5
    assert pq.ParquetFile(outcomes).metadata.num_row_groups == 15
    assert len(read(tmp_path / "out", "outcomes", folder.catalog)) == tiny.quality.size


def test_models_toml(tiny: Benchmark, tmp_path: Path) -> None:
    """Names of any kind are written as TOML can read them."""
    import attrs

    name = 'odd "name"\\ \x7f\t\u2028ü'
    manifest = attrs.evolve(tiny.manifest, models=(Candidate(name, 1e-7, None, 7),))
    tables = tomllib.loads(export.models_toml(attrs.evolve(tiny, manifest=manifest)))
    assert tables["model"] == [{"name": name, "input_price_per_million": 1e-7, "parameters": 7}]
    assert [d["name"] for d in tables["dataset"]] == ["TinyA", "TinyB"]
