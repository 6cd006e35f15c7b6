"""Reading the parts of a log tree into the cache, each once, one after the other or in several processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlrb import __version__
from vlrb.benchmark import SCHEMA_VERSION
from vlrb.cache import Places, locked, new_directory, write_json
from vlrb.errors import DataError, PluginError, Problem, shortened
from vlrb.images import ImageWriter
from vlrb.plan import Chosen, Plan, digest_of, plan_document
from vlrb.plugins import blame
from vlrb.schemas import OUTCOMES, SAMPLES
from vlrb.types import Array, Case, Listing, LogSource, Part, TokenCounter

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""

PARALLEL_BYTES = 20 * 1024**2
"""Parts whose files are larger than this together are read by several processes: starting these costs about a second."""


class PartBuilder:
    """Reads parts of a log tree into the cache; holds the experiment's log source and token counter."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self.plan = plan
        self.places = places
        self.source: LogSource = plan.logs.make("list", "read")
        self.counter: TokenCounter = plan.counter.make("sample_tokens", "outcome_tokens")

    def list(self) -> Listing:
        """List the parts.

        :raises DataError: when there are none, or a dataset has no samples
        """
        with blame(self.plan.logs.plugin, "listing the logs"):
            listing = self.source.list(self.plan.catalog)
        _check_listing(listing, self.plan)
        return listing

    def keys(self, listing: Listing) -> dict[str, str]:
        """Return the cache key of every part: it changes when its files do, or whatever reads, counts or scores it."""
        samples = {p.dataset: self._key(p, None) for p in listing.parts if p.kind == "samples"}
        return {p.id: self._key(p, samples) if p.kind == "outcomes" else samples[p.dataset] for p in listing.parts}

    def _key(self, part: Part, samples: Mapping[str, str] | None) -> str:
        dataset = self.plan.catalog.dataset(part.dataset)
        scorer = self.plan.scorer(dataset) if dataset is not None and samples is not None else None
        return digest_of(
            {
                "schema": SCHEMA_VERSION,
                "vlrb": __version__,
                "source": self.plan.logs.identity(),
                "counter": self.plan.counter.identity(),
                "part": [part.id, part.kind, part.dataset, part.model],
                "files": [_stamp(f) for f in part.files],
                "dataset": attrs.asdict(dataset) if dataset is not None else None,
                "scorer": scorer.identity() if scorer is not None else None,
                "samples": samples[part.dataset] if samples is not None and scorer is not None else None,
            }
        )

    def folder(self, key: str) -> Path:
        """Return the folder of a part in the cache."""
        return self.places.cache / "parts" / key[:20]

    def read(self, part: Part, key: str, samples: Path | None) -> None:
        """Read a part into its folder, unless it is there.

        :param samples: the folder of the samples of the part's dataset, for a part with outcomes
        """
        target = self.folder(key)
        with locked(target):
            if (target / "part.json").is_file():
                return
            with new_directory(target) as aside:
                about = (
                    self._read_samples(part, aside) if samples is None else self._read_outcomes(part, aside, samples)
                )
                write_json(aside / "part.json", about)

    def _batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        schema = SAMPLES if part.kind == "samples" else OUTCOMES
        with blame(self.plan.logs.plugin, f"reading {part.id}"):
            for batch in self.source.read(part, self.plan.catalog):
                yield _checked(batch, schema, part, self.plan.logs)

    def _read_samples(self, part: Part, folder: Path) -> dict[str, Any]:
        tables = []
        with ImageWriter(folder / "images.arrow") as images:
            for batch in self._batches(part):
                ids = _ids(batch)
                files = batch.column("images").to_pylist()
                hashes = [[images.add(f, i) for f in fs or ()] for i, fs in zip(ids, files, strict=True)]
                counts = np.array([len(h) for h in hashes], dtype=np.int64)
                with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                    tokens = self.counter.sample_tokens(batch, counts)
                table = pa.table(
                    {name: batch.column(name) for name in ("dataset", "question", "options", "hint", "answer")}
                )
                table = table.add_column(0, "id", pa.array(ids, pa.string()))
                table = table.append_column("images", pa.array(hashes, pa.list_(pa.string())))
                table = table.append_column("input_tokens", _token_column(tokens, len(ids), part))
                tables.append(table)
        table = _joined(tables, part)
        pq.write_table(table, folder / "rows.parquet", compression="zstd")
        return _about(part, table.num_rows)

    def _read_outcomes(self, part: Part, folder: Path, samples: Path) -> dict[str, Any]:
        tables, verdict = [], ""
        for batch in self._batches(part):
            with blame(self.plan.counter.plugin, f"counting the tokens of {part.id}"):
                inputs, outputs = self.counter.outcome_tokens(batch)
            tables.append(
                pa.table(
                    {
                        "id": pa.array(_ids(batch), pa.string()),
                        "prediction": batch.column("prediction"),
                        "score": batch.column("score"),
                        "input_tokens": _token_column(inputs, batch.num_rows, part),
                        "output_tokens": _token_column(outputs, batch.num_rows, part),
                        "cost": batch.column("cost"),
                    }
                )
            )
            verdict = (batch.schema.metadata or {}).get(b"verdict", b"").decode() or verdict
        table = _joined(tables, part)
        _check_numbers(table, part)
        table, scored_by = self._scored(table, part, samples)
        pq.write_table(table, folder / "rows.parquet", compression="zstd")
        return {**_about(part, table.num_rows), "verdict": verdict, "scored_by": scored_by}

    def _scored(self, table: pa.Table, part: Part, samples: Path) -> tuple[pa.Table, str]:
        """Score the answers without a stored verdict, where the dataset's scorer is installed."""
        dataset = self.plan.catalog.dataset(part.dataset)
        chosen = self.plan.scorer(dataset) if dataset is not None else None
        if chosen is None or table.column("score").null_count == 0:
            return table, ""
        questions = pq.read_table(samples / "rows.parquet", columns=["id", "question", "options", "answer"])
        cases = {q["id"]: q for q in questions.to_pylist()}
        waiting = [r for r in table.to_pylist() if r["score"] is None and r["id"] in cases]
        scores = _score(chosen, [_case(r, cases[r["id"]]) for r in waiting], part)
        given = dict(zip((r["id"] for r in waiting), scores, strict=True))
        column = [
            s if s is not None else given.get(i)
            for i, s in zip(*(table.column(c).to_pylist() for c in ("id", "score")), strict=True)
        ]
        position = table.schema.get_field_index("score")
        return table.set_column(position, "score", pa.array(column, pa.float64())), chosen.registered.id


