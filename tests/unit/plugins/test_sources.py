"""Which source files count in which key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import vlrb_plugins
from vlrb.benchmark import build
from vlrb.benchmark.read import PartBuilder
from vlrb.benchmark.score import scores_folder
from vlrb.evaluation.features import feature_folders
from vlrb.evaluation.metrics import Evaluator
from vlrb.experiment.resolve import make_plan
from vlrb.plugins import sources
from vlrb.plugins.closure import Sources
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.plugins.sources import KEYS, NEVER
from vlrb.running.context import RunContext
from vlrb.running.run import _run_key, prepare
from vlrb.storage import Places

ROOT = Path(__file__).parents[3]
CORE = sorted((ROOT / "vlrb").rglob("*.py"))
OWN = frozenset({"vlrb", "vlrb_plugins"})
PLAIN = Sources()

PARTS, FEATURES, CELL, RUN = ("part", "scores", "benchmark"), ("features", "cell", "run"), ("cell", "run"), ("run",)
EXPECTED = {
    "benchmark.read": PARTS,
    "benchmark.checks": PARTS,
    "benchmark.manifest": (*PARTS, *CELL),
    "api.schemas": PARTS,
    "api.logs": (*PARTS, *FEATURES),
    "benchmark.score": ("scores", "benchmark"),
    "benchmark.build": ("benchmark",),
    "benchmark.costs": ("benchmark",),
    "benchmark.join": ("benchmark",),
    "evaluation.features": FEATURES,
    "evaluation.feature_store": FEATURES,
    "api.targets": CELL,
    "api.decide": CELL,
    "evaluation.reference": CELL,
    "evaluation.metrics": CELL,
    "evaluation.splits": CELL,
    "running.cells": CELL,
    "running.context": CELL,
    "benchmark.matrices": ("benchmark", *CELL),
    "running.results": RUN,
    "running.run": RUN,
    "api.frozen": (*PARTS, *FEATURES),
    "api.routing": (*PARTS, *FEATURES),
    "api.images": (*PARTS, *FEATURES),
}
"""Module of the core -> the keys of a run with ``knn`` that change with it (a key that holds another one changes with that)."""


def name_of(path: Path) -> str:
    """Return the module of a file of the core."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


