"""Small tables of records, written on the spot, and what the log sources make of them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batches import check_batch
from PIL import Image

from vlrb.api.logs import Catalog, Part
from vlrb.api.records import Dataset, Model
from vlrb.errors import DataError
from vlrb_plugins.records.params import RecordsParams
from vlrb_plugins.records.source import RecordsSource

CATALOG = Catalog(
    (Dataset(name="Charts", group="charts-ocr", aliases=("charts-old",)), Dataset(name="Maths", group="stem")),
    (Model(name="large", aliases=("large-2024",)), Model(name="small")),
)


def png(number: int = 0) -> bytes:
    """Return a small image, different for every number."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (number % 256, 10, 20)).save(file, "PNG")
    return file.getvalue()


def sample(key: str = "1", **more: Any) -> dict[str, Any]:
    """Return a sample as JSON has it."""
    return {"dataset": "Charts", "key": key, "question": f"Question {key}?", **more}


def outcome(key: str = "1", model: str = "large", **more: Any) -> dict[str, Any]:
    """Return an outcome as JSON has it."""
    return {"dataset": "Charts", "key": key, "model": model, "score": 1.0, **more}


class Folder:
    """A folder of tables, and what the source reads from it."""

    sample = staticmethod(sample)
    outcome = staticmethod(outcome)
    png = staticmethod(png)
    catalog = CATALOG

    @staticmethod
    def check_batch(batch: pa.RecordBatch, kind: str) -> None:
        """Check that a batch follows the core's schema."""
        check_batch(batch, kind)

    def __init__(self, path: Path) -> None:
        self.path = path

    def jsonl(self, name: str, rows: Sequence[Mapping[str, Any] | str]) -> Path:
        """Write JSON lines; a text is a line as it stands."""
        path = self.path / f"{name}.jsonl"
        lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def parquet(self, name: str, table: pa.Table | Mapping[str, Any]) -> Path:
        """Write a Parquet table."""
        path = self.path / f"{name}.parquet"
        pq.write_table(table if isinstance(table, pa.Table) else pa.table(dict(table)), path)
        return path

    def both_forms(self, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
        """Write rows as JSON lines, and as Parquet by way of pyarrow's own guess of types."""
        return [self.jsonl(name, rows), self.parquet(name, pa.Table.from_pylist(list(rows)))]

    def image(self, name: str, number: int = 0) -> bytes:
        """Write an image file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
        return png(number)

    def source(self, **params: Any) -> RecordsSource:
        """Return the source."""
        return RecordsSource(RecordsParams(path=self.path, **params))

    def batches(self, kind: str, catalog: Catalog = CATALOG, **params: Any) -> list[pa.RecordBatch]:
        """Read a table, and check that its batches follow the core's schema."""
        source = self.source(**params)
        files = source.list(catalog).parts
        batches = list(source.read(next(p for p in files if p.kind == kind), catalog))
        for batch in batches:
            check_batch(batch, kind)
        return batches

    def read(self, kind: str, catalog: Catalog = CATALOG, **params: Any) -> list[dict[str, Any]]:
        """Read a table as a list of rows."""
        return [row for batch in self.batches(kind, catalog, **params) for row in batch.to_pylist()]

    def file(self, path: Path, kind: str) -> list[dict[str, Any]]:
        """Read one file as a table, whatever else is there."""
        part = Part(kind, kind, (path,))  # type: ignore[arg-type]
        batches = list(self.source().read(part, CATALOG))
        for batch in batches:
            check_batch(batch, kind)
        return [row for batch in batches for row in batch.to_pylist()]

    def refused(self, path: Path, kind: str) -> DataError:
        """Read a file that cannot be used, and return the error."""
        with pytest.raises(DataError) as caught:
            self.file(path, kind)
        return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return an empty folder for tables."""
    return Folder(tmp_path)
