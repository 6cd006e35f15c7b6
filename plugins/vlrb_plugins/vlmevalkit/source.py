"""The log source ``vlmevalkit``: samples from TSV files, outcomes from tables of results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vlrb import Catalog, DataError, Listing, Part, Problem
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.rows import read_rows
from vlrb_plugins.vlmevalkit.tree import Files, Tree, read_tree, tsv_folder

if TYPE_CHECKING:
    import pyarrow as pa


class VlmevalkitSource:
    """Reads a tree of results and TSV files."""

    def __init__(self, params: VlmevalkitParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:
        """List a part per dataset (its samples) and a part per dataset and model (its outcomes)."""
        tree = read_tree(self.params, catalog)
        ignored = dict(tree.ignored)
        parts = [Part(f"samples/{d}", "samples", files, d) for d, files in self._sample_files(tree, ignored).items()]
        parts += [
            Part(f"outcomes/{d}/{m}", "outcomes", files.paths, d, m) for (d, m), files in sorted(tree.files.items())
        ]
        return Listing(tuple(parts), ignored)

    def _sample_files(self, tree: Tree, ignored: dict[str, str]) -> dict[str, tuple[Path, ...]]:
        """Return dataset -> the file that its samples are read from, and note what is not."""
        datasets = sorted({d for d, _ in tree.files})
        if self.params.images == "none":
            return {d: _any_table(tree.files, d) for d in datasets}
        folder = tsv_folder(self.params)
        files: dict[str, tuple[Path, ...]] = {}
        problems = []
        for dataset in datasets:
            whole = folder / f"{dataset}.tsv"
            # VLMEvalKit turns TSV files of more than 1 GiB into these, with paths in the place of images
            local = folder / f"{dataset}_local.tsv"
            files[dataset] = (whole if whole.is_file() else local,)
            if not files[dataset][0].is_file():
                problems.append(
                    Problem("there is no such file", str(whole), 'add it, or set images = "none" in [logs]')
                )
            elif whole.is_file() and local.is_file():
                ignored[str(local)] = f"another form of {whole.name}, which is read"
        if problems:
            raise DataError(problems)
        return files

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part."""
        dataset = catalog.dataset(part.dataset)
        if dataset is None:
            raise DataError(f"dataset {part.dataset!r} is not known", where=part.id, fix="declare it with [[dataset]]")
        first = self.params.duplicates == "first"
        if part.kind == "outcomes":
            from vlrb_plugins.vlmevalkit.outcomes import read_outcomes

            # where there is one table it stands for both: a scored one holds the predictions too
            tables = [read_rows(f, dataset, keep_first=first) for f in part.files]
            yield read_outcomes(tables[0], tables[-1], dataset, self.params)
        elif self.params.images == "required":
            from vlrb_plugins.vlmevalkit.samples import read_samples

            yield from read_samples(part.files[0], dataset, self.params)
        else:
            from vlrb_plugins.vlmevalkit.samples import samples_of_table

            yield samples_of_table(read_rows(part.files[0], dataset, keep_first=first), dataset)


def _any_table(files: Mapping[tuple[str, str], Files], dataset: str) -> tuple[Path, ...]:
    """Return the table that the questions of a dataset are read from when there is no TSV file."""
    every = [f for (d, _), f in sorted(files.items()) if d == dataset]
    return next(((p,) for f in every for p in f.paths), ())
