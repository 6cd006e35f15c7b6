"""Writing a finished benchmark as the tables that the log source ``records`` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlrb import Array, Benchmark, DataError, NoParams, shorten_list, write_text
from vlrb_plugins.records.columns import OUTCOME_TABLE, SAMPLE_TABLE, SYNTHETIC_KEY, VERSION, VERSION_KEY
from vlrb_plugins.shared.export_folder import export_folder
from vlrb_plugins.shared.log_tables.arrays import repeated_pairs

if TYPE_CHECKING:
    from vlrb import BuiltBenchmark

FILES = ("samples.parquet", "outcomes.parquet", "models.toml")
ROW_GROUP_BYTES = 32 * 1024**2
OUTCOME_ROWS = 500_000
"""Rows of a row group of outcomes."""

SAMPLE_ROWS = 10_000

ANSWER_COLUMNS = ("prediction", "thinking", "judged", "rotations", "failed", "judge_failed")
"""What the benchmark does not hold, and is taken from the given outcomes."""

_FROM_MATRICES = ("score", "cost", "input_tokens", "output_tokens")


def records_export(_: NoParams) -> Callable[[BuiltBenchmark, Path], Sequence[Path]]:
    """Return the export of ``vlrb build --export records``, with the models' answers."""
    return lambda built, folder: export_benchmark(built.benchmark, folder, built.answers())


def export_benchmark(
    benchmark: Benchmark, directory: Path, outcomes: Iterable[pa.RecordBatch] | None = None
) -> tuple[Path, ...]:
    """Write a benchmark into a folder, which appears when it is complete.

    Costs, tokens and raw scores are those of the benchmark, whatever ``outcomes`` hold.

    :param benchmark: whose scores, costs and tokens are written
    :param directory: the folder, new or empty
    :param outcomes: batches with dataset, key, model, and prediction, thinking, judged, rotations or failed, in any order;
        without them the tables hold scores and no predictions.  Rows of samples and models that the benchmark left out are
        ignored.
    :return: the files: samples.parquet, outcomes.parquet, and models.toml, which an experiment can include
    :raises DataError: when the folder is not empty, or ``outcomes`` lack a pair of the benchmark or hold it twice
    """
    target = directory.resolve()
    with export_folder(target) as aside:
        _write_samples(benchmark, aside / FILES[0])
        batches = _scored_batches(benchmark) if outcomes is None else _answered_batches(benchmark, outcomes)
        _write_outcomes(benchmark, batches, aside / FILES[1])
        write_text(aside / FILES[2], models_toml(benchmark))
    return tuple(target / name for name in FILES)


def _marked(fields: Iterable[pa.Field], benchmark: Benchmark) -> pa.Schema:
    """Return a schema with the version of the tables, and a mark where the data are synthetic."""
    synthetic = benchmark.info().synthetic
    mark = {SYNTHETIC_KEY: synthetic.encode()} if synthetic else {}
    return pa.schema(list(fields), metadata={VERSION_KEY: VERSION, **mark})


# --- samples ------------------------------------------------------------------------------------------------------------


def _write_samples(benchmark: Benchmark, path: Path) -> None:
    """Write the samples with their image files, in row groups of bounded size."""
    have = {n: benchmark.samples.column(n) for n in benchmark.samples.column_names}
    empty = {n for n, c in have.items() if c.null_count == len(c)}
    columns = [
        c for c in SAMPLE_TABLE.columns if c.name in (*SAMPLE_TABLE.always, *(n for n in have if n not in empty))
    ]
    schema = _marked((pa.field(c.name, c.type) for c in columns), benchmark)
    plain = [n for n in schema.names if n != "images"]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=plain) as writer:
        for start, images in _image_groups(benchmark):
            rows = benchmark.samples.slice(start, len(images))
            arrays = {n: rows.column(n).combine_chunks() for n in plain if n != "key"}
            arrays["key"] = _keys(rows.column("id").to_pylist(), rows.column("dataset").to_pylist())
            arrays["images"] = pa.array(images, pa.list_(pa.binary()))
            writer.write_batch(pa.record_batch([arrays[n].cast(schema.field(n).type) for n in schema.names], schema))


def _image_groups(benchmark: Benchmark) -> Iterator[tuple[int, list[list[bytes]]]]:
    """Yield the number of the first row, and the image files of some rows."""
    start, size = 0, 0
    images: list[list[bytes]] = []
    for i in range(len(benchmark)):
        images.append(list(benchmark.images.encoded(i)))
        size += sum(map(len, images[-1]))
        if size > ROW_GROUP_BYTES or len(images) >= SAMPLE_ROWS:
            yield start, images
            start, size, images = i + 1, 0, []
    if images:
        yield start, images


def _keys(ids: list[str], datasets: list[str]) -> pa.Array:
    return pa.array([i[len(d) + 1 :] for i, d in zip(ids, datasets, strict=True)], pa.string())


