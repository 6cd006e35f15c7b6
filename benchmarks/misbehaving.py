"""Plugins that misbehave, one file each, from a table: kind of component x method x misbehaviour.

Each runs as ``vlrb run`` in a process of its own on tiny logs, next to a router that behaves.  Wanted of every one: no
traceback on the terminal, never exit status 3, the plugin named, and the other router's cell finished unless the run could not be
made at all.

Usage: python benchmarks/misbehaving.py [--kinds KIND,KIND] [--only TEXT] [--every N] [--jobs N] [-v]
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import pyarrow.parquet  # noqa: F401  # what every run loads is loaded once
import threadpoolctl  # noqa: F401

import vlrb.running.run  # noqa: F401
from vlrb import cli

TINY = Path(__file__).parents[1] / "tests" / "support" / "tiny.py"
SECONDS = 120

RAISED = {
    "surrogate": r'ValueError("\udcff bad")',
    "control characters": r'ValueError("\x1b[31mred\x00")',
    "100 MB": 'ValueError("x" * 10**8)',
    "no message": "ValueError()",
    "no text": "Mute()",
    "text is not a text": "Oddly()",
    "own BaseException": "Base('down')",
    "GeneratorExit": "GeneratorExit()",
    "CancelledError": "asyncio.CancelledError()",
    "SystemExit": "SystemExit(3)",
    "StopIteration": "StopIteration(1)",
    "RecursionError": "RecursionError('deep')",
    "MemoryError": "MemoryError()",
    "group": 'BaseExceptionGroup("many", [ValueError("a"), Base("b")])',
    "OSError of texts": 'OSError("a", "b", "c")',
    "OSError of objects": "OSError([], {})",
    "vlrb's own fault": 'errors.VlrbError("mine")',
    "DataError of nothing": "errors.DataError([])",
    "DataError of numbers": "errors.DataError([1, 2])",
    "own DataError": r'Own("\udcff")',
}
"""What is raised -> an expression."""

ODD = {
    "None": "None",
    "object": "object()",
    "hostile": "Hostile()",
    "text": '"text"',
    "surrogate": r'"\udcff"',
    "10**400": "10**400",
    "nan": "float('nan')",
    "complex": "1j",
    "Decimal": "decimal.Decimal('0.5')",
    "generator": "(x for x in [0])",
    "dict": "{1: 2}",
    "class": "int",
    "bytes": r'b"\xff"',
    "objects": "np.array([object()] * 3, dtype=object)",
    "empty": "[]",
    "ragged": "[[1], [1, 2]]",
}
"""What is returned -> an expression."""

HEAD = r'''
import asyncio, decimal, fractions, os, signal, sys, warnings
from pathlib import Path
import attrs, numpy as np, pyarrow as pa
from vlrb import errors, hookimpl
from vlrb.api.components import *
from vlrb.api.routing import *

class Base(BaseException): pass
class Own(errors.DataError): pass
class Mute(Exception):
    def __str__(self): raise Base("mute")
    __repr__ = __str__
class Oddly(Exception):
    def __str__(self): return 5
class Hostile:
    """Every look at it fails."""
    def _no(self, *a, **k): raise Base("hostile")
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __len__ = __repr__ = __str__ = __array__ = __iter__ = _no
    __bool__ = __float__ = __int__ = __index__ = __getitem__ = __contains__ = __call__ = __format__ = _no
    __hash__ = object.__hash__
    def __getattr__(self, name): raise Base(name)
class Sub(np.ndarray):
    def __array_finalize__(self, of): pass
    def min(self, *a, **k): raise Base("sub")
def fail(error): raise error
'''

ROUTER = """
class Fitted:
    def route(self, queries): return {route}
    {more}
class Router:
    def __init__(self, params): pass
    def fit(self, train, dev, context):
        n = len(train)
        {fit}
        return Fitted()
