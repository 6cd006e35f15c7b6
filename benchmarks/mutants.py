"""How many faults in the code that makes numbers the tests find: small changes at random places, and the tests after each.

Usage: python benchmarks/mutants.py [MODULE ...] [--each N] [--seed S] [--jobs J] [--list] [--json FILE]

For each module of mutants.toml it takes N places at random (the same for the same seed), changes one of them at a time in a
copy of the tree, and runs the module's tests there, the fast ones first.  A change that no test notices survives; one that
cannot be noticed, since it changes nothing that the code promises, is listed in mutants.toml with the reason.  The last line
counts, and the exit status is 1, where others survive.
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import os
import queue
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).with_suffix(".toml")
COPIED = ("vlrb", "plugins", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "tox.ini", "README.md")

COMPARED: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
COMPUTED: Mapping[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.MatMult: (ast.Mult,),
}
_PAIRS = (
    "train dev,dev test,test train,quality score,score quality,low high,high low,min max,max min,argmin argmax,argmax argmin,"
    "any all,all any,mean sum,sum mean,floor ceil,ceil floor,zeros ones,ones zeros,input_tokens output_tokens,"
    "output_tokens input_tokens,minimum maximum,maximum minimum,hstack vstack,isfinite isnan,log log2,log2 log,exp expm1,"
    "route_seconds encode_seconds,encode_seconds route_seconds,best_single oracle,oracle best_single,text image,image text,"
    "p_correct cost,stable quicksort,upper lower,lower upper,lstrip rstrip,startswith endswith"
)
NAMES: Mapping[str, str] = dict(pair.split() for pair in _PAIRS.split(","))  # type: ignore[misc]
"""Names, attributes and texts that are mistaken for each other."""

LEFT_OUT = frozenset(
    {"axis", "initial", "keepdims", "kind", "minlength", "where", "default", "key", "reverse", "weights", "side"}
)
"""Keyword arguments that are forgotten."""


@attrs.frozen
class Mutant:
    """A change: ``before`` at some bytes of a file becomes ``after``."""

    path: str
    function: str
    line: int
    start: int
    end: int
    before: str
    after: str
    crude: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.before}  ->  {self.after}"

    def applied(self, source: bytes) -> bytes:
        """Return the file's content with the change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


@attrs.frozen
class Verdict:
    """What became of a mutant: killed, survived, or equivalent with a reason."""

    mutant: Mutant
    state: str
    reason: str
    seconds: float


# --- changes --------------------------------------------------------------------------------------------------------------


class Finder(ast.NodeVisitor):
    """Collects the changes that can be made to a module; leaves messages, annotations, decorators and documentation alone."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source.encode()
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.inside: list[str] = []
        self.found: list[Mutant] = []
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert | ast.arg):
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return
        if isinstance(node, ast.expr):
            for after in _expressions(node):
                self._add(node, f"({ast.unparse(after)})")
            for after in _without_call(node):
                self._add(node, f"({ast.unparse(after)})", crude=True)
        elif isinstance(node, ast.stmt):
            for text in _statements(node):
                self._add(node, text, crude=text == "return None")
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.inside.append(node.name)
            for child in (*node.body, *(node.args.defaults if isinstance(node, ast.FunctionDef) else ())):
                self.visit(child)
            self.inside.pop()
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.visit(node.value)
        elif not _documents(node):
            self.generic_visit(node)

    def _add(self, node: ast.expr | ast.stmt, after: str, crude: bool = False) -> None:
        start = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = self.source[start:end].decode()
        place = ".".join(self.inside) or "(module)"
        mutant = Mutant(self.path, place, node.lineno, start, end, before, after, crude)
        try:
            compile(mutant.applied(self.source), self.path, "exec")
        except SyntaxError:
            return
        self.found.append(mutant)


def _documents(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what an expression may be mistaken for."""
    match node:
        case ast.Compare(left, [op], [right]):
            yield from (ast.Compare(left, [other()], [right]) for other in COMPARED.get(type(op), ()))
        case ast.BinOp(left, op, right):
            yield from (ast.BinOp(left, other(), right) for other in COMPUTED.get(type(op), ()))
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            yield from (v for v in values if len(values) == 2)
        case ast.UnaryOp(_, operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Call():
            yield from _calls(node)
        case ast.Constant(value):
            yield from _constants(value)
        case ast.Attribute(value, name) if name in NAMES:
            yield ast.Attribute(value, NAMES[name], ast.Load())
        case ast.Slice(lower, upper, step) if upper is not None and not isinstance(upper, ast.Constant):
            yield ast.Slice(lower, ast.BinOp(upper, ast.Sub(), ast.Constant(1)), step)
        case ast.ListComp(element, [ast.comprehension(target, iterated, [_, *more], _)]):
            yield ast.ListComp(element, [ast.comprehension(target, iterated, more, 0)])


def _calls(node: ast.Call) -> Iterator[ast.expr]:
    arguments = node.args
    known = isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "getattr", "blame", "zip")
    if len(arguments) >= 2 and not known and not any(isinstance(a, ast.Starred) for a in arguments[:2]):
        yield ast.Call(node.func, [arguments[1], arguments[0], *arguments[2:]], node.keywords)
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in LEFT_OUT:
            yield ast.Call(node.func, arguments, [*node.keywords[:i], *node.keywords[i + 1 :]])


