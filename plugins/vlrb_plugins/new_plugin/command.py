"""What ``vlrb new-plugin`` asks and prints."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from vlrb import ConfigError, echo, echo_json
from vlrb_plugins.new_plugin.scaffold import KINDS, Scaffold, check_author, check_free, write_scaffold


@click.command(name="new-plugin")
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="What the plugin provides.")
@click.option("--author", help="Name in the licence and the metadata.  [default: the authors of the distribution]")
@click.option(
    "--to", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(),
    help="Folder in which to create the new folder.  [default: the working directory]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def new_plugin(name: str | None, kind: str | None, author: str | None, to: Path, as_json: bool) -> None:
    """Write a distribution with a plugin to start from.

    `vlrb new-plugin my-router --kind router` writes the folder vlrb-my-router: code, tests of all that vlrb relies on in a
    router, an example experiment, README, licence and CI. Its tests pass as written. On a terminal, what is not given is asked.
    """
    scaffold = _asked(name, kind, author, to)
    folder = to / scaffold.dist
    files = write_scaffold(scaffold, to)
    commands = _next_commands(scaffold, folder)
    if as_json:
        echo_json({"folder": str(folder), "files": files, "next": commands})
        return
    echo(f"{folder}: {len(files)} files, the code is in {scaffold.code}")
    echo("next:")
    for command in commands:
        echo(f"    {command}")


def new_plugin_command() -> click.Command:
    """Return the command ``vlrb new-plugin``."""
    return new_plugin


def can_ask() -> bool:
    """Return whether questions can be answered: stdin is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def _asked(name: str | None, kind: str | None, author: str | None, to: Path) -> Scaffold:
    """Return the scaffold; ask for what was not given.

    :raises ConfigError: when something is not given and nobody can be asked
    """
    lacking = [text for text, given in (("NAME", name), ("--kind KIND", kind)) if given is None]
    if lacking and not can_ask():
        what = f"not given: {' and '.join(lacking)}; nothing is asked, since stdin is not a terminal"
        raise ConfigError(what, where="vlrb new-plugin", fix=f"vlrb new-plugin NAME --kind {'|'.join(KINDS)}")
    if kind is None:
        kind = str(click.prompt("Kind", type=click.Choice(KINDS), default="router", err=True))
    if name is None:
        default = f"my-{kind}"
        name = str(click.prompt("Name", default, value_proc=_again(lambda n: _check_name(n, kind, to)), err=True))
    scaffold = Scaffold.of(name, kind)
    _check_name(name, kind, to)
    if author is None and lacking:
        author = str(click.prompt("Author", scaffold.author, value_proc=_again(check_author), err=True))
    return Scaffold.of(name, kind, author)


def _check_name(name: str, kind: str, to: Path) -> None:
    """Refuse a name that is taken; for a command, also by a command of vlrb itself.

    :raises ConfigError: when there is one
    """
    check_free(name, kind, to)
    ctx = click.get_current_context()
    group = ctx.find_root().command
    if (
        kind == "command"
        and isinstance(group, click.Group)
        and Scaffold.of(name, kind).name in group.list_commands(ctx)
    ):
        raise ConfigError(f"there is a command {name!r} already", where="NAME", fix="choose another name")


def _again(check: Callable[[str], None]) -> Callable[[str], str]:
    """Return a function for prompts that asks again for a text which a check refuses."""

    def checked(text: str) -> str:
        try:
            check(text)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None
        return text

    return checked


def _next_commands(scaffold: Scaffold, folder: Path) -> list[str]:
    """Return the commands that install, test and use the plugin, in the environment of this vlrb."""
    python, vlrb = _program("python"), _program("vlrb")
    shown = str(folder) if folder.is_absolute() else f"./{folder}"
    example = shlex.quote(f"{shown}/example.toml")
    use = f"{vlrb} {scaffold.name}" if scaffold.kind == "command" else f"{vlrb} run {example}"
    return [f'{python} -m pip install -e "{shown}[testing]"', f"{python} -m pytest {shlex.quote(shown)}", use]


def _program(name: str) -> str:
    """Return how a program of this environment is called: by its name where that is the one found, else by its path."""
    path = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and Path(found).absolute() == path:
        return name
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