def _stamp(file: Path) -> list[Any]:
    try:
        known = file.stat()
    except OSError as error:
        fix = "mend the link, or remove it" if file.is_symlink() else "see to the file's rights"
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), fix=fix) from None
    return [str(file), known.st_size, known.st_mtime_ns]


def _case(row: Mapping[str, Any], question: Mapping[str, Any]) -> Case:
    options = tuple((o["letter"], o["text"]) for o in question["options"])
    return Case(row["id"], question["question"], options, question["answer"], row["prediction"])


def _score(chosen: Chosen, cases: Sequence[Case], part: Part) -> list[float | None]:
    scorer = chosen.make("score")
    with blame(chosen.plugin, f"scoring {part.id}"):
        scores = list(scorer.score(cases))
        values = [s.value for s in scores]
    bad = [c.id for c, v in zip(cases, values, strict=False) if v is not None and not 0 <= v <= 1]
    if len(values) != len(cases) or bad:
        what = f"a score outside [0, 1] for {shortened(bad)}" if bad else f"{len(values)} scores for {len(cases)} cases"
        raise PluginError(f"scorer {chosen.registered.id!r} of {chosen.plugin.label} returned {what}", where=part.id)
    return values


def _ids(batch: pa.RecordBatch) -> list[str]:
    return [
        f"{d}/{k}" for d, k in zip(batch.column("dataset").to_pylist(), batch.column("key").to_pylist(), strict=True)
    ]


def _about(part: Part, rows: int) -> dict[str, Any]:
    return {
        "part": part.id,
        "dataset": part.dataset,
        "model": part.model,
        "files": [str(f) for f in part.files],
        "rows": rows,
    }


def _token_column(tokens: Array | None, rows: int, part: Part) -> pa.Array:
    if tokens is None:
        return pa.nulls(rows, pa.int64())
    counts = np.asarray(tokens)
    if counts.shape != (rows,) or counts.dtype.kind not in "iu" or (rows and counts.min() < 0):
        raise PluginError(f"a token counter must return {rows} integers of at least 0, not {counts!r}", where=part.id)
    return pa.array(counts, pa.int64())


def _checked(batch: Any, schema: pa.Schema, part: Part, chosen: Chosen) -> pa.RecordBatch:
    """Check that a batch has the columns of its schema, each without gaps where there may be none."""
    if not isinstance(batch, pa.RecordBatch):
        problem = f"{type(batch).__name__} instead of a RecordBatch"
    else:
        have = {f.name: f.type for f in batch.schema}
        wrong = [
            f"{f.name}: {have.get(f.name, 'missing')} instead of {f.type}" for f in schema if have.get(f.name) != f.type
        ]
        required = ("dataset", "key", "prediction", "question")
        others = set(batch.column("dataset").unique().to_pylist()) - {part.dataset} if not wrong else set()
        wrong += [f"rows of dataset {name!r}" for name in sorted(map(str, others))]
        wrong += [f"{n}: nulls" for n in required if n in have and batch.column(n).null_count]
        problem = ", ".join(wrong)
    if problem:
        raise PluginError(
            f"log source {chosen.registered.id!r} of {chosen.plugin.label} returned {problem}",
            where=part.id,
            fix="return batches as vlrb.schemas says",
        )
    return batch.select(schema.names).replace_schema_metadata(batch.schema.metadata)


