"""The files that a module is made of: which imports are followed, and which change of a file is seen."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlrb.plugins import closure
from vlrb.plugins.closure import Sources, imports_of
from vlrb.plugins.sources import NEVER

PLAIN = Sources()


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b as c, d", {"a.b", "d"}),
        ("from a.b import c", {"a.b", "a.b.c"}),
        ("from a import *", {"a"}),
        ("from . import c", {".", ".c"}),
        ("from ..a import c", {"..a", "..a.c"}),
        ("def f():\n    if x:\n        import late", {"late"}),
        ("import typing\nif typing.TYPE_CHECKING:\n    import types_only\nelse:\n    import real", {"typing", "real"}),
        ("import_module('a.b')", {"a.b", "?a.b"}),
        ("importlib.import_module(name)", {"*"}),
        ("__import__(f'{x}.y')", {"*"}),
        ("factory = 'a.b:C'", {"?a.b"}),
        ("a text, not. a module'", set()),
        ("import vlrb\nvlrb.decide(x)", {"vlrb", "vlrb.decide"}),
        ("import vlrb as v\nv.api.targets.relevance.x = 1\nvlrb.decide", {"vlrb", "vlrb.api.targets.relevance.x"}),
        ("import vlrb.errors\nvlrb.decide", {"vlrb.errors", "vlrb.decide"}),
        ("import vlrb.api.decide as d\nd.decide", {"vlrb.api.decide"}),
        ("import vlrb\ngetattr(vlrb, name)", {"vlrb", "vlrb.*"}),
        ("from vlrb import *", {"vlrb", "vlrb.*"}),
        ("import_module('vlrb').decide", {"vlrb.*"}),
    ],
)
def test_imports_are_found_by_parsing(text: str, imports: set[str]) -> None:
    """Lazy imports, relative ones, names in texts and computed names count; those for type checking do not."""
    assert set(imports_of(text.encode())) == imports


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that digests a plugin below the temporary folder, which is on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(root: str | Path, own: str = "vlrb") -> str:
        closure._top_level.cache_clear()
        closure._has_packages.cache_clear()
        return Sources().digest([root], NEVER, {own}).text

    return of


@pytest.mark.parametrize("place", ["beside", "package", "relative", "computed", "path-of-its-own"])
def test_helpers_of_a_plugin_count_wherever_they_stand(digest: Any, tmp_path: Path, place: str) -> None:
    """A module beside a plugin file, in a package, by a relative or a computed name: an edit of each is seen."""
    (tmp_path / "own").mkdir()
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for init in ("package/__init__.py", "package/inner/__init__.py"):
        (tmp_path / init).touch()
    helper = {
        "beside": "helper_beside.py",
        "path-of-its-own": "own/helper_own.py",
    }.get(place, "package/inner/helper.py")
    texts = {
        "beside": "def f():\n    import helper_beside",
        "package": "from package.inner import helper",
        "relative": "from .inner.helper import x",
        "computed": "import importlib\nimportlib.import_module(__name__ + '.inner.helper')",
        "path-of-its-own": "import sys\nsys.path.insert(0, 'x')\nimport helper_own",
    }
    plugin = {"relative": "package/plugin.py", "computed": "package/plugin.py", "path-of-its-own": "own/plugin.py"}
    file = tmp_path / plugin.get(place, "plugin_file.py")
    file.write_text(texts[place], encoding="utf-8")
    root = "package.plugin" if place in ("relative", "computed") else file
    (tmp_path / helper).write_text("X = 1", encoding="utf-8")
    before = digest(root)
    (tmp_path / "unrelated.py").write_text("Y = 1", encoding="utf-8")
    assert digest(root) == before
    (tmp_path / helper).write_text("X = 2", encoding="utf-8")
    assert digest(root) != before


@pytest.mark.parametrize("text", ["import vlrb\nvlrb.decide.x", "from vlrb import *", "import vlrb as v\nf(v)"])
def test_public_names_count_with_their_modules_however_they_are_asked_for(tmp_path: Path, text: str) -> None:
    """The core imports them late: its own module says nothing of what a plugin uses."""
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    found = set(PLAIN.closure([tmp_path / "m.py"]))

    assert {"vlrb", "vlrb.api.decide"} <= found
    assert ("vlrb.api.targets" in found) == ("decide" not in text)


def test_installed_packages_count_only_where_they_are_plugins(digest: Any, tmp_path: Path) -> None:
    """Numpy counts by its version; a plugin's own package counts in site-packages too."""
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other.py").write_text("X = 1", encoding="utf-8")
    (tmp_path / "plugin.py").write_text("import numpy, other", encoding="utf-8")
    names = set(Sources().closure([tmp_path / "plugin.py"]))
    assert names == {"<plugin>"}
    before, own = digest(tmp_path / "plugin.py"), digest(tmp_path / "plugin.py", "other")
    (tmp_path / "other.py").write_text("X = 2", encoding="utf-8")
    assert digest(tmp_path / "plugin.py") == before
    assert digest(tmp_path / "plugin.py", "other") != own


def test_files_are_parsed_once_and_an_edit_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports are kept by content: an edit of the same size that keeps the time of change is seen all the same."""
    module, memory = tmp_path / "m.py", tmp_path / "cache" / "imports.json"
    module.write_text("X = 1", encoding="utf-8")
    parsed: list[bytes] = []

    def parse(data: bytes) -> list[str]:
        parsed.append(data)
        return []

    monkeypatch.setattr(closure, "imports_of", parse)

    def fresh() -> str:
        return Sources(memory=lambda: memory).digest([module]).text

    before = fresh()
    assert not memory.exists()  # no cache is made for it
    memory.parent.mkdir()
    assert fresh() == fresh() == before
    assert len(parsed) == 2
    old = module.stat()
    module.write_text("X = 2", encoding="utf-8")
    os.utime(module, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert fresh() != before
    assert fresh() == fresh()


@pytest.mark.parametrize(
    "broken", ["{", "null", "5", "[1]", "{}", '{"format": 1, "imports": {}}', '{"format": 2, "imports": {"KEY": [5]}}']
)
def test_a_broken_memory_is_written_anew(tmp_path: Path, broken: str) -> None:
    """Whatever it holds, and one of another format: no command fails, and no import of it counts."""
    module, memory = tmp_path / "m.py", tmp_path / "imports.json"
    module.write_text("import vlrb", encoding="utf-8")
    key = hashlib.sha256(module.read_bytes()).hexdigest()
    memory.write_text(broken.replace("KEY", key), encoding="utf-8")

    assert Sources(memory=lambda: memory).digest([module]).text == Sources().digest([module]).text
    kept = json.loads(memory.read_text(encoding="utf-8"))
    assert (kept["format"], kept["imports"][key]) == (closure.FORMAT, ["vlrb"])


@pytest.mark.parametrize("change", ["link", "touch", "edit", "remove"])
def test_a_file_that_changes_after_its_digest_is_told(tmp_path: Path, change: str) -> None:
    """Also one that has its old content again; a further link, as package managers make, changes nothing."""
    module = tmp_path / "m.py"
    module.write_text("X = 1", encoding="utf-8")
    digest = Sources().digest([module])
    assert digest.changed() == []
    old = module.stat()
    if change == "link":
        (tmp_path / "n.py").hardlink_to(module)
    elif change == "remove":
        module.unlink()
    else:
        module.write_text("X = 2" if change == "edit" else "X = 1", encoding="utf-8")
        shift = 0 if change == "edit" else 1
        os.utime(module, ns=(old.st_atime_ns, old.st_mtime_ns + shift))
    assert digest.changed() == ([] if change == "link" else [str(module)])
