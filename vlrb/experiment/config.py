"""From TOML to checked data: the experiment file, its includes, and strict structuring.

Nothing is coerced ("5" is not 5, 5.7 is not 5, "false" is not True; an integer may stand for a float); unknown keys are
refused with a did-you-mean; every problem has a file and a key path.
"""

from __future__ import annotations

import contextlib
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from attrs import validators
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from vlrb.api.specs import HIGHEST_PRICE, param, toml_name
from vlrb.errors import ConfigError, Problem, did_you_mean
from vlrb.faults import short_repr
from vlrb.redact import is_secret, without_secrets

T = TypeVar("T")
KeyPath = tuple[str | int, ...]

LARGEST_FILE = 1024**2
"""Bytes of the largest experiment file that is read."""

MOST_FILES = 100
"""Files that an experiment may consist of."""

DEEPEST = 50
"""Levels of tables and arrays that an experiment file may have."""

_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{DEEPEST}}}")
_BY_ATTRS = re.compile(r"^'\w+' (must be [<>]=? \S+): (.+)$")
_DIGITS = re.compile(r"[0-9_]{4000}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")

TABLES = ("logs", "benchmark", "tokens", "split", "features", "plugin")
ARRAYS = ("router", "metric", "report", "model", "dataset")


# --- what the sections of an experiment file hold ---------------------------------------------------------------------


def _fraction(_: Any, _attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"must be between 0 and 1, both excluded, not {value!r}")


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a folder everywhere: no separators, no control characters, not hidden."""
    return (
        bool(name)
        and name == Path(name).name
        and not name.startswith(".")
        and "\\" not in name
        and not _CONTROL.search(name)
    )


def _file_name(_: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if not is_file_name(value):
        raise ValueError(f"must be usable as the name of a folder, not {value!r}")


def _digest(_: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if value and not re.fullmatch(r"[0-9a-f]{8,64}", value):
        raise ValueError(f"must be 8 to 64 hexadecimal digits, as tables and results show them, not {value!r}")


@attrs.frozen
class General:
    """The keys that stand at the top of the file."""

    name: str = param(validator=_file_name, help="name of the experiment and of its folder under runs/")
    seeds: tuple[int, ...] = param(default=(42,), help="seeds of the routers, one cell each")
    protocol: Literal["strict", "paper"] = param(
        default="strict", help="paper: a preset of keys that sets the evaluation up as VL-RouterBench's own scripts do"
    )
    cost_bounds: Literal["train", "all"] = param(
        default="train", help="rows from which the cost bounds of the rank score are taken"
    )
    select_by: str = param(
        default="rank-score", help="metric by which a router may select, and by which the winner of a sweep is chosen"
    )
    select_on: Literal["dev", "test"] = param(
        default="dev", help='split on which the winner of a sweep is chosen; test only with protocol = "paper"'
    )
    requires: tuple[str, ...] = param(default=("mlflow",), help="plugins without which the run is refused")
    plugins: tuple[str, ...] = param(default=(), help="plugin files, relative to this file")
    include: tuple[str, ...] = param(default=(), help="files that are merged into this one")

    @seeds.validator
    def _seeds(self, _: Any, value: tuple[int, ...]) -> None:
        if not value or len(set(value)) != len(value) or min(value) < 0:
            raise ValueError(f"must be distinct integers of at least 0, at least one, not {redacted_repr(list(value))}")


@attrs.frozen
class BenchmarkSection:
    """``[benchmark]``."""

    datasets: tuple[str, ...] = param(
        default=(), help="names, aliases, task groups or sets; default: what the logs hold"
    )
    models: tuple[str, ...] = param(default=(), help="names, aliases or sets; default: what the logs hold")
    missing: Literal["error", "drop-sample", "drop-model"] = param(
        default="error", help="what becomes of a sample that not every model answered"
    )
    verdicts: Literal["stored", "scored"] = param(
        default="stored",
        help="stored: the logs' verdicts, the dataset's scorer where they hold none; scored: the scorer judges every answer",
    )
    unknown: Literal["error", "stored", "wrong", "drop"] = param(
        default="error",
        help='what becomes of an answer that no rule can judge; stored (with verdicts = "scored"): as the logs judge it',
    )
    correct_at: float = param(default=1.0, help="score from which an answer counts as correct in Y")
    expect: str = param(
        default="",
        validator=_digest,
        help="fingerprint of the benchmark, or its first characters; another one is refused",
    )

    @correct_at.validator
    def _in_range(self, _: Any, value: float) -> None:
        if not 0 < value <= 1:
            raise ValueError(f"must be above 0 and at most 1, not {value!r}")


@attrs.frozen
class SplitSection:
    """``[split]``."""

    method: Literal["stratified", "paper", "given"] = param(
        default="stratified",
        help="paper: sample by sample, numpy seed over sorted ids, not stratified; given: as the logs prescribe",
    )
    train: float = param(default=0.7, validator=_fraction, help="share of the samples")
    dev: float = param(default=0.1, validator=_fraction, help="share of the samples")
    test: float = param(default=0.2, validator=_fraction, help="share of the samples")
    seed: int = param(
        default=42,
        validator=[validators.ge(0), validators.lt(2**32)],
        help="seed of the split, apart from the routers' seeds",
    )
    group_by: Literal["image", "sample"] | None = param(
        default=None,
        help="image (default): questions that share an image or a group never straddle two splits; sample: the paper's method",
    )
    near_duplicates: float | None = param(
        default=None,
        validator=validators.optional([validators.gt(0), validators.le(1)]),
        help="similarity from which texts count as nearly the same, and stay on one side too; default: no look at it",
    )
    expect: str = param(
        default="", validator=_digest, help="digest of the split, or its first characters; another one is refused"
    )

    @property
    def grouping(self) -> str:
        """Return what is dealt out as a whole."""
        return self.group_by or ("image" if self.method == "stratified" else "sample")


@attrs.frozen
class FeatureSection:
    """``[features.NAME]``; the encoders stand beside it, as components."""

    fusion: Literal[
        "concat",
        "normalize-concat",
        "average",
        "weighted-average",
        "concat-interaction",
        "normalize-concat-interaction",
        "only-text",
        "only-image",
    ] = param(default="normalize-concat", help="normalize-: each encoder's rows are scaled to unit length first")
    text_weight: float = param(
        default=0.5,
        validator=[validators.ge(0), validators.le(1)],
        help="of the text in weighted-average; the image has the rest",
    )


_PRICE = validators.optional(validators.and_(validators.ge(0), validators.le(HIGHEST_PRICE)))


@attrs.frozen
class ModelSection:
    """``[[model]]``: a candidate model of one's own, or other prices for a known one."""

    name: str = param()
    aliases: tuple[str, ...] = param(default=())
    input_price_per_million: float | None = param(default=None, validator=_PRICE)
    output_price_per_million: float | None = param(default=None, validator=_PRICE)
    parameters: float | Literal["api"] | None = param(default=None, help='billions, or "api" where not published')


