"""Promises of datasets, models, protocols and commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from vlrb.api.components import KINDS
from vlrb.api.hookspecs import hookimpl
from vlrb.api.records import ImageTokens
from vlrb.errors import ConfigError, did_you_mean
from vlrb.experiment.document import read_document
from vlrb.experiment.resolve import make_plan
from vlrb.experiment.toml_text import to_toml
from vlrb.plugins.checks import check_fields
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.testing.common import add_calm
from vlrb.testing.promises import NotPromised, Subject, Table, breach
from vlrb.testing.runs import SMALL, isolated
from vlrb.texts import short_repr

RULES: Mapping[str, tuple[str, ...]] = {
    "constant": ("tokens",),
    "patches": ("size", "min_pixels", "max_pixels"),
    "tiles": ("fit", "short_side", "size", "per_tile"),
    "grid": ("size", "per_tile", "max_tiles"),
}
"""Rule of image tokens -> the fields that it needs."""


@attrs.define(eq=False)
class RecordSubject:
    """A record, and an empty folder."""

    spec: Any
    folder: Path

    @classmethod
    def of(cls, spec: Any, given: Mapping[str, Any], folder: Path) -> RecordSubject:
        """Return the subject.

        :raises ConfigError: for a parameter: records have none
        """
        if given:
            raise ConfigError(f"{spec.name!r} has no parameter {next(iter(given))!r}", fix="leave it out")
        return cls(spec, folder)


DATASET = Table("dataset", RecordSubject.of)
MODEL = Table("model", RecordSubject.of)


def _add_naming(table: Table, kind: str) -> None:
    """Add what datasets and models promise alike."""

    def valid_fields(record: RecordSubject) -> None:
        if not isinstance(record.spec, KINDS[kind][1]):
            breach(f"it is {type(record.spec).__name__}")
        check_fields(record.spec, KINDS[kind][0])

    def aliases_are_other_names(record: RecordSubject) -> None:
        names = [record.spec.name, *record.spec.aliases]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            breach(f"{twice[0]!r} is there twice")

    valid_fields.__doc__ = f"The record is a {kind.capitalize()} whose fields have the types that it declares."
    aliases_are_other_names.__doc__ = "No alias is the name, or there twice."
    table.promise("give each field a value of its type, and tuples instead of lists")(valid_fields)
    table.promise("remove what is there twice")(aliases_are_other_names)


_add_naming(DATASET, "dataset")
_add_naming(MODEL, "model")


@DATASET.promise("name a registered scorer (`vlrb list scorer`), or register it, or leave the field empty")
def scorer_is_registered(record: RecordSubject) -> None:
    """The scorer that it names is registered, by an installed plugin."""
    known = {n for r in load(Selection()).all("scorer") for n in (r.name, r.id)}
    if record.spec.scorer and record.spec.scorer not in known:
        breach(f"there is no scorer {record.spec.scorer!r}; {did_you_mean(record.spec.scorer, known)}")


@DATASET.promise("write group_pattern so that it may match nothing, as re.match does")
def any_row_has_a_group_or_none(record: RecordSubject) -> None:
    """``group_of`` returns a text for any row, empty without a group."""
    column = record.spec.group_column
    for cell in ("", "1", "12_3", "a b", "x" * 1000):
        found = record.spec.group_of({column: cell} if column else {})
        if not isinstance(found, str):
            breach(f"the group of {short_repr(cell)} is {found!r}")


@MODEL.promise("give both prices, in USD per million tokens, or neither where the logs have costs")
def both_prices_or_none(record: RecordSubject) -> None:
    """It has a price for input and for output, or none."""
    prices = record.spec.input_price_per_million, record.spec.output_price_per_million
    if (prices[0] is None) != (prices[1] is None):
        breach(f"the prices are {prices[0]} and {prices[1]}")


@MODEL.promise("give the fields that ImageTokens documents for the rule, above 0, and the source that publishes it")
def image_rule_is_complete(record: RecordSubject) -> None:
    """The rule of its image tokens has the numbers that it needs, and names its source."""
    rule = record.spec.image_tokens
    if not isinstance(rule, ImageTokens):
        raise NotPromised("it has no image_tokens")
    if rule.rule not in RULES:
        breach(f"there is no rule {rule.rule!r}; {did_you_mean(str(rule.rule), RULES)}")
    for name in RULES[rule.rule]:
        if not getattr(rule, name) > 0:
            breach(f"the rule {rule.rule!r} has {name} = {getattr(rule, name)}")
    if not rule.source.strip():
        breach("source is empty")


@attrs.define(eq=False, slots=False)
class ProtocolSubject(Subject):
    """A protocol."""

    def keys(self) -> Any:
        """Return the keys that the protocol sets."""
        return self.spec.factory(self.component.params)

    def work(self) -> None:
        """Return the keys."""
        self.keys()


PROTOCOL = Table("protocol", partial(ProtocolSubject.of, "protocol"))


@PROTOCOL.promise("use texts, numbers, booleans, lists and mappings of these")
def plain_values(protocol: ProtocolSubject) -> None:
    """Its values can be written as TOML."""
    try:
        json.dumps(protocol.keys(), allow_nan=True)
    except (TypeError, ValueError) as error:
        breach(str(error))


@PROTOCOL.promise("return the same keys for the same parameters")
def same_keys_every_time(protocol: ProtocolSubject) -> None:
    """Two calls return equal keys, which share no table."""
    first = protocol.keys()
    expected = repr(first)
    for table in first.values() if isinstance(first, dict) else ():
        if isinstance(table, dict):
            table["added"] = 1
    if repr(protocol.keys()) != expected:
        breach(f"the second call returned {short_repr(protocol.keys())}, the first {expected}")


@attrs.frozen
class _OneProtocol:
    spec: Any

    @hookimpl
    def vlrb_protocols(self) -> list[Any]:
        """Return the protocol."""
        return [self.spec]


@PROTOCOL.promise("try the keys in an experiment file first: `vlrb check` says what is wrong with them")
def accepted_by_an_experiment(protocol: ProtocolSubject) -> None:
    """Its keys and tables are those of experiment files: an experiment that names it, and says nothing else, is valid."""
    name = f"tested-protocol/{protocol.spec.name}"
    tree = {"name": "t", "requires": [], "protocol": name, "logs": {"use": "small"}, "router": [{"use": "by-word"}]}
    with isolated(protocol.folder):
        document = read_document(Path("<test>"), to_toml(tree))
        make_plan(document, (SMALL, "no:mlflow"), objects={"tested-protocol": _OneProtocol(protocol.spec)})


add_calm(PROTOCOL, "making the keys")


@attrs.define(eq=False)
class CommandSubject(RecordSubject):
    """A command."""

    def command(self) -> Any:
        """Return the click command.

        :raises Breach: when it is none
        """
        import click

        loaded = self.spec.load()
        if not isinstance(loaded, click.Command):
            breach(f"load() returned {type(loaded).__name__}")
        return loaded

    def work(self) -> None:
        """Load the command."""
        self.spec.load()


COMMAND = Table("command", CommandSubject.of)


@COMMAND.promise("return the function that @click.command() or @click.group() has decorated")
def is_a_click_command(command: CommandSubject) -> None:
    """``load()`` returns a click command."""
    command.command()


@COMMAND.promise("give the record a summary: `vlrb --help` shows it")
def has_a_summary(command: CommandSubject) -> None:
    """It has a summary of one line."""
    if not command.spec.summary.strip() or "\n" in command.spec.summary:
        breach(f"the summary is {command.spec.summary!r}")


@COMMAND.promise('name the command as its record: @click.command("NAME")')
def has_the_name_of_its_record(command: CommandSubject) -> None:
    """The command has the name under which it is registered."""
    name = getattr(command.spec.load(), "name", command.spec.name)
    if name != command.spec.name:
        breach(f"the command is called {name!r}, its record {command.spec.name!r}")


@COMMAND.promise("let --help show help; do the work in the function, not when the command is loaded")
def shows_help(command: CommandSubject) -> None:
    """``--help`` of the command, and of its subcommands, shows help and succeeds."""
    from click.testing import CliRunner

    loaded = command.spec.load()
    for path in ([], *([name] for name in getattr(loaded, "commands", ()))):
        done = CliRunner().invoke(loaded, [*path, "--help"]) if callable(getattr(loaded, "main", None)) else None
        if done is not None and (done.exit_code or "Usage" not in done.output):
            breach(f"{' '.join([*path, '--help'])} ended with {done.exit_code}: {short_repr(done.output)}")


@COMMAND.promise("give each option help=..., and each command a docstring")
def every_option_is_documented(command: CommandSubject) -> None:
    """Commands and their options say what they do."""
    loaded = command.spec.load()
    for each in (loaded, *getattr(loaded, "commands", {}).values()):
        for parameter in getattr(each, "params", ()):
            if parameter.param_type_name == "option" and not parameter.help:
                breach(f"the option {parameter.opts[-1]} of {each.name!r} has no help")
        if hasattr(each, "params") and not (each.help or each.short_help):
            breach(f"the command {each.name!r} has no docstring")


add_calm(COMMAND, "loading the command")
