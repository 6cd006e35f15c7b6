"""The outcomes of a prepared folder: costs from C, scores from ORACLE/score where they are there, else from Y."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.errors import did_you_mean, shortened
from vlrb.schemas import OUTCOMES
from vlrb.types import Array
from vlrb_plugins.prepared.matrices import free_models
from vlrb_plugins.prepared.table import Rows
from vlrb_plugins.records import nested
from vlrb_plugins.records.findings import Findings
from vlrb_plugins.records.parquet import BATCH_ROWS, batches, opened

_SCHEMA = pa.schema([*OUTCOMES, ("model", pa.string())])


@attrs.frozen(eq=False)
class OutcomeReader:
    """Y and C by sample and model.

    ``models`` name the columns of the matrices as the files do, ``resolved`` as the catalog does.
    """

    rows: Rows
    datasets: pa.Array
    models: Sequence[str]
    resolved: Sequence[str]
    quality: Array
    cost: Array
    paths: tuple[Path, Path]
    keep_rows: Array
    keep_models: Array
    findings: Findings

    def batches(self, scores: Sequence[Path]) -> Iterator[pa.RecordBatch]:
        """Stream the outcomes that are asked for, those with a raw score first."""
        counts = self._counts()
        done = np.zeros(self.quality.shape, dtype=np.bool_)
        for path in scores:
            for at, raw in self._raw_scores(path, done):
                yield self._batch(at, raw, f"quality_raw of {path}", counts)
                counts = {}
        verdict = f"Y of {self.paths[0]}"
        block = max(1, BATCH_ROWS // max(len(self.models), 1))
        for start in range(0, len(self.rows.ids), block):
            stop = start + block
            there = ~done[start:stop] & self.keep_rows[start:stop, None] & self.keep_models
            places = np.nonzero(there)
            at = places[0] + start, places[1]
            if at[0].size and not self.findings:
                yield self._batch(at, np.asarray(self.quality[at], dtype=np.float64), verdict, counts)
                counts = {}

    def _counts(self) -> Mapping[str, int]:
        """Return model by model how many samples cost nothing, where all of a model's do and others' do not."""
        free = [j for j in free_models(self.cost).tolist() if self.keep_models[j]]
        return {f"costs of {self.resolved[j]} that are 0, as all of its costs": int(self.keep_rows.sum()) for j in free}

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

    def _raw_scores(self, path: Path, done: Array) -> Iterator[tuple[tuple[Array, Array], Array]]:
        """Yield the pairs of a file that are asked for and have a raw score, and these scores."""
        file = opened(path)
        used = self._check_types(path, file.schema_arrow)
        first = 1
        for batch in batches(path, file, used):
            found = self._placed(path, batch, first)
            first += batch.num_rows
            if found is None:
                continue
            at = found
            raw = batch.column("quality_raw").cast(pa.float64(), safe=False)
            self._check_values(path, batch, at, raw, first - batch.num_rows)
            self._check_once(path, batch, at, done)
            there = ~nested.nulls_of(raw)
            done[at[0][there], at[1][there]] = True
            there &= self.keep_rows[at[0]] & self.keep_models[at[1]]
            if there.any() and not self.findings:
                yield (at[0][there], at[1][there]), raw.filter(pa.array(there)).to_numpy(zero_copy_only=False)

    def _check_types(self, path: Path, schema: pa.Schema) -> list[str]:
        """Return the columns to read.

        :raises DataError: when one is missing or of a wrong type
        """
        problems = Findings()
        for name in ("sample_id", "model_id", "quality_raw"):
            if name not in schema.names:
                problems.add(
                    f"has no column {name!r}", str(path), f"write it again; {did_you_mean(name, schema.names)}"
                )
                continue
            found = schema.field(name).type
            if name != "quality_raw" and not (pa.types.is_string(found) or pa.types.is_large_string(found)):
                problems.add(f"holds {found}, must hold text", f"{path}, column {name}", "write it with another type")
        for name in {"quality_raw", "quality"} & set(schema.names):
            found = schema.field(name).type
            if not (pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_boolean(found)):
                problems.add(
                    f"holds {found}, must hold numbers", f"{path}, column {name}", "write it with another type"
                )
        problems.stop_if_any()
        return [n for n in ("sample_id", "model_id", "quality_raw", "quality") if n in schema.names]

    def _placed(self, path: Path, batch: pa.RecordBatch, first: int) -> tuple[Array, Array] | None:
        """Return the rows and columns of the matrices that a batch speaks of, or None after noting unknown ones."""
        names = batch.column("sample_id").cast(pa.string()), batch.column("model_id").cast(pa.string())
        places = self.rows.find(names[0]), pc.index_in(names[1], value_set=pa.array(self.models, pa.string()))
        known = True
        for column, values, found, there in (
            ("sample_id", names[0], places[0], str(self.rows.source)),
            ("model_id", names[1], places[1], "the models of the matrices"),
        ):
            if found.null_count:
                row = int(np.flatnonzero(nested.nulls_of(found))[0])
                message = f"{found.null_count} rows name what is not in {there}, the first: {values[row].as_py()!r}"
                where = f"{path}, row {first + row}, column {column}"
                self.findings.add(message, where, "use files that were written together")
                known = False
        return (places[0].to_numpy(), places[1].to_numpy()) if known else None

    def _check_values(
        self, path: Path, batch: pa.RecordBatch, at: tuple[Array, Array], raw: pa.Array, first: int
    ) -> None:
        values = raw.fill_null(0.0).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(~((values >= 0) & (values <= 1)))[:3].tolist():
            where = f"{path}, row {first + row}, column quality_raw"
            self.findings.add(f"{values[row]!s} is not in [0, 1]", where, "write null where there is no raw score")
        if "quality" in batch.schema.names:
            quality = batch.column("quality").cast(pa.float64(), safe=False)
            matrix = np.asarray(self.quality[at], dtype=np.float64)
            other = ~nested.nulls_of(quality) & (quality.fill_null(0.0).to_numpy(zero_copy_only=False) != matrix)
            for row in np.flatnonzero(other)[:3].tolist():
                where = f"{path}, row {first + row}, column quality"
                message = f"{quality[row].as_py():g} contradicts {matrix[row]:g} in {self.paths[0]}"
                self.findings.add(message, where, "use files that were written together")

    def _check_once(self, path: Path, batch: pa.RecordBatch, at: tuple[Array, Array], done: Array) -> None:
        flat = at[0].astype(np.int64) * len(self.models) + at[1]
        first = np.unique(flat, return_index=True)[1]
        again = done[at]
        again[np.setdiff1d(np.arange(flat.size), first)] = True
        if again.any():
            ids = batch.column("sample_id").filter(pa.array(again)).to_pylist()
            message = f"{int(again.sum())} pairs of sample and model stand there twice: {shortened(map(repr, ids))}"
            self.findings.add(message, str(path), "keep one row of each")
