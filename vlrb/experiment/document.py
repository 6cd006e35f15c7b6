"""Experiment files as written: TOML within limits, includes, and the file that each key stands in."""

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

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST}}}")
_DIGITS = re.compile(r"[0-9_]{4000}")
_TOO_LARGE = ("has an integer of more than 64 bits, which TOML does not allow", "write a smaller number")


@attrs.frozen
class Document:
    """An experiment file with its includes merged; ``origins`` maps each table and key to its file, where its parent's differs."""

    path: Path
    tree: dict[str, Any]
    origins: dict[KeyPath, Path]
    text: str = ""

    def origin(self, path: KeyPath) -> Path:
        """Return the file that a key path stands in."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, self.path)

    def where(self, path: KeyPath) -> str:
        """Return file and key path, as errors show them."""
        return _place(self.origin(path), path)

    def plugin_files(self) -> tuple[str, ...]:
        """Return ``plugins`` with absolute paths; what is not a list of strings is left to later checks.

        :raises ConfigError: for a path with control characters, or below the home folder of an unknown user
        """
        listed = self.tree.get("plugins", [])
        base = self.origin(("plugins",)).parent
        names = {i: n for i, n in enumerate(listed) if isinstance(n, str)} if isinstance(listed, list) else {}
        return tuple(
            str((base / expanded(n, self.where(("plugins", i)))).resolve()) if n.endswith(".py") else n
            for i, n in names.items()
        )

    def pinned_plugins(self) -> tuple[str, ...] | None:
        """Return ``only_plugins``, None without it; a value that is not a text pins nothing, and is an error later."""
        listed = self.tree.get("only_plugins")
        names = listed if isinstance(listed, list) else []
        return None if listed is None else tuple(n for n in names if isinstance(n, str))

    def router_labels(self) -> tuple[str, ...]:
        """Return the labels of the ``[[router]]`` tables, even if these have problems."""
        tables = self.tree.get("router")
        routers = [r for r in tables if isinstance(r, dict)] if isinstance(tables, list) else []
        return tuple(str(r.get("label", str(r.get("use")).rpartition("/")[2])) for r in routers)


def read_document(path: Path, text: str | None = None) -> Document:
    """Read an experiment file and the files it includes, each once.

    :param text: of the experiment, where it is in no file
    :raises ConfigError: when a file is missing or not valid TOML, or two files set one key differently
    """
    document = Document(path, {}, {}, _read_text(path) if text is None else text)
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(path, ())]
    known: set[Path] = set()
    problems: list[Problem] = []
    while waiting:
        file, above = waiting.pop(0)
        text = _read_text(file, str(above[-1])) if above else document.text
        resolved = file.resolve()
        if resolved in above:
            raise ConfigError(f"{file} includes itself", where=str(above[-1]), fix="remove the include")
        if resolved in known:
            continue
        known.add(resolved)
        if len(known) > MOST_FILES:
            raise ConfigError(f"includes more than {MOST_FILES} files", where=str(path), fix="merge some of them")
        tree = _parsed(text, file)
        problems += _odd_values(tree, file)
        waiting[:0] = [(included, (*above, resolved)) for included in _included_files(tree, file)]
        if above:
            tree.pop("include", None)
        _merge(document.tree, tree, document.origins, file, ())
    if problems:
        raise ConfigError(problems)
    return document


def _included_files(tree: Mapping[str, Any], file: Path) -> list[Path]:
    listed = tree.get("include", [])
    if not isinstance(listed, list) or not all(isinstance(i, str) for i in listed):
        message = f"must be a list of file names, not {redacted_repr(listed)}"
        raise ConfigError(message, where=f"{file}: include", fix='write include = ["FILE.toml"]')
    return [file.parent / expanded(name, f"{file}: include[{i}]") for i, name in enumerate(listed)]


def _read_text(path: Path, included_by: str = "") -> str:
    """Return the text of an experiment file without a byte-order mark."""
    try:
        known = path.stat()
        if stat.S_ISDIR(known.st_mode):
            wrong = f"{path} is a folder"
        elif not stat.S_ISREG(known.st_mode):
            wrong = f"{path} is a device or a pipe"
        elif known.st_size > LARGEST_FILE:
            wrong = f"{path} has {known.st_size:,} bytes, more than {LARGEST_FILE:,}"
        else:
            return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        wrong = f"there is no file {path}"
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", where=str(path), fix="save it as UTF-8") from None
    except (OSError, ValueError) as error:
        wrong = f"{path} cannot be read: {error}"
    raise ConfigError(wrong, where=included_by, fix="give the path of a TOML file")


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML; Python's parser takes cubic time in the parts of a dotted key, and recurses in arrays and tables."""

    def line(found: re.Match[str]) -> str:
        return f"{path}, line {text.count(chr(10), 0, found.start()) + 1}"

    if dotted := _DOTTED.search(text):
        raise ConfigError(f"has more than {DEEPEST} names joined by dots", where=line(dotted), fix="use fewer tables")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _too_deep(path) from None
    except tomllib.TOMLDecodeError as error:
        escape = "in double quotes a backslash starts an escape; write a path as 'C:\\logs' or with forward slashes"
        fix = escape if "\\" in str(error) else "correct the line; see https://toml.io"
        raise ConfigError(f"is not valid TOML: {error}", where=str(path), fix=fix) from None
    except ValueError:  # Python's, for a number of more digits than it converts
        digits = _DIGITS.search(text)
        raise ConfigError(_TOO_LARGE[0], where=line(digits) if digits else str(path), fix=_TOO_LARGE[1]) from None