@hookimpl
def vlrb_routers(): return [RouterSpec(name="bad", summary="s", factory=Router{spec})]
"""

FINE_ROUTE = "np.zeros(len(queries), int)"
HOSTILE_ACTS = {
    "changes directory": 'os.chdir("/")',
    "removes its directory": "import shutil, tempfile; d = tempfile.mkdtemp(); os.chdir(d); shutil.rmtree(d)",
    "warnings are errors": 'warnings.simplefilter("error")',
    "low recursion limit": "sys.setrecursionlimit(len(__import__('inspect').stack(0)) + 30)",
    "ignores SIGTERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "closes sys.stdout": "sys.stdout.close()",
    "closes sys.stderr": "sys.stderr.close()",
    "closes 1": "os.closerange(1, 2)",
    "closes 2": "os.closerange(2, 3)",
    "no sys.stdout": "sys.stdout = None",
    "numpy raises": 'np.seterr(all="raise")',
    "writes to stdout": r'print("\udcff".encode("utf-8", "replace")); os.write(1, b"\xff")',
    "logs text": 'context.log("a", {"x": 1})',
    "logs huge": 'context.log(10**400, {"x": 10**400})',
    "logs hostile": "context.log(Hostile(), Hostile())",
    "logs surrogate": r'context.log(1, {"\udcff": 1.0})',
    "logs complex": 'context.log(1, {"x": 1j})',
    "logs None": "context.log(1, None)",
    "logs numpy": 'context.log(np.int8(1), {"x": np.float16(1), "y": np.float64("inf")})',
    "progress text": 'context.progress("a", "b")',
    "progress huge": "context.progress(10**400, 10**400)",
    "progress negative": "context.progress(-5, 0)",
    "progress hostile": "context.progress(Hostile(), None)",
    "dev_score odd": "context.dev_score(Hostile())",
    "dev_score short": "context.dev_score([0])",
    "removes work": "import shutil; shutil.rmtree(context.work_directory.parent, ignore_errors=True)",
}
ARRAYS = {
    "big-endian": ("np.zeros(len(queries), '>i8')", True),
    "list": ("[0] * len(queries)", True),
    "uint8": ("np.zeros(len(queries), np.uint8)", True),
    "subclass": ("np.zeros(len(queries), int).view(Sub)", True),
    "masked": ("np.ma.masked_array(np.zeros(len(queries), int), mask=True)", False),
    "unmasked": ("np.ma.masked_array(np.zeros(len(queries), int))", True),
    "bool": ("np.zeros(len(queries), bool)", False),
    "float16": ("np.zeros(len(queries), np.float16)", False),
    "objects": ("np.array([0] * len(queries), dtype=object)", False),
    "uint64": ("np.full(len(queries), 2**64 - 1, np.uint64)", False),
    "column": ("np.zeros((len(queries), 1), int)", False),
    "datetimes": ("np.zeros(len(queries), 'M8[s]')", False),
    "records": ("np.zeros(len(queries), [('a', int)])", False),
}
N = "len(queries), len(queries.candidates)"
SCORES = {
    "float16": ("np.eye(1, len(queries.candidates), dtype=np.float16).repeat(len(queries), 0)", True),
    "big-endian": ("np.eye(1, len(queries.candidates), dtype='>f8').repeat(len(queries), 0)", True),
    "longdouble": ("np.eye(1, len(queries.candidates), dtype=np.longdouble).repeat(len(queries), 0)", False),
    "complex": (f"np.zeros(({N}), complex)", False),
    "masked": (f"np.ma.masked_array(np.zeros(({N})), mask=True)", False),
    "texts": (f"np.zeros(({N}), 'U3')", False),
}
SAVES = {
    "nothing": ("pass", True),
    "outside": ('(d.parent / "dev.parquet").write_text("x")', False),
    "above": ('(d.parent.parent / "odd.txt").write_text("x")', True),
    "removes": ("d.rmdir()", False),
    "a file": ('d.rmdir(); d.write_text("x")', False),
    "a link": ('d.rmdir(); d.symlink_to("/")', False),
    "links inside": ('(d / "x").symlink_to("/etc")', False),
    "a FIFO": ('os.mkfifo(d / "x")', False),
    "cell.json": ('(d.parent / "cell.json").mkdir()', False),
    "removes all": ("import shutil; shutil.rmtree(d.parent)", False),
}


@attrs.frozen
class Case:
    """A plugin that misbehaves: its kind, what it does where, its code, and how the experiment uses it.

    ``fine``: it only looks odd, and must be accepted.  ``toml`` names it; ``alone``: the run cannot be made.
    """

    kind: str
    name: str
    code: str
    toml: str
    fine: bool = False
    alone: bool = False
    named: str = "bad"


def router(
    name: str, *, fit: str = "pass", route: str = FINE_ROUTE, more: str = "", spec: str = "", fine: bool = False
) -> Case:
    """Return a case of a router."""
    code = ROUTER.format(fit=fit, route=route, more=more, spec=spec)
    return Case("router", name, code, '[[router]]\nuse = "bad/bad"\nlabel = "bad"\n', fine)


def routers() -> Iterator[Case]:
    """Yield what routers do wrong."""
    for what, error in RAISED.items():
        yield router(f"fit raises {what}", fit=f"raise {error}")
        yield router(f"route raises {what}", route=f"fail({error})")
    for what, value in ODD.items():
        yield router(f"fit returns {what}", fit=f"return {value}")
        yield router(f"route returns {what}", route=value)
        yield router(f"scores are {what}", more=f"def scores(self, queries): return {value}")
        yield router(f"estimate is {what}", more=f"def estimate(self, queries): return {value}")
        yield router(f"estimate holds {what}", more=f"def estimate(self, queries): return Estimate({value}, {value})")
        fine = what in ("None", "10**400", "text", "empty", "surrogate", "nan", "complex", "Decimal", "class", "bytes")
        yield router(f"device is {what}", more=f"device = {value}", fine=fine or what not in ("hostile",))
        yield router(f"chosen holds {what}", more=f'chosen = {{"a": {value}}}', fine=what in ("None", "text"))
        yield router(
            f"chosen is named {what}",
            more=f"chosen = {{{value}: 1}}" if what not in UNHASHABLE else "chosen = 5",
            fine=what == "text",
        )
        yield router(f"chosen is {what}", more=f"chosen = {value}")
        yield router(f"borrowed is {what}", more=f"borrowed_seconds = {value}", fine=False)
    for what, act in HOSTILE_ACTS.items():
        yield router(
            f"fit {what}",
            fit=act,
            fine=not what.startswith(("logs", "progress", "dev_score")) or what == "logs numpy",
        )
        if "context." not in act:  # which only fit has
            yield router(f"route {what}", route=f"(exec({act!r}), {FINE_ROUTE})[1]", fine=True)
    for what, (value, fine) in ARRAYS.items():
        yield router(f"route returns {what}", route=value, fine=fine)
    for what, (value, fine) in SCORES.items():
        yield router(f"scores are {what}", more=f"def scores(self, queries): return {value}", fine=fine)
        fine = what not in ("complex", "masked", "texts", "longdouble")
        yield router(
            f"estimate holds {what}", more=f"def estimate(self, queries): return Estimate({value}, {value})", fine=fine
        )
    for what, (act, fine) in SAVES.items():
        yield router(f"save {what}", more=f"def save(self, d):\n        {act}", fine=fine)


UNHASHABLE = ("dict", "empty", "ragged", "objects")


def component(
    kind: str, base: str, method: str, hook: str, spec: str, toml: str, *, alone: bool = True
) -> Iterator[Case]:
    """Yield what a component with one method does wrong; ``{body}`` in ``base`` stands for what the method does."""
    made = f"{base}\n@hookimpl\ndef {hook}(): return [{spec}(name='bad', summary='s', factory=Bad)]\n"
    for what, error in RAISED.items():
        yield Case(kind, f"{method} raises {what}", made.replace("{body}", f"raise {error}"), toml, alone=alone)
    for what, value in ODD.items():
        yield Case(kind, f"{method} returns {what}", made.replace("{body}", f"return {value}"), toml, alone=alone)


def scorers() -> Iterator[Case]:
    """Yield what scorers do wrong."""
    base = "class Bad:\n    def __init__(self, p): pass\n    def score(self, cases):\n        {body}"
    toml = '[[dataset]]\nname = "TinyA"\nscorer = "bad/bad"\n'
    yield from component("scorer", base, "score", "vlrb_scorers", "ScorerSpec", toml)
    made = f"{base}\n@hookimpl\ndef vlrb_scorers(): return [ScorerSpec(name='bad', summary='s', factory=Bad)]\n"
    fine = {
        "True": "True",
        "np.float16": "np.float16(0.5)",
        "np.bool_": "np.bool_(True)",
        "np.int8": "np.int8(1)",
        "Fraction": "fractions.Fraction(1, 2)",
        "np.longdouble": "np.longdouble(0.5)",
    }
    for what, value in {**ODD, "True": "True", "2": "2", **fine}.items():
        body = f"return [Score({value}) for c in cases]"
        yield Case(
            "scorer", f"value is {what}", made.replace("{body}", body), toml, fine=what in {"None", *fine}, alone=True
        )
        body = f"return [Score(0.5, {value}) for c in cases]"
        yield Case(
            "scorer", f"reason is {what}", made.replace("{body}", body), toml, fine=what in ("None", "text"), alone=True
        )
    body = "import itertools; return itertools.repeat(Score(1.0))"
    yield Case("scorer", "endless", made.replace("{body}", body), toml, alone=True)


def metrics() -> Iterator[Case]:
    """Yield what metrics do wrong."""
    base = "class Bad:\n    def __init__(self, p): pass\n    def __call__(self, evaluation):\n        {body}"
    yield from component(
        "metric", base, "call", "vlrb_metrics", "MetricSpec", '[[metric]]\nuse = "bad/bad"\n', alone=False
    )
    made = f"{base}\n@hookimpl\ndef vlrb_metrics(): return [MetricSpec(name='bad', summary='s', factory=Bad)]\n"
    more = {
        "inf": ("float('inf')", True),
        "np.float16": ("np.float16(1)", True),
        "np.longdouble": ("np.longdouble(1)", True),
        "np.uint8": ("np.uint8(1)", True),
        "Fraction": ("fractions.Fraction(1, 3)", True),
        "-0.0": ("-0.0", True),
        "1e308": ("1e308", True),
        "Undefined(5)": ("Undefined(5)", False),
        "Undefined surrogate": (r'Undefined("\udcff")', False),
        "array": ("np.array(0.5)", False),
        "bool": ("True", False),
    }
    for what, (value, fine) in more.items():
        yield Case(
            "metric",
            f"call returns {what}",
            made.replace("{body}", f"return {value}"),
            '[[metric]]\nuse = "bad/bad"\n',
            fine=fine,
        )


def encoders() -> Iterator[Case]:
    """Yield what encoders do wrong."""
    base = "class Bad:\n    def __init__(self, p): pass\n    def encode(self, queries):\n        {body}"
    toml = '[features.odd]\nencoders = ["bad/bad"]\n[[router]]\nuse = "knn"\nlabel = "bad"\nfeatures = "odd"\n'
    yield from component("encoder", base, "encode", "vlrb_encoders", "EncoderSpec", toml, alone=False)
    made = f"{base}\n@hookimpl\ndef vlrb_encoders(): return [EncoderSpec(name='bad', summary='s', factory=Bad)]\n"
    matrices = {
        "float16": ("np.ones((n, 2), np.float16)", True),
        "big-endian": ("np.ones((n, 2), '>f4')", True),
        "subclass": ("np.ones((n, 2), np.float32).view(Sub)", True),
        "masked": ("np.ma.masked_array(np.ones((n, 2), np.float32), mask=True)", False),
        "objects": ("np.ones((n, 2), object)", False),
        "list": ("[[1.0, 1.0]] * n", False),
        "fortran": ("np.asfortranarray(np.ones((n, 2), np.float32))", True),
    }
    for what, (value, fine) in matrices.items():
        body = f"n = len(queries); return Features({value}, (Column('a'), Column('b')))"
        yield Case("encoder", f"matrix is {what}", made.replace("{body}", body), toml, fine=fine)
    for what, value in ODD.items():
        body = f"n = len(queries); return Features(np.ones((n, 2), np.float32), (Column('a'), Column({value})))"
        yield Case("encoder", f"column is named {what}", made.replace("{body}", body), toml, fine=what == "text")
        columns = f"(Column('a'), Column('b', 'categorical', categories={value}))"
        body = f"n = len(queries); return Features(np.ones((n, 2), np.float32), {columns})"
        yield Case("encoder", f"categories are {what}", made.replace("{body}", body), toml)
        body = f"n = len(queries); return Features(np.ones((n, 2), np.float32), {value})"
        yield Case("encoder", f"columns are {what}", made.replace("{body}", body), toml)
    for what, error in RAISED.items():
        stream = made.replace("{body}", "pass").replace(
            "    def encode",
            f"    def stream(self, chunks):\n        yield from ()\n        raise {error}\n    def encode",
        )
        yield Case("encoder", f"stream raises {what}", stream, toml)


def sources() -> Iterator[Case]:
    """Yield what log sources do wrong: those of the tiny logs, with one method changed."""
    base = (
        "import tiny_base\nclass Bad(tiny_base.Tiny):\n"
        "    def list(self, catalog):\n        listing = tiny_base.Tiny.list(self, catalog)\n"
        "        {list}\n        return listing\n"
        "    def read(self, part, catalog):\n        for batch in tiny_base.Tiny.read(self, part, catalog):\n"
        "            {read}\n            yield batch\n"
        "@hookimpl\ndef vlrb_log_sources(): return [LogSourceSpec(name='bad', summary='s', factory=Bad, params=tiny_base.Params)]\n"
    )

    def case(name: str, *, list_: str = "pass", read: str = "pass", fine: bool = False) -> Case:
        return Case("log source", name, base.replace("{list}", list_).replace("{read}", read), "logs", fine, alone=True)

    for what, error in RAISED.items():
        yield case(f"list raises {what}", list_=f"raise {error}")
        yield case(f"read raises {what}", read=f"raise {error}")
    for what, value in ODD.items():
        yield case(f"list returns {what}", list_=f"return {value}")
        yield case(f"parts are {what}", list_=f"return Listing({value})")
        yield case(
            f"a part's id is {what}",
            list_=f"return Listing((Part({value}, 'samples', (), 'TinyA'), *listing.parts))",
            fine=False,
        )
        yield case(
            f"a part's files are {what}",
            list_=f"return Listing((*listing.parts[1:], attrs.evolve(listing.parts[0], files={value})))",
            fine=what == "empty",
        )
        yield case(
            f"synthetic is {what}", list_=f"return Listing(listing.parts, synthetic={value})", fine=what == "text"
        )
        yield case(f"ignored is {what}", list_=f"return Listing(listing.parts, ignored={value})")
        yield case(f"read yields {what}", read=f"batch = {value}")
    notes = {
        "counts": '{"a": "b"}',
        "counts list": "[1]",
        "files": "[1]",
        "left_out": "[]",
        "verdict": "x",
        "no JSON": "{",
    }
    for what, text in notes.items():
        key = "counts" if what == "no JSON" else what.split()[0]
        yield case(
            f"metadata {what}",
            read=f"batch = batch.replace_schema_metadata({{{key!r}: {text!r}}})",
            fine=what == "verdict",
        )
    offsets = "pa.array(range(batch.num_rows + 1), pa.int32()).buffers()[1]"
    bad = f"pa.StringArray.from_buffers(batch.num_rows, {offsets}, pa.py_buffer(b'\\xff' * batch.num_rows))"
    yield case("invalid UTF-8", read=f"batch = batch.set_column(1, 'key', {bad})")
    yield case("a column twice", read="batch = batch.append_column('key', batch.column('key'))")
    yield case(
        "NUL in a path",
        list_=r"return Listing((*listing.parts[1:], attrs.evolve(listing.parts[0], files=(Path('a\0b'),))))",
    )


def counters() -> Iterator[Case]:
    """Yield what token counters do wrong."""
    base = (
        "class Bad:\n    def __init__(self, p): pass\n"
        "    def sample_tokens(self, s, images): return np.ones(s.num_rows, int)\n"
        "    def outcome_tokens(self, o):\n        {body}"
    )
    yield from component(
        "token counter",
        base,
        "outcome_tokens",
        "vlrb_token_counters",
        "TokenCounterSpec",
        '[tokens]\ncounter = "bad/bad"\n',
    )
    base = (
        "class Bad:\n    def __init__(self, p): pass\n"
        "    def outcome_tokens(self, o): return None, np.ones(o.num_rows, int)\n"
        "    def sample_tokens(self, s, images):\n        {body}"
    )
    yield from component(
        "token counter",
        base,
        "sample_tokens",
        "vlrb_token_counters",
        "TokenCounterSpec",
        '[tokens]\ncounter = "bad/bad"\n',
    )


def reports() -> Iterator[Case]:
    """Yield what reports do wrong; what they return is not looked at."""
    base = "class Bad:\n    def __init__(self, p): pass\n    def __call__(self, result, directory):\n        {body}"
    for case in component(
        "report", base, "call", "vlrb_reporters", "ReporterSpec", '[[report]]\nuse = "bad/bad"\n', alone=False
    ):
        yield attrs.evolve(case, fine="returns" in case.name)


def hooks() -> Iterator[Case]:
    """Yield what observers and registration hooks do wrong."""
    observing = ("vlrb_run_start", "vlrb_cell_start", "vlrb_cell_end", "vlrb_run_end")
    for hook in observing:
        for what in (
            "surrogate",
            "no text",
            "own BaseException",
            "CancelledError",
            "SystemExit",
            "vlrb's own fault",
            "DataError of nothing",
            "100 MB",
        ):
            yield Case("hook", f"{hook} raises {what}", f"@hookimpl\ndef {hook}(): raise {RAISED[what]}", "")
        yield Case("hook", f"{hook} returns hostile", f"@hookimpl\ndef {hook}(): return Hostile()", "")
    for what, error in RAISED.items():
        yield Case(
            "hook", f"vlrb_routers raises {what}", f"@hookimpl\ndef vlrb_routers(): raise {error}", "", alone=True
        )
        yield Case("hook", f"import raises {what}", f"raise {error}", "", alone=True)
    for what, value in ODD.items():
        yield Case(
            "hook",
            f"vlrb_routers returns {what}",
            f"@hookimpl\ndef vlrb_routers(): return {value}",
            "",
            alone=True,
            fine=what == "empty",
        )
        yield Case(
            "hook", f"vlrb_routers lists {what}", f"@hookimpl\ndef vlrb_routers(): return [{value}]", "", alone=True
        )
        yield Case(
            "hook", f"vlrb_settings returns {what}", f"@hookimpl\ndef vlrb_settings(): return {value}", "", alone=True
        )
    yield Case(
        "hook",
        "a module's __getattr__ fails",
        "def __getattr__(n): raise Base(n)\n@hookimpl\ndef vlrb_routers(): return []",
        "",
        fine=True,
    )


FIELDS = {
    "RouterSpec": ("name", "summary", "factory", "params", "requires", "extra", "load", "needs_features", "revision"),
    "MetricSpec": ("unit", "higher_is_better", "per_subset"),
    "EncoderSpec": ("modality",),
    "Dataset": (
        "name",
        "group",
        "task",
        "scorer",
        "slug",
        "aliases",
        "samples",
        "id_column",
        "circular",
        "group_pattern",
        "sets",
    ),
    "Model": ("name", "input_price_per_million", "parameters", "open", "image_tokens", "aliases", "sets"),
}
HOOK_OF = {
    "RouterSpec": "routers",
    "MetricSpec": "metrics",
    "EncoderSpec": "encoders",
    "Dataset": "datasets",
    "Model": "models",
}


def records() -> Iterator[Case]:
    """Yield records with odd fields."""
    for record, names in FIELDS.items():
        given = {"Dataset": 'name="Odd", group="general"', "Model": 'name="odd"'}.get(
            record, 'name="bad", summary="s", factory=object'
        )
        for field in names:
            for what in ("hostile", "surrogate", "10**400", "object", "bytes"):
                code = f"@hookimpl\ndef vlrb_{HOOK_OF[record]}(): return [{record}(**{{**dict({given}), {field!r}: {ODD[what]}}})]"
                yield Case(
                    "record", f"{field} of {record} is {what}", code, "", alone=True, fine=(field, what) in FINE_FIELDS
                )


FINE_FIELDS = {("factory", "hostile"), ("revision", "hostile"), ("load", "hostile")}


def cases() -> list[Case]:
    """Return all cases."""
    makers = (routers, scorers, metrics, encoders, sources, counters, reports, hooks, records)
    return [case for maker in makers for case in maker()]


def write(case: Case, folder: Path) -> Path:
    """Write a case's plugin, and the experiment that uses it next to a router that behaves."""
    shutil.copy(TINY, folder / "tiny.py")
    shutil.copy(TINY, folder / "tiny_base.py")
    (folder / "bad.py").write_text(HEAD + case.code, encoding="utf-8")
    logs = '[logs]\nuse = "bad/bad"\nsamples = 20\n' if case.toml == "logs" else '[logs]\nuse = "tiny"\nsamples = 20\n'
    verdicts = '[benchmark]\nverdicts = "scored"\nunknown = "wrong"\n' if case.kind == "scorer" else ""
    used = "" if case.toml == "logs" else case.toml
    head = 'name = "t"\nplugins = ["tiny.py", "bad.py"]\nrequires = []\n'
    text = f'{head}{logs}{verdicts}{used}[[router]]\nuse = "cheapest"\nlabel = "good"\n'
    file = folder / "e.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(case: Case, status: int, err: str, folder: Path) -> list[str]:
    """Return what is wrong with how a run of a case ended; empty where nothing is."""
    found = []
    if "Traceback (most recent call last)" in err or "this is a bug in vlrb" in err:
        found.append("traceback")
    if status not in (0, 1, 4, 5):
        found.append(f"exit status {status}")
    results = sorted(folder.glob("runs/t/*/results.json"))
    own = (
        "own DataError" in case.name or case.name == "sample_tokens returns None"
    )  # what a plugin may do: the data are at fault
    if status == 4 and not own:
        found.append("exit status 4")
    if case.fine and status != 0:
        found.append(f"refused ({status})")
    if not case.fine and status == 0:
        found.append("accepted")
    if not case.fine and not own and case.named not in err:
        found.append("the plugin is not named")
    if not case.alone or (results and status in (0, 1)):
        cells = json.loads(results[-1].read_text(encoding="utf-8"))["cells"] if results else []
        if [c["status"] for c in cells if c["cell"]["label"] == "good"] != ["done"]:
            found.append("the other cell is not done")
    if len(err) > 100_000:
        found.append(f"{len(err):,} characters on stderr")
    return found


