"""From logs to a benchmark: parts are read once each and cached, then joined by sample id and model name.

Whatever is left out is left out by a policy that the experiment names, and counted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlrb import __version__, benchmark
from vlrb.benchmark import Benchmark
from vlrb.cache import Places, locked, new_directory, read_json
from vlrb.errors import DataError, Problem, shortened
from vlrb.parts import PartBuilder, Progress, read_parts
from vlrb.plan import Plan, digest_of
from vlrb.specs import Dataset
from vlrb.types import Array, Listing, Part


def quiet(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def build(plan: Plan, places: Places, jobs: int | None = None, progress: Progress = quiet) -> Benchmark:
    """Return the benchmark of an experiment, from the cache where nothing it depends on has changed.

    :param jobs: processes that read logs; default: one per CPU
    :raises DataError: with everything that is wrong with the logs
    """
    builder = PartBuilder(plan, places)
    listing = builder.list()
    keys = builder.keys(listing)
    target = places.cache / "benchmarks" / _benchmark_key(plan, listing, keys)[:20]
    with locked(target):
        if not _usable(target, places):
            read_parts(builder, listing, keys, jobs or os.cpu_count() or 1, progress)
            folders = {part: builder.folder(keys[part.id]) for part in listing.parts}
            with new_directory(target) as aside:
                benchmark.write(aside, *_assemble(plan, listing, folders))
    return benchmark.load(target)


def _usable(target: Path, places: Places) -> bool:
    """Tell whether a benchmark is there, and the images that it refers to."""
    manifest = target / "manifest.json"
    return manifest.is_file() and all((places.cache / f).is_file() for f in read_json(manifest).get("images", ()))


def _benchmark_key(plan: Plan, listing: Listing, keys: Mapping[str, str]) -> str:
    used = {p.dataset for p in listing.parts}, {p.model for p in listing.parts if p.model}
    return digest_of(
        {
            "schema": benchmark.SCHEMA_VERSION,
            "vlrb": __version__,
            "parts": keys,
            "section": {k: v for k, v in attrs.asdict(plan.benchmark).items() if k not in ("datasets", "models")},
            "datasets": [attrs.asdict(d) for d in plan.catalog.datasets if d.name in used[0]],
            "models": [attrs.asdict(m) for m in plan.catalog.models if m.name in used[1]],
            "synthetic": listing.synthetic,
            "ignored_files": dict(listing.ignored),
        }
    )


# --- joining ------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class _Joined:
    """Samples and matrices while they are being put together; NaN and -1 mark what is not there yet."""

    samples: pa.Table
    models: list[str]
    matrices: dict[str, Array]
    present: Array
    excluded: list[dict[str, Any]] = attrs.Factory(list)

    def keep_samples(self, keep: Array, reason: str) -> None:
        """Leave out some samples, and count them per dataset."""
        names = self.samples.column("dataset").filter(pa.array(~keep)).to_pylist()
        for name in sorted(set(names)):
            self.excluded.append({"reason": f"{reason} ({name})", "count": names.count(name)})
        self.samples = self.samples.filter(pa.array(keep))
        self.matrices = {name: matrix[keep] for name, matrix in self.matrices.items()}
        self.present = self.present[keep]
        if not self.samples.num_rows:
            raise DataError(f"no sample is left: all were left out because of: {reason}", where="[benchmark]")

    def keep_models(self, keep: Array, reason: str) -> None:
        """Leave out some models, and say which."""
        for name, kept in zip(self.models, keep, strict=True):
            if not kept:
                self.excluded.append({"reason": f"{reason} ({name})", "count": 1})
        self.models = [m for m, kept in zip(self.models, keep, strict=True) if kept]
        self.matrices = {name: matrix[:, keep] for name, matrix in self.matrices.items()}
        self.present = self.present[:, keep]
        if not self.models:
            raise DataError(f"no model is left: all were left out because of: {reason}", where="[benchmark]")


def _assemble(
    plan: Plan, listing: Listing, folders: Mapping[Part, Path]
) -> tuple[dict[str, Any], pa.Table, dict[str, Array]]:
    """Join the parts by sample id and model name.

    :return: manifest, samples and matrices of the finished benchmark
    """
    about = {part: read_json(folder / "part.json") for part, folder in folders.items()}
    joined = _join(listing, folders)
    _apply_missing(joined, plan.benchmark.missing)
    _apply_unknown(joined, plan, [about[p] for p in listing.parts if p.kind == "outcomes"])
    _fill_costs(joined, plan)
    joined.matrices["quality"] = joined.matrices["score"] >= plan.benchmark.correct_at
    return (
        _manifest(plan, listing, about, folders, joined),
        joined.samples.drop_columns("input_tokens"),
        joined.matrices,
    )


def _join(listing: Listing, folders: Mapping[Part, Path]) -> _Joined:
    samples = pa.concat_tables(
        pq.read_table(folders[p] / "rows.parquet") for p in listing.parts if p.kind == "samples"
    ).sort_by("id")
    outcomes = [p for p in listing.parts if p.kind == "outcomes"]
    models = sorted({p.model for p in outcomes})
    shape = (samples.num_rows, len(models))
    matrices: dict[str, Array] = {name: np.full(shape, np.nan) for name in ("score", "cost")}
    matrices |= {name: np.full(shape, -1, dtype=np.int64) for name in ("input_tokens", "output_tokens")}
    shared = samples.column("input_tokens")
    if shared.null_count == 0:
        matrices["input_tokens"][:] = shared.to_numpy()[:, None]
    present = np.zeros(shape, dtype=np.bool_)
    ids = samples.column("id").combine_chunks()
    problems = []
    for part in outcomes:
        table = pq.read_table(folders[part] / "rows.parquet", columns=["id", *matrices])
        rows = pc.index_in(table.column("id"), value_set=ids).combine_chunks()
        if rows.null_count:
            extra = table.column("id").filter(pc.is_null(rows)).to_pylist()
            problems.append(_not_asked(part, extra))
            continue
        _fill(matrices, present, rows.to_numpy(), models.index(part.model), table, part)
    if problems:
        raise DataError(problems)
    return _Joined(samples, models, matrices, present)


def _fill(matrices: dict[str, Array], present: Array, rows: Array, j: int, table: pa.Table, part: Part) -> None:
    if present[rows, j].any():
        raise DataError(f"{part.model} answers samples of {part.dataset} in two parts of the logs", where=part.id)
    present[rows, j] = True
    for name, matrix in matrices.items():
        column = table.column(name)
        if column.null_count < len(column):
            gap = np.nan if matrix.dtype.kind == "f" else -1
            matrix[rows, j] = column.fill_null(gap).to_numpy()


def _not_asked(part: Part, ids: Sequence[str]) -> Problem:
    return Problem(
        f"{len(ids)} answers of {part.model} belong to no sample of {part.dataset}: {shortened(ids)}",
        ", ".join(str(f) for f in part.files) or part.id,
        "use answers and questions of one version of the dataset",
    )


def _apply_missing(joined: _Joined, policy: str) -> None:
    """Deal with samples that not every model answered."""
    if joined.present.all():
        return
    if policy == "drop-sample":
        joined.keep_samples(np.asarray(joined.present.all(axis=1)), "samples that not every model answered")
    elif policy == "drop-model":
        joined.keep_models(np.asarray(joined.present.all(axis=0)), "models that did not answer every sample")
    else:
        names = np.asarray(joined.samples.column("dataset").to_pylist())
        ids = joined.samples.column("id")
        problems = []
        for j, model in enumerate(joined.models):
            for name in sorted(set(names[~joined.present[:, j]].tolist())):
                rows = np.flatnonzero(~joined.present[:, j] & (names == name)).tolist()
                lacking = shortened(ids[i].as_py() for i in rows)
                problems.append(
                    Problem(f"{model} lacks {len(rows)} of {(names == name).sum()} samples: {lacking}", name)
                )
        fix = 'complete the logs, or set missing = "drop-sample" or "drop-model" in [benchmark]'
        raise DataError([*problems[:-1], attrs.evolve(problems[-1], fix=fix)])


def _apply_unknown(joined: _Joined, plan: Plan, about: Sequence[Mapping[str, Any]]) -> None:
    """Deal with answers that neither the logs nor a scorer judge."""
    unknown = np.isnan(joined.matrices["score"])
    if not unknown.any():
        return
    policy = plan.benchmark.unknown
    if policy == "drop":
        joined.keep_samples(np.asarray(~unknown.any(axis=1)), "samples with an answer that no rule can judge")
        return
    names = np.asarray(joined.samples.column("dataset").to_pylist())
    problems = []
    for j, model in enumerate(joined.models):
        for name in sorted(set(names[unknown[:, j]].tolist())):
            count = int((unknown[:, j] & (names == name)).sum())
            if policy == "wrong":
                joined.excluded.append(
                    {"reason": f"answers that no rule can judge, counted as wrong ({name}, {model})", "count": count}
                )
            else:
                said = next(a for a in about if a["dataset"] == name and a["model"] == model)
                problems.append(_unjudged(plan, model, name, count, said))
    if problems:
        raise DataError(problems)
    joined.matrices["score"][unknown] = 0.0


def _unjudged(plan: Plan, model: str, name: str, count: int, about: Mapping[str, Any]) -> Problem:
    dataset = plan.catalog.dataset(name)
    scorer = dataset.scorer if dataset is not None else ""
    why = (
        f"; scorer {about['scored_by']!r} could not decide"
        if about["scored_by"]
        else (f"; its scorer {scorer!r} is not installed" if scorer else "")
    )
    return Problem(
        f"{count} answers of {model} have no verdict: {about['verdict'] or 'the logs hold none'}{why}",
        name,
        "give the logs a column is_correct, name a scorer that is installed, or set unknown in [benchmark]",
    )


def _fill_costs(joined: _Joined, plan: Plan) -> None:
    """Turn tokens and prices into USD per sample, except where the logs give costs themselves.

    :raises DataError: for a model without a price, and where tokens are not known
    """
    cost, inputs, outputs = (joined.matrices[m] for m in ("cost", "input_tokens", "output_tokens"))
    problems = []
    for j, name in enumerate(joined.models):
        model = plan.catalog.model(name)
        open_rows = np.isnan(cost[:, j])
        lacking = int(((inputs[:, j] < 0) | (outputs[:, j] < 0)).sum())
        if lacking:
            counter = plan.counter.registered.id
            problems.append(
                Problem(f"token counter {counter!r} gives no tokens for {lacking} answers of {name}", "[tokens]")
            )
        elif open_rows.any() and (
            model is None or model.input_price_per_million is None or model.output_price_per_million is None
        ):
            problems.append(
                Problem(
                    f"model {name!r} has no price, and the logs give no costs",
                    "[[model]]",
                    f"add a table [[model]] with name = {name!r}, input_price_per_million and output_price_per_million",
                )
            )
        elif open_rows.any() and model is not None:
            low, high = model.input_price_per_million or 0.0, model.output_price_per_million or 0.0
            cost[open_rows, j] = (inputs[open_rows, j] * low + outputs[open_rows, j] * high) / 1e6
    if problems:
        raise DataError(problems)


def _manifest(
    plan: Plan,
    listing: Listing,
    about: Mapping[Part, Mapping[str, Any]],
    folders: Mapping[Part, Path],
    joined: _Joined,
) -> dict[str, Any]:
    names = joined.samples.column("dataset").to_pylist()
    counts = {name: names.count(name) for name in sorted(set(names))}
    known = {d.name: d for d in plan.catalog.datasets}
    # a dataset that nobody declared can be used where the outcomes carry their scores
    records = {name: known.get(name) or Dataset(name=name, group="own") for name in counts}
    inputs, outputs = joined.matrices["input_tokens"], joined.matrices["output_tokens"]
    return {
        "vlrb": __version__,
        "synthetic": listing.synthetic,
        "models": [_candidate(plan, name) for name in joined.models],
        "datasets": [
            {"name": n, "slug": records[n].slug, "group": records[n].group, "task": records[n].task, "samples": c}
            for n, c in counts.items()
        ],
        "expected_samples": {
            n: records[n].samples for n in counts if records[n].samples is not None and not listing.synthetic
        },
        "policies": {k: getattr(plan.benchmark, k) for k in ("missing", "unknown", "correct_at")},
        "excluded": joined.excluded,
        "total_tokens": int(inputs.mean(axis=1).sum() if inputs.size else 0) + int(outputs.sum()),
        "token_counter": plan.counter.registered.id,
        "images": [f"parts/{f.name}/images.arrow" for p, f in folders.items() if p.kind == "samples"],
        "parts": [about[p] for p in listing.parts],
        "ignored_files": dict(listing.ignored),
    }


def _candidate(plan: Plan, name: str) -> dict[str, Any]:
    model = plan.catalog.model(name)
    if model is None:
        return {"name": name}
    return {
        "name": name,
        "input_price": model.input_price_per_million,
        "output_price": model.output_price_per_million,
        "parameters": model.parameters,
    }
