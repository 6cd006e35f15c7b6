"""What fitted routers share: the file ``router.json``, and checks of the candidates and features of the queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrb import DataError, Features, Queries, read_json, shorten_list, write_json

FILE = "router.json"


def write_saved(directory: Path, schema: int, content: Mapping[str, Any]) -> None:
    """Write the ``router.json`` of a router."""
    write_json(directory / FILE, {"schema": schema, **content})


def read_saved(directory: Path, schema: int, router: str = "", key: str = "router") -> dict[str, Any]:
    """Return the content of the ``router.json`` of a saved router.

    :param schema: the schema version that can be read
    :param router: the router that was saved; empty to accept any
    :param key: the entry of the file that names the router
    :raises DataError: when the file cannot be read, or has another schema version or router
    """
    file = directory / FILE
    content: dict[str, Any] = read_json(file)
    found = content.get("schema")
    if found != schema:
        raise DataError(f"has schema version {found!r}, not {schema}", where=str(file), fix="fit the router again")
    if router and content.get(key) != router:
        what = f"holds a router {content.get(key)!r}, not {router!r}"
        raise DataError(what, where=str(file), fix=f"name a folder that {router} was saved in")
    return content


def refuse_other_models(queries: Queries, models: Sequence[str], router: str) -> None:
    """Check that the candidates of the queries are those of the fit, in their order.

    :raises DataError: when they are not
    """
    found = [c.name for c in queries.candidates]
    if found != list(models):
        what = f"was fitted for the models {shorten_list(models)}, not {shorten_list(found)}"
        raise DataError(what, where=router, fix=f"fit {router} for these models, or route with those of the fit")


def given_features(queries: Queries, router: str) -> Features:
    """Return the features of the queries.

    :raises DataError: when they have none
    """
    if queries.features is None:
        fix = 'set features = "NAME" of a [features.NAME] table'
        raise DataError(f"{router} needs features", where="[[router]]", fix=fix)
    return queries.features
