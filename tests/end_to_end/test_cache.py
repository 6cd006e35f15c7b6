"""What makes old results stale, and what notes a use of the cache."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlrb.benchmark.read import key_with_named_files, write_named_files
from vlrb.experiment.resolve import make_plan
from vlrb.plugins.sources import KEYS, core_sources
from vlrb.storage import Moment

ROOT = Path(__file__).parents[2]
OLD = time.time() - 40 * 86400


def age(*paths: Path) -> None:
    """Make entries look as if nothing had used them for forty days."""
    for path in paths:
        os.utime(path, (OLD, OLD))


def cached(project: Any, kind: str) -> list[Path]:
    """Return the entries of a kind."""
    return sorted(p for p in project.folder.glob(f".vlrb-cache/{kind}/[!.]*") if p.suffix != ".lock")


def test_an_edited_core_does_not_print_old_results(project: Any, tmp_path: Path) -> None:
    """A checkout that was edited or pulled fits again what the edit can change, and goes on with the rest."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "vlrb", copy / "vlrb", ignore=ignored)
    shutil.copytree(ROOT / "plugins" / "vlrb_plugins", copy / "plugins" / "vlrb_plugins", ignore=ignored)
    file = project.experiment('[[router]]\nuse = "estimating"\n', logs="samples = 20")

    def run() -> tuple[str, int]:
        done = subprocess.run(
            [sys.executable, "-m", "vlrb", "-p", "no:mlflow", "run", str(file)],
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": f"{copy}:{copy / 'plugins'}"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout, len(cached(project, "cells"))

    assert run()[1] == 1
    with (copy / "vlrb" / "errors.py").open("a", encoding="utf-8") as module:
        module.write("# edited\n")
    out, cells = run()
    assert "finished before" in out
    with (copy / "vlrb" / "api" / "decide.py").open("a", encoding="utf-8") as module:
        module.write("# edited\n")
    out, cells = run()
    assert "finished before" not in out
    assert cells == 2


LAZY = """
from pathlib import Path
import numpy as np
from vlrb import hookimpl
from vlrb.api.components import RouterSpec
class Router:
    def __init__(self, params): pass
    def fit(self, train, dev, context):
        EDIT
        try: import lazy_helper
        except ImportError: pass
        return self
    def route(self, queries): return np.zeros(len(queries), int)
@hookimpl
def vlrb_routers(): return [RouterSpec(name="lazy", summary="s", factory=Router)]
"""


def test_a_cell_whose_sources_changed_meanwhile_is_not_kept(project: Any) -> None:
    """A module that is imported at the fit may be another one than its key says; the cell of another plugin is kept."""
    helper = project.file("X = 1\n", "lazy_helper.py")
    project.file(LAZY.replace("EDIT", f"Path({str(helper)!r}).write_text('X = 22')"), "lazy.py")
    file = project.experiment('[[router]]\nuse = "lazy"\n[[router]]\nuse = "cheapest"\n', logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "lazy.py"'), encoding="utf-8")

    done = project.vlrb("run", file, "--json")

    assert done.status == 1
    cells = {c["cell"]["label"]: c for c in done.json["cells"]}
    assert cells["cheapest"]["status"] == "done"
    assert str(helper) in cells["lazy"]["error"]
    assert len(cached(project, "cells")) == 1


def test_sources_are_those_of_the_plan(project: Any) -> None:
    """What is edited after the plan was made is in no key of it, though a key is asked for later only; it is told."""
    helper = project.file("X = 1\n", "lazy_helper.py")
    project.file(LAZY.replace("EDIT", "pass"), "lazy.py")
    file = project.experiment('[[router]]\nuse = "lazy"\n', logs="samples = 20")
    file.write_text(file.read_text().replace('"tiny.py"', '"tiny.py", "lazy.py"'), encoding="utf-8")
    first, second = (make_plan(file, ("no:mlflow",)) for _ in range(2))
    before = first.routers[0].chosen.identity()["sources"]
    assert first.routers[0].chosen.plugin.sources("cell").changed() == []
    assert core_sources.cache_info().currsize == len(KEYS)

    helper.write_text("X = 22", encoding="utf-8")

    assert second.routers[0].chosen.identity()["sources"] == before
    assert second.routers[0].chosen.plugin.sources("cell").changed() == [str(helper)]


# --- pictures -----------------------------------------------------------------------------------------------------------


def picture(path: Path, shade: int) -> None:
    """Write a picture that was there for a while."""
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (shade, shade, shade)).save(file, "PNG")
    path.write_bytes(file.getvalue())


@pytest.fixture
def tables(project: Any) -> Path:
    """Return an experiment on tables that name a picture by path."""
    rows = [{"dataset": "TinyA", "key": str(i), "question": f"Question {i}?", "images": ["a.png"]} for i in range(4)]
    answers = [
        {"dataset": "TinyA", "key": str(i), "model": m, "score": 1.0, "cost": c}
        for i in range(4)
        for m, c in (("tiny-large", 0.1), ("tiny-small", 0.01))
    ]
    for name, lines in (("samples", rows), ("outcomes", answers)):
        (project.folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    picture(project.folder / "a.png", 10)
    time.sleep(0.03)  # longer than a tick of the file system's clock
    text = 'name = "t"\nplugins = ["tiny.py"]\nrequires = []\n[logs]\nuse = "records"\npath = "."\n[tokens]\ncounter = "usage"\n'
    path: Path = project.file(text)
    return path


def built(project: Any, file: Path) -> str:
    """Build; return the fingerprint."""
    shown = project.vlrb("build", file, "--no-review", "--json")
    assert shown.status == 0, shown.err
    return str(shown.json["fingerprint"])


def test_a_changed_picture_is_read_again(project: Any, tables: Path) -> None:
    """Its size may stay the same; an unchanged build reads nothing, and the old picture brings the old benchmark back."""
    first = built(project, tables)
    parts = cached(project, "parts")
    assert built(project, tables) == first
    assert cached(project, "parts") == parts
    old = (project.folder / "a.png").stat()
    picture(project.folder / "a.png", 11)
    assert (project.folder / "a.png").stat().st_size == old.st_size
    assert built(project, tables) != first
    assert len(cached(project, "parts")) == len(parts) + 1
    picture(project.folder / "a.png", 10)
    os.utime(project.folder / "a.png", ns=(old.st_atime_ns, old.st_mtime_ns))
    assert built(project, tables) == first
    assert len(cached(project, "parts")) == len(parts) + 1


def test_a_picture_that_goes_is_missed(project: Any, tables: Path) -> None:
    """A benchmark of pictures that are no longer there is not handed out."""
    built(project, tables)
    (project.folder / "a.png").unlink()
    shown = project.vlrb("build", tables, "--no-review")
    assert shown.status == 4
    assert "a.png" in shown.err


def test_a_picture_that_changes_while_it_is_read_counts_as_changed(project: Any, tables: Path) -> None:
    """What was read may be what stood there before."""
    (project.folder / "a.png").touch()
    os.utime(project.folder / "a.png", (time.time() + 60, time.time() + 60))
    first = built(project, tables)
    parts = len(cached(project, "parts"))
    assert built(project, tables) == first
    assert len(cached(project, "parts")) == parts + 1
    assert built(project, tables) == first
    assert len(cached(project, "parts")) == parts + 1


def test_every_file_that_a_reading_looked_for_is_watched(tmp_path: Path) -> None:
    """The first picture goes, its fallback is read in its place, and then the fallback changes."""
    first, fallback = tmp_path / "a.png", tmp_path / "b.png"
    first.write_bytes(b"1")
    fallback.write_bytes(b"22")

    def read() -> str:
        key = key_with_named_files("key", tmp_path.joinpath)
        if not (tmp_path / key).is_dir():
            (tmp_path / key).mkdir()
            write_named_files(
                tmp_path / key,
                [str(p) for p in ([first] if first.exists() else [first, fallback])],
                Moment(2**62, 2**62, 0),
            )
        assert key_with_named_files("key", tmp_path.joinpath) == key
        return key

    keys = [read()]
    first.unlink()
    keys.append(read())
    fallback.write_bytes(b"333")
    keys.append(read())
    assert len(set(keys)) == 3
    first.write_bytes(b"4444")
    assert read() not in keys


@pytest.fixture
def done(project: Any) -> Path:
    """Return the experiment of a finished run, whose entries are forty days old."""
    path: Path = project.experiment('[[router]]\nuse = "knn"\n', logs="samples = 20")
    assert project.vlrb("run", path).status == 0
    age(*(p for kind in ("parts", "benchmarks", "features", "cells") for p in cached(project, kind)))
    return path


def test_a_result_of_another_key_is_not_taken(project: Any, done: Path) -> None:
    """A run's folder is found by the beginning of its key."""
    (file,) = project.folder.glob("runs/t/2*/results.json")
    tree = json.loads(file.read_text(encoding="utf-8"))
    key = tree["run"]["key"]
    tree["run"]["key"] = key[:8] + "0" * (len(key) - 8)
    file.write_text(json.dumps(tree), encoding="utf-8")
    assert project.vlrb("run", done).status == 0
    assert [r["run"]["key"] for r in project.results()] == [key]


def test_a_use_is_noted(project: Any, done: Path) -> None:
    """A run marks what it takes from the cache; features only where a router is fitted."""
    shutil.rmtree(project.folder / "runs")
    assert project.vlrb("run", done).status == 0
    assert all(p.stat().st_mtime < OLD + 86400 for p in cached(project, "features"))
    shutil.rmtree(cached(project, "cells")[0])
    assert project.vlrb("run", done, "--fresh").status == 0
    for kind in ("benchmarks", "features", "cells"):
        assert all(p.stat().st_mtime > OLD + 86400 for p in cached(project, kind)), kind


READ_ONLY = """
mount --bind .vlrb-cache .vlrb-cache && mount -o remount,bind,ro .vlrb-cache && exec "$@"
"""


def read_only(project: Any, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line where the cache is on a read-only file system."""
    command = [sys.executable, "-m", "vlrb", *map(str, arguments)]
    unshared = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh"]
    return subprocess.run(
        [*unshared, *command], cwd=project.folder, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_read_only_cache_gives_what_it_holds(project: Any) -> None:
    """A run whose results are all cached needs no locks; one that must add something ends with the folder and a fix."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    routers = '[[router]]\nuse = "knn"\nsweep = { k = [1, 2] }\n'
    file = project.experiment(routers, logs="samples = 20")
    assert project.vlrb("run", file).status == 0
    shutil.rmtree(project.folder / "runs")
    before = sorted(project.folder.glob(".vlrb-cache/**/*"))

    done = read_only(project, "run", file, "--json")
    assert done.returncode == 0, done.stderr
    assert all(cell["reused"] for cell in json.loads(done.stdout)["cells"])
    assert sorted(project.folder.glob(".vlrb-cache/**/*")) == before

    shutil.rmtree(project.folder / "runs")
    done = read_only(project, "cache", "prune", "--older-than", "0", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert {"cells", "features"} <= {entry["kind"] for entry in json.loads(done.stdout)["removed"]}
    assert sorted(project.folder.glob(".vlrb-cache/**/*")) == before

    more = project.experiment(routers + '[[router]]\nuse = "cheapest"\n', logs="samples = 20")
    done = read_only(project, "run", more, "--jobs", "2")
    assert done.returncode == 4
    assert str(project.folder / ".vlrb-cache" / "cells") in done.stderr
    assert "read-only: use another folder" in done.stderr
    assert "Traceback" not in done.stderr
