"""The import closure of modules, as a digest.

Imports are found by parsing, never by importing, so that nothing heavy is loaded for a key.  A closure holds modules of vlrb,
of plugins' packages, and what these import from folders that no package manager looks after (a plugin file's own folder, a
checkout).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import itertools
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path

import attrs

from vlrb import homes
from vlrb.errors import StorageError
from vlrb.storage import write_json

CORE = "vlrb"
EVERY = "vlrb.*"
"""All public names of the core: whoever asks for names by ``import *`` or with ``getattr`` may reach them."""
FORMAT = 2
"""Of the memory of imports; another one is written again."""
REMEMBERED = 1000
"""Contents of files whose imports are kept for the next process."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[\w.]+)?")
_LOADERS = frozenset({"import_module", "__import__", "spec_from_file_location", "run_path", "run_module"})
_WHOLE, _TEXT = "*", "?"
"""Marks among a file's imports: "imports by a computed name"; "a text that may name a module"."""


def imports_of(data: bytes) -> list[str]:
    """Return what a source file imports, relative names with their dots; a file that cannot be parsed imports nothing."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(_imports(tree)))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield what a tree imports when it runs, wherever in it: ``from a import b`` may mean a module ``a.b``."""
    waiting: list[ast.AST] = [tree]
    core = {
        a.asname or CORE for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names if _is_core(a)
    }
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            kept = [a.name for a in node.names if a.name != "*" or base == CORE]
            yield from (base + ("" if base.endswith(".") else ".") + name for name in kept)
        elif isinstance(node, ast.Attribute) and (names := _names_below(node, core)):
            yield ".".join((CORE, *names))
            continue
        elif isinstance(node, ast.Name) and node.id in core:
            yield EVERY
        elif isinstance(node, ast.Call):
            yield from _loaded(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield _TEXT + node.value.partition(":")[0]
        waiting += ast.iter_child_nodes(node)


def _is_core(alias: ast.alias) -> bool:
    """Tell whether an import binds the name of the core, whose public names are imported when they are asked for."""
    return alias.name.partition(".")[0] == CORE and (alias.name == CORE or not alias.asname)


def _names_below(node: ast.AST, core: Collection[str]) -> list[str]:
    """Return the attributes that are asked of the core, one of the other; none where something else is asked."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return names if isinstance(node, ast.Name) and node.id in core else []


def _loaded(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = call.args[0] if call.args else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield EVERY if first.value == CORE else first.value
    elif name in _LOADERS:
        yield _WHOLE


@attrs.frozen
class File:
    """A source file as it was read: its times of change (of content and of status), its content's digest, its imports."""

    stamp: tuple[int, ...]
    digest: str
    imports: Sequence[str]

    def has_changed(self, path: Path) -> bool:
        """Tell whether the file is another one now; a new hard link, as package managers make, changes its status only."""
        now = _stamp(path)
        return now != self.stamp and (now[:1] != self.stamp[:1] or _sha256(path.read_bytes()) != self.digest)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@attrs.frozen
class Digest:
    """A digest of a closure, and its files as they were when it was made."""

    text: str = ""
    files: Mapping[str, File] = attrs.field(factory=dict)

    def changed(self) -> list[str]:
        """Return the files that have changed: code that is imported from them now is not what was digested."""
        return sorted(path for path, file in self.files.items() if file.has_changed(Path(path)))


class Sources:
    """Finds closures.  A module is read once in a process, as it is imported once; a file among the roots each time.

    :param memory: a file that keeps content's digest -> imports for other processes, if its folder is there
    """

    def __init__(self, memory: Callable[[], Path] | None = None) -> None:
        self._memory = memory
        self._files: dict[Path, File] = {}
        self._imports: dict[str, Sequence[str]] = {}
        self._new = False

    def digest(
        self, roots: Sequence[str | Path], aside: Collection[str] = (), own: Collection[str] = frozenset({CORE})
    ) -> Digest:
        """Return a digest of the names and contents of a closure's modules; parameters as for :meth:`closure`."""
        if not self._imports:
            self._recall()
        found = sorted(self.closure(roots, aside, own).items())
        text = "".join(f"{name}\0{self._look(path).digest}\n" for name, path in found)
        if self._new:
            self._remember()
        return Digest(_sha256(text.encode())[:16], {str(path): self._look(path) for _, path in found})

    def closure(
        self, roots: Sequence[str | Path], aside: Collection[str] = (), own: Collection[str] = frozenset({CORE})
    ) -> dict[str, Path]:
        """Return module -> file of all that the roots import, directly or not, with the roots.

        :param roots: names of modules, or files that are not modules by name
        :param aside: modules that do not count
        :param own: top-level packages that count wherever they are installed
        """
        files = [root for root in roots if isinstance(root, Path)]
        found = {f"<{file.stem}>": file for file in files}
        waiting = [root for root in roots if isinstance(root, str)]
        for file in files:
            self._files.pop(file, None)
            waiting += _names(self._look(file).imports, "", file.parent, own)
        find = _finder(own, [str(file.parent) for file in files])
        while waiting:
            name = waiting.pop()
            top, _, rest = name.partition(".")
            if name == EVERY:
                waiting += homes().values()
            elif top == CORE:  # its public names come from the modules that its stub names
                name = homes().get(rest.partition(".")[0], name)
            for module in itertools.accumulate(name.split("."), "{}.{}".format):
                spec = None if module in aside else find(module)
                if spec is None:
                    break
                if spec.origin and spec.has_location and module not in found:
                    found[module] = file = Path(spec.origin)
                    if module != CORE:
                        waiting += _names(self._look(file).imports, spec.parent or "", file.parent, own)
        return found

    def _look(self, path: Path) -> File:
        if path not in self._files:
            stamp = _stamp(path)
            data = path.read_bytes() if stamp else b""
            digest = _sha256(data)
            if digest not in self._imports:
                self._imports[digest] = imports_of(data)
                self._new = True
            self._files[path] = File(stamp, digest, self._imports[digest])
        return self._files[path]

    def _recall(self) -> None:
        with contextlib.suppress(OSError, ValueError, RecursionError):  # a broken memory is written again
            if self._memory is not None:
                kept = json.loads(self._memory().read_text(encoding="utf-8"))
                if isinstance(kept, dict) and kept.get("format") == FORMAT and _are_imports(kept.get("imports")):
                    self._imports = kept["imports"]

    def _remember(self) -> None:
        self._new = False
        with contextlib.suppress(OSError, StorageError):
            if self._memory is not None and self._memory().parent.is_dir():
                imports = dict([*self._imports.items()][-REMEMBERED:])
                write_json(self._memory(), {"format": FORMAT, "imports": imports})


def _are_imports(kept: object) -> bool:
    lists = kept.values() if isinstance(kept, dict) else [None]
    return all(isinstance(names, list) and all(isinstance(n, str) for n in names) for names in lists)


def _names(imports: Sequence[str], package: str, folder: Path, own: Collection[str]) -> Iterator[str]:
    """Yield the full names of what a module in a package and a folder imports."""
    for imported in imports:
        if imported == _WHOLE:
            yield from _modules_in(folder, package)
        elif imported.startswith("."):
            with contextlib.suppress(ImportError):  # beyond the top-level package
                yield importlib.util.resolve_name(imported, package)
        elif not imported.startswith(_TEXT):
            yield imported
        elif imported[1:].partition(".")[0] in own:
            yield imported[1:]


def _modules_in(folder: Path, package: str) -> Iterator[str]:
    """Yield every module of a package, or those in the folder of a plugin file."""
    for _, name, is_package in pkgutil.iter_modules([str(folder)], f"{package}." if package else ""):
        if package or not is_package:
            yield name
        if package and is_package:
            yield from _modules_in(folder / name.rpartition(".")[2], name)


def _finder(own: Collection[str], beside: Sequence[str]) -> Callable[[str], ModuleSpec | None]:
    """Return a function that finds a module as Python would, also beside plugin files, and imports nothing."""
    suffixes = (SourceFileLoader, [".py", *EXTENSION_SUFFIXES])
    folders = functools.cache(lambda folder: FileFinder(folder, suffixes))

    @functools.cache
    def find(name: str) -> ModuleSpec | None:
        parent, _, _ = name.rpartition(".")
        package = find(parent) if parent else None
        if parent:
            places = (package and package.submodule_search_locations) or ()
            return next((s for f in places if (s := folders(f).find_spec(name))), None)
        if name in sys.stdlib_module_names:
            return None
        spec = _top_level(name)
        found = [spec] if spec else [s for f in beside if (s := folders(f).find_spec(name))]
        return next((s for s in found if name in own or not _is_managed(s)), None)

    return find


@functools.cache
def _top_level(name: str) -> ModuleSpec | None:
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        return importlib.util.find_spec(name)
    return None


def _is_managed(spec: ModuleSpec) -> bool:
    """Tell whether a top-level module is in a folder of a package manager."""
    return _has_packages(Path([*(spec.submodule_search_locations or ()), str(spec.origin)][0]).parent)


@functools.cache
def _has_packages(folder: Path) -> bool:
    return folder.name in ("site-packages", "dist-packages") or any(folder.glob("*.dist-info"))
