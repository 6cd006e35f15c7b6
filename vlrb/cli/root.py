"""The group of commands, with those of plugins, and the options that come before a command."""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from vlrb import __version__
from vlrb.cli.completion import completions
from vlrb.errors import ExitCode, PluginError, VlrbError, did_you_mean
from vlrb.plugins.blame import blame
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.texts import accept_any_text, print_records

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from vlrb.experiment.plan import Plan
    from vlrb.plugins.registry import Registered, Registry
    from vlrb.storage import Places


@attrs.frozen
class Given:
    """What the options before a command say."""

    plugins: tuple[str, ...]
    places: Places

    def registry(self) -> Registry:
        return load(Selection.of(self.plugins))

    def plan(self, file: Path, **more: Any) -> Plan:
        """Return the plan of an experiment file; ``more`` as :func:`vlrb.experiment.resolve.make_plan` takes it."""
        from vlrb.experiment.resolve import make_plan

        return make_plan(file, self.plugins, **more)


class Root(click.Group):
    """The command group; plugins' commands are found only when one is asked for, or listed by ``--help``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, those of plugins last."""
        return [*super().list_commands(ctx), *self._of_plugins(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of this group or of a plugin."""
        own = super().get_command(ctx, cmd_name)
        registered = self._of_plugins(ctx).get(cmd_name) if own is None else None
        if registered is None:
            return own
        with blame(registered.plugin, f"loading command {cmd_name!r}"):
            command = registered.record.load()
        if not isinstance(command, click.Command):
            from vlrb.api.returned import FIX  # imports numpy

            what = f"load() of command {cmd_name!r} returned {type(command).__name__} instead of a click command"
            raise PluginError(f"{registered.plugin.label}: {what}", fix=FIX)
        return _blamed_command(command, registered)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; of plugins' commands by their summaries, without loading them."""
        own = [(name, command.get_short_help_str(80)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl([*sorted(own), *((n, r.record.summary) for n, r in self._of_plugins(ctx).items())])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a did-you-mean for a misspelt one."""
        if ctx.resilient_parsing:  # a shell asks for completions, and shows no errors
            with contextlib.suppress(VlrbError):
                return super().resolve_command(ctx, args)
            return None, None, []
        name = args[0]
        if self.get_command(ctx, name) is None:
            raise click.UsageError(f"unknown command {name!r}; {did_you_mean(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with the text; plugins' commands by their summaries, without loading them."""
        own = {name: command.get_short_help_str(80) for name, command in self.commands.items()}
        known = own | {name: registered.record.summary for name, registered in self._of_plugins(ctx).items()}
        options = click.Command.shell_complete(self, ctx, incomplete)
        return completions(known, incomplete) + options

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; if the reader of stdout is gone (``| head``), that is no error, which click would exit with."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            sys.stdout = None
            return ExitCode.OK

    def _of_plugins(self, ctx: click.Context) -> dict[str, Registered]:
        registry = load(Selection.of(ctx.params.get("plugins") or ()), commands_only=True)
        return {r.name: r for r in registry.all("command") if r.name not in self.commands}


def _blamed_command(command: click.Command, registered: Registered) -> click.Command:
    """Return a plugin's command whose failures are the plugin's; what click raises to end a command passes."""
    made = copy.copy(command)

    def invoke(ctx: click.Context) -> Any:
        ended: BaseException
        with blame(registered.plugin, f"running command {registered.name!r}"):
            try:
                return command.invoke(ctx)
            except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit, BrokenPipeError) as error:
                ended = error
        raise ended

    made.invoke = invoke  # type: ignore[method-assign]
    return made


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-p", "plugins", multiple=True, metavar="NAME", is_eager=True,
    help="Load plugin file or module NAME; no:NAME leaves out an installed plugin.",
)  # fmt: skip
@click.option("--runs", metavar="DIR", help="Folder of the runs (default: runs, or VLRB_RUNS).")
@click.option("--cache", metavar="DIR", help="Folder of the cache (default: .vlrb-cache, or VLRB_CACHE).")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors on stderr: no progress, no warnings.")
@click.version_option(__version__, prog_name="vlrb")
@click.pass_context
def vlrb(
    ctx: click.Context, plugins: tuple[str, ...], runs: str | None, cache: str | None, verbose: bool, quiet: bool
) -> None:
    """Benchmark routers between vision-language models."""
    from vlrb.storage import Places

    if verbose and quiet:
        raise click.UsageError("-v and -q exclude each other", ctx)
    accept_any_text()
    print_records(logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING)
    ctx.obj = Given(plugins, Places.of(runs, cache))
    ctx.obj.places.use()


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
