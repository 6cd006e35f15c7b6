"""`vlrb cache list` and `vlrb cache prune`."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from vlrb import Places, lock_if_free, locked
from vlrb_plugins.cache_commands.pruning import entries_of, prune

OLD = time.time() - 40 * 86400


def age(*paths: Path) -> None:
    """Make entries look as if nothing had used them for forty days."""
    for path in paths:
        os.utime(path, (OLD, OLD))


def cached(project: Any, kind: str) -> list[Path]:
    """Return the entries of a kind."""
    return sorted(p for p in project.folder.glob(f".vlrb-cache/{kind}/[!.]*") if p.suffix != ".lock")


@pytest.fixture
def done(project: Any) -> Path:
    """Return the experiment of a finished run, whose entries are forty days old."""
    path: Path = project.experiment('[[router]]\nuse = "knn"\n', logs="samples = 20")
    assert project.vlrb("run", path).status == 0
    age(*(p for kind in ("parts", "benchmarks", "features", "fused", "cells") for p in cached(project, kind)))
    return path


def test_the_list_says_which_run_needs_what(project: Any, done: Path) -> None:
    """Kinds, sizes, last use, and runs by name, as a table and as JSON."""
    entries = project.vlrb("cache", "list", "--json").json["entries"]
    (run,) = (f"t/{p.name}" for p in project.folder.glob("runs/t/2*"))
    assert {e["kind"] for e in entries} >= {"parts", "benchmarks", "features", "fused", "cells"}
    odd = [e for e in entries if not (e["runs"] == [run] and e["bytes"] > 0 and 39 < e["days_since_last_use"] < 41)]
    assert odd == []
    shown = project.vlrb("cache", "list")
    assert shown.status == 0
    assert all(word in shown.out for word in ("benchmarks", "40 days ago", run))


def test_nothing_that_a_run_needs_is_removed(project: Any, done: Path) -> None:
    """However old it is: the run goes on printing its result, and another one reuses its cells."""
    shown = project.vlrb("cache", "prune", "--older-than", "0", "--json")
    assert shown.json["removed"] == []
    project.file(done.read_text(encoding="utf-8").replace('name = "t"', 'name = "u"'), "other.toml")
    assert all(c["reused"] for c in project.vlrb("run", project.folder / "other.toml", "--json").json["cells"])


def test_what_no_run_needs_goes_when_nothing_has_used_it_of_late(project: Any, done: Path) -> None:
    """A dry run removes nothing; entries of recent use stay, and so does what a recent benchmark was made of."""
    shutil.rmtree(project.folder / "runs")
    assert len(cached(project, "cells")) == 1
    wanted = {e["name"] for e in project.vlrb("cache", "prune", "--dry-run", "--json").json["removed"]}
    assert len(wanted) == sum(len(cached(project, k)) for k in ("parts", "benchmarks", "features", "fused", "cells"))
    os.utime(cached(project, "benchmarks")[0])
    shown = project.vlrb("cache", "prune", "--json")
    assert {e["kind"] for e in shown.json["removed"]} == {"features", "fused", "cells"}
    assert project.vlrb("cache", "prune", "--older-than", "50", "--json").json["removed"] == []
    assert project.vlrb("cache", "prune", "--older-than", "0").status == 0
    assert not any(cached(project, k) for k in ("parts", "benchmarks", "features", "fused", "cells"))
    assert not list(project.folder.glob(".vlrb-cache/*/*.lock"))
    assert project.vlrb("run", done).status == 0


def test_what_another_process_holds_stays(project: Any, done: Path) -> None:
    """Its lock is respected, and told."""
    shutil.rmtree(project.folder / "runs")
    (cell,) = cached(project, "cells")
    with locked(cell):
        pruned = prune(Places.of(), 0)
        assert [e.path for e in pruned.in_use] == [cell]
    assert cell.is_dir()
    assert [e.path for e in prune(Places.of(), 0).entries] == [cell]


def test_the_work_of_a_fit_that_goes_on_stays(tmp_path: Path) -> None:
    """A fit holds the lock of its cell, and its run may lie under another folder."""
    places = Places(tmp_path / "runs", tmp_path / "cache")
    work = places.cache / "work" / "abc"
    (work / "router").mkdir(parents=True)
    age(work)
    with locked(places.cache / "cells" / "abc"):
        pruned = prune(places, 1)
        assert [e.path for e in pruned.in_use] == [work]
    assert work.is_dir()
    assert [e.path for e in prune(places, 1).entries] == [work]
    assert not work.exists()


def test_leftovers_of_killed_processes_go(project: Any, done: Path) -> None:
    """Half-made folders and files and locks of nothing; not those that somebody is working on."""
    parts = project.folder / ".vlrb-cache" / "parts"
    half, held = (parts / f".{n}.0123456789ab.partial" for n in ("gone", "held"))
    young, lost = (cached(project, "features")[0] / f".{n}.arrow.77.partial" for n in ("young", "lost"))
    for folder in (half, held):
        folder.mkdir()
    for file in (young, lost, parts / "nothing.lock"):
        file.touch()
    age(lost)
    with lock_if_free(parts / "held") as free:
        assert free
        left = {p.name for p in prune(Places.of(), 30).leftovers}
        assert {half.name, lost.name, "nothing.lock"} <= left
        assert held.is_dir()
        assert young.is_file()
        assert (parts / "held.lock").exists()
    assert not half.exists()
    assert not lost.exists()
    assert not (parts / "nothing.lock").exists()


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_clock_that_differs_makes_nothing_older(
    project: Any, done: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """Ages are those by the clock of the cache's file system, which another machine may have."""
    shutil.rmtree(project.folder / "runs")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    monkeypatch.setattr(time, "time_ns", lambda: int((now() + ahead) * 1e9))
    (cell,) = cached(project, "cells")
    os.utime(cell, (now() - 300, now() - 300))
    assert 0.003 < next(e.age for e in entries_of(Places.of()) if e.path == cell) / 86400 < 0.01
    assert cell not in [e.path for e in prune(Places.of(), 400 / 86400).entries]
    assert cell in [e.path for e in prune(Places.of(), 200 / 86400).entries]


