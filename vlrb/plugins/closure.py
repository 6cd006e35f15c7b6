"""The import closure of modules, as a digest.

Imports are found by parsing, never by importing, so that nothing heavy is loaded for a key.  A closure holds modules of vlrb, of
plugins' packages, and what these import from folders that no package manager looks after (a plugin file's own folder, a
checkout).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from vlrb import homes
from vlrb.storage import write_json

FORMAT = 1
CORE = "vlrb"

SETTLED = 2.0
"""Seconds after a file's last change from which its stamp shows the next change, whatever the file system's clock."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[\w.]+)?")
_LOADERS = frozenset({"import_module", "__import__", "spec_from_file_location", "run_path", "run_module"})
_WHOLE, _TEXT = "*", "?"
"""Marks among a file's imports: "imports by a computed name"; "a text that may name a module"."""


@attrs.frozen
class Facts:
    """What counts of a source file: its content's digest, and what it imports, relative names with their dots."""

    digest: str
    imports: tuple[str, ...]


def facts_of(data: bytes) -> Facts:
    """Return a source file's facts; a file that cannot be parsed imports nothing."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Facts(digest, ())
    return Facts(digest, tuple(dict.fromkeys(_imports(tree))))


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield what a tree imports when it runs, wherever in it: ``from a import b`` may mean a module ``a.b``."""
    waiting: list[ast.AST] = [tree]
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
            yield from (base + ("" if base.endswith(".") else ".") + a.name for a in node.names if a.name != "*")
        elif isinstance(node, ast.Call):
            yield from _loaded(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield _TEXT + node.value.partition(":")[0]
        waiting += ast.iter_child_nodes(node)


def _loaded(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in _LOADERS:
        return
    first = call.args[0] if call.args else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant) and isinstance(first.value, str):
        yield first.value
    else:
        yield _WHOLE


@attrs.frozen
class Digest:
    """A digest of a closure, and the stamp and the content's digest of each of its files when it was made."""

    text: str = ""
    files: Mapping[str, tuple[Sequence[int], str]] = attrs.field(factory=dict)

    def changed(self) -> list[str]:
        """Return the files that have changed: code that is imported from them now is not what was digested."""
        return sorted(path for path, (stamp, content) in self.files.items() if _has_changed(Path(path), stamp, content))


def _has_changed(path: Path, stamp: Sequence[int], content: str) -> bool:
    """Return whether a file has changed; a further link to it, as package managers make, changes only part of its stamp."""
    now = _stamp(path)
    if now == stamp or now[:2] != stamp[:2]:
        return now != stamp
    return hashlib.sha256(path.read_bytes()).hexdigest() != content


def _stamp(path: Path) -> list[int]:
    """Return size, times and number of a file; empty if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class Sources:
    """Finds closures; remembers what it found in each file.

    :param tops: top-level package or module -> where it stands, in the place of what Python would import
    :param read: gives the content of a file
    :param memory: a file that keeps what was found, if its folder is there
    """

    def __init__(
        self,
        tops: Mapping[str, Path] | None = None,
        read: Callable[[Path], bytes] = Path.read_bytes,
        memory: Callable[[], Path] | None = None,
    ) -> None:
        self._tops = dict(tops or {})
        self._read = read
        self._memory = memory
        self._known: dict[str, tuple[list[int], Facts]] = {}
        self._first: dict[str, tuple[list[int], str]] = {}
        self._new = False

    def digest(
        self, roots: Sequence[str | Path], aside: Collection[str] = (), own: Collection[str] = frozenset({CORE})
    ) -> Digest:
        """Return a digest of the names and contents of a closure's modules; parameters as for :meth:`closure`.

        Its stamps are those of the first digest of this process, as a module is imported once; only files among the roots are
        loaded anew each time.
        """
        self._recall()
        digest = hashlib.sha256()
        files = {}
        for name, path in sorted(self.closure(roots, aside, own).items()):
            stamp, facts = self.look(path)
            digest.update(f"{name}\0{facts.digest}\n".encode())
            now = (stamp, facts.digest)
            files[str(path)] = now if path in roots else self._first.setdefault(str(path), now)
        self._remember()
        return Digest(digest.hexdigest()[:16], files)

    def closure(
        self, roots: Sequence[str | Path], aside: Collection[str] = (), own: Collection[str] = frozenset({CORE})
    ) -> dict[str, Path]:
        """Return module -> file of all that the roots import, directly or not, with the roots.

        :param roots: names of modules, or files that are not modules by name
        :param aside: modules that do not count
        :param own: top-level packages that count wherever they stand
        """
        return _Walk(self, own, aside, self._tops).run(roots)

    def look(self, path: Path) -> tuple[list[int], Facts]:
        """Return a file's stamp and facts, empty if it cannot be read; it is parsed again when its stamp has changed."""
        stamp = _stamp(path)
        if not stamp:
            return stamp, Facts("", ())
        known = self._known.get(str(path))
        if known is None or known[0] != stamp:
            known = self._known[str(path)] = (stamp, facts_of(self._read(path)))
            self._new = True
        return known

    def _recall(self) -> None:
        if self._memory is None or self._known:
            return
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self._memory().read_text(encoding="utf-8"))
            if kept["format"] == FORMAT:
                self._known = {p: (s, Facts(d, tuple(i))) for p, (s, d, i) in kept["files"].items()}

    def _remember(self) -> None:
        """Keep what was found of files that have not changed just now; a cache that is not there is not made."""
        if self._memory is None or not self._new:
            return
        self._new = False
        settled = int((time.time() - SETTLED) * 1e9)
        files = {
            p: [s, f.digest, f.imports] for p, (s, f) in self._known.items() if max(s[1], s[2]) < settled and s[1] >= 0
        }
        with contextlib.suppress(OSError):
            if self._memory().parent.is_dir():
                write_json(self._memory(), {"format": FORMAT, "files": files})


