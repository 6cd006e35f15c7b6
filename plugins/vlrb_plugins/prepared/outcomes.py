"""The outcomes of a prepared folder: costs from C, scores from ORACLE/score where they are there, else from Y."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb import OUTCOMES, Array, shorten_list
from vlrb_plugins.prepared.matrices import Asked, free_models
from vlrb_plugins.prepared.table import Rows
from vlrb_plugins.shared.log_tables.arrays import is_text, nulls_of, repeated_pairs
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.limits import BATCH_ROWS
from vlrb_plugins.shared.log_tables.parquet_files import Expected, check_schema, open_parquet, parquet_batches

_UNSCORED, _SCORED = 1, 2
"""What ORACLE/score holds for a pair: a row without a raw score, or with one."""


def _is_number(t: pa.DataType) -> bool:
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)  # null: all scores are
    return any(test(t) for test in tests)


_SCORES = (
    Expected("sample_id", "text", is_text),
    Expected("model_id", "text", is_text),
    Expected("quality_raw", "numbers", _is_number),
    Expected("quality", "numbers", _is_number, required=False),
)
"""The columns of ORACLE/score that are read."""

_SCHEMA = pa.schema([*OUTCOMES, ("model", pa.string())])


@attrs.frozen(eq=False)
class OutcomeReader:
    """Y and C by sample and model.

    ``models`` name the columns of the matrices as the files do, ``resolved`` as the catalog does; ``datasets`` are those of the
    rows, as the catalog calls them; ``quality`` and ``cost`` have the shape [n, k]; ``paths`` are their files.
    """

    rows: Rows
    datasets: pa.Array
    models: Sequence[str]
    resolved: Sequence[str]
    quality: Array
    cost: Array
    paths: tuple[Path, Path]
    asked: Asked
    findings: Findings

    def batches(self, scores: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        """Stream the outcomes that are asked for, those with a raw score first."""
        counts = self._counts()
        seen = np.zeros(self.quality.shape, dtype=np.int8)
        for path in scores:
            for at, raw in self._raw_scores(path, seen):
                yield self._batch(at, raw, f"quality_raw of {path}", counts)
                counts = {}
        verdict = f"Y of {self.paths[0]}"
        block = max(1, BATCH_ROWS // max(len(self.models), 1))
        for start in range(0, len(self.rows.ids), block):
            stop = start + block
            places = np.nonzero((seen[start:stop] != _SCORED) & self.asked.pairs(start, stop))
            at = places[0] + start, places[1]
            if at[0].size and not self.findings:
                yield self._batch(at, np.asarray(self.quality[at], dtype=np.float64), verdict, counts)
                counts = {}

    def _counts(self) -> Mapping[str, int]:
        """Return model by model how many samples cost nothing, where all of a model's do and others' do not."""
        free = [j for j in free_models(self.cost).tolist() if self.asked.models[j]]
        return {
            f"costs of {self.resolved[j]} that are 0, as all of its costs": int(self.asked.rows.sum()) for j in free
        }

    def _batch(self, at: tuple[Array, Array], score: Array, verdict: str, counts: Mapping[str, int]) -> pa.RecordBatch:
        rows, columns = pa.array(at[0]), pa.array(at[1])
        n = len(rows)
        arrays = {
            "dataset": self.datasets.take(rows),
            "key": self.rows.keys.take(rows),
            "score": pa.array(score, pa.float64()),
            "cost": pa.array(np.asarray(self.cost[at], dtype=np.float64)),
            "model": pa.array(self.resolved, pa.string()).take(columns),
        }
        metadata = {"verdict": verdict, "counts": json.dumps(counts)}
        schema = _SCHEMA.with_metadata(metadata)
        return pa.record_batch([arrays.get(f.name, pa.nulls(n, f.type)) for f in schema], schema=schema)

    # --- raw scores -----------------------------------------------------------------------------------------------------

    def _raw_scores(self, path: Path, seen: Array) -> Iterator[tuple[tuple[Array, Array], Array]]:
        """Yield the pairs of a file that are asked for and have a raw score, and these scores.

        :param seen: int8[n, k], what earlier rows and files hold for each pair; updated
        """
        file = open_parquet(path)
        problems = Findings()
        check_schema(path, file.schema_arrow, _SCORES, problems)
        problems.stop_if_any()
        used = [c.name for c in _SCORES if c.name in file.schema_arrow.names]
        first = 1
        for batch in parquet_batches(path, file, used):
            found = self._placed(path, batch, first)
            first += batch.num_rows
            if found is None:
                continue
            asked = self.asked.rows[found[0]] & self.asked.models[found[1]]
            at, rows = (found[0][asked], found[1][asked]), np.flatnonzero(asked) + first - batch.num_rows
            batch = batch.filter(pa.array(asked))
            raw = batch.column("quality_raw").cast(pa.float64(), safe=False)
            self._check_values(path, batch, at, raw, rows)
            self._check_once(path, batch, at, seen)
            there = ~nulls_of(raw)
            seen[at] = np.where(there, _SCORED, _UNSCORED)
            if there.any() and not self.findings:
                yield (at[0][there], at[1][there]), raw.filter(pa.array(there)).to_numpy(zero_copy_only=False)

    def _placed(self, path: Path, batch: pa.RecordBatch, first: int) -> tuple[Array, Array] | None:
        """Return the rows and columns of the matrices for a batch, or None after noting unknown ones."""
        names = batch.column("sample_id").cast(pa.string()), batch.column("model_id").cast(pa.string())
        places = self.rows.find(names[0]), pc.index_in(names[1], value_set=pa.array(self.models, pa.string()))
        known = True
        for column, values, found, there in (
            ("sample_id", names[0], places[0], str(self.rows.source)),
            ("model_id", names[1], places[1], "the models of the matrices"),
        ):
            if found.null_count:
                row = int(np.flatnonzero(nulls_of(found))[0])
                message = f"{found.null_count:,} rows name what is not in {there}, the first: {values[row].as_py()!r}"
                where = f"{path}, row {first + row}, column {column}"
                self.findings.add(message, where, "use files that were written together")
                known = False
        return (places[0].to_numpy(), places[1].to_numpy()) if known else None

    def _check_values(
        self, path: Path, batch: pa.RecordBatch, at: tuple[Array, Array], raw: pa.Array, rows: Array
    ) -> None:
        """Note raw scores outside [0, 1], and a quality that contradicts Y; ``rows`` are the numbers of the batch's rows."""
        values = raw.fill_null(0.0).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(~((values >= 0) & (values <= 1)))[:3].tolist():
            where = f"{path}, row {rows[row]}, column quality_raw"
            self.findings.add(f"{values[row]!s} is not in [0, 1]", where, "write null where there is no raw score")
        if "quality" in batch.schema.names:
            quality = batch.column("quality").cast(pa.float64(), safe=False)
            matrix = np.asarray(self.quality[at], dtype=np.float64)
            other = ~nulls_of(quality) & (quality.fill_null(0.0).to_numpy(zero_copy_only=False) != matrix)
            for row in np.flatnonzero(other)[:3].tolist():
                where = f"{path}, row {rows[row]}, column quality"
                message = f"{quality[row].as_py():g} contradicts {matrix[row]:g} in {self.paths[0]}"
                self.findings.add(message, where, "use files that were written together")

    def _check_once(self, path: Path, batch: pa.RecordBatch, at: tuple[Array, Array], seen: Array) -> None:
        """Note pairs that appear twice in the batch, or in an earlier one."""
        again = repeated_pairs(seen, at)
        if again.any():
            ids = batch.column("sample_id").filter(pa.array(again)).to_pylist()
            message = f"{int(again.sum()):,} pairs of sample and model appear twice: {shorten_list(map(repr, ids))}"
            self.findings.add(message, str(path), "keep one row of each")
