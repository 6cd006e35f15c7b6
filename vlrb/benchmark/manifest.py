"""What is said of a benchmark beside its matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vlrb import __version__
from vlrb.api.records import Dataset, slugify
from vlrb.benchmark.costs import total_tokens
from vlrb.benchmark.join import Joined
from vlrb.benchmark.logs import Logs
from vlrb.errors import DataError, Problem, shorten_list
from vlrb.experiment.plan import Plan


def manifest_of(logs: Logs, pairs: list[dict[str, Any]], joined: Joined) -> dict[str, Any]:
    plan, listing = logs.builder.plan, logs.listing
    unique, sizes = np.unique(joined.datasets, return_counts=True)
    counts = dict(zip(unique.tolist(), sizes.tolist(), strict=True))
    known = {d.name: d for d in plan.catalog.datasets}
    records = {name: known.get(name) or _undeclared(name) for name in counts}
    _refuse_one_slug(records)
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
        "policies": {k: getattr(plan.benchmark, k) for k in ("verdicts", "missing", "unknown", "correct_at")},
        "excluded": joined.excluded,
        "total_tokens": total_tokens(joined),
        "token_counter": plan.counter.registered.id,
        "token_parameters": plan.counter.identity()["parameters"],
        "images": [f"parts/{logs.folder(p).name}/images.arrow" for p in logs.parts("samples")],
        "parts": [{k: v for k, v in logs.about[p.id].items() if k != "pairs"} for p in listing.parts],
        "pairs": pairs,
        "ignored_files": dict(listing.ignored),
    }


def _undeclared(name: str) -> Dataset:
    """Return a record of a dataset that nobody declared: it can be used where the outcomes carry their scores.

    :raises DataError: when its name has no letter or digit that a slug can have
    """
    if not slugify(name):
        fix = f"declare it: [[dataset]] with name = {name!r} and a slug of your own"
        raise DataError(f"the name of dataset {name!r} has no letter or digit for a slug", where="the logs", fix=fix)
    return Dataset(name=name, group="own")


def _refuse_one_slug(records: Mapping[str, Dataset]) -> None:
    """Refuse datasets that tables could not name apart.

    :raises DataError: naming them
    """
    by_slug: dict[str, list[str]] = {}
    for name, record in records.items():
        by_slug.setdefault(record.slug, []).append(name)
    problems = [
        Problem(
            f"datasets {shorten_list(map(repr, names))} have one slug, {slug!r}",
            "the logs",
            "declare all but one of them with [[dataset]] and a slug of its own, or give them one name in the logs",
        )
        for slug, names in by_slug.items()
        if len(names) > 1
    ]
    if problems:
        raise DataError(problems)


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