@attrs.define(eq=False)
class _Walk:
    """One search for a closure; folders are listed once each."""

    sources: Sources
    own: Collection[str]
    aside: Collection[str]
    tops: Mapping[str, Path]
    beside: list[Path] = attrs.Factory(list)
    found: dict[str, Path] = attrs.Factory(dict)
    _places: dict[str, tuple[Path | None, Path | None]] = attrs.Factory(dict)
    _listing: Callable[[Path], frozenset[str]] = attrs.Factory(lambda: functools.cache(_names_in))

    def run(self, roots: Sequence[str | Path]) -> dict[str, Path]:
        """Return module -> file."""
        waiting: list[str] = []
        for root in roots:
            if isinstance(root, Path):
                self.beside.append(root.parent)
                waiting += self._add(f"<{root.stem}>", root, root.parent)
            else:
                waiting.append(root)
        while waiting:
            name = waiting.pop()
            top, _, rest = name.partition(".")
            if top == CORE and rest in homes():  # the core's public names come from the modules that its stub names
                name = homes()[rest]
            parts = name.split(".")
            for prefix in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):
                if prefix in self.aside:
                    break
                file, folder = self._place(prefix)
                if file is not None and prefix not in self.found:
                    waiting += self._add(prefix, file, folder or file.parent)
        return self.found

    def _add(self, name: str, file: Path, folder: Path) -> Iterator[str]:
        """Note a module, and yield the names that it imports."""
        self.found[name] = file
        package = name if file.stem == "__init__" else name.rpartition(".")[0]
        for imported in self.sources.look(file)[1].imports if file.suffix == ".py" and name != CORE else ():
            if imported == _WHOLE:
                yield from self._whole(package, folder)
            elif imported.startswith(_TEXT):
                if imported[1:].partition(".")[0] in self.own:
                    yield imported[1:]
            elif imported.startswith("."):
                inner = imported.lstrip(".")
                base = package.split(".")[: len(package.split(".")) - (len(imported) - len(inner) - 1)]
                yield ".".join([*base, inner] if inner else base)
            else:
                yield imported

    def _whole(self, package: str, folder: Path) -> Iterator[str]:
        """Yield every module of a package, or those in the folder of a plugin file."""
        for entry in sorted(self._listing(folder)):
            stem = entry.removesuffix(".py")
            inside = folder / entry
            name = f"{package}.{stem}" if package else stem
            if not stem.isidentifier():
                continue
            if stem != entry and stem != "__init__":
                yield name
            elif package and "__init__.py" in self._listing(inside):
                yield name
                yield from self._whole(name, inside)

    def _place(self, name: str) -> tuple[Path | None, Path | None]:
        """Return a module's file and the folder of the modules in it; None for what does not exist, or does not count."""
        if name not in self._places:
            parent, _, last = name.rpartition(".")
            if not parent:
                self._places[name] = self._top(name)
            else:
                folder = self._place(parent)[1]
                self._places[name] = self._inside(folder, last) if folder is not None else (None, None)
        return self._places[name]

    def _inside(self, folder: Path, name: str) -> tuple[Path | None, Path | None]:
        listing = self._listing(folder)
        if name in listing and "__init__.py" in self._listing(folder / name):
            return folder / name / "__init__.py", folder / name
        for suffix in (".py", *importlib.machinery.EXTENSION_SUFFIXES):
            if name + suffix in listing:
                return folder / (name + suffix), None
        return None, folder / name if name in listing else None

    def _top(self, name: str) -> tuple[Path | None, Path | None]:
        if name in self.tops:
            return self._inside(self.tops[name].parent, self.tops[name].stem)
        if name in sys.stdlib_module_names or not name:
            return None, None
        for folder in _folders_of(name) or self.beside:
            if name in self.own or not _managed(folder):
                place = self._inside(folder, name)
                if place != (None, None):
                    return place
        return None, None


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208  (names are all that is needed)
    except OSError:
        return frozenset()


@functools.cache
def _folders_of(name: str) -> tuple[Path, ...]:
    """Return the folders in which Python finds a top-level module or package; nothing is imported."""
    spec = None
    with contextlib.suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        return tuple(Path(p).parent for p in spec.submodule_search_locations)
    return (Path(spec.origin).parent,) if spec is not None and spec.origin and spec.has_location else ()


@functools.cache
def _managed(folder: Path) -> bool:
    """Return whether a folder belongs to a package manager."""
    return folder.name in ("site-packages", "dist-packages") or any(folder.glob("*.dist-info"))
