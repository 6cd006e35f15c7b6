"""Shell completion: names of components, of runs, and of an experiment's routers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlrb.api.components import KINDS, Component
from vlrb.cli.output import prints_to_stderr
from vlrb.errors import VlrbError
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.texts import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

LISTED: tuple[str, ...] = tuple(kind for kind in KINDS if kind != "command")
"""The kinds that ``vlrb list`` shows."""


def completions(known: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    """Return the names that begin with the text, with a line of help for shells that show it."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(n, help=printable(h, lines=False)) for n, h in known.items() if n.startswith(incomplete)]


def complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return kinds of components."""
    return completions(dict.fromkeys(LISTED, ""), incomplete)


def complete_component(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return names of the components of the given kind; as ``PLUGIN/NAME`` if the text has a slash."""
    plugins = ctx.find_root().params.get("plugins") or ()
    with contextlib.suppress(VlrbError), prints_to_stderr():
        found = load(Selection.of(plugins)).all(ctx.params.get("kind") or "")
        summaries = [(r, r.record.summary if isinstance(r.record, Component) else "") for r in found]
        return completions({r.id if "/" in incomplete else r.name: summary for r, summary in summaries}, incomplete)
    return []


def complete_label(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return labels of the routers of the experiment file, if it was given before the option."""
    from vlrb.experiment.document import read_document

    given = ctx.params.get("file") or next(iter(ctx.args), None)  # an option without its value ends click's parsing
    with contextlib.suppress(VlrbError):
        return completions(dict.fromkeys(read_document(Path(given)).router_labels(), ""), incomplete) if given else []
    return []


def complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of experiments with finished runs, or their runs if the text has a slash."""
    from vlrb.storage import Places

    runs = Places.of(ctx.find_root().params.get("runs"), None).runs
    finished = sorted(file.parent.relative_to(runs) for file in runs.glob("*/*/results.json"))
    named = [run.as_posix() if "/" in incomplete else run.parts[0] for run in finished]
    return completions(dict.fromkeys(named, ""), incomplete)
