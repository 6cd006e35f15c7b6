"""The log source ``prepared``: matrices and samples as VL-RouterBench's scripts leave them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from vlrb import Catalog, Listing, Part
from vlrb_plugins.prepared.matrices import Asked, open_cost, read_quality
from vlrb_plugins.prepared.outcomes import OutcomeReader
from vlrb_plugins.prepared.params import PreparedParams
from vlrb_plugins.prepared.samples import SampleReader
from vlrb_plugins.prepared.table import Rows, read_names, read_rows
from vlrb_plugins.prepared.tree import Tree, find_tree
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.names import Names


class PreparedSource:
    """Reads the matrices and samples of a prepared folder."""

    def __init__(self, params: PreparedParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:  # noqa: ARG002  (rows are filtered when they are read)
        """List two parts: the samples of all datasets, and the outcomes of all models.

        :raises DataError: naming files that are missing, appear twice, or are pickles
        """
        tree = find_tree(self.params)
        rows = tuple(p for p in (tree.ids, tree.meta) if p is not None)
        models = (tree.models,) if tree.models is not None else ()
        samples = Part("samples", "samples", (*tree.samples, *rows, *tree.splits))
        outcomes = Part("outcomes", "outcomes", (tree.quality, tree.cost, *rows, *models, *tree.scores))
        ignored = {str(p): "a pickle, which vlrb never reads" for p in tree.pickles}
        return Listing((samples, outcomes), ignored)

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part.

        :raises DataError: with what is wrong with its files; no batch follows the first problem
        """
        tree = find_tree(self.params)
        names, findings = Names(catalog), Findings()
        rows = read_rows(tree)
        if part.kind == "samples":
            yield from SampleReader(self.params, tree, rows, names, findings).batches()
            if not findings:
                names.report(tree.meta, ("dataset",), findings)
        else:
            yield from self._outcomes(tree, rows, names, findings)
        findings.stop_if_any()

    def _outcomes(self, tree: Tree, rows: Rows, names: Names, findings: Findings) -> Iterator[pa.RecordBatch]:
        models = read_names(tree.models, "model names") if tree.models is not None else list(self.params.models)
        encoded = rows.datasets.dictionary_encode()
        datasets = [names.resolve("dataset", d) for d in encoded.dictionary.to_pylist()]
        resolved = names.columns(models, str(tree.models or "[logs] models"), findings)
        findings.stop_if_any()
        wanted = np.array([names.wanted("dataset", d) for d in datasets], dtype=np.bool_)
        keep_rows = wanted[encoded.indices.to_numpy()]
        keep_models = np.array([names.wanted("model", m) for m in resolved], dtype=np.bool_)
        names.use("dataset", [d for d, w in zip(datasets, wanted, strict=True) if w])
        names.use("model", [m for m, w in zip(resolved, keep_models, strict=True) if w])
        names.report(tree.quality, ("dataset", "model"), findings)
        findings.stop_if_any()
        asked = Asked(keep_rows, keep_models)
        reader = OutcomeReader(
            rows=rows,
            datasets=pa.array(datasets, pa.string()).take(encoded.indices),
            models=models,
            resolved=resolved,
            quality=read_quality(tree.quality, models, asked),
            cost=open_cost(tree.cost, models, asked),
            paths=(tree.quality, tree.cost),
            asked=asked,
            findings=findings,
        )
        yield from reader.batches(tree.scores)