def _too_deep(path: Path) -> ConfigError:
    return ConfigError(f"has tables or arrays more than {DEEPEST} levels deep", where=str(path), fix="use fewer levels")


def _odd_values(tree: Mapping[str, Any], file: Path) -> Iterator[Problem]:
    """Yield a problem for control characters in keys and strings, and for integers that arrays and messages cannot hold."""
    for keys, value in _walk(tree, ()):
        if isinstance(value, dict | list) and len(keys) >= DEEPEST:
            raise _too_deep(file)
        if keys and isinstance(keys[-1], str) and CONTROL.search(keys[-1]):
            yield Problem(f"the key {keys[-1]!r} has a control character", _place(file, keys[:-1]), "remove it")
        if isinstance(value, str) and CONTROL.search(value.translate(_LINE_BREAKS)):
            message = f"has a control character: {redacted_repr(value, last_key(keys))}"
            yield Problem(message, _place(file, keys), "remove it")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield Problem(_TOO_LARGE[0], _place(file, keys), _TOO_LARGE[1])


def _walk(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _walk(child, (*path, key))


def _merge(
    tree: dict[str, Any], other: Mapping[str, Any], origins: dict[KeyPath, Path], file: Path, path: KeyPath
) -> None:
    """Merge the content of a file into ``tree``: tables key by key, arrays of tables one after the other."""
    for key, value in other.items():
        here = (*path, key)
        if key not in tree:
            tree[key], origins[here] = value, file
        elif isinstance(value, dict) and isinstance(tree[key], dict):
            _merge(tree[key], value, origins, file, here)
        elif _are_tables(value) and _are_tables(tree[key]):
            origins |= {(*here, len(tree[key]) + i): file for i in range(len(value))}
            tree[key] += value
        elif value != tree[key]:
            first = next(origins[here[:n]] for n in range(len(here), 0, -1) if here[:n] in origins)
            message = f"is {redacted_repr(tree[key], key)} in {first} and {redacted_repr(value, key)} in {file}"
            raise ConfigError(message, where=".".join(map(str, here)), fix="remove one of the two")


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _place(file: Path, path: KeyPath) -> str:
    keys = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    return f"{file}: {keys}" if keys else str(file)


def last_key(path: KeyPath) -> str:
    """Return the last key of a path that is not an index."""
    return next((p for p in reversed(path) if isinstance(p, str)), "")


def redacted_repr(value: Any, name: str = "") -> str:
    """Return a value of the file for a message: shortened, and without secrets.

    :param name: the value's key
    """
    return short_repr(without_secrets(value, name))


def expanded(path: str, where: str = "") -> Path:
    """Return a path of an experiment file with ``~`` and ``~user`` as the home folder.

    :raises ConfigError: when there is no such home folder, or the path has a control character
    """
    if CONTROL.search(path):
        escape = "in double quotes a backslash starts an escape: write 'C:\\logs' or use forward slashes"
        raise ConfigError(f"must be a path without control characters, not {path!r}", where=where, fix=escape)
    try:
        return Path(path).expanduser()
    except RuntimeError:
        message = f"must be a path whose home folder exists, not {path!r}"
        raise ConfigError(message, where=where, fix="correct the path") from None
