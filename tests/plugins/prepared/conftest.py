"""A small prepared folder, written on the spot, and what the log source makes of it."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batches import check_batch
from PIL import Image

from vlrb.api.logs import Catalog
from vlrb.api.records import Dataset, Model
from vlrb.errors import DataError
from vlrb_plugins.prepared.params import PreparedParams
from vlrb_plugins.prepared.source import PreparedSource

IDS = ("Charts/2", "Maths/a", "Charts/1", "Maths/b/c")
MODELS = ("large-2024", "small")
QUALITY = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.int8)
COST = np.array([[0.5, 0.25], [0.125, 1.0], [2.0, 3.0], [4.0, 5.0]], dtype=np.float32)


def png(number: int) -> bytes:
    """Return a small image, different for every number."""
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (number % 256, 10, 20)).save(file, "PNG")
    return file.getvalue()


class Prepared:
    """A prepared folder: ``write`` writes a whole one, the other methods change it."""

    ids, models, quality, cost = IDS, MODELS, QUALITY, COST
    png = staticmethod(png)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog(
            (Dataset(name="Charts", group="charts-ocr"), Dataset(name="Mathematics", group="stem", aliases=("Maths",))),
            (Model(name="large", aliases=("large-2024",)),),
        )
        self.matrices = root / "data" / "matrices"
        self.meta_file = root / "data" / "registry" / "meta.parquet"
        self.samples_file = root / "BENCHMARKS" / "vqa" / "dataset_samples.jsonl"
        for folder in (self.matrices, self.meta_file.parent, self.samples_file.parent):
            folder.mkdir(parents=True)

    def write(self) -> None:
        """Write everything that is needed; meta.parquet has an order of its own."""
        np.savez(self.matrices / "Y.npz", Y=self.quality)
        np.save(self.matrices / "C.npy", self.cost)
        self.names("sample_ids.json", self.ids)
        self.names("model_names.txt", self.models)
        self.meta()
        self.samples([self.sample(i) for i in self.ids])

    def names(self, file: str, names: Sequence[Any]) -> Path:
        """Write a list of names."""
        path = self.matrices / file
        path.write_text(json.dumps(list(names)) if file.endswith("json") else "\n".join([*names, ""]), encoding="utf-8")
        return path

    def meta(self, ids: Sequence[Any] = IDS[::-1], **columns: Sequence[Any]) -> None:
        """Write meta.parquet."""
        known = {"sample_id": list(ids), "dataset": [str(i).split("/")[0] for i in ids], "task": ["vqa"] * len(ids)}
        pq.write_table(pa.table({n: c for n, c in (known | columns).items() if c is not None}), self.meta_file)

    @staticmethod
    def sample(name: str, *assets: Any, **more: Any) -> dict[str, Any]:
        """Return a line of the samples."""
        return {
            "sample_id": name,
            "dataset": name.split("/")[0],
            "prompt": f"What of {name}?",
            "assets": list(assets),
        } | more

    def samples(self, rows: Sequence[Mapping[str, Any] | str]) -> None:
        """Write the samples."""
        lines = [r if isinstance(r, str) else json.dumps(r) for r in rows]
        self.samples_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def splits(self, **ids: Sequence[Any]) -> None:
        """Write split files."""
        (self.root / "SPLITS").mkdir(exist_ok=True)
        for name, listed in ids.items():
            text = "".join(json.dumps({"sample_id": i}) + "\n" for i in listed)
            (self.root / "SPLITS" / f"{name}.jsonl").write_text(text, encoding="utf-8")

    def oracle(self, rows: Sequence[Mapping[str, Any]] | pa.Table, name: str = "charts") -> Path:
        """Write raw scores."""
        path = self.root / "ORACLE" / "score" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows)), path)
        return path

    def tsv(self, images: Sequence[bytes | str], name: str = "x.tsv") -> Path:
        """Write a TSV file: an image per row, or a cell as it stands; questions have line breaks."""
        path = self.root / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(["index", "question", "image"])
            for i, image in enumerate(images):
                cell = image if isinstance(image, str) else base64.b64encode(image).decode()
                writer.writerow([100 + i, 'two\nlines, "ü"', cell])
        return path

    def batches(self, kind: str, catalog: Catalog | None = None, **params: Any) -> list[pa.RecordBatch]:
        """Read a part, and check that its batches follow the core's schema."""
        source = PreparedSource(PreparedParams(path=self.root, **params))
        parts = source.list(catalog or self.catalog).parts
        batches = list(source.read(next(p for p in parts if p.kind == kind), catalog or self.catalog))
        for batch in batches:
            check_batch(batch, kind)
        return batches

    def read(self, kind: str, catalog: Catalog | None = None, **params: Any) -> list[dict[str, Any]]:
        """Read a part as rows."""
        return [r for b in self.batches(kind, catalog, **params) for r in b.to_pylist()]

    def pairs(self, **params: Any) -> dict[tuple[str, str, str], tuple[float, float]]:
        """Return (dataset, key, model) -> (score, cost)."""
        rows = self.read("outcomes", **params)
        pairs = {(r["dataset"], r["key"], r["model"]): (r["score"], r["cost"]) for r in rows}
        assert len(pairs) == len(rows)
        return pairs

    def refused(self, kind: str, **params: Any) -> DataError:
        """Read a part that cannot be used, and return the error."""
        with pytest.raises(DataError) as caught:
            self.read(kind, **params)
        return caught.value


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Return a prepared folder with everything that is needed."""
    folder = Prepared(tmp_path)
    folder.write()
    return folder
