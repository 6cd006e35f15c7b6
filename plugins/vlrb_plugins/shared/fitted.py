"""What fitted routers check: their saved files, and the candidates and features of the queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlrb import DataError, Features, Queries, read_json, shorten_list

FILE = "router.json"


def read_saved(directory: Path, schema: int, router: str = "", key: str = "router") -> dict[str, Any]:
    """Return the content of a saved router's ``router.json``.

    :param router: what must be saved there; empty where the content says it
    :param key: the key that names it
    :raises DataError: when it is of another router or another schema version, or cannot be read
    """
    content: dict[str, Any] = read_json(directory / FILE)
    where, found = str(directory), content.get(key)
    if content.get("schema") != schema:
        what = f"has schema version {content.get('schema')!r}, not {schema}"
        raise DataError(what, where=where, fix="fit the router again")
    if router and found != router:
        what = f"holds a router {found!r}, not {router!r}"
        raise DataError(what, where=where, fix=f"name a folder that {router} was saved in")
    return content


def refuse_other_models(queries: Queries, models: tuple[str, ...], router: str) -> None:
    """Check that the candidates of the queries are those of the fit, in their order.

    :raises DataError: when they are not
    """
    found = tuple(c.name for c in queries.candidates)
    if found != models:
        what = f"was fitted for the models {shorten_list(models)}, not {shorten_list(found)}"
        raise DataError(what, where=router, fix="fit it for these models")


def given_features(queries: Queries, router: str) -> Features:
    """Return the features of the queries.

    :raises DataError: when they have none
    """
    if queries.features is None:
        fix = 'set features = "NAME" of a [features.NAME] table'
        raise DataError(f"{router} needs features", where="[[router]]", fix=fix)
    return queries.features
