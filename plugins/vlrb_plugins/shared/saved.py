"""Checks of saved routers: schema version, which router it is, and the candidates that it was fitted for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlrb import DataError, Queries, read_json, shorten_list


def read_saved(directory: Path, schema: int, router: str = "", key: str = "router") -> dict[str, Any]:
    """Return the content of the ``router.json`` of a saved router.

    :param schema: the schema version that can be read
    :param router: the router that was saved; empty to accept any
    :param key: the entry of the file that names the router
    :raises DataError: when the file cannot be read, or has another schema version or router
    """
    file = directory / "router.json"
    content: dict[str, Any] = read_json(file)
    found = content.get("schema")
    if found != schema:
        raise DataError(f"has schema version {found!r}, not {schema}", where=str(file), fix="fit the router again")
    if router and content.get(key) != router:
        what = f"holds a router {content.get(key)!r}, not {router!r}"
        raise DataError(what, where=str(file), fix=f"name a folder that {router} was saved in")
    return content


def check_candidates(queries: Queries, models: Sequence[str], router: str) -> None:
    """Check that queries have the candidates, in the same order, that a router was fitted for.

    :param models: their names
    :raises DataError: when they have others
    """
    found = [c.name for c in queries.candidates]
    if found != list(models):
        what = f"was fitted for the models {shorten_list(models)}, not {shorten_list(found)}"
        raise DataError(what, where=router, fix=f"fit {router} for these models, or route with those of the fit")
