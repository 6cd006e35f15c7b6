"""The commands that tell what is installed: ``list``, ``plugins``, ``hooks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vlrb.api.components import KINDS
from vlrb.cli.output import echo, echo_json, prints_to_stderr

if TYPE_CHECKING:
    from vlrb.plugins.plugin import Plugin
    from vlrb.plugins.registry import Registered, Registry
from vlrb.cli.root import as_json, registry_of, vlrb


class _KindType(click.ParamType):  # type: ignore[type-arg]
    """A kind of component; its plural is understood."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind's name.

        :raises click.BadParameter: with a did-you-mean
        """
        from vlrb.errors import did_you_mean

        known = {form: k for k in KINDS if k != "command" for form in (k, f"{k}s")}
        text = str(value).lower().replace("_", "-")
        if text not in known:
            self.fail(f"{value!r} is not a kind; {did_you_mean(text, set(known.values()))}", param, ctx)
        return known[text]


@vlrb.command(name="list")
@click.argument("kind", required=False, type=_KindType())
@click.argument("name", required=False)
@as_json
@click.pass_context
def list_(ctx: click.Context, kind: str | None, name: str | None, as_json: bool) -> None:
    """List what plugins offer: all, those of a KIND, or one component (KIND NAME) with its parameters."""
    with prints_to_stderr():
        registry = registry_of(ctx)
        for plugin in registry.broken():
            echo(f"warning: {plugin.label} cannot be loaded and is not listed: {plugin.error}", err=True)
        kinds = [kind] if kind else [k for k in KINDS if k != "command"]
        found = {k: [registry.find(k, name)] if name else registry.all(k) for k in kinds}
        described = {k: [_description(r) for r in registered] for k, registered in found.items()}
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
            for line in _parameter_lines(entry) if name else ():
                echo(line)


def _parameter_lines(entry: dict[str, Any]) -> list[str]:
    """Return the parameters of a component, two lines each: name, type and default, and what it does."""
    if not entry["parameters"]:
        return ["  no parameters"]
    lines = []
    for parameter in entry["parameters"]:
        default = " (required)" if parameter["required"] else f" = {parameter['default']}"
        default = default if parameter["required"] or parameter["default"] is not None else ""
        lines.append(f"  {parameter['name']}: {parameter['type']}{default}")
        lines += [f"      {parameter['help']}"] if parameter["help"] else []
    return lines


def _description(registered: Registered) -> dict[str, Any]:
    from vlrb.api.components import Component
    from vlrb.api.records import Dataset
    from vlrb.plugins.registry import missing_requirements

    record = registered.record
    entry: dict[str, Any] = {"id": registered.id, "name": record.name, "plugin": registered.plugin.name}
    entry |= {"dist": registered.plugin.dist, "version": registered.plugin.version, "missing": "", "parameters": []}
    if isinstance(record, Component):
        lacking = missing_requirements(record)
        extra = f'pip install "vlrb[{record.extra}]"' if record.extra else ", ".join(lacking)
        return {
            **entry,
            "summary": record.summary,
            "missing": extra if lacking else "",
            "parameters": _parameters(record),
        }
    if isinstance(record, Dataset):
        return {**entry, "summary": f"{record.group}, {record.task}, {record.samples} samples, slug {record.slug}"}
    prices = (record.input_price_per_million, record.output_price_per_million)
    size = f"{record.parameters:g}B" if record.parameters else "size not published"
    shown = " / ".join("no price" if p is None else f"{p:g}" for p in prices)
    return {**entry, "summary": f"{shown} USD per million tokens in / out, {size}"}


def _parameters(record: Any) -> list[dict[str, Any]]:
    import attrs

    from vlrb.api.components import toml_name

    parameters = []
    for field in attrs.fields(record.params):
        plain = field.default is None or isinstance(field.default, str | int | float | bool)
        parameters.append(
            {
                "name": toml_name(field.name),
                "type": field.type if isinstance(field.type, str) else _type_name(field.type),
                "required": field.default is attrs.NOTHING,
                "default": None if not plain or field.default is None else str(field.default),
                "help": field.metadata.get("help", ""),
            }
        )
    return parameters


def _type_name(kind: Any) -> str:
    """Return a type as it is written; attrs may have resolved it from its text."""
    return (
        kind.__name__
        if isinstance(kind, type) and not getattr(kind, "__args__", ())
        else str(kind).replace("typing.", "")
    )


@vlrb.command(name="plugins")
@as_json
@click.pass_context
def plugins_(ctx: click.Context, as_json: bool) -> None:
    """List the plugins: dist, version, and what is wrong with those that cannot be loaded."""
    with prints_to_stderr():
        registry = registry_of(ctx)
    entries = [_plugin_entry(p, registry) for p in registry.plugins]
    if as_json:
        echo_json(entries)
        return
    for entry in entries:
        dist = f"{entry['dist']} {entry['version']}".strip()
        echo(f"{entry['name']:<18} {dist:<24} {entry['state']:<8} {entry['detail']}")


def _plugin_entry(plugin: Plugin, registry: Registry) -> dict[str, str]:
    state = "blocked" if plugin.blocked else "broken" if plugin.error else "loaded"
    counts = {k: sum(r.plugin is plugin for r in registry.all(k)) for k in KINDS}
    offers = ", ".join(f"{n} {k}{'s' if n > 1 else ''}" for k, n in counts.items() if n)
    detail = plugin.error or ("" if plugin.blocked else offers or "observer")
    return {"name": plugin.name, "dist": plugin.dist, "version": plugin.version, "state": state, "detail": detail}


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
    import inspect

    from vlrb.api import hookspecs

    rows = []
    for name, function in vars(hookspecs).items():
        if name in hookspecs.REGISTRATION | hookspecs.LIFECYCLE:
            doc = inspect.getdoc(function) or ""
            signature = str(inspect.signature(function)).replace("'", "")
            rows.append((name, signature, doc.splitlines()[0]))
    return rows