@attrs.frozen
class DatasetSection:
    """``[[dataset]]``: a dataset of one's own."""

    name: str = param()
    group: str = param(default="own")
    task: str = param(default="")
    scorer: str = param(default="")
    slug: str = param(default="")
    aliases: tuple[str, ...] = param(default=())
    samples: int | None = param(default=None)
    id_column: str = param(default="index")
    circular: bool = param(default=False)
    group_column: str = param(default="", help="samples with the same cell here are kept on one side of a split")
    group_pattern: str = param(
        default="", help="regular expression; its first group is the part of the cell that counts"
    )


# --- reading and merging ----------------------------------------------------------------------------------------------


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
    if _CONTROL.search(path):
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

    :raises ConfigError: when it is missing, is not a regular file, is larger than ``LARGEST_FILE``, or is not UTF-8
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
            if _CONTROL.search(key):
                yield Problem(f"the key {key!r} has a control character", document.where(path), "remove it")
            else:
                yield from _odd_characters(child, document, (*path, key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _odd_characters(child, document, (*path, i))
    elif isinstance(value, str) and _CONTROL.search(value.translate(_LINE_BREAKS)):
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


# --- strict structuring -----------------------------------------------------------------------------------------------

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    Path: "a path (a string)",
}


def structure(value: Any, cls: type[T], document: Document, path: KeyPath, problems: list[Problem]) -> T | None:
    """Structure a TOML value strictly as ``cls``; put what is wrong into ``problems`` and return None then."""
    if not isinstance(value, dict):
        problems.append(Problem(f"must be a table, not {redacted_repr(value)}", document.where(path)))
        return None
    try:
        return _converter(document.origin(path).parent).structure(value, cls)
    except BaseValidationError as error:
        problems.extend(_flatten(error, document, path))
    return None


def unstructure(value: Any) -> Any:
    """Return a parameter object as plain JSON data: parameter names as in TOML, paths as text, inf as "inf"."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {toml_name(f.name): unstructure(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(k): unstructure(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [unstructure(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return str(value) if isinstance(value, Path) else value


def restructure(plain: Any, cls: type[T]) -> T:
    """Return the parameter object that :func:`unstructure` made plain, for what is saved and loaded again; paths stay text.

    :raises KeyError: when a parameter is missing
    """
    fields = attrs.fields(cls)  # type: ignore[arg-type]
    return cls(**{f.alias: restored(plain[toml_name(f.name)]) for f in fields})


def restored(plain: Any) -> Any:
    """Undo what JSON makes of tuples and of infinite numbers."""
    if isinstance(plain, list):
        return tuple(restored(v) for v in plain)
    return float(plain) if plain in ("inf", "-inf") else plain


def _converter(base: Path) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, lambda v, _: (base / expanded(_exactly(str)(v, str))).resolve())
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_factory(_is_union, lambda t: _union(t, converter))
    converter.register_structure_hook_func(_is_unsupported, _unsupported)
    converter.register_structure_hook_factory(_is_tuple, lambda t: _tuple(t, converter))
    converter.register_structure_hook_factory(attrs.has, lambda c: _attrs_class(c, converter))
    return converter


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"must be {_NAMES[kind]}, not {redacted_repr(value)}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"must be a number, not {redacted_repr(value)}")
    if value != value:
        raise ValueError("must be a number, not nan")
    return float(value)


def _literal(value: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if value not in allowed or type(value) not in {type(a) for a in allowed}:
        fix = did_you_mean(value, [a for a in allowed if isinstance(a, str)]) if isinstance(value, str) else ""
        names = " or ".join(repr(a) for a in allowed)
        raise ValueError(f"must be {names}, not {redacted_repr(value)}" + (f"; {fix}" if fix.startswith("did") else ""))
    return value


def _is_literal(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return bool(origin is Literal)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _union(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    members = [a for a in get_args(kind) if a is not type(None)]

    def hook(value: Any, _: Any) -> Any:
        failures = []
        for member in members:
            try:
                return converter.structure(value, member)
            except (TypeError, ValueError) as error:
                failures.append(str(error).split(", not ")[0].removeprefix("must be "))
            except BaseValidationError:
                if len(members) == 1:
                    raise
                failures.append(f"a {member.__name__}")
        raise TypeError(f"must be {' or '.join(failures)}, not {redacted_repr(value)}")

    return hook


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple and get_args(kind)[1:] == (Ellipsis,)


def _is_unsupported(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple, set, frozenset) and not _is_tuple(kind)


def _tuple(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], tuple[Any, ...]]:
    member = get_args(kind)[0]

    def hook(value: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError(f"must be a list, not {redacted_repr(value)}")
        return tuple(_items(value, member, converter))

    return hook


def _items(value: list[Any], member: Any, converter: cattrs.Converter) -> Iterator[Any]:
    problems: list[Exception] = []
    for i, item in enumerate(value):
        try:
            yield converter.structure(item, member)
        except (TypeError, ValueError, BaseValidationError) as error:
            error.add_note(IterableValidationNote(f"item {i}", i, member))
            problems.append(error)
    if problems:
        raise IterableValidationError("a list", problems, list)


def _unsupported(_: Any, kind: Any) -> Any:
    raise TypeError(f"cannot be set: its plugin declares it as {kind}, and lists are declared as tuple[TYPE, ...]")


def _attrs_class(cls: type, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Structure an attrs class with its TOML names, running each field's validator with the field.

    attrs itself runs validators only once all fields are there, which would hide range errors behind type errors.
    """
    overrides = {
        field.name: override(rename=toml_name(field.name), struct_hook=_checked(field, converter))
        for field in attrs.fields(attrs.resolve_types(cls))
        if field.init
    }
    plain: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls,
        converter,
        _cattrs_forbid_extra_keys=True,
        **overrides,  # type: ignore[arg-type]
    )

    def hook(value: Any, kind: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"must be a table, not {redacted_repr(value)}")
        return plain(value, kind)

    return hook


def _checked(field: attrs.Attribute[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        result = converter.structure(value, field.type)  # type: ignore[arg-type]
        if field.validator is not None:
            # a validator that looks at other fields runs when the object is made, not here
            with contextlib.suppress(AttributeError):
                field.validator(None, field, result)
        return result

    return hook


def _flatten(error: BaseException, document: Document, path: KeyPath) -> Iterator[Problem]:
    """Turn cattrs' tree of errors into problems with key paths."""
    if isinstance(error, BaseValidationError):
        for child in error.exceptions:
            yield from _flatten(child, document, path + _step(child))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [toml_name(f.name) for f in attrs.fields(error.cl) if f.init]
        for key in sorted(error.extra_fields):
            yield Problem("unknown key", document.where((*path, key)), did_you_mean(key, known))
    elif isinstance(error, KeyError):
        yield Problem("is missing", document.where(path), "add it")
    else:
        message = _BY_ATTRS.sub(r"\1, not \2", str(error.args[0]) if error.args else str(error))
        if path and is_secret(str(path[-1])):
            message = message.partition(", not ")[0]
        yield Problem(message, document.where(path))


def _step(error: BaseException) -> KeyPath:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (toml_name(note.name),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()
