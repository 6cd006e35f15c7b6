"""What can be changed in a module: each change is small, at one place, and like a mistake that a person could have made."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

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

NOT_SWAPPED = frozenset(
    {"isinstance", "getattr", "callable", "blame", "zip", "min", "max", "minimum", "maximum", "allclose"}
)
"""Functions whose arguments nobody mistakes for each other, or whose order does not matter."""


@attrs.frozen
class Mutant:
    """A change: ``before`` at some bytes of a file becomes ``after``; ``text`` is the line in which it begins."""

    path: str
    function: str
    line: int
    start: int
    end: int
    before: str
    after: str
    text: str = ""
    crude: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.before}  ->  {self.after}"

    def applied(self, source: bytes) -> bytes:
        """Return the file's content with the change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


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
                if ast.dump(after) != ast.dump(node):
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
        text = self.source.splitlines()[node.lineno - 1].decode().strip()
        mutant = Mutant(self.path, place, node.lineno, start, end, before, after, text, crude)
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
    known = getattr(node.func, "id", getattr(node.func, "attr", "")) in NOT_SWAPPED
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


def mutants_of(root: Path, path: str, each: int, seed: int) -> list[Mutant]:
    """Return changes to a module at random places, at most one of a line; those that any test notices only where there are
    no others."""
    found = Finder(path, (root / path).read_text(encoding="utf-8")).found
    random.Random(f"{seed}:{path}").shuffle(found)
    found.sort(key=lambda mutant: mutant.crude)
    by_line = {}
    for mutant in found:
        by_line.setdefault(mutant.line, mutant)
    return list(by_line.values())[:each]
