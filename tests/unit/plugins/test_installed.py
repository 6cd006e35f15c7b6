"""`vlrb plugins --verify`: the files of plugins against what was recorded when they were installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from installed import ROUTER, install

from vlrb.errors import ExitCode


@pytest.fixture
def info(project: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with a plugin; return its metadata's folder."""
    site = project.folder / "site"
    code = ROUTER.format(mark=str(project.folder / "imported"), name="r")
    files = {"verified_one/__init__.py": code, "verified_one/data.txt": "data\n"}
    monkeypatch.syspath_prepend(str(site))
    return install(site, "dist-one", "one = verified_one", files, more="verified_one/__pycache__/gone.pyc,,\n")


def verified(project: Any) -> dict[str, Any]:
    """Return what is said of the plugin, and check that it was not imported and that the status agrees."""
    shown = project.vlrb("plugins", "--verify", "--json")
    found: dict[str, Any] = next(e for e in shown.json if e["dist"] == "dist-one")
    assert not (project.folder / "imported").exists()
    assert shown.status == (ExitCode.PLUGIN if found["state"] == "differs" else ExitCode.OK)
    return found


def test_files_as_installed_are_unchanged(project: Any, info: Path) -> None:
    """What Python compiled is not recorded, and none of the plugin is imported to find out."""
    cached = info.parent / "verified_one" / "__pycache__"
    cached.mkdir()
    (cached / "data.cpython-311.pyc").write_bytes(b"")
    found = verified(project)

    assert (found["state"], found["version"], found["plugins"], found["files"]) == ("unchanged", "1.0", ["one"], 6)
    assert "dist-one 1.0: unchanged (6 files recorded)" in project.vlrb("plugins", "--verify").out


@pytest.mark.parametrize(
    ("change", "what", "path"),
    [
        (lambda p: p.joinpath("__init__.py").write_text("import os\n"), "changed", "verified_one/__init__.py"),
        (lambda p: p.joinpath("data.txt").unlink(), "missing", "verified_one/data.txt"),
        (lambda p: p.joinpath("more.py").write_text(""), "extra", "verified_one/more.py"),
        (lambda p: p.joinpath("hidden.pyc").write_text(""), "extra", "verified_one/hidden.pyc"),
    ],
)
def test_each_difference_is_reported(
    project: Any, info: Path, change: Callable[[Path], object], what: str, path: str
) -> None:
    """A changed, a missing and an extra file, each by its path, with exit status 5."""
    change(info.parent / "verified_one")
    found = verified(project)

    lists = {"changed": [], "missing": [], "extra": [], "elsewhere": [], what: [path]}
    assert {k: found[k] for k in lists} == lists
    assert f"\n  {what}: {path}\n" in project.vlrb("plugins", "--verify").out


def test_a_module_that_python_finds_first_is_reported(
    project: Any, info: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same name earlier on the path runs in place of the recorded one, however intact that is."""
    shadow = project.folder / "shadow" / "verified_one.py"
    shadow.parent.mkdir()
    shadow.write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(shadow.parent))

    assert verified(project)["elsewhere"] == [str(shadow)]


def test_files_of_other_distributions_are_not_extra(project: Any, info: Path) -> None:
    """Two distributions may put modules into one package."""
    install(info.parent, "dist-two", "two = verified_one.two", {"verified_one/two.py": ""})

    assert verified(project)["state"] == "unchanged"


@pytest.mark.parametrize(
    ("record", "direct", "reason"),
    [
        (None, {"url": "file:///x", "dir_info": {"editable": True}}, "an editable install"),
        ("", None, "it has no RECORD with digests"),
        ("verified_one/__init__.py,,\n", "no JSON", "it has no RECORD with digests"),
    ],
)
def test_what_cannot_be_compared_is_said_to_be_so(
    project: Any, info: Path, record: str | None, direct: Any, reason: str
) -> None:
    """It is neither unchanged nor an error."""
    if record is not None:
        (info / "RECORD").write_text(record, encoding="utf-8")
    if direct is not None:
        text = direct if isinstance(direct, str) else json.dumps(direct)
        (info / "direct_url.json").write_text(text, encoding="utf-8")
    found = verified(project)

    assert found["state"] == "unverifiable"
    assert found["reason"].startswith(reason)


def test_a_digest_that_no_installer_writes_is_none(project: Any, info: Path) -> None:
    """A weak or unknown one must not pass for a match."""
    record = (info / "RECORD").read_text(encoding="utf-8")
    (info / "RECORD").write_text(record.replace("verified_one/data.txt,sha256=", "verified_one/data.txt,md5="))

    assert verified(project)["changed"] == ["verified_one/data.txt"]
