"""Routers from outside: the questions of every split without labels, as files, and a router that reads what was chosen."""

from __future__ import annotations

from vlrb import ReporterSpec, RouterSpec, hookimpl
from vlrb_plugins.outside_choices.params import ChoicesParams


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the router ``choices``."""
    return [
        RouterSpec(
            name="choices",
            summary="reads the choices that a router outside vlrb made of `vlrb build --export queries DIR`",
            factory="vlrb_plugins.outside_choices.router:OutsideChoices",
            params=ChoicesParams,
            load="vlrb_plugins.outside_choices.router:load",
            revision="vlrb_plugins.outside_choices.router:revision",
        )
    ]


@hookimpl
def vlrb_reporters() -> list[ReporterSpec]:
    """Return the export ``queries``."""
    return [
        ReporterSpec(
            name="queries",
            summary="questions of every split for routers from outside (`vlrb build --export queries DIR`)",
            on="export",
            factory="vlrb_plugins.outside_choices.export:queries_export",
        )
    ]
