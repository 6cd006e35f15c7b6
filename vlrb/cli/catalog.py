"""The commands that show what is installed: ``list``, ``plugins``, ``hooks``."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

import attrs
import click

from vlrb.api import hookspecs
from vlrb.api.components import KINDS, Component, Kind, toml_name
from vlrb.api.records import Dataset
from vlrb.cli.completion import LISTED, complete_component, complete_kind
from vlrb.cli.output import echo, echo_json, prints_to_stderr
from vlrb.cli.root import Given, as_json, vlrb
from vlrb.errors import ExitCode, did_you_mean
from vlrb.plugins.discovery import dists_of_plugins
from vlrb.plugins.installed import verify_dist
from vlrb.plugins.registry import implements, missing_requirements
from vlrb.texts import printable

if TYPE_CHECKING:
    from vlrb.plugins.plugin import Plugin
    from vlrb.plugins.registry import Registered, Registry


def _kind(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Kind | None:
    """Return the name of a kind of component, which may be given in the plural."""
    text = (value or "").lower().replace("_", "-")
    kind = next((k for k in LISTED if text in (k, f"{k}s")), None)
    if value and not kind:
        raise click.BadParameter(f"unknown kind {value!r}; {did_you_mean(text, LISTED)}")
    return kind


@vlrb.command(name="list")
@click.argument("kind", required=False, callback=_kind, shell_complete=complete_kind)
@click.argument("name", required=False, shell_complete=complete_component)
@as_json
@click.pass_obj
def list_(given: Given, kind: Kind | None, name: str | None, as_json: bool) -> None:
    """List what plugins offer: all, those of a KIND, or one component (KIND NAME) with its parameters."""
    with prints_to_stderr():
        registry = given.registry()
        for plugin in registry.broken():
            echo(f"warning: {plugin.label} cannot be loaded and is not listed: {plugin.error}", err=True)
        kinds = [kind] if kind else LISTED
        found = {k: [registry.find(k, name)] if name else registry.all(k) for k in kinds}
        described = {k: [_describe(r) for r in registered] for k, registered in found.items()}
    if as_json:
        echo_json(described)
        return
    for each, entries in described.items():
        if not name:
            echo(f"{each}:")
        width = max((len(e["id"]) for e in entries), default=0)
        for entry in entries:
            missing = f"  [needs {entry['missing']}]" if entry["missing"] else ""
            echo(f"{'' if name else '  '}{entry['id']:<{width}}  {entry['summary']}{missing}")
            if name:
                _print_parameters(entry["parameters"])


def _print_parameters(parameters: list[dict[str, Any]]) -> None:
    for p in parameters:
        default = " (required)" if p["required"] else "" if p["default"] is None else f" = {p['default']}"
        echo(f"  {p['name']}: {p['type']}{default}" + (f"\n      {p['help']}" if p["help"] else ""))
    if not parameters:
        echo("  no parameters")


def _describe(registered: Registered) -> dict[str, Any]:
    record, plugin = registered.record, registered.plugin
    missing, parameters = "", []
    if isinstance(record, Component):
        summary = record.summary
        parameters = [_parameter(f) for f in attrs.fields(record.params)]
        if lacking := missing_requirements(record):
            missing = f'pip install "vlrb[{record.extra}]"' if record.extra else ", ".join(lacking)
    elif isinstance(record, Dataset):
        summary = f"{record.group}, {record.task}, {record.samples} samples, slug {record.slug}"
    else:
        size = f"{record.parameters:g}B" if record.parameters else "size not published"
        prices = (record.input_price_per_million, record.output_price_per_million)
        shown = " / ".join("no price" if p is None else f"{p:g}" for p in prices)
        summary = f"{shown} USD per million tokens in / out, {size}"
    entry = {"id": registered.id, "name": record.name, "plugin": plugin.name, "dist": plugin.dist}
    return {**entry, "version": plugin.version, "missing": missing, "parameters": parameters, "summary": summary}


def _parameter(field: attrs.Attribute[Any]) -> dict[str, Any]:
    return {
        "name": toml_name(field.name),
        "type": field.type.__name__ if isinstance(field.type, type) else str(field.type).replace("typing.", ""),
        "required": field.default is attrs.NOTHING,
        "default": str(field.default) if isinstance(field.default, str | int | float) else None,
        "help": field.metadata.get("help", ""),
    }


@vlrb.command()
@click.option(
    "--verify", is_flag=True, help="Compare the files of installed plugins with what pip recorded; import none."
)
@as_json
@click.pass_obj
def plugins(given: Given, verify: bool, as_json: bool) -> int:
    """List the plugins: dist, version, what each provides, and what is wrong with those that cannot be loaded.

    With --verify, the exit status is 5 if a file differs.
    """
    if verify:
        return _verify_plugins(as_json)
    with prints_to_stderr():
        registry = given.registry()
    entries = [_plugin_entry(p, registry) for p in registry.plugins]
    if as_json:
        echo_json(entries)
        return ExitCode.OK
    for entry in entries:
        dist = f" ({entry['dist']} {entry['version']})" if entry["version"] else ""
        echo(f"{entry['name']}{dist}: {entry['state']}")
        kinds = {f"{len(n)} {kind}{'s' * (len(n) > 1)}": ", ".join(n) for kind, n in entry["provides"].items()}
        kinds |= {"error": entry["detail"]} if entry["state"] == "broken" else {}
        kinds |= {"observes": ", ".join(entry["observes"])} if entry["observes"] else {}
        kinds |= {"settings": f"[plugin.{entry['name']}]"} if entry["settings"] else {}
        for what, names in kinds.items():
            _echo_wrapped(f"{what}: {names}", "  ")
    return ExitCode.OK


def _echo_wrapped(text: str, indent: str) -> None:
    """Print a text on as many lines as the terminal needs for it; names and paths are never cut."""
    width, deeper = shutil.get_terminal_size().columns, f"{indent}  "
    lines = textwrap.wrap(
        printable(text, lines=False),
        max(width, len(deeper) + 1),
        initial_indent=indent,
        subsequent_indent=deeper,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        echo(line)


def _plugin_entry(plugin: Plugin, registry: Registry) -> dict[str, Any]:
    state = "blocked" if plugin.blocked else "broken" if plugin.error else "loaded"
    provides = {k: [r.name for r in registry.all(k) if r.plugin is plugin] for k in KINDS}
    provides = {kind: names for kind, names in provides.items() if names}
    offers = ", ".join(f"{len(n)} {k}{'s' * (len(n) > 1)}" for k, n in provides.items())
    return {
        "name": plugin.name,
        "dist": plugin.dist,
        "version": plugin.version,
        "state": state,
        "detail": plugin.error or ("" if plugin.blocked else offers or "observer"),
        "provides": provides,
        "observes": [hook for hook in sorted(hookspecs.LIFECYCLE) if implements(plugin, hook)],
        "settings": plugin.settings is not None,
    }


def _verify_plugins(as_json: bool) -> int:
    """Say which files of installed plugins are not those that were installed; return the exit status."""
    verified = [verify_dist(dist, modules) for dist, modules in dists_of_plugins()]
    if as_json:
        echo_json([attrs.asdict(v) for v in verified])
    for each in () if as_json else verified:
        said = each.reason or f"{each.files:,} files recorded"
        _echo_wrapped(f"{each.dist} {each.version}: {each.state} ({said})", "")
        lists = {"changed": each.changed, "missing": each.missing, "extra": each.extra, "elsewhere": each.elsewhere}
        for what, paths in lists.items():
            for path in paths:
                echo(f"  {what}: {path}")
    return ExitCode.PLUGIN if any(v.state == "differs" for v in verified) else ExitCode.OK


@vlrb.command()
@as_json
def hooks(as_json: bool) -> None:
    """List the hooks that a plugin may implement."""
    rows = hook_list()
    if as_json:
        echo_json([{"name": n, "arguments": a, "summary": s} for n, a, s in rows])
        return
    for name, signature, summary in rows:
        echo(f"{name}{signature}\n    {summary}")


def hook_list() -> list[tuple[str, str, str]]:
    """Return (hook, its arguments, first line of its documentation) for every hook, registration hooks first."""
    return [
        (name, str(inspect.signature(hook)).replace("'", ""), (hook.__doc__ or "").splitlines()[0])
        for name, hook in vars(hookspecs).items()
        if name in hookspecs.REGISTRATION | hookspecs.LIFECYCLE
    ]
