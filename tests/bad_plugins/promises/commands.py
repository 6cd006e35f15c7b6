"""A command for each promise that it breaks, and which keeps all others."""

import random

import click

from vlrb import CommandSpec

BAD = []


@click.command("hello")
@click.option("--name", default="you", help="Whom to greet.")
def hello(name):
    """Say hello."""
    click.echo(f"hello {name}")


@click.command("hi")
def hi():
    """Say hello."""


@click.command("hello")
@click.option("--name", default="you")
def undocumented(name):
    """Say hello."""


@click.command("hello", add_help_option=False)
def helpless():
    """Say hello."""


def add(promise, load, summary="Say hello."):
    BAD.append((promise, CommandSpec(name="hello", summary=summary, load=load)))


def drawing():
    random.seed(2)
    return hello


def talking():
    print("loading")
    return hello


add("is-a-click-command", lambda: lambda: None)
add("has-a-summary", lambda: hello, summary="")
add("has-the-name-of-its-record", lambda: hi)
add("shows-help", lambda: helpless)
add("every-option-is-documented", lambda: undocumented)
add("random-state-untouched", drawing)
add("prints-nothing", talking)

GOOD = [CommandSpec(name="hello", summary="Say hello.", load=lambda: hello)]
