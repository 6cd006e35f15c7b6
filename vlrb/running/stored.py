"""How a finished run was evaluated, from its directory alone: a benchmark without texts, its splits, and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.components import toml_name
from vlrb.api.frozen import Array, sealed
from vlrb.api.json_data import read_record
from vlrb.api.results import SplitInfo, variant_name
from vlrb.api.splits import SPLITS
from vlrb.benchmark.manifest import SCHEMA_VERSION, Manifest
from vlrb.benchmark.matrices import MATRICES, Benchmark
from vlrb.errors import ConfigError, PluginError
from vlrb.evaluation.metrics import Evaluator
from vlrb.evaluation.splits import Split, Splitting, split_digest
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.experiment.sections import LOADING, General, SelectionSection, StatisticsSection
from vlrb.experiment.strict import restructure
from vlrb.plugins.registry import Registry, missing_requirements
from vlrb.running.context import RunContext
from vlrb.storage import Places

if TYPE_CHECKING:
    from vlrb.running.finished import FinishedRun

NO_PLACE = Path("/nonexistent")


@attrs.frozen(eq=False)
class StoredRun:
    """A finished run with what evaluates its choices; ``left_out``: metric -> why it cannot be computed."""

    finished: FinishedRun
    context: RunContext
    left_out: Mapping[str, str]

    @classmethod
    def of(cls, finished: FinishedRun) -> StoredRun:
        """Read what a run's directory says of its benchmark and splits, and find its metrics among the plugins.

        :raises DataError: naming a file that is missing, broken, or of another version
        :raises ConfigError: when no plugin has any of its metrics
        """
        benchmark = stored_benchmark(finished)
        metrics, left_out = stored_metrics(finished)
        if not metrics:
            what = f"no plugin is loaded that has any of its metrics: {', '.join(left_out)}"
            fix = "install the plugins or name their files with -p, and do not block them"
            raise ConfigError(what, where=str(finished.directory), fix=fix)
        plan = _stored_plan(finished, metrics)
        chosen = [m for m in metrics if m.spec.name == finished.result.run.selection_metric]
        evaluator = Evaluator(benchmark, metrics, (chosen or metrics)[0], plan.statistics.by)
        splitting = stored_splitting(finished, benchmark)
        places = Places(NO_PLACE, finished.cache or NO_PLACE)
        return cls(finished, RunContext(plan, places, benchmark, splitting, evaluator), left_out)


def stored_benchmark(finished: FinishedRun) -> Benchmark:
    """Return the benchmark of a run without questions and images.

    :raises DataError: naming the file that is missing, broken, or of another version
    """
    samples, directory = finished.samples, finished.directory
    other = "use the vlrb that wrote it, or run the experiment again with --fresh"
    manifest = read_record(directory / "benchmark.json", Manifest, SCHEMA_VERSION, other)
    if tuple(m.name for m in manifest.models) != samples.models:
        raise finished.broken("benchmark.json", "names other models than results.json")
    columns = {"id": samples.ids, "dataset": samples.datasets.tolist(), **samples.by}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Benchmark(directory, manifest, table, **{name: getattr(samples, name) for name in MATRICES})


def stored_splitting(finished: FinishedRun, benchmark: Benchmark) -> Splitting:
    """Return the splits of a run.

    :raises DataError: when ``split.parquet`` is missing, broken, or holds other splits than the results
    """
    info, samples = finished.result.run.split, finished.samples
    table = finished.table("split.parquet")
    try:
        rows = samples.rows(table.column("id"))
        parts = np.array(table.column("split").to_pylist(), dtype=object)
        several = "split_name" in table.column_names
        names = np.array(table.column("split_name").to_pylist() if several else [""] * rows.size, dtype=object)
    except KeyError as error:
        what = f"holds a sample that evaluated.parquet lacks, or no such column: {error}"
        raise finished.broken("split.parquet", what) from None
    splits = []
    for one in info.each:
        name = variant_name(one.name, one.train_fraction)
        inside = names == name if several else np.ones(rows.size, dtype=bool)
        of = {part: np.sort(rows[inside & (parts == part)]) for part in SPLITS}
        splits.append(_checked_split(finished, name, one, of, benchmark))
    whole = tuple(s for s in splits if s.info.train_fraction == 1)
    smaller = tuple(s for s in splits if s.info.train_fraction != 1)
    return Splitting(whole, smaller, info.pooled, samples.groups, info)


def _checked_split(
    finished: FinishedRun, name: str, info: SplitInfo, rows: Mapping[str, Array], benchmark: Benchmark
) -> Split:
    if split_digest(benchmark.ids, rows) != info.digest:
        of = f" {name!r}" if name else ""
        raise finished.broken("split.parquet", f"holds another split{of} than results.json: its digest differs")
    train, dev, test = (sealed(rows[part]) for part in SPLITS)
    return Split(name, train, dev, test, finished.samples.groups, info)


def stored_metrics(finished: FinishedRun) -> tuple[tuple[ConfiguredComponent, ...], dict[str, str]]:
    """Return the metrics of a run, with their parameters, and name -> why one cannot be computed.

    :raises ConfigError: when no plugins are loaded
    """
    if finished.registry is None:
        raise ConfigError("no plugins are loaded", fix="read the run with vlrb.load_run")
    found, left_out = [], {}
    for table in finished.result.run.experiment["metric"]:
        made = _metric(finished.registry, dict(table))
        if isinstance(made, str):
            left_out[str(table["use"]).rpartition("/")[2]] = made
        else:
            found.append(made)
    return tuple(found), left_out


def _metric(registry: Registry, table: Mapping[str, Any]) -> ConfiguredComponent | str:
    """Return a metric of an experiment, or why there is none."""
    try:
        registered = registry.find("metric", table["use"])
        if lacking := missing_requirements(registered.record):
            return f"it needs {', '.join(lacking)}"
        metric = ConfiguredComponent("metric", registered, restructure(table, registered.record.params))
        metric.make("__call__")
    except (ConfigError, PluginError) as error:
        return str(error.problems[0].message)
    except (KeyError, TypeError, ValueError) as error:
        return f"its parameters have changed: {error}"
    return metric


def _stored_plan(finished: FinishedRun, metrics: tuple[ConfiguredComponent, ...]) -> Plan:
    """Return the part of the plan that says how choices are evaluated; the rest is empty.

    :raises DataError: when the experiment lacks keys that this version knows
    """
    experiment = finished.result.run.experiment
    fields = {toml_name(f.name): f.default for f in attrs.fields(General)}
    general = {k: experiment.get(k, v) for k, v in fields.items() if k in experiment or k in LOADING}
    empty: Any = None
    parts: dict[str, Any] = dict.fromkeys(
        ("document", "benchmark", "splitter", "split", "catalog", "logs", "counter", "executor"), empty
    )
    try:
        return Plan(
            **parts,
            registry=finished.registry or empty,
            general=restructure(general, General),
            selection=restructure(experiment["selection"], SelectionSection),
            statistics=restructure(experiment["statistics"], StatisticsSection),
            feature_sets={},
            routers=(),
            metrics=metrics,
            reports=(),
            settings={},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise finished.broken("results.json", f"holds an experiment of another version of vlrb: {error}") from None
