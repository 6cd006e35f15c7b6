"""The tree of VLMEvalKit's own output that the demo source writes, and what the reader makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.api.logs import Catalog, Listing, Part
from vlrb_plugins.demo.answer_texts import Truth, truths
from vlrb_plugins.demo.vlmevalkit_output import write_output
from vlrb_plugins.models import MODELS
from vlrb_plugins.shared.paper_datasets import DATASETS
from vlrb_plugins.vlmevalkit.formats import read_table
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource
from vlrb_plugins.vlmevalkit.table import Cell, Table

SAMPLES, SEED = 300, 0


@attrs.frozen(eq=False)
class Output:
    """A written tree, what was simulated, and what the reader finds in it."""

    root: Path
    truth: Mapping[tuple[str, str, str], Truth]
    listing: Listing
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Dataset -> key -> sample."""
    outcomes: Mapping[tuple[str, str], list[dict[str, Any]]]
    """(dataset, model) -> outcomes."""

    def table(self, name: str) -> Table:
        """Return a table by its path below the root."""
        return read_table(self.root / name)

    def column(self, name: str, column: str) -> list[Cell]:
        """Return a column of a table by its path below the root."""
        return self.table(name).column(column)

    def tables(self, pattern: str = "*/**/*") -> Iterator[Path]:
        """Yield the tables of predictions and verdicts, links aside."""
        for path in sorted(self.root.glob(pattern)):
            ours = "~$" not in path.name and path.parts[-2] != "LMUData" and path.is_file() and not path.is_symlink()
            if ours and (
                path.suffix in (".xlsx", ".tsv") or path.name.endswith(tuple(f"_{d.name}.json" for d in DATASETS))
            ):
                yield path


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Output:
    root = tmp_path_factory.mktemp("demo-output")
    write_output(root, SAMPLES, SEED)
    source = VlmevalkitSource(VlmevalkitParams(path=root))
    catalog = Catalog(datasets=DATASETS, models=MODELS)
    listing = source.list(catalog)

    def rows(part: Part) -> list[dict[str, Any]]:
        return [row for batch in source.read(part, catalog) for row in batch.to_pylist()]

    samples = {p.dataset: {r["key"]: r for r in rows(p)} for p in listing.parts if p.kind == "samples"}
    outcomes = {(p.dataset, p.model): rows(p) for p in listing.parts if p.kind == "outcomes"}
    return Output(root, truths(SAMPLES, SEED), listing, samples, outcomes)
