"""Plugins that misbehave cost their own cells, never the run: the small form of ``benchmarks/misbehaving.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import asyncio, os, sys, warnings
import numpy as np
from vlrb import errors, hookimpl
from vlrb.api.components import *
from vlrb.api.routing import *

class Base(BaseException): pass
class Mute(Exception):
    def __str__(self): raise Base("mute")
class Hostile:
    def _no(self, *a, **k): raise Base("hostile")
    __eq__ = __len__ = __repr__ = __str__ = __array__ = __iter__ = __bool__ = __float__ = __int__ = _no
    __hash__ = object.__hash__
    def __getattr__(self, name): raise Base(name)

def fail(error): raise error
"""

ROUTERS = r"""
class Fitted:
    def __init__(self, act): self.act = act
    def route(self, queries):
        return eval(ROUTE.get(self.act, "np.zeros(len(queries), int)"), globals(), {"queries": queries})
    def save(self, d):
        eval(SAVE.get(self.act, "None"), globals(), {"d": d})
    def __getattr__(self, name):
        if name in ("chosen", "scores", "device", "borrowed_seconds") and self.act in MORE and MORE[self.act][0] == name:
            return eval(MORE[self.act][1])
        raise AttributeError(name)

FIT = {
    "surrogate": r'fail(ValueError("\udcff bad"))',
    "base": 'fail(Base("down"))',
    "cancelled": "fail(asyncio.CancelledError())",
    "generator-exit": "fail(GeneratorExit())",
    "mute": "fail(Mute())",
    "long": 'fail(ValueError("x" * 10**6))',
    "fault-of-vlrb": 'fail(errors.VlrbError("x"))',
    "no-reason": "fail(errors.DataError([]))",
    "hostile": "Hostile()",
    "log-huge": 'context.log(10**400, {"x": 1})',
    "progress-huge": "context.progress(10**400, 1)",
}
ROUTE = {"route-hostile": "Hostile()", "route-masked": "np.ma.masked_array(np.zeros(len(queries), int), mask=True)"}
SAVE = {"save-outside": '(d.parent / "test.parquet").mkdir()', "save-removes": "d.rmdir()"}
MORE = {
    "chosen-huge": ("chosen", '{"a": 10**400}'),
    "chosen-surrogate": ("chosen", r'{"\udcff": 1}'),
    "scores-hostile": ("scores", "lambda queries: Hostile()"),
    "device-hostile": ("device", "Hostile()"),
    "borrowed-nan": ("borrowed_seconds", 'float("nan")'),
}
ACTS = (*FIT, *ROUTE, *SAVE, *MORE)

class Router:
    def __init__(self, act): self.act = act
    def fit(self, train, dev, context):
        returned = eval(FIT.get(self.act, "None"), globals(), {"context": context})
        return Fitted(self.act) if returned is None else returned

def named(act):
    return RouterSpec(name=act, summary="s", factory=lambda params: Router(act))

@hookimpl
def vlrb_routers(): return [named(a) for a in ACTS]
"""