def test_features_that_are_being_encoded_stay(project: Any, done: Path) -> None:
    """Encoding holds the lock of a group of samples, beside the folder that it writes into."""
    shutil.rmtree(project.folder / "runs")
    folder, *others = cached(project, "features")
    with locked(folder.with_name(f"{folder.name}.group-0123")):
        held = project.vlrb("cache", "prune", "--older-than", "0", "--json").json
        assert folder.is_dir()
    assert [e["name"] for e in held["in_use"]] == [folder.name]
    assert not any(o.exists() for o in others)
    project.vlrb("cache", "prune", "--older-than", "0")

    assert not folder.exists()


def test_what_plugins_keep_and_earlier_plans(project: Any, done: Path) -> None:
    """Folders of plugins are listed and left alone; a plan that does not name its entries still keeps its cells."""
    own = project.folder / ".vlrb-cache" / "weights" / "w"
    own.mkdir(parents=True)
    age(own)
    (plan,) = project.folder.glob("runs/t/*/plan.json")
    tree = json.loads(plan.read_text(encoding="utf-8"))
    del tree["cache"]
    plan.write_text(json.dumps(tree), encoding="utf-8")
    kinds = {e.kind for e in prune(Places.of(), 30).entries}
    assert own.is_dir()
    assert kinds == {"parts", "benchmarks", "features", "fused"}
    assert {e.kind for e in entries_of(Places.of())} == {"cells", "weights"}
    plan.write_text("[]", encoding="utf-8")
    shown = project.vlrb("cache", "prune")
    assert shown.status == 4
    assert str(plan) in shown.err
