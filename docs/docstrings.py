"""Docstrings, annotations and tables as Markdown."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import attrs

WIDTH = 120


def fill(text: str, first: str = "", later: str = "") -> str:
    """Wrap a paragraph."""
    joined = " ".join(text.split())
    return textwrap.fill(
        joined, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def plain(text: str) -> str:
    """Return text of a docstring with the marks of Markdown in place of those of reStructuredText."""
    text = re.sub(r":\w+:`[~.]?([^`]+)`", lambda m: f"`{m[1].removeprefix('vlrb.') if ' ' in m[1] else m[1]}`", text)
    return text.replace("``", "`")


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(plain(text).split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return text as code for a cell of a table; empty for none."""
    return f"`{cell(text)}`" if text else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; empty where it has no rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *lines]) if lines else ""


def from_docstring(text: str | None) -> str:
    """Return a docstring as Markdown: paragraphs, what is indented as code, ``:param x:`` as a list."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(text or "").strip())
    shown: list[str] = []
    fields: list[str] = []
    for block in blocks:
        if block.startswith(":"):
            fields += re.split(r"\n(?=:)", block)
        elif block.startswith("    "):
            shown.append("```python\n" + textwrap.dedent(block) + "\n```")
        else:
            shown.append(fill(re.sub(r"::$", ":", plain(block))))
    items = [fill(_field(f), "- ", "  ") for f in fields]
    return "\n\n".join([*(s for s in shown if s), *(["\n".join(items)] if items else [])])


def _field(text: str) -> str:
    """Return ``:param x: ...``, ``:return: ...`` or ``:raises E: ...`` in words."""
    kind, name, rest = re.fullmatch(r":(\w+)\s*([^:]*):\s*(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    said = {"param": f"`{name}`:", "return": "Returns", "raises": f"Raises `{name}`"}[kind]
    return f"{said} {plain(rest)}"


def summary(text: str | None) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join(plain(inspect.cleandoc(text or "").split("\n\n")[0]).split())


def annotation_of(owner: type, name: str) -> str:
    """Return an annotation as the source writes it, whether or not something has resolved it since."""
    for each in owner.__mro__:
        if name in vars(each).get("__annotations__", {}):
            found = vars(each)["__annotations__"][name]
            return found if isinstance(found, str) else inspect.formatannotation(found)
    return ""


def fields_of(owner: type) -> list[attrs.Attribute[Any]]:
    """Return the fields of an attrs class that a caller may give; one that a property reads has the property's name as alias."""
    return [f for f in attrs.fields(owner) if f.init and (not f.name.startswith("_") or hasattr(owner, str(f.alias)))]


def default_of(field: attrs.Attribute[Any]) -> str:
    """Return a field's default as code; ``required`` where there is none."""
    found = made_default(field)
    return found if isinstance(found, AsWritten) else code(repr(found))


def made_default(field: attrs.Attribute[Any]) -> Any:
    """Return a field's default, or a word for one that has no fixed value."""
    if field.default is attrs.NOTHING:
        return AsWritten("required")
    if callable(field.default):
        return AsWritten(code(field.default.__name__))
    if not isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return field.default
    empty = field.default.factory in (dict, list, tuple)
    return field.default.factory() if empty else AsWritten("computed")


def toml_default(field: attrs.Attribute[Any]) -> str:
    """Return a parameter's default as TOML writes it; empty for one that is unset."""
    found = made_default(field)
    if found is None or isinstance(found, AsWritten):
        return found or ""
    return code(toml_value(found))


def toml_value(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    return f"{value}"


WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "integer",
    "float": "number",
    "Path": "path",
    "Any": "any value",
}


def toml_type(annotation: str) -> str:
    """Return the type of a parameter in words."""
    parts = [p.strip() for p in re.split(r"\|(?![^\[]*\])", annotation) if p.strip() != "None"]
    return " or ".join(_toml_type(p) for p in parts)


def _toml_type(part: str) -> str:
    if found := re.fullmatch(r"(?:tuple|Sequence)\[(.*?)(?:, \.\.\.)?\]", part):
        return f"list of ({toml_type(found[1])})" if "|" in found[1] else f"list of {toml_type(found[1])}"
    if found := re.fullmatch(r"Literal\[(.*)\]", part):
        return ", ".join(code(v.strip().replace("'", '"')) for v in found[1].split(","))
    if part.startswith(("Mapping", "dict")):
        return "table"
    return WORDS.get(part, cell(part))


class AsWritten(str):
    """An annotation that a signature shows without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def signature_of(function: Any) -> str:
    """Return a function's signature without ``self``, as the source writes it."""
    signature = inspect.signature(function)
    given = [p.replace(annotation=_written(p.annotation)) for p in signature.parameters.values() if p.name != "self"]
    return str(signature.replace(parameters=given, return_annotation=_written(signature.return_annotation)))


def _written(annotation: Any) -> Any:
    return AsWritten(annotation) if isinstance(annotation, str) else annotation


def members_of(owner: type) -> list[tuple[str, str]]:
    """Return the public methods (with signatures) and properties of a class, and their docstrings, in the order of the source.

    The source is asked, since attrs keeps no function of a cached property in a class with slots.
    """
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    found = []
    for node in body.body if isinstance(body, ast.ClassDef) else ():
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and (text := ast.get_docstring(node)):
            is_property = any(ast.unparse(d) in ("property", "cached_property") for d in node.decorator_list)
            shown = "" if is_property else signature_of(inspect.unwrap(getattr(owner, node.name)))
            found.append((node.name + shown, text))
    return found


@cache
def constants_of(module: ModuleType) -> dict[str, str]:
    """Return the constants of a module with the text that stands below each."""
    body = ast.parse(inspect.getsource(module)).body
    found: dict[str, str] = {}
    for node, following in zip(body, [*body[1:], None], strict=True):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = str(following.value.value) if text else ""  # type: ignore[union-attr]
    return found