def _joined(tables: Sequence[pa.Table], part: Part) -> pa.Table:
    where = ", ".join(str(f) for f in part.files) or part.id
    rows = sum(t.num_rows for t in tables)
    if not rows:
        raise DataError("holds no rows", where=where, fix="remove the file, or replace it with a complete one")
    table = pa.concat_tables(tables)
    counts = (
        pc.value_counts(table.column("id")).to_pylist() if pc.count_distinct(table.column("id")).as_py() < rows else []
    )
    twice = [c["values"] for c in counts if c["counts"] > 1]
    if twice:
        raise DataError(f"holds samples twice: {shortened(twice)}", where=where, fix="keep one row of each")
    return table


def _check_numbers(table: pa.Table, part: Part) -> None:
    for name, high in (("score", 1.0), ("cost", np.inf)):
        values = table.column(name).to_numpy()
        bad = np.flatnonzero(
            ~((values >= 0) & (values <= high) & (values < np.inf)) & table.column(name).is_valid().to_numpy()
        )
        if bad.size:
            row = int(bad[0])
            limits = "between 0 and 1" if name == "score" else "a finite number of at least 0"
            raise DataError(
                f"{name} of sample {table.column('id')[row].as_py()!r} is {values[row]}, which is not {limits}",
                where=", ".join(str(f) for f in part.files) or part.id,
            )


def _check_listing(listing: Any, plan: Plan) -> None:
    label = f"log source {plan.logs.registered.id!r}"
    if not isinstance(listing, Listing):
        raise PluginError(f"{label} of {plan.logs.plugin.label} returned {type(listing).__name__} instead of a Listing")
    if not any(p.kind == "outcomes" for p in listing.parts):
        raise DataError("the logs hold no outcomes of any known model", where=label, fix="check [logs]")
    asked = [p.dataset for p in listing.parts if p.kind == "samples"]
    answered = {p.dataset for p in listing.parts if p.kind == "outcomes"}
    problems = [Problem(f"dataset {d!r} has outcomes but no samples", label) for d in sorted(answered - set(asked))]
    problems += [Problem(f"dataset {d!r} has samples but no outcomes", label) for d in sorted(set(asked) - answered)]
    problems += [
        Problem(f"dataset {d!r} has samples in two parts", label)
        for d in sorted({d for d in asked if asked.count(d) > 1})
    ]
    if problems:
        raise DataError(problems)


# --- reading parts, one after the other or in several processes ---------------------------------------------------------

_worker: PartBuilder | None = None


def _start_worker(document: Any, options: tuple[str, ...], places: Places) -> None:
    """Set up a reading process: plugins cannot be sent to it, so it makes the plan anew from the same document."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which stops handing out parts
    places.use()
    _worker = PartBuilder(plan_document(document, options), places)


def _work(part: Part, key: str, samples: Path | None) -> list[Problem]:
    if _worker is None:
        raise RuntimeError("the reading process was not set up")
    return _attempt(_worker, part, key, samples)


def _attempt(builder: PartBuilder, part: Part, key: str, samples: Path | None) -> list[Problem]:
    """Read a part; return what is wrong with its data, so that the other parts are looked at too."""
    try:
        builder.read(part, key, samples)
    except DataError as error:
        return list(error.problems)
    return []


def read_parts(builder: PartBuilder, listing: Listing, keys: Mapping[str, str], jobs: int, progress: Progress) -> None:
    """Read the parts that are not in the cache: samples first, since scoring outcomes looks at them.

    :raises DataError: with the problems of all parts
    """
    stale = [p for p in listing.parts if not (builder.folder(keys[p.id]) / "part.json").is_file()]
    samples = {p.dataset: builder.folder(keys[p.id]) for p in listing.parts if p.kind == "samples"}
    size = sum(f.stat().st_size for p in stale for f in p.files)
    jobs = jobs if size > PARALLEL_BYTES else 1
    done = 0
    problems: list[Problem] = []
    for kind in ("samples", "outcomes"):
        tasks = [(p, keys[p.id], samples[p.dataset] if kind == "outcomes" else None) for p in stale if p.kind == kind]
        tasks.sort(key=lambda t: -sum(f.stat().st_size for f in t[0].files))
        for found in _run_tasks(builder, tasks, min(jobs, len(tasks))):
            problems += found
            done += 1
            progress("reading logs", done, len(stale))
        if problems:
            raise DataError(list(dict.fromkeys(problems)))


def _run_tasks(
    builder: PartBuilder, tasks: Sequence[tuple[Part, str, Path | None]], jobs: int
) -> Iterator[list[Problem]]:
    if jobs < 2:
        for task in tasks:
            yield _attempt(builder, *task)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    plan = builder.plan
    arguments = (plan.document, plan.options, builder.places)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=arguments) as pool:
        futures = [pool.submit(_work, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