def start(case: Case, folder: Path) -> int:
    """Run a case in a child of this process, which has loaded what every run loads; return the child's id."""
    file = write(case, folder)
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 3
    try:
        output = os.open(folder / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for number in (1, 2):
            os.dup2(output, number)
        os.chdir(folder)
        signal.alarm(SECONDS)
        sys.path.insert(0, str(folder))
        sys.argv[0] = "vlrb"
        cli.main(["-p", "no:mlflow", "run", str(file)])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(status)


def attempts(chosen: Sequence[Case], jobs: int) -> Iterator[tuple[Case, list[str], str]]:
    """Run cases, some side by side, each in a process and a folder of its own; yield what is wrong with each, and its output."""
    waiting = list(reversed(chosen))
    running: dict[int, tuple[Case, Path]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            folder = Path(tempfile.mkdtemp(prefix="misbehaving-"))
            case = waiting.pop()
            running[start(case, folder)] = case, folder
        child, state = os.wait()
        case, folder = running.pop(child)
        err = (folder / "output").read_text(encoding="utf-8", errors="backslashreplace")
        yield case, problems(case, os.waitstatus_to_exitcode(state), err, folder), err
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the cases and print a table by kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", help="only these kinds, separated by commas")
    parser.add_argument("--only", default="", help="only cases whose name has this text in it")
    parser.add_argument("--every", type=int, default=1, help="only every Nth case")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true", help="print the stderr of what went wrong")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else None
    chosen = [c for c in cases() if (kinds is None or c.kind in kinds) and options.only in c.name][:: options.every]
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for case, wrong, err in attempts(chosen, options.jobs):
        counts[case.kind].update(cases=1, wrong=bool(wrong))
        if wrong:
            print(f"{case.kind}: {case.name}: {'; '.join(wrong)}", flush=True)
            if options.verbose:
                print(err[-1500:], flush=True)
    print(f"{'kind':<16} {'cases':>6} {'wrong':>6}")
    for kind, count in counts.items():
        print(f"{kind:<16} {count['cases']:>6} {count['wrong']:>6}")
    return int(any(c["wrong"] for c in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
