"""Every component of the bundled plugins keeps the promises of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.testing.kinds import try_promise
from vlrb.testing.plugins import Part, parts_of
from vlrb.testing.promises import Promise

ROOT = Path(__file__).parents[3]
QUICK_TREES = {"rounds": 20}
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "log-source/demo": {"samples": 300},
    "splitter/hold-out": {"datasets": ("SmallC",)},
    "router/lightgbm": QUICK_TREES,
    "router/xgboost": QUICK_TREES,
    "router/mlp": {"max_iter": 5},
}
"""Parameters with which components are tried, where the defaults do not do or take long."""

EXPECTED: Mapping[str, Mapping[str, str]] = {
    "executor/dask": {
        "isolated-tasks": "a task that crashes ends a process beside the worker, in which others may have been done before",
        "works-here": "no task is done in the process that asks, which may be on another machine than the workers",
    },
    "reporter/records": {"written-again": "an export is written into a new or empty folder, so that nothing is mixed"},
    "reporter/queries": {
        "written-again": "an export is written into a new or empty folder, so that nothing is mixed",
        "files-are-written": "pictures, of which there may be many thousand, are not named one by one",
    },
}
"""Component -> promise that it breaks -> reason."""

ELSEWHERE: Mapping[str, str] = {
    "log-source/inspect": "tests/plugins/other_logs/test_conformance.py",
    "log-source/lm-eval": "tests/plugins/other_logs/test_conformance.py",
    "log-source/lmms-eval": "tests/plugins/other_logs/test_conformance.py",
    "router/choices": "tests/plugins/outside_choices/test_outside_router.py",
    "log-source/mmr-bench": "tests/plugins/records/test_conformance.py",
    "log-source/prepared": "tests/plugins/prepared/test_conformance.py",
    "log-source/records": "tests/plugins/records/test_conformance.py",
    "log-source/vlmevalkit": "tests/plugins/vlmevalkit/test_conformance.py",
    "encoder/sentence-transformer": "tests/plugins/hf/test_conformance.py",
    "encoder/vision-transformer": "tests/plugins/hf/test_conformance.py",
    **dict.fromkeys(
        (f"router/{name}" for name in ("cosinecls", "routerdc", "vlc", "zooter")),
        "tests/plugins/neural_routers/test_conformance.py",
    ),
}
"""Component -> the test that tries it on logs or weights made for it."""

SLOW = (
    "log-source/demo",
    "router/mlp",
    "router/lightgbm",
    "router/xgboost",
    "reporter/html",
    "executor/local",
    "observer",
)


def needs_download(spec: Any) -> bool:
    """Return whether an encoder is one of hf's with its own weights; the class is checked with others."""
    return "hf" in getattr(spec, "extra", "") and "any " not in spec.summary


def lacks(spec: Any) -> list[str]:
    """Return the packages that a component needs and that are not installed."""
    return [name for name in getattr(spec, "requires", ()) if find_spec(name) is None]


def bundled_parts() -> dict[str, Part]:
    """Return all that bundled plugins register, by PLUGIN/KIND/NAME."""
    found = {}
    for plugin in load(Selection()).plugins:
        if plugin.dist == "vlrb" and plugin.object is not None:
            own = {key: PARAMS[key] for key in PARAMS if key in ids_of(plugin.object)}
            parts = parts_of(plugin.object, own, {k: EXPECTED[k] for k in EXPECTED if k in ids_of(plugin.object)})
            found.update({f"{plugin.name}/{part.id}": part for part in parts})
    return found


def ids_of(plugin: Any) -> set[str]:
    """Return KIND/NAME of what a plugin registers."""
    return {part.id for part in parts_of(plugin, {}, {})}


PARTS = bundled_parts()
CASES = [
    pytest.param(part, promise, id=f"{name}-{promise.name}", marks=[pytest.mark.slow] if part.id in SLOW else [])
    for name, part in PARTS.items()
    if part.id not in ELSEWHERE and not needs_download(part.spec)
    for promise in part.table.promises
]


@pytest.mark.parametrize(("part", "promise"), CASES)
def test_a_bundled_component_keeps_a_promise(
    part: Part, promise: Promise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the core relies on holds for each component; one that differs says why."""
    if missing := lacks(part.spec):
        pytest.skip(f"{', '.join(missing)} is not installed")
    monkeypatch.setenv("VLRB_CACHE", str(tmp_path / "cache"))
    given = {"uri": f"sqlite:///{tmp_path / 'mlflow.db'}", "plugin_name": "mlflow"} if part.id == "observer" else {}
    try_promise(part.table, promise, part.spec, {**part.params, **given}, tmp_path, part.expected)


def test_what_is_tried_elsewhere_is() -> None:
    """The tests that are said to try a component are there, and name it."""
    known = {part.id for part in PARTS.values()}
    for name, file in ELSEWHERE.items():
        assert name in known, name
        assert name.partition("/")[2] in (ROOT / file).read_text(encoding="utf-8"), name
