"""Experiment files as they are written: TOML with limits, includes, and where each key stands."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from vlrb.errors import ConfigError, Problem
from vlrb.redact import without_secrets
from vlrb.texts import short_repr

KeyPath = tuple[str | int, ...]


LARGEST_FILE = 1024**2
"""Bytes of the largest experiment file that is read."""


MOST_FILES = 100
"""Files that an experiment may consist of."""


DEEPEST = 50
"""Levels of tables and arrays that an experiment file may have."""


_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""


_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST}}}")


_DIGITS = re.compile(r"[0-9_]{4000}")


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


_LINE_BREAKS = str.maketrans("", "", "\t\n\r")


@attrs.frozen
class Document:
    """An experiment file with its includes merged.  ``origins`` tells which file a table or key stands in."""

    path: Path
    tree: Mapping[str, Any]
    origins: Mapping[KeyPath, Path]
    text: str = ""

    def origin(self, path: KeyPath) -> Path:
        """Return the file that a key path stands in."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.path)

    def where(self, path: KeyPath) -> str:
        """Return file and key path, as errors show them."""
        keys = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
        return f"{self.origin(path)}: {keys}" if keys else str(self.origin(path))

    def plugin_files(self) -> tuple[str, ...]:
        """Return ``plugins``, each relative path made absolute; anything but a list of strings is left to the checks.

        :raises ConfigError: for a path with control characters, or below the home folder of an unknown user
        """
        listed = self.tree.get("plugins", [])
        base = self.origin(("plugins",)).parent
        texts = {i: p for i, p in enumerate(listed) if isinstance(p, str)} if isinstance(listed, list) else {}
        return tuple(
            str((base / _expanded_at(self.where(("plugins", i)), p)).resolve()) if p.endswith(".py") else p
            for i, p in texts.items()
        )


def expanded(path: str) -> Path:
    """Return a path of an experiment file with ``~`` and ``~user`` as the home folder.

    :raises ValueError: when there is no such home folder, or the path has a control character
    """
    if CONTROL.search(path):
        raise ValueError(
            f"must be a path without control characters, not {path!r}; in double quotes a backslash starts an escape: "
            "write 'C:\\logs' or use forward slashes"
        )
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"must be a path whose home folder exists, not {path!r}") from None


def read_document(path: Path) -> Document:
    """Read an experiment file and what it includes.

    :raises ConfigError: when a file is missing or no TOML, or two files set one key differently
    """
    origins: dict[KeyPath, Path] = {}
    text = read_text(path)
    tree = _read_merged(path, text, origins, (), set())
    problems = list(_odd_characters(tree, Document(path, tree, origins), ()))
    if problems:
        raise ConfigError(problems)
    return Document(path, tree, origins, text)


def _read_merged(
    path: Path, text: str, origins: dict[KeyPath, Path], above: tuple[Path, ...], known: set[Path]
) -> dict[str, Any]:
    """Parse a file and merge what it includes into it, each file once.

    :param above: the files that include this one
    :param known: the files that have been read, resolved
    """
    if path.resolve() in above:
        raise ConfigError(f"{path} includes itself", where=str(above[-1]), fix="remove the include")
    known.add(path.resolve())
    if len(known) > MOST_FILES:
        raise ConfigError(f"includes more than {MOST_FILES} files", where=str(above[0]), fix="merge some of them")
    tree = _parsed(text, path)
    includes = tree.get("include", [])
    if not isinstance(includes, list) or not all(isinstance(i, str) for i in includes):
        message = f"must be a list of file names, not {redacted_repr(includes)}"
        raise ConfigError(message, where=f"{path}: include", fix='write include = ["FILE.toml"]')
    _note_origins(tree, path, origins, ())
    for i, included in enumerate(includes):
        file = path.parent / _expanded_at(f"{path}: include[{i}]", included)
        if file.resolve() in known - {*above, path.resolve()}:
            continue
        below: dict[KeyPath, Path] = {}
        other = _read_merged(file, read_text(file, path), below, (*above, path.resolve()), known)
        other.pop("include", None)
        _merge(tree, other, origins, below, ())
    return tree


def _expanded_at(where: str, path: str) -> Path:
    try:
        return expanded(path)
    except ValueError as error:
        raise ConfigError(str(error), where=where, fix="correct the path") from None


