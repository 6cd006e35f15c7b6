"""Small log trees in VLMEvalKit's formats, written on the spot."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pytest
import xlsxwriter
from PIL import Image

from vlrb.api.logs import Catalog, Listing, Part
from vlrb.api.records import Dataset, Model
from vlrb.errors import DataError
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource
from vlrb_plugins.vlmevalkit.table import Table
from vlrb_plugins.vlmevalkit.workbook import read_sheet

MODELS = ("Gemini", "Gemini-Pro", "Gemini-Pro_v1.5", "Qwen2.5-VL_7B", "Qwen2.5-VL_7B-CoT")


@attrs.frozen
class Formula:
    """A cell with a formula and the value stored for it."""

    text: str
    value: object = 0


class Logs:
    """A log tree below a temporary folder, and what the log source makes of it."""

    formula = Formula

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog(DATASETS, tuple(Model(name) for name in MODELS))

    def book(
        self,
        where: str,
        rows: Sequence[Mapping[str, Any]],
        header: Sequence[str] | None = None,
        *,
        calculated: bool = False,
    ) -> Path:
        """Write a workbook as pandas does with xlsxwriter; ``calculated``: as a spreadsheet program saves it."""
        path = self._path(where)
        plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
        with xlsxwriter.Workbook(path, plain) as workbook:
            sheet = workbook.add_worksheet()
            names = list(rows[0]) if header is None else header
            sheet.write_row(0, 0, names)
            for i, row in enumerate(rows, start=1):
                for j, cell in enumerate(row.values()):
                    if isinstance(cell, Formula):
                        sheet.write_formula(i, j, cell.text, value=cell.value)
                    else:
                        sheet.write(i, j, cell)
        if calculated:
            self.rewrite(path, "xl/workbook.xml", lambda xml: xml.replace(b' fullCalcOnLoad="1"', b""))
        return path

    def rewrite(self, path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
        """Change one file inside a workbook."""
        with zipfile.ZipFile(path) as archive:
            files = {n: archive.read(n) for n in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(file, change(content) if file == name else content)
        return path

    def tsv(self, where: str, rows: Sequence[Mapping[str, str]]) -> Path:
        """Write a TSV file as pandas does."""
        path = self._path(where)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows(row.values() for row in rows)
        return path

    def text(self, where: str, text: str = "") -> Path:
        """Write a file of text."""
        path = self._path(where)
        path.write_text(text, encoding="utf-8")
        return path

    def folder(self, where: str) -> Path:
        """Make a folder."""
        path = self.root / where
        path.mkdir(parents=True)
        return path

    def _path(self, where: str) -> Path:
        path = self.root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def known(self, *datasets: Dataset, models: Sequence[str] = (), **wanted: frozenset[str]) -> None:
        """Make further datasets and models known, and set what ``[benchmark]`` asks for."""
        more = tuple(Model(name) for name in models)
        self.catalog = attrs.evolve(
            self.catalog, datasets=self.catalog.datasets + datasets, models=self.catalog.models + more, **wanted
        )

    def source(self, **params: Any) -> VlmevalkitSource:
        """Return the log source of this tree."""
        return VlmevalkitSource(VlmevalkitParams(path=self.root, **params))

    def list(self, **params: Any) -> Listing:
        """List the tree; without TSV files unless ``images`` is given."""
        return self.source(**({"images": "none"} | params)).list(self.catalog)

    def batches(self, part: Part, **params: Any) -> list[pa.RecordBatch]:
        """Read a part."""
        return list(self.source(**params).read(part, self.catalog))

    def read(self, part: Part, **params: Any) -> list[dict[str, Any]]:
        """Read the rows of a part."""
        return [row for batch in self.batches(part, **params) for row in batch.to_pylist()]

    def outcomes(self, *files: Path, dataset: str = "MMStar", **params: Any) -> list[dict[str, Any]]:
        """Read the outcomes of a table of predictions, perhaps followed by one of verdicts."""
        return self.read(Part("outcomes", "outcomes", files, dataset, "Gemini"), **params)

    def metadata(self, *files: Path, dataset: str = "MMStar", **params: Any) -> dict[str, str]:
        """Return what the outcomes of tables say of themselves."""
        (batch,) = self.batches(Part("outcomes", "outcomes", files, dataset, "Gemini"), **params)
        return {k.decode(): v.decode() for k, v in batch.schema.metadata.items()}

    def verdict(self, *files: Path, dataset: str = "MMStar") -> str:
        """Return where the scores of outcomes come from, or why there are none."""
        return self.metadata(*files, dataset=dataset)["verdict"]

    def samples(self, file: Path, dataset: str = "MMStar", **params: Any) -> dict[str, dict[str, Any]]:
        """Read the samples of a TSV file or of a table of results, by key."""
        params = {"images": "required" if file.suffix == ".tsv" else "none"} | params
        rows = self.read(Part("samples", "samples", (file,), dataset), **params)
        assert {row["dataset"] for row in rows} <= {dataset}
        by_key = {row["key"]: row for row in rows}
        assert len(by_key) == len(rows)
        return by_key

    def counts(self, *files: Path, dataset: str = "MMStar", **params: Any) -> dict[str, int]:
        """Return what is counted in the samples of one file, or in the outcomes of a table that holds predictions."""
        samples = files[0].suffix == ".tsv" and not params.pop("outcomes", False)
        part = Part("part", "samples" if samples else "outcomes", files, dataset, "Gemini")
        counts: Counter[str] = Counter()
        for batch in self.batches(part, **params):
            counts.update(json.loads(batch.schema.metadata[b"counts"]))
        return dict(counts)

    def sheet(self, path: Path) -> Table:
        """Read a workbook."""
        return read_sheet(path)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Return an empty log tree."""
    return Logs(tmp_path / "logs")


@pytest.fixture
def png() -> Callable[[int], str]:
    """Return a function that makes the base64 text of a small picture, a different one for each number."""

    def make(number: int = 0) -> str:
        data = io.BytesIO()
        Image.new("RGB", (8, 8), (number % 256, 90, 200)).save(data, "PNG")
        return base64.b64encode(data.getvalue()).decode()

    return make


@pytest.fixture
def refused() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """Return a context manager that expects an error naming thing and value (``words``), place and fix."""

    @contextlib.contextmanager
    def expect(*words: str, place: str | Path, fix: str) -> Iterator[None]:
        with pytest.raises(DataError) as caught:
            yield
        problems = caught.value.problems
        assert all(p.where and p.fix for p in problems), problems
        assert str(place) in problems[0].where
        assert fix in problems[0].fix
        missing = [word for word in words if word not in str(caught.value)]
        assert not missing, (missing, str(caught.value))

    return expect
