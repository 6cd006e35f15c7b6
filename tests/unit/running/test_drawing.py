"""Draws of metrics that are not functions of means, in blocks that the executor does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vlrb.errors import ExitCode
from vlrb.running import drawing

PLUGIN = """
import numpy as np
from vlrb import MetricSpec, NoParams, Undefined, hookimpl

def metric(which, evaluation):
    right = evaluation.chosen(evaluation.quality)
    if which == "median-cost":
        return float(np.median(evaluation.chosen(evaluation.cost)))
    if which == "sometimes" and right[0]:
        return Undefined("the first is right")
    if which == "fails" and right[:2].all():
        raise RuntimeError("two are right")
    return float(right.mean())

@hookimpl
def vlrb_metrics():
    def spec(name):
        return MetricSpec(name=name, summary="s", factory=lambda _: lambda evaluation: metric(name, evaluation))
    return [spec(n) for n in ("median-cost", "sometimes", "fails")]
"""
ROUTERS = '[[router]]\nuse = "random"\n[[router]]\nuse = "cheapest"\n'


@pytest.mark.parametrize("names", [("median-cost", "sometimes"), ("median-cost", "fails")])
def test_blocks_of_draws_give_what_all_draws_give(
    project: Any, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    """In this process or in two others: the same intervals; a metric that fails in a draw is told in each case."""
    (project.folder / "slow.py").write_text(PLUGIN, encoding="utf-8")
    metrics = "".join(f'[[metric]]\nuse = "{n}"\n' for n in ("accuracy", *names))
    file = project.experiment(ROUTERS + metrics, "[statistics]\ndraws = 130\n[selection]\nmetric = 'accuracy'\n")
    text = file.read_text(encoding="utf-8").replace('plugins = ["tiny.py"]', 'plugins = ["tiny.py", "slow.py"]')
    file.write_text(text, encoding="utf-8")
    told = []
    for seconds, jobs in ((1e9, "1"), (0.0, "1"), (0.0, "2")):
        monkeypatch.setattr(drawing, "PATIENCE", seconds)
        shown = project.vlrb("run", file, "--jobs", jobs, "--json", "--fresh")
        assert shown.status == (ExitCode.PLUGIN if "fails" in names else ExitCode.OK), shown.err
        assert ("two are right" in shown.err + json.dumps(shown.json["statistics"])) == ("fails" in names)
        told.append(shown.json["statistics"])

    assert told[0] == told[1] == told[2]
    assert told[0]["rows"]["random"]["intervals"]["overall"]["median-cost"]["low"] is not None
