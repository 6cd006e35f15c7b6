"""Through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_whole_run(name: str, project: Any) -> None:
    """With features: estimates on disk, importances beside them, and a sweep over lambda that is one fit."""
    routers = f'[[router]]\nuse = "{name}"\nfeatures = "default"\nrounds = 5\nsweep = {{ lambda = [0, 100, inf] }}\n'
    routers += f'[[router]]\nuse = "{name}"\nlabel = "own"\nfeatures = "default"\nrounds = 5\nshrinkage = "auto"\n'
    features = '[features.default]\nencoders = ["image-statistics"]\n'
    file = project.experiment(routers=routers, more=features)
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    assert "[LightGBM]" not in shown.out
    found = list(project.folder.glob(".vlrb-cache/cells/*/router/importances.json"))
    assert len(found) == 2
    assert all("columns" in json.loads(f.read_text(encoding="utf-8")) for f in found)
    cells = project.results()[-1]["cells"]
    assert [c["status"] for c in cells] == ["done"] * 4


def test_wrong_parameters_are_told_with_their_place(name: str, project: Any) -> None:
    """All in one report: a word that is no shrinkage, two ways to decide."""
    routers = f'[[router]]\nuse = "{name}"\nfeatures = "default"\nshrinkage = "some"\n'
    routers += f'[[router]]\nuse = "{name}"\nlabel = "own"\nfeatures = "default"\nlambda = 1\nbudget = 1\n'
    file = project.experiment(routers=routers, more='[features.default]\nencoders = ["image-statistics"]\n')
    shown = project.vlrb("check", file)

    assert shown.status == 4
    assert "router[0].shrinkage" in shown.err
    assert "router[1]" in shown.err
    assert "lambda and budget are two ways to decide" in shown.err


def test_real_logs(name: str, project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the small real log the router runs through and is at least as accurate as the cheapest model."""
    logs = shared("real-logs/mathvision")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = project.file(
        f'name = "m"\nrequires = []\ninclude = ["{logs}/prices.toml"]\n[logs]\nuse = "vlmevalkit"\npath = "{logs}"\n'
        '[benchmark]\ndatasets = ["MathVision_MINI"]\n[tokens]\ncounter = "cl100k"\n'
        '[[dataset]]\nname = "MathVision"\ngroup = "stem"\n[features.default]\nencoders = ["image-statistics"]\n'
        f'[[router]]\nuse = "{name}"\nfeatures = "default"\nrounds = 20\n'
    )
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    result = project.results()[-1]
    cheapest = next(r for r in result["references"] if r["name"] == "cheapest-single")
    router, bound = (x["test"]["scores"]["overall"]["accuracy"] for x in (result["routers"][0], cheapest))
    assert router >= bound