# --- outcomes -----------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class _Pairs:
    """The pairs of a benchmark: names of its rows and columns, and what its matrices hold of them."""

    datasets: pa.Array
    keys: pa.Array
    ids: pa.Array
    models: pa.Array
    matrices: Mapping[str, Array]

    @classmethod
    def of(cls, benchmark: Benchmark) -> _Pairs:
        """Return the pairs of a benchmark."""
        ids = benchmark.samples.column("id").combine_chunks()
        datasets = benchmark.samples.column("dataset").combine_chunks()
        matrices = {n: getattr(benchmark, n) for n in _FROM_MATRICES}
        models = pa.array([c.name for c in benchmark.candidates], pa.string())
        return cls(datasets, _keys(ids.to_pylist(), datasets.to_pylist()), ids, models, matrices)

    def columns(self, at: tuple[Array, ...]) -> dict[str, pa.Array]:
        """Return the columns of some pairs, given by their rows and columns; a token count that is not known is null."""
        rows = pa.array(at[0])
        columns = {
            "dataset": self.datasets.take(rows),
            "key": self.keys.take(rows),
            "model": self.models.take(pa.array(at[1])),
        }
        for name, matrix in self.matrices.items():
            values = matrix[at]
            columns[name] = pa.array(values, mask=values < 0) if values.dtype.kind == "i" else pa.array(values)
        return columns


def _scored_batches(benchmark: Benchmark) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of all pairs, sample by sample."""
    pairs = _Pairs.of(benchmark)
    k = len(pairs.models)
    block = max(1, OUTCOME_ROWS // max(k, 1))
    for start in range(0, len(benchmark), block):
        rows = np.arange(start, min(start + block, len(benchmark)))
        yield pairs.columns((np.repeat(rows, k), np.tile(np.arange(k), len(rows))))


def _answered_batches(benchmark: Benchmark, outcomes: Iterable[pa.RecordBatch]) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of the pairs in the order of ``outcomes``, with what these say.

    :raises DataError: when a pair is missing or there twice
    """
    pairs = _Pairs.of(benchmark)
    seen = np.zeros(benchmark.quality.shape, dtype=np.bool_)
    types = {c.name: c.type for c in OUTCOME_TABLE.columns if c.name in ANSWER_COLUMNS}
    for batch in outcomes:
        ids = pc.binary_join_element_wise(batch.column("dataset"), batch.column("key"), "/")
        rows = pc.index_in(ids, value_set=pairs.ids)
        models = pc.index_in(batch.column("model"), value_set=pairs.models)
        known = pc.and_(rows.is_valid(), models.is_valid())
        at = tuple(np.asarray(a.filter(known).to_numpy(zero_copy_only=False)) for a in (rows, models))
        again = repeated_pairs(seen, at)
        if again.any():
            twice = ids.filter(known).filter(pa.array(again)).to_pylist()
            message = f"{len(twice):,} pairs of the benchmark are in the logs twice: {shorten_list(twice)}"
            raise DataError(message, where="the outcomes to export", fix="keep one row of each")
        seen[at] = True
        answers = {n: batch.column(n) if n in batch.schema.names else pa.nulls(len(ids), t) for n, t in types.items()}
        if len(at[0]):
            yield pairs.columns(at) | {n: column.filter(known) for n, column in answers.items()}
    if not seen.all():
        row, column = np.argwhere(~seen)[0].tolist()
        pair = f"{pairs.ids[row].as_py()} of {pairs.models[column].as_py()}"
        message = f"{int((~seen).sum()):,} pairs of the benchmark have no answer in the logs, the first: {pair}"
        raise DataError(message, where="the outcomes to export", fix="use the logs that the benchmark was built of")


def _write_outcomes(benchmark: Benchmark, batches: Iterator[dict[str, pa.Array]], path: Path) -> None:
    """Write batches, which all have the same columns."""
    first = next(batches)  # a benchmark has at least one sample and one model
    columns = [c for c in OUTCOME_TABLE.columns if c.name in first]
    schema = _marked((pa.field(c.name, c.type) for c in columns), benchmark)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _and_then(first, batches):
            arrays = [batch[c.name].cast(c.type) for c in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _and_then(first: dict[str, pa.Array], rest: Iterator[dict[str, pa.Array]]) -> Iterator[dict[str, pa.Array]]:
    yield first
    yield from rest


# --- models -------------------------------------------------------------------------------------------------------------


def models_toml(benchmark: Benchmark) -> str:
    """Return the tables [[model]] and [[dataset]] of a benchmark, for an experiment to include."""
    tables = []
    for model in benchmark.candidates:
        prices = {
            "input_price_per_million": model.input_price,
            "output_price_per_million": model.output_price,
            "parameters": model.parameters,
        }
        tables.append(_table("model", {"name": model.name, **{k: v for k, v in prices.items() if v is not None}}))
    for dataset in benchmark.manifest.datasets:
        known = {k: v for k in ("name", "group", "group_title", "task", "slug") if (v := getattr(dataset, k))}
        tables.append(_table("dataset", known))
    return "\n".join(tables)


def _table(name: str, values: Mapping[str, Any]) -> str:
    return "".join([f"[[{name}]]\n", *(f"{key} = {_toml(value)}\n" for key, value in values.items())])


def _toml(value: str | float) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