def _without_call(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Call(_, [argument], []) if not isinstance(argument, ast.Starred | ast.GeneratorExp):
            yield argument
        case ast.Call(ast.Attribute(value), [], []):
            yield value


def _constants(value: Any) -> Iterator[ast.expr]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, float):
        yield ast.Constant(value * 2 if value else 1.0)
    elif isinstance(value, str) and value in NAMES:
        yield ast.Constant(NAMES[value])


def _statements(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign():
            yield "pass"
        case ast.Return(value) if value is not None and not isinstance(value, ast.Constant):
            yield "return None"
        case ast.Continue():
            yield "break"
        case ast.Break():
            yield "continue"


def mutants_of(path: str, each: int, seed: int) -> list[Mutant]:
    """Return changes to a module at random places, at most one of a line; those that any test notices only where there are
    no others."""
    found = Finder(path, (ROOT / path).read_text(encoding="utf-8")).found
    random.Random(f"{seed}:{path}").shuffle(found)
    found.sort(key=lambda mutant: mutant.crude)
    by_line = {}
    for mutant in found:
        by_line.setdefault(mutant.line, mutant)
    return list(by_line.values())[:each]


# --- tests ----------------------------------------------------------------------------------------------------------------


SERVER = multiprocessing.get_context("forkserver")
PRELOADED = (
    "pytest",
    "hypothesis.extra.numpy",
    "pyarrow.parquet",
    "scipy.sparse",
    "cattrs",
    "click",
    "PIL.Image",
    "rich.table",
)
"""What a new process has imported already, none of it from this project."""


def _pytest(root: Path, shown: Path, files: Sequence[str]) -> None:
    """Run tests in a process that was forked for it; its exit status is that of pytest."""
    os.setsid()
    os.chdir(root)
    with shown.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.path[:0] = places = [str(root), str(root / "plugins")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(places), "MLFLOW_DISABLE_TELEMETRY": "true"}
    import pytest

    status = pytest.main(
        ["-x", "-q", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "--hypothesis-seed=0", *files]
    )
    sys.stdout.flush()
    os._exit(int(status))


class Tree:
    """A copy of the project in which one module at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)

    def tests(self, files: Sequence[str], limit: float) -> str:
        """Run tests until one fails; return why the change is noticed, or an empty text."""
        shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        shown = self.root / "shown.txt"
        process = SERVER.Process(target=_pytest, args=(self.root, shown, files))
        process.start()
        process.join(limit)
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            return f"no end within {limit:.0f} s"
        if process.exitcode == 0:
            return ""
        lines = [x for x in shown.read_text(encoding="utf-8").splitlines() if x.startswith(("FAILED", "ERROR"))]
        return lines[0] if lines else f"pytest ended with {process.exitcode}"

    def change(self, mutant: Mutant | None, path: str) -> None:
        """Write a module with a change, or as it is; whatever was compiled of it before is removed."""
        file = self.root / path
        source = (ROOT / path).read_bytes()
        file.write_bytes(mutant.applied(source) if mutant is not None else source)
        for compiled in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
            compiled.unlink()


def judge(
    tree: Tree, mutant: Mutant, groups: Sequence[tuple[Sequence[str], float]], reasons: Mapping[Any, str]
) -> Verdict:
    """Say what becomes of a mutant.

    :param groups: files of tests, the fast ones first, and the seconds that they may take
    """
    began = time.perf_counter()
    listed = reasons.get((mutant.path, mutant.function, mutant.before, mutant.after))
    if listed is not None:
        return Verdict(mutant, "equivalent", listed, 0.0)
    tree.change(mutant, mutant.path)
    try:
        reason = next((r for files, limit in groups if (r := tree.tests(files, limit))), "")
    finally:
        tree.change(None, mutant.path)
    return Verdict(mutant, "killed" if reason else "survived", reason, time.perf_counter() - began)


def timed(tree: Tree, groups: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], float]]:
    """Return the groups with their limits, a multiple of what they take on the unchanged module."""
    limited = []
    for files in groups:
        began = time.perf_counter()
        reason = tree.tests(files, 1200)
        if reason:
            raise SystemExit(f"the tests must pass before anything is changed: {reason}")
        limited.append((files, 30 + 5 * (time.perf_counter() - began)))
    return limited


def campaign(
    modules: Sequence[Mapping[str, Any]], reasons: Mapping[Any, str], asked: argparse.Namespace
) -> list[Verdict]:
    """Judge the mutants of all modules, some side by side."""
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name, ThreadPoolExecutor(asked.jobs) as pool:
        trees: queue.Queue[Tree] = queue.Queue()
        for number in range(asked.jobs):
            trees.put(Tree(Path(name) / str(number)))

        def work(mutant: Mutant, groups: Sequence[tuple[Sequence[str], float]]) -> Verdict:
            tree = trees.get()
            try:
                return judge(tree, mutant, groups, reasons)
            finally:
                trees.put(tree)

        for module in modules:
            tree = trees.get()
            groups = timed(tree, module["tests"])
            trees.put(tree)
            mutants = mutants_of(module["path"], asked.each, asked.seed)
            for verdict in pool.map(lambda m, groups=groups: work(m, groups), mutants):
                verdicts.append(verdict)
                print(f"{verdict.state:10} {verdict.seconds:5.1f} s  {verdict.mutant}  [{verdict.reason}]", flush=True)
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the counts of every module, and the survivors."""
    states = ("killed", "survived", "equivalent")
    lines = [f"{'module':50} {'mutants':>8} {'killed':>8} {'survived':>9} {'equivalent':>11} {'seconds':>8}"]
    paths = [*dict.fromkeys(v.mutant.path for v in verdicts), ""]
    for path in paths:
        rows = [v for v in verdicts if path in ("", v.mutant.path)]
        counts = [sum(v.state == state for v in rows) for state in states]
        seconds = sum(v.seconds for v in rows)
        lines.append(f"{path or 'all':50} {len(rows):8} {counts[0]:8} {counts[1]:9} {counts[2]:11} {seconds:8.0f}")
    lines += [f"survived: {v.mutant}" for v in verdicts if v.state == "survived"]
    lines += [f"equivalent: {v.mutant}: {v.reason}" for v in verdicts if v.state == "equivalent"]
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; return 1 where a mutant survived that is not known to be equivalent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="parts of the modules' paths; default: all of mutants.toml")
    parser.add_argument("--each", type=int, default=15, help="mutants of every module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--json", type=Path, help="write the verdicts into a file")
    asked = parser.parse_args()
    SERVER.set_forkserver_preload(list(PRELOADED))
    data = tomllib.loads(DATA.read_text(encoding="utf-8"))
    modules = [m for m in data["module"] if not asked.modules or any(a in m["path"] for a in asked.modules)]
    if asked.list:
        print("\n".join(str(m) for module in modules for m in mutants_of(module["path"], asked.each, asked.seed)))
        return 0
    reasons = {(e["path"], e["function"], e["before"], e["after"]): e["reason"] for e in data.get("equivalent", [])}
    verdicts = campaign(modules, reasons, asked)
    print(table(verdicts))
    if asked.json is not None:
        asked.json.write_text(json.dumps([attrs.asdict(v) for v in verdicts], indent=1), encoding="utf-8")
    return int(any(v.state == "survived" for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
