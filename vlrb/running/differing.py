"""What differs between runs apart from their choices: experiment, benchmark, splits, versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlrb.api.comparison import DifferingSetting, Section
from vlrb.api.json_data import to_json
from vlrb.api.results import BenchmarkInfo, RunInfo, SplitsInfo, variant_name
from vlrb.api.routing import CostBounds

NAMES = ("label", "name", "use")
"""Keys by which a table of an array is known, the first that it has."""


def differing_settings(runs: Sequence[RunInfo]) -> tuple[DifferingSetting, ...]:
    """Return what is not the same in all runs, the names of the experiments aside."""
    sections: dict[Section, list[Any]] = {
        "experiment": [{k: v for k, v in to_json(r.experiment).items() if k != "name"} for r in runs],
        "benchmark": [_benchmark_facts(r.benchmark) for r in runs],
        "split": [_split_facts(r.split, r.bounds) for r in runs],
        "versions": [_versions(r) for r in runs],
    }
    return tuple(
        DifferingSetting(section, key, tuple(values))
        for section, trees in sections.items()
        for key, values in _differing((), trees)
    )


def _differing(path: tuple[str, ...], values: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the key paths whose values differ, and these; a table that a run lacks is shown by its component's name."""
    known = [_by_name(v) for v in values]
    if all(v == known[0] for v in known):
        return
    tables = [v for v in known if isinstance(v, Mapping)]
    if len(tables) == len(known) or (tables and len(path) < 2 and all(v in (None, *tables) for v in known)):
        for key in dict.fromkeys(k for table in tables for k in table):
            yield from _differing((*path, key), [v.get(key) if v is not None else None for v in known])
        return
    shown = [v.get("use", v) if isinstance(v, Mapping) else v for v in known]
    yield ".".join(k if re.fullmatch(r"[\w-]+", k) else json.dumps(k, ensure_ascii=False) for k in path), shown


def _by_name(value: Any) -> Any:
    """Return an array of tables as a table of them by their names; anything else as it is."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, Mapping) for v in value):
        return value
    found: dict[str, Any] = {}
    for table in value:
        name = str(next((table[key] for key in NAMES if table.get(key)), "")).rpartition("/")[2]
        number = sum(k == name or k.startswith(f"{name} ") for k in found)
        found[f"{name} {number + 1}" if number else name] = table
    return found


def _benchmark_facts(benchmark: BenchmarkInfo) -> dict[str, Any]:
    models = list(benchmark.models)
    return {
        "fingerprint": benchmark.fingerprint,
        "samples": benchmark.samples,
        "models": dict.fromkeys(models, "present"),
        "order-of-models": models,
        "datasets": dict(benchmark.datasets),
        "synthetic": benchmark.synthetic or None,
        "excluded": dict(benchmark.excluded),
        "total-tokens": benchmark.total_tokens,
    }


def _split_facts(split: SplitsInfo, bounds: CostBounds) -> dict[str, Any]:
    each = {variant_name(s.name, s.train_fraction): {**s.samples, "digest": s.digest} for s in split.each}
    return {
        "digest": split.digest,
        "made": split.made,
        "pooled": split.pooled,
        "groups": split.groups,
        **({"each": each} if len(each) > 1 else {name: s for one in each.values() for name, s in one.items()}),
        "cost-bounds": [bounds.low, bounds.high],
    }


def _versions(run: RunInfo) -> dict[str, Any]:
    """Return the environment, and the sources of the plugins of routers, which an edited checkout changes."""
    sources: dict[str, str] = {}
    for cell in run.cells:
        sources.setdefault(f"sources of plugin {cell.plugin}", cell.sources[:12])
    return {**run.environment, **sources}
