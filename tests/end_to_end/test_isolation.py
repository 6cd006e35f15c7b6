"""One plugin never changes what another one sees."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq

VANDAL = '''
import numpy as np
from vlrb import hookimpl
from vlrb.api.components import MetricSpec, RouterSpec, param
import attrs

done = []

def attempt(change):
    """Try a change; note whether it went through."""
    try:
        change()
    except (TypeError, ValueError, AttributeError):
        return
    done.append(change)

def reopen(array):
    while isinstance(array, np.ndarray):
        attempt(lambda: array.flags.__setattr__("writeable", True))
        attempt(lambda: array.__setitem__(Ellipsis, 0))
        array = array.base

def wreck(queries):
    for name in ("ids", "texts", "options", "hints"):
        attempt(lambda: getattr(queries, name).__setitem__(0, "x"))
        attempt(lambda: getattr(queries, name).reverse())
        attempt(lambda: setattr(queries, name, ()))
    attempt(lambda: queries.images.hashes.reverse())
    attempt(lambda: setattr(queries.images, "hashes", ()))
    attempt(lambda: setattr(queries.candidates[0], "name", "x"))
    if queries.features is not None:
        reopen(queries.features.matrix)

@attrs.define
class Params:
    k: int = param(default=1)

class Vandal:
    def __init__(self, params):
        params.k = 99  # its own instance
        self.params = params
    def fit(self, train, dev, context):
        for labelled in (train, dev):
            wreck(labelled.queries)
            for matrix in (labelled.quality, labelled.score, labelled.cost):
                reopen(matrix)
        return self
    def route(self, queries):
        wreck(queries)
        return np.full(len(queries), len(done) % 3)

def greedy(evaluation):
    for name in ("choices", "quality", "score", "cost", "input_tokens", "output_tokens"):
        reopen(getattr(evaluation, name))
    if evaluation.estimate is not None:
        reopen(evaluation.estimate.p_correct)
    return float(len(done))

@hookimpl
def vlrb_routers():
    return [RouterSpec(name="vandal", summary="for tests", factory=Vandal, params=Params, needs_features=True)]

@hookimpl
def vlrb_metrics():
    return [MetricSpec(name="aaa-greedy", summary="for tests", factory=lambda _: greedy)]

@hookimpl
def vlrb_cell_end(run, result):
    for mapping in (run.settings, run.split, run.experiment, result.cell.parameters, result.scores):
        attempt(lambda: mapping.update(x=1))
    assert not done, done

@hookimpl
def vlrb_cell_log(values):
    attempt(lambda: values.update(x=1.0))
    assert not done, done
'''

HONEST = '[[router]]\nuse = "knn"\n[[router]]\nuse = "peeking"\n[[router]]\nuse = "estimating"\n'


def test_a_router_that_changes_what_it_gets_changes_nobody_elses_result(project: Any) -> None:
    """Every list, array and mapping that it tries is frozen: the others choose and score as they do alone."""
    project.file(VANDAL, "vandal.py")
    alone = project.vlrb("--cache", "c1", "--runs", "r1", "run", project.experiment(HONEST), "--json")
    vandals = '[[router]]\nuse = "vandal"\n[[router]]\nuse = "vandal"\nlabel = "again"\n'
    text = project.experiment(vandals + HONEST + '[[metric]]\nuse = "aaa-greedy"\n').read_text(encoding="utf-8")
    mixed = project.file(text.replace('["tiny.py"]', '["tiny.py", "vandal.py"]'), "mixed.toml")
    beside = project.vlrb("--cache", "c2", "--runs", "r2", "run", mixed, "--json")

    assert (alone.status, beside.status) == (0, 0), beside.err
    for label in ("knn", "peeking", "estimating"):
        one, two = (next(c for c in shown.json["cells"] if c["cell"]["label"] == label) for shown in (alone, beside))
        assert two["scores"]["test"]["overall"]["aaa-greedy"] == 0
        for split in ("dev", "test"):
            assert one["scores"][split]["overall"]["accuracy"] == two["scores"][split]["overall"]["accuracy"]
            first, second = (
                next(project.folder.glob(f"{runs}/t/*/cells/{label}-seed42/{split}.parquet")) for runs in ("r1", "r2")
            )
            assert pq.read_table(first) == pq.read_table(second)


def test_parameters_that_one_cell_changes_are_new_for_the_next(project: Any) -> None:
    """Each fit gets a copy of its parameters: the second seed of a router is not fitted with what the first made of them."""
    project.file(
        VANDAL.replace("params.k = 99  # its own instance", "self.k = params.k; params.k += 1").replace(
            "np.full(len(queries), len(done) % 3)", "np.full(len(queries), self.k)"
        ),
        "vandal.py",
    )
    text = project.experiment('[[router]]\nuse = "vandal"\n', "seeds = [1, 2]").read_text(encoding="utf-8")
    shown = project.vlrb("run", project.file(text.replace('["tiny.py"]', '["tiny.py", "vandal.py"]')), "--json")

    assert shown.status == 0, shown.err
    first, second = (c["choices"]["test"] for c in shown.json["cells"])
    assert first == second
