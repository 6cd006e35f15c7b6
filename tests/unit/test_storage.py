"""Files that appear whole or not at all, and locks."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import pytest

from vlrb import storage as cache
from vlrb.errors import DataError
from vlrb.storage import Places, locked, new_directory, new_file, read_json, write_json


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error half-way leaves nothing, and what a killed process left aside is removed."""
    target = tmp_path / "t"
    with pytest.raises(RuntimeError), new_directory(target) as aside:
        (aside / "half").write_text("x", encoding="utf-8")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".t.abc.partial").mkdir()
    with new_directory(target) as aside:
        (aside / "whole").write_text("x", encoding="utf-8")
        assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    """Write-then-rename: readers see the old or the new, never a part."""
    target = tmp_path / "f"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), new_file(target) as aside:
        aside.write_text("new", encoding="utf-8")
        raise RuntimeError
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_strict_and_a_broken_file_is_named(tmp_path: Path) -> None:
    """NaN is no JSON; a truncated file is an error with its path."""
    with pytest.raises(ValueError):
        write_json(tmp_path / "f", {"x": float("nan")})
    write_json(tmp_path / "f", {"x": "ü"})
    assert json.loads((tmp_path / "f").read_text(encoding="utf-8")) == {"x": "ü"}
    (tmp_path / "f").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=str(tmp_path / "f")):
        read_json(tmp_path / "f")


def test_whoever_waits_long_for_a_lock_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A user must not wonder why nothing happens."""
    monkeypatch.setattr(cache, "PATIENCE", 0.05)
    held, order = threading.Event(), []

    def hold() -> None:
        with locked(tmp_path / "t"):
            held.set()
            time.sleep(0.4)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with caplog.at_level(logging.WARNING), locked(tmp_path / "t"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert "another process is working on" in caplog.text


def test_places_come_from_options_then_environment_then_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--runs and --cache win; plugins and child processes see the same places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLRB_RUNS", "r")
    monkeypatch.setenv("VLRB_CACHE", "")
    assert Places.of() == Places(tmp_path / "r", tmp_path / ".vlrb-cache")
    places = Places.of("a", "b")
    places.use()
    assert Places.of() == places == Places(tmp_path / "a", tmp_path / "b")
    assert cache.cache_directory() == tmp_path / "b"