def read_text(path: Path, included_by: Path | None = None) -> str:
    """Return the text of an experiment file; a byte-order mark is dropped.

    :raises ConfigError: when it is missing, is not a regular file, is larger than ``LARGEST_IMAGE_FILE``, or is not UTF-8
    """
    where, fix = str(included_by) if included_by else "", "give the path of a TOML file"
    try:
        known = path.stat()
        if stat.S_ISDIR(known.st_mode):
            raise ConfigError(f"{path} is a folder", where=where, fix=fix)
        if not stat.S_ISREG(known.st_mode):
            raise ConfigError(f"{path} is a device or a pipe", where=where, fix=fix)
        if known.st_size > LARGEST_FILE:
            size = f"{known.st_size:,} bytes, more than {LARGEST_FILE:,}"
            raise ConfigError(f"{path} has {size}", where=where, fix=fix)
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}", where=where, fix=fix) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", where=str(path), fix="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", where=where, fix=fix) from None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML.

    Python's parser takes cubic time in the number of parts of a dotted key, and recurses in arrays and tables: both are limited.
    """
    if dotted := _DOTTED.search(text):
        where = f"{path}, line {_line(text, dotted)}"
        raise ConfigError(f"has more than {DEEPEST} names joined by dots", where=where, fix="use fewer tables")
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise _too_deep(path) from None
    except tomllib.TOMLDecodeError as error:
        escape = "in double quotes a backslash starts an escape; write a path as 'C:\\logs' or with forward slashes"
        fix = escape if "\\" in str(error) else "correct the line; see https://toml.io"
        raise ConfigError(f"is not valid TOML: {error}", where=str(path), fix=fix) from None
    except ValueError:  # of Python, for a number of more digits than it converts
        digits = _DIGITS.search(text)
        raise _too_large(f"{path}, line {_line(text, digits)}" if digits else str(path)) from None
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
        level = [child for value in level for child in _children(value)]
    if level:
        raise _too_deep(path)
    huge = next(_huge_integers(tree, ()), None)
    if huge is not None:
        raise _too_large(Document(path, tree, {}).where(huge))
    return tree


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1


def _too_large(where: str) -> ConfigError:
    message = "has an integer of more than 64 bits, which TOML does not allow"
    return ConfigError(message, where=where, fix="write a smaller number")


def _huge_integers(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Yield where integers are that neither arrays nor messages could hold; Python reads any in hexadecimal."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _huge_integers(child, (*path, key))


def _too_deep(path: Path) -> ConfigError:
    return ConfigError(f"has tables or arrays more than {DEEPEST} levels deep", where=str(path), fix="use fewer levels")


def _children(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [v for v in values if isinstance(v, dict | list)]


def _odd_characters(value: Any, document: Document, path: KeyPath) -> Iterator[Problem]:
    """Yield a problem for each key and each text with control characters; texts may have line breaks and tabs."""
    if isinstance(value, dict):
        for key, child in value.items():
            if CONTROL.search(key):
                yield Problem(f"the key {key!r} has a control character", document.where(path), "remove it")
            else:
                yield from _odd_characters(child, document, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _odd_characters(child, document, (*path, i))
    elif isinstance(value, str) and CONTROL.search(value.translate(_LINE_BREAKS)):
        name = next((p for p in reversed(path) if isinstance(p, str)), "")
        yield Problem(f"has a control character: {redacted_repr(value, name)}", document.where(path), "remove it")


def _note_origins(value: Any, file: Path, origins: dict[KeyPath, Path], path: KeyPath) -> None:
    origins[path] = file
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list) and all(isinstance(v, dict) for v in value):
        items = iter(enumerate(value))
    for key, child in items:
        _note_origins(child, file, origins, (*path, key))


def _merge(
    tree: dict[str, Any],
    other: Mapping[str, Any],
    origins: dict[KeyPath, Path],
    below: Mapping[KeyPath, Path],
    path: KeyPath,
) -> None:
    """Merge ``other`` into ``tree``: tables key by key, arrays of tables one after the other."""

    def adopt(source: KeyPath, target: KeyPath) -> None:
        origins.update({target + p[len(source) :]: file for p, file in below.items() if p[: len(source)] == source})

    for key, value in other.items():
        here = (*path, key)
        if key not in tree:
            tree[key] = value
            adopt(here, here)
        elif isinstance(value, dict) and isinstance(tree[key], dict):
            _merge(tree[key], value, origins, below, here)
        elif _tables(value) and _tables(tree[key]):
            for i, item in enumerate(value):
                adopt((*here, i), (*here, len(tree[key])))
                tree[key].append(item)
        elif value != tree[key]:
            name = ".".join(str(p) for p in here)
            first, second = origins.get(here, ""), below.get(here, "")
            message = f"is {redacted_repr(tree[key], key)} in {first} and {redacted_repr(value, key)} in {second}"
            raise ConfigError(message, where=name, fix="remove one of the two")


def redacted_repr(value: Any, name: str = "") -> str:
    """Return a value of the file for a message: shortened, and without secrets.

    :param name: the value's key
    """
    return short_repr(without_secrets(value, name))


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)