class Keys:
    """The keys of an experiment whose benchmark is built, as if one source file were another one."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.places = Places.of()
        self.monkeypatch = monkeypatch
        self.context = prepare(make_plan(file, ("no:mlflow",)), self.places, jobs=1)
        self.imports = dict(PLAIN._imports)
        self.before = self.of(None)

    def of(self, edited: Path | None) -> dict[str, str]:
        """Return kind -> key, as if a file had another content."""
        changed = Sources()
        changed._imports = self.imports
        if edited:
            changed._files = {edited: attrs.evolve(changed._look(edited), digest="edited")}
        self.monkeypatch.setattr(sources, "_sources", changed)
        sources.core_sources.cache_clear()
        plan = make_plan(self.file, ("no:mlflow",))
        old = self.context
        evaluator = Evaluator(old.benchmark, plan.metrics, plan.selection_metric())
        context = RunContext(plan, self.places, old.benchmark, old.splitting, evaluator)
        builder = PartBuilder(plan, self.places)
        listing = builder.list()
        keys = builder.keys(listing)
        part = listing.parts[-1].id
        return {
            "part": keys[part],
            "scores": scores_folder(builder, keys[part], {}, ["TinyA"], False).name,
            "benchmark": build._benchmark_key(plan, listing, keys),
            "features": feature_folders(plan.feature_sets["default"])[0],
            "cell": context.cells()[0].key,
            "run": _run_key(context, context.cells()),
        }

    def changed(self, edited: Path) -> set[str]:
        """Return the kinds whose keys change when a file is edited."""
        return {kind for kind, key in self.of(edited).items() if key != self.before[kind]}


@pytest.fixture
def keys(project: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """Return the keys of an experiment on the tiny logs, from a plugin that imports little, with ``knn``."""
    text = project.plugin.read_text(encoding="utf-8").replace("from vlrb.api.decide import decide\n", "decide = None\n")
    project.plugin.write_text(text, encoding="utf-8")
    yield Keys(project.experiment('[[router]]\nuse = "knn"\n', logs="samples = 20"), monkeypatch)
    sources.core_sources.cache_clear()


def test_an_edit_of_a_module_of_the_core_changes_the_keys_of_what_it_computes(keys: Keys) -> None:
    """After a `git pull` nothing old is printed; modules that compute nothing for a key leave it alone."""
    counted = {n for c in KEYS.values() for n in PLAIN.closure(c.roots, {*NEVER, *c.aside})}
    counted |= {"vlrb.api.components", "vlrb.api.targets"}  # plugins import these
    for path in CORE:
        name = name_of(path)
        short = name.removeprefix("vlrb.")
        if name in counted and short in EXPECTED:
            assert keys.changed(path) == set(EXPECTED[short]), name
        elif name in counted:
            assert keys.changed(path), name
        else:
            assert keys.changed(path) == set(), name
    assert {f"vlrb.{n}" for n in EXPECTED} <= counted


def test_an_edit_of_a_plugin_changes_the_keys_of_its_components(keys: Keys) -> None:
    """A bundled router's module, imported when it is used, changes cells and runs; a metric's those that select by it."""
    plugins = Path(vlrb_plugins.__path__[0])  # as installed, which need not be this checkout's
    assert keys.changed(plugins / "feature_routers" / "knn.py") == {"cell", "run"}
    assert keys.changed(plugins / "encoders" / "cues.py") == {"features", "cell", "run"}
    assert keys.changed(plugins / "metrics" / "values.py") == {"cell", "run"}
    assert keys.changed(plugins / "reports" / "tables.py") == {"run"}
    assert keys.changed(plugins / "tree_routers" / "router.py") == set()
    assert {"part", "benchmark"} <= keys.changed(plugins / "tokens" / "counters.py")


def test_every_exception_has_a_reason_and_is_needed() -> None:
    """A module that counts in no key, or not in some, says why; an exception that excludes nothing is dropped."""
    plugins = [*(f"vlrb_plugins.{n}" for n in ("vlmevalkit", "reports", "encoders")), "vlrb.testing.small"]
    roots = [r for c in KEYS.values() for r in c.roots] + plugins
    for name, reason in NEVER.items():
        assert len(reason.split()) > 2, name
        assert name in PLAIN.closure(roots, set(NEVER) - {name}, OWN), name
    for kind, counted in KEYS.items():
        for name, reason in counted.aside.items():
            assert len(reason.split()) > 2, name
            assert name not in NEVER
            others = {*NEVER, *counted.aside} - {name}
            assert name in PLAIN.closure([*counted.roots, *plugins], others, OWN), (kind, name)


def test_no_module_that_a_run_loads_is_forgotten(project: Any) -> None:
    """What Python really imports for a run is in a closure, or is excepted by name."""
    file = project.experiment('[[router]]\nuse = "knn"\n[[router]]\nuse = "linear"\n', logs="samples = 20")
    code = (
        "import sys, json\nfrom vlrb.cli import run\n"
        f"status = run(['-p', 'no:mlflow', 'run', {str(file)!r}, '--json'])\n"
        "print(json.dumps([status, [m for m in sys.modules if m.split('.')[0] in ('vlrb', 'vlrb_plugins')]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project.folder)
    status, loaded = json.loads(done.stdout.splitlines()[-1])

    origins = [p.origin.partition(":")[0] for p in load(Selection()).plugins]
    roots = [*(r for c in KEYS.values() for r in c.roots), *origins]
    counted = set(PLAIN.closure(roots, NEVER, OWN)) | {"vlrb_plugins"}
    excepted = {m for m in loaded if any(m == n or m.startswith(f"{n}.") for n in NEVER)}
    assert status == 0
    assert set(loaded) - counted - excepted == set()
    assert not counted & excepted
    assert "vlrb_plugins.feature_routers.knn" in counted


def test_a_bundled_plugin_counts_with_those_that_it_imports() -> None:
    """`prepared` and the neural routers count with their shared libraries, the demo with what it reads through."""
    for name, needs in (
        ("prepared", "shared.log_tables.image_files"),
        ("neural_routers", "shared.pretrained.weights"),
        ("demo", "vlmevalkit.source"),
    ):
        found = PLAIN.closure([f"vlrb_plugins.{name}"], NEVER, OWN)
        assert f"vlrb_plugins.{needs}" in found
        assert not any(n.startswith("vlrb.cli") for n in found)


def test_keys_import_nothing_heavy() -> None:
    """Sources are parsed, not imported."""
    code = (
        "import sys\nfrom vlrb.plugins.plugin import Selection\nfrom vlrb.plugins.discovery import load\n"
        "from vlrb.plugins.sources import core_digest\n"
        "plugin = load(Selection()).plugin('neural-routers')\n"
        "print(core_digest('cell'), plugin.sources_digest('cell'))\n"
        "print([m for m in ('numpy', 'torch', 'pyarrow', 'vlrb.running.cells', 'vlrb.api.decide') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(set(done.stdout.split()[:2])) == 2
