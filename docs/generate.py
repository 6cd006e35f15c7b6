"""Write the reference, docs/reference/*.md, from docstrings, help texts and records; ``--check`` says whether it is up to date."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import click

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import (
    annotation_of,
    cell,
    code,
    constants_of,
    default_of,
    fields_of,
    fill,
    from_docstring,
    members_of,
    signature_of,
    summary,
    table,
    toml_default,
    toml_type,
)

import vlrb
from vlrb.api import components, hookspecs, records, schemas
from vlrb.api.components import KINDS, toml_name
from vlrb.cli import catalog, commands, compare, report, verify  # noqa: F401  (they add their commands)
from vlrb.cli.root import vlrb as root
from vlrb.errors import ExitCode
from vlrb.experiment import sections
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection

COMMAND = "python docs/generate.py"
FOLDER = Path(__file__).parent / "reference"
NOTE = f"<!-- written by `{COMMAND}`; do not edit -->"
EXPORTED_ELSEWHERE = {"vlrb.api.components", "vlrb.api.records", "vlrb.api.schemas"}
"""Modules whose names the page on records describes."""


def page(title: str, introduction: str, *parts: str) -> str:
    """Return a page."""
    return "\n\n".join([f"# {title}", NOTE, fill(introduction), *(p for p in parts if p)]) + "\n"


def bundled(kind: str) -> list[Any]:
    """Return the bundled records of a kind, regardless of what else is installed."""
    return [r for r in load(Selection()).all(kind) if r.plugin.dist == "vlrb"]


# ---- hooks


def hooks() -> str:
    """Return the page on hooks."""
    parts = []
    for title, names in (("Registration", hookspecs.REGISTRATION), ("Lifecycle", hookspecs.LIFECYCLE)):
        parts.append(f"## {title}")
        for name, hook in vars(hookspecs).items():
            if name in names:
                parts.append(f"### {name}\n\n`{name}{signature_of(hook)}`\n\n{from_docstring(hook.__doc__)}")
    text = "What a plugin may implement, as `vlrb hooks` lists it. [Plugins](../plugins.md) says how."
    return page("Hooks", text, from_docstring((hookspecs.__doc__ or "").split("\n\n", 1)[1]), *parts)


# ---- records


def attrs_class(owner: type, level: str = "###") -> str:
    """Return a section on an attrs class: its docstring, fields and methods."""
    rows = [(code(str(f.alias)), code(annotation_of(owner, f.name)), default_of(f)) for f in fields_of(owner)]
    given = table(("field", "type", "default"), rows)
    return joined(f"{level} {owner.__name__}", from_docstring(owner.__doc__), given, methods(owner))


def methods(owner: type) -> str:
    """Return a list of the methods and properties of a class."""
    lines = []
    for shown, text in members_of(owner):
        lines.append(fill(f"`{shown}`: {summary(text)}", "- ", "  "))
    return "\n".join(lines)


def joined(*parts: str) -> str:
    """Return parts of a section, less those that are empty."""
    return "\n\n".join(p for p in parts if p)


def specs() -> str:
    """Return the page on records and the columns of logs."""
    base = attrs_class(components.Component)
    classes = [owner for _, owner in KINDS.values()]
    named = [attrs_class(o) for o in classes if o not in (records.Dataset, records.Model)]
    own = [attrs_class(o) for o in (records.Dataset, records.Model, records.ImageTokens)]
    columns = []
    for name in ("SAMPLES", "SAMPLES_OPTIONAL", "OUTCOMES", "OUTCOMES_OPTIONAL"):
        rows = [(code(f.name), code(str(f.type))) for f in getattr(schemas, name)]
        said = from_docstring(constants_of(schemas)[name])
        columns.append(joined(f"### {name}", said, table(("column", "type"), rows)))
    text = "What registration hooks return, and the columns of what log sources read; `from vlrb import NAME` has them."
    functions = [function(n, getattr(components, n)) for n in ("param", "toml_name")]
    return page(
        "Records",
        text,
        "## Components",
        base,
        *named,
        "## Parameters",
        *functions,
        attrs_class(components.NoParams),
        attrs_class(components.Imported),
        "## Datasets and models",
        *own,
        "## Columns of logs",
        fill(summary(schemas.__doc__)),
        *columns,
    )


# ---- the Python API


def function(name: str, value: Any) -> str:
    """Return a section on a function."""
    return joined(f"### {name}", f"```text\n{name}{broken(signature_of(value))}\n```", from_docstring(value.__doc__))


def broken(signature: str) -> str:
    """Return a signature on several lines where one would be long."""
    if len(signature) < 90:
        return signature
    inside, _, returned = signature[1:].rpartition(") -> ") if ") -> " in signature else (signature[1:-1], "", "")
    parts, depth, current = [], 0, ""
    for letter in inside:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    lines = "".join(f"\n    {p}," for p in [*parts, current.strip()] if p)
    return f"({lines}\n)" + (f" -> {returned}" if returned else "")


def api_name(name: str, module: ModuleType) -> str:
    """Return a section on a name of the public face."""
    value = getattr(module, name)
    if inspect.isclass(value) and value.__module__ == module.__name__:
        said = from_docstring(value.__doc__)
        return attrs_class(value) if attrs.has(value) else joined(f"### {name}", said, methods(value))
    if inspect.isfunction(value):
        return function(name, value)
    shown = repr(value)
    given = f"`{name} = {shown}`" if isinstance(value, int | float | str) else ""
    return joined(f"### {name}", given, from_docstring(constants_of(module).get(name)))


def python() -> str:
    """Return the page on the Python API."""
    homes: dict[str, list[str]] = {}
    for name, module in vlrb.homes().items():
        homes.setdefault(module, []).append(name)
    first = ["vlrb.notebook", "vlrb.running.finished"]
    parts = []
    for module_name in [*first, *(m for m in homes if m not in first)]:
        module = importlib.import_module(module_name)
        parts.append(f"## {module_name.removeprefix('vlrb.')}\n\n{fill(summary(module.__doc__))}")
        if module_name in EXPORTED_ELSEWHERE:
            names = ", ".join(f"`{n}`" for n in homes[module_name])
            parts.append(fill(f"{names}: see [Records](records.md)."))
        else:
            parts += [api_name(n, module) for n in homes[module_name]]
    text = (
        "Every name that `vlrb` has for notebooks and plugins, by the module behind it. Import names from `vlrb` itself: "
        "modules may move. [From Python](../notebook.md) introduces `run`, `load_run`, `load_benchmark` and `evaluate`."
    )
    return page("Python API", text, *parts)


# ---- the command line


def option(parameter: click.Parameter) -> tuple[str, str]:
    """Return an option or argument and what it means, the same with every version of click."""
    if isinstance(parameter, click.Argument):
        name = (parameter.metavar or parameter.name or "").upper()
        return code(f"[{name}]" if not parameter.required else name), ""
    assert isinstance(parameter, click.Option)
    kind = parameter.type
    choices = "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else ""
    given = "" if parameter.is_flag or parameter.count else " " + (parameter.metavar or choices or kind.name.upper())
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return code(names + given), cell(parameter.help or "")


def command(name: str, found: click.Command, plugin: str = "") -> str:
    """Return a section on a command."""
    given = [p for p in found.params if isinstance(p, click.Argument)]
    usage = " ".join([f"vlrb {name}", "[OPTIONS]", *(option(p)[0].strip("`").replace("\\|", "|") for p in given)])
    rows = [option(p) for p in found.params if isinstance(p, click.Option) and not p.hidden and p.help]
    by = f"From the plugin `{plugin}`." if plugin else ""
    parts = [f"## vlrb {name}", f"```text\n{usage}\n```", from_docstring((found.help or "").replace("\b\n", "")), by]
    parts.append(table(("option", "meaning"), rows))
    if isinstance(found, click.Group):
        parts += [command(f"{name} {sub}", each) for sub, each in found.commands.items()]
    return joined(*parts)


def command_line() -> str:
    """Return the page on the command line."""
    own = [command(name, found) for name, found in sorted(root.commands.items())]
    of_plugins = [command(r.name, r.record.load(), r.plugin.name) for r in bundled("command")]
    rows = [option(p) for p in root.params if isinstance(p, click.Option) and p.help]
    text = (
        "`vlrb COMMAND --help` shows the same. Results go to stdout; log and progress go to stderr. `--json`, where a "
        "command has it, prints JSON for programs."
    )
    codes = [(f"`{c.value}`", c.name.lower().replace("_", " ")) for c in ExitCode]
    return page(
        "Command line",
        text,
        "## Before the command\n\n" + table(("option", "meaning"), rows),
        *own,
        *of_plugins,
        "## Exit status\n\n" + table(("status", "meaning"), codes),
    )


# ---- the experiment file and its components


def parameters(owner: type) -> str:
    """Return a table of the parameters of a section or component."""
    rows = []
    for f in fields_of(owner):
        when = " (a sweep over it fits once)" if f.metadata.get("when") == "route" else ""
        meaning = cell(f.metadata.get("help", "")) + when
        rows.append((code(toml_name(f.name)), toml_type(annotation_of(owner, f.name)), toml_default(f), meaning))
    return table(("key", "type", "default", "meaning"), rows)


SECTIONS = (
    ("At the top", sections.General, ""),
    ("[benchmark]", sections.BenchmarkSection, ""),
    ("[split]", sections.SplitSection, "Together with the parameters of the [splitter](components.md#splitters)."),
    ("[selection]", sections.SelectionSection, ""),
    ("[statistics]", sections.StatisticsSection, ""),
)
CHOSEN = (
    ("[logs]", "[log source](log-sources.md)"),
    ("[tokens]", "[token counter](components.md#token-counters), by `counter`"),
    ("[features.NAME]", "[encoders](encoders.md) and a [fusion](components.md#fusions)"),
    ("[executor]", "[executor](components.md#executors)"),
    ("[[router]]", "[router](routers.md)"),
    ("[[metric]]", "[metric](metrics.md)"),
    ("[[report]]", "[report](components.md#reporters)"),
)


def experiment() -> str:
    """Return the page on the keys of an experiment file."""
    parts = [joined(f"## {title}", more, parameters(owner)) for title, owner, more in SECTIONS]
    chosen = table(("table", "its keys are those of a"), [(code(t), k) for t, k in CHOSEN])
    records_of = [
        joined(f"## [[{name}]]", from_docstring(owner.__doc__), fields_table(owner))
        for name, owner in (("model", records.Model), ("dataset", records.Dataset))
    ]
    settings = [
        joined(f"## [plugin.{plugin.name}]", parameters(plugin.settings))
        for plugin in load(Selection()).plugins
        if plugin.dist == "vlrb" and plugin.settings is not None
    ]
    text = "Every key of an experiment file. [The experiment file](../experiment.md) explains them."
    chosen = f"## Tables that choose a component\n\n{chosen}"
    return page("Keys of the experiment file", text, *parts, chosen, *records_of, *settings)


def fields_table(owner: type) -> str:
    """Return a table of the fields of a record."""
    rows = [
        (code(toml_name(f.name)), toml_type(annotation_of(owner, f.name)), toml_default(f)) for f in fields_of(owner)
    ]
    return table(("key", "type", "default"), rows)


def component(registered: Any, level: str = "##", *more: str) -> str:
    """Return a section on a component."""
    record = registered.record
    needs = f'Needs `pip install "vlrb[{record.extra}]"`.' if record.extra else ""
    extra = "" if not getattr(record, "needs_features", False) else "Works on the features that the experiment names."
    head = fill(f"{record.summary[0].upper()}{record.summary[1:]}. Known as `{registered.id}`. {extra} {needs}")
    return joined(f"{level} {record.name}", head, *more, parameters(record.params))


def kind_page(kind: str, title: str, text: str) -> str:
    """Return a page on the components of one kind."""
    return page(title, text, *(component(r) for r in bundled(kind)))


def metrics() -> str:
    """Return the page on metrics."""
    parts = []
    for r in bundled("metric"):
        record = r.record
        said = [f"Formula: {record.formula}", f"Source: {record.source}", f"Unit: {record.unit or 'none'}"]
        said += [f"{'Higher' if record.higher_is_better else 'Lower'} is better"]
        said += ["Overall only" if not record.per_subset else "Also per dataset and task group"]
        parts.append(component(r, "##", "\n".join(fill(f"{s}.", "- ", "  ") for s in said)))
    text = (
        "n test samples; m(i) is the model that a router chooses for sample i; Y says whether a model's answer is correct "
        "(its score is at least `[benchmark] correct_at`), S is the raw score, C the cost in USD. A metric without a "
        "value is *undefined*, with the reason."
    )
    return page("Metrics", text, *parts)


def other_components() -> str:
    """Return the page on the kinds that have few components."""
    parts = []
    for kind in ("splitter", "fusion", "scorer", "token-counter", "protocol", "executor", "reporter", "figure"):
        parts.append(f"## {kind.capitalize().replace('-', ' ')}s")
        parts += [component(r, "###") for r in bundled(kind)]
    text = "Bundled components of the kinds that have few. `vlrb list KIND NAME` shows the same."
    return page("Other components", text, *parts)


def datasets_and_models() -> str:
    """Return the page on datasets and models."""
    found = [r.record for r in bundled("dataset")]
    rows = [(code(d.name), code(d.slug), d.group, d.task, code(d.scorer), f"{d.samples:,}", d.licence) for d in found]
    header = ("name in logs", "slug", "task group", "task", "scorer", "samples", "licence")
    prices = [
        (code(m.name), number(m.input_price_per_million), number(m.output_price_per_million), number(m.parameters))
        for m in (r.record for r in bundled("model"))
    ]
    models = table(("name in logs", "USD per million input tokens", "output tokens", "parameters, billions"), prices)
    text = "The datasets and candidate models of VL-RouterBench. `[[dataset]]` and `[[model]]` add or change records."
    return page("Datasets and models", text, "## Datasets\n\n" + table(header, rows), "## Models\n\n" + models)


def number(value: float | None) -> str:
    """Return a number for a table."""
    return "not published" if value is None else f"{value:g}"


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    listed = "Bundled {0}, with the keys of {1}. `vlrb list {2}` lists them with those of installed plugins."
    return {
        "hooks.md": hooks(),
        "records.md": specs(),
        "python.md": python(),
        "command-line.md": command_line(),
        "experiment.md": experiment(),
        "metrics.md": metrics(),
        "routers.md": kind_page("router", "Routers", listed.format("routers", "`[[router]]`", "router")),
        "encoders.md": kind_page("encoder", "Encoders", listed.format("encoders", "`[features.NAME]`", "encoder")),
        "log-sources.md": kind_page(
            "log-source", "Log sources", listed.format("log sources", "`[logs]`", "log-source")
        ),
        "components.md": other_components(),
        "datasets-and-models.md": datasets_and_models(),
    }


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of pages that are missing, outdated, or no longer written."""
    made = pages()
    there = {f.name: f.read_text(encoding="utf-8") for f in folder.glob("*.md")}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a page is not what would be written.")
def main(check: bool) -> None:
    """Write docs/reference/*.md."""
    if check:
        if old := stale():
            raise click.ClickException(f"docs/reference is out of date ({', '.join(old)}); run: {COMMAND}")
        return
    for page_before in FOLDER.glob("*.md"):
        page_before.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
