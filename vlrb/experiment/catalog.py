"""The datasets and models that an experiment knows: those of plugins, and those that the file declares or changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vlrb.api.logs import Catalog
from vlrb.api.records import Dataset, Model
from vlrb.errors import did_you_mean
from vlrb.experiment.document import KeyPath, redacted_repr
from vlrb.experiment.lookup import Lookup
from vlrb.experiment.strict import unstructure


def catalog_of(lookup: Lookup, datasets: list[Any], models: list[Any], wanted: Any) -> Catalog:
    """Return what plugins register and the file declares; of a known record the file changes the keys it gives.

    :param wanted: the table ``[benchmark]``; its names are looked up even where other keys are wrong
    """
    titles = {r.record.group_title: r.record.group for r in lookup.registry.all("dataset") if r.record.group_title}
    datasets = [_with_slug(table, titles) for table in datasets]
    known_datasets = _records(lookup, "dataset", datasets, Dataset)
    known_models = _records(lookup, "model", models, Model)
    asked = wanted if isinstance(wanted, dict) else {}
    return Catalog(
        known_datasets,
        known_models,
        _expanded(lookup, asked.get("datasets"), known_datasets, ("benchmark", "datasets")),
        _expanded(lookup, asked.get("models"), known_models, ("benchmark", "models")),
    )


def _with_slug(table: Any, titles: Mapping[str, str]) -> Any:
    """Return a dataset's table with the slug of its task group, where it gives the title."""
    group = table.get("group") if isinstance(table, dict) else None
    return {**table, "group": titles[group]} if isinstance(group, str) and group in titles else table


def _merged(lookup: Lookup, table: Any, known: Mapping[str, Any], path: KeyPath) -> Any:
    """Return a table with the keys that it leaves as they are known; ``parameters = "api"`` says that no size is published."""
    name = table.get("name") if isinstance(table, dict) else None
    if not isinstance(name, str):
        return table
    merged = {**(unstructure(known[name]) if name in known else {}), **table}
    if path[0] == "model" and isinstance(size := table.get("parameters"), str):
        merged |= {"parameters": None, "open": False}
        if size != "api":
            lookup.problem((*path, "parameters"), f"must be a number or 'api', not {redacted_repr(size)}")
    return {k: v for k, v in merged.items() if v is not None}


def _records(lookup: Lookup, kind: Literal["dataset", "model"], tables: list[Any], cls: type[Any]) -> tuple[Any, ...]:
    known = {r.name: r.record for r in lookup.registry.all(kind)}
    declared: set[str] = set()
    for i, table in enumerate(tables):
        made = lookup.structured(_merged(lookup, table, known, (kind, i)), cls, (kind, i))
        if made is None:
            continue
        if made.name in declared:
            lookup.problem((kind, i, "name"), f"{kind} {made.name!r} is declared twice", "remove one")
        declared.add(made.name)
        known[made.name] = made
    _refuse_shared_handles(lookup, kind, tuple(known.values()))
    return tuple(known.values())


def _refuse_shared_handles(lookup: Lookup, kind: str, records: tuple[Any, ...]) -> None:
    """Refuse names, aliases and slugs that two records claim: whatever is found by them would be one of the two."""
    for what, handles_of in (
        ("name or alias", lambda r: {r.name, *r.aliases}),
        ("slug", lambda r: {r.slug} if isinstance(r, Dataset) else set()),
    ):
        owners: dict[str, str] = {}
        for record in records:
            for handle in sorted(handles_of(record)):
                first = owners.setdefault(handle, record.name)
                if first != record.name:
                    fix = f"to change {first!r}, write name = {first!r}; else give {record.name!r} another {what}"
                    lookup.problem((kind,), f"{handle!r} is a {what} of both {first!r} and {record.name!r}", fix)


def _expanded(lookup: Lookup, asked: Any, records: tuple[Any, ...], path: KeyPath) -> frozenset[str] | None:
    """Return the records' names that names, aliases, groups and sets stand for; None for no wish, or one that is malformed."""
    if not isinstance(asked, list) or not asked or not all(isinstance(n, str) for n in asked):
        return None
    handles = {
        r.name: {r.name, *r.aliases, *r.sets, getattr(r, "group", r.name), getattr(r, "slug", r.name)} for r in records
    }
    wanted: set[str] = set()
    for i, name in enumerate(asked):
        found = {record for record, known in handles.items() if name in known}
        if not found:
            what = str(path[-1]).rstrip("s")
            lookup.problem((*path, i), f"unknown {what} {name!r}", did_you_mean(name, set().union(*handles.values())))
        wanted |= found
    return frozenset(wanted)