def test_each_router_that_misbehaves_is_a_failed_cell_that_names_its_plugin(project: Any) -> None:
    """Twenty ways to fail in one run: no exit status 3, no traceback on the terminal, and the cells next to them are done."""
    plugin = project.file(HEAD + ROUTERS, "bad.py")
    known: dict[str, Any] = {}
    exec(plugin.read_text(encoding="utf-8"), known)
    tables = "".join(f'[[router]]\nuse = "bad/{act}"\n' for act in known["ACTS"])
    good = '[[router]]\nuse = "cheapest"\nlabel = "{0}"\n'
    file = project.experiment(good.format("first") + tables + good.format("last"), logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb("run", file)

    assert done.status == 1
    assert "Traceback" not in done.err
    assert len(done.err) < 100_000
    cells = {c["cell"]["label"]: c for c in project.results()[0]["cells"]}
    assert {label for label, c in cells.items() if c["status"] == "done"} == {"first", "last"}
    for act in known["ACTS"]:
        assert "plugin 'bad'" in cells[act]["error"], act
    written = (project.folder / "runs").rglob("error.txt")
    assert all(len(p.read_text(encoding="utf-8")) < 100_000 for p in written)
    assert "\\udcff bad" in cells["surrogate"]["error"]


DISTURBING = """
class Fitted:
    def route(self, queries): return np.zeros(len(queries), int)
class Router:
    def __init__(self, params): pass
    def fit(self, train, dev, context):
        os.chdir("/")
        sys.stdout = None
        warnings.filterwarnings("error", message="one of its own")
        return Fitted()
@hookimpl
def vlrb_routers(): return [RouterSpec(name="bad", summary="s", factory=Router)]
"""


def test_what_a_router_changes_for_all_is_put_back_and_named(project: Any) -> None:
    """The other cells, and what is printed, are as if it had not been there."""
    project.file(HEAD + DISTURBING, "bad.py")
    file = project.experiment('[[router]]\nuse = "bad"\n[[router]]\nuse = "cheapest"\n', logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb("run", file, "--json")

    assert done.status == 0
    assert [c["status"] for c in done.json["cells"]] == ["done", "done"]
    assert Path.cwd() == project.folder


SCORER = """
class Bad:
    def __init__(self, params): pass
    def score(self, cases): return [Score({score}) for _ in cases]
@hookimpl
def vlrb_scorers(): return [ScorerSpec(name="bad", summary="s", factory=Bad)]
"""


@pytest.mark.parametrize("score", ["None, 5", r'None, "\udcff"', "10**400", "Hostile()"])
def test_a_scorer_that_misbehaves_is_named(project: Any, score: str) -> None:
    """Exit status 5, not 3, whether its reason or its value is what nobody can use."""
    project.file(HEAD + SCORER.replace("{score}", score), "bad.py")
    more = '[benchmark]\nverdicts = "scored"\nunknown = "wrong"\n[[dataset]]\nname = "TinyA"\nscorer = "bad"\n'
    file = project.experiment(more=more, logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb("run", file)

    assert done.status == 5
    assert "plugin 'bad'" in done.err
    assert "Traceback" not in done.err


METRIC = """
@hookimpl
def vlrb_metrics(): return [MetricSpec(name="bad", summary="s", factory=lambda params: lambda evaluation: {value})]
"""


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("10**400", 5),
        ("1j", 5),
        (r'Undefined("\udcff")', 5),
        ("Hostile()", 5),
        ("fail(Base('x'))", 5),
        ("np.float16(0.5)", 0),
    ],
)
def test_a_metric_that_misbehaves_is_undefined(project: Any, value: str, status: int) -> None:
    """The other metrics have their values; exit status 5 names the plugin."""
    project.file(HEAD + METRIC.replace("{value}", value), "bad.py")
    file = project.experiment('[[metric]]\nuse = "bad"\n[[router]]\nuse = "cheapest"\n', logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb("run", file)

    assert done.status == status
    assert ("plugin 'bad'" in done.err) is (status == 5)
    values = project.results()[0]["cells"][0]["scores"]["test"]["overall"]
    assert isinstance(values["accuracy"], float)
    assert isinstance(values["bad"], float) is (status == 0)


WEIGHTS = """
@attrs.frozen
class Folder:
    path: str = attrs.field(default="/nowhere", kw_only=True, metadata={"help": "", "when": "fit", "folder_or_name": True})
@attrs.frozen
class Name:
    path: str = attrs.field(default="some/name", kw_only=True, metadata={"help": "", "when": "fit", "folder_or_name": True})
def asked(params): raise errors.DataError("a name was looked up")
def missing(params): raise errors.DataError("the folder is not there", where="/nowhere", fix="make it")
def broken(params): raise Base("broken")
@hookimpl
def vlrb_routers():
    return [
        RouterSpec(name="missing", summary="s", factory=lambda p: None, params=Folder, revision=missing),
        RouterSpec(name="broken", summary="s", factory=lambda p: None, params=Folder, revision=broken),
        RouterSpec(name="named", summary="s", factory=lambda p: None, params=Name, revision=asked),
    ]
@hookimpl
def vlrb_encoders():
    return [EncoderSpec(name="missing", summary="s", modality="text", factory=lambda p: None, params=Folder, revision=missing)]
"""


@pytest.mark.parametrize("command", ["check", "run"])
def test_weights_that_cannot_be_had_are_problems_of_the_file(project: Any, command: str) -> None:
    """With all other problems, at their places, before anything is built; of features that no router uses, none is needed."""
    project.file(HEAD + WEIGHTS, "bad.py")
    tables = (
        '[features.used]\nencoders = ["hashed-text", "bad/missing"]\n[features.unused]\nencoders = ["bad/missing"]\n'
        '[[router]]\nuse = "cheapest"\n[[router]]\nuse = "bad/missing"\n[[router]]\nuse = "knn"\nfeatures = "used"\n'
        '[[router]]\nuse = "knn"\nlabel = "k"\nkk = 3\n[[router]]\nuse = "bad/broken"\n'
        '[[router]]\nuse = "bad/named"\n'
    )
    file = project.experiment(tables)
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb(command, file, *(["--json"] if command == "run" else []))

    assert done.status == 4
    assert done.err.count("the folder is not there (/nowhere)") == 2
    for place in ("router[1].path", "features.used.encoders[1].path", "router[3].kk"):
        assert f"{place}:" in done.err
    assert "unused" not in done.err
    assert "looked up" not in done.err
    assert not (project.folder / ".vlrb-cache" / "parts").exists()


OBSERVER = """
@hookimpl
def vlrb_check(settings): {body}
"""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('raise errors.TrackingError("the store is away", fix="start it")', 0),
        ("raise Base(sorted(settings))", 5),
        ("pass", 0),
    ],
)
def test_check_warns_of_a_store_that_cannot_be_used(
    project: Any, caplog: pytest.LogCaptureFixture, body: str, status: int
) -> None:
    """A warning, on stderr and in JSON; the exit status tells of an observer that fails itself only."""
    project.file(HEAD + OBSERVER.replace("{body}", body), "bad.py")
    file = project.experiment()
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "bad.py"'), encoding="utf-8")

    done = project.vlrb("check", file, "--json")

    assert done.status == status
    warnings = json.loads(done.out)["warnings"]
    assert len(warnings) == (body != "pass")
    assert ("the store is away" in caplog.text) is ("away" in body)


COMMAND = """
import click
@click.command()
@click.argument("act")
def odd(act):
    if act == "fail":
        raise Base("down")
    if act == "usage":
        raise click.UsageError("not so")
    click.echo("fine")
@hookimpl
def vlrb_commands():
    return [CommandSpec("odd", "s", lambda: odd), CommandSpec("none", "s", lambda: None)]
"""


@pytest.mark.parametrize(
    ("arguments", "status"), [(["odd", "fail"], 5), (["odd", "usage"], 4), (["odd", "ok"], 0), (["none"], 5)]
)
def test_a_command_that_misbehaves_is_its_plugins(
    project: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int
) -> None:
    """A command's failure is no fault of vlrb; what click raises to end a command means what it says."""
    site = project.folder / "site"
    info = site / "odd-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[vlrb]\nodd = odd_commands\n[vlrb.commands]\nodd = odd_commands\n", encoding="utf-8"
    )
    (site / "odd_commands.py").write_text(HEAD + COMMAND, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))

    done = project.vlrb(*arguments)

    assert done.status == status
    assert ("plugin 'odd'" in done.err) is (status == 5)
    assert "Traceback" not in done.err
