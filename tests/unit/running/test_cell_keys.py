"""What the key of a cell holds: everything that decides its numbers, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from cell_work import COUNTING, Work

from vlrb.api.routing import CostBounds
from vlrb.running import cell_keys
from vlrb.running.cell_keys import cell_key

BETA = '[[metric]]\nuse = "rank-score"\nbeta = {}\n'


OTHERS: dict[str, Callable[[Work], Path]] = {
    "low bound": lambda c: c.folder_of(bounds=CostBounds(5e-4, 4e-3, "train")),
    "high bound": lambda c: c.folder_of(bounds=CostBounds(1e-3, 5e-3, "train")),
    "rows of the bounds": lambda c: c.folder_of(top='cost_bounds = "all"'),
    "selection metric": lambda c: c.folder_of(top='[selection]\nmetric = "accuracy"'),
    "parameters of the selection metric": lambda c: c.folder_of(BETA.format(0.5) + COUNTING),
    "split": lambda c: c.folder_of(digest="other"),
    "quality": lambda c: c.folder_of(quality=np.ones((18, 3), dtype=bool)),
    "seed": lambda c: c.folder_of(top="seeds = [43]"),
    "label": lambda c: c.folder_of(COUNTING + 'label = "other"\n'),
    "router": lambda c: c.folder_of('[[router]]\nuse = "peeking"\nlabel = "counting"\n'),
    "parameters": lambda c: c.folder_of(COUNTING + "choice = 1\n"),
}


Part = Callable[[dict[str, Any]], dict[str, Any]]


def _with_candidate(given: dict[str, Any]) -> dict[str, Any]:
    made = given["benchmark"]
    models = (attrs.evolve(made.candidates[0], input_price=9.0), *made.candidates[1:])
    return {"benchmark": attrs.evolve(made, manifest=attrs.evolve(made.manifest, models=models))}


PARTS: dict[str, Part] = {
    "fingerprint": lambda g: {
        "benchmark": attrs.evolve(g["benchmark"], manifest=attrs.evolve(g["benchmark"].manifest, fingerprint="other"))
    },
    "price of a candidate": _with_candidate,
    "split": lambda g: {"split": "other"},
    "features": lambda g: {"router": attrs.evolve(g["router"], features="other")},
    "no features": lambda g: {"router": attrs.evolve(g["router"], features=None)},
    "parameters": lambda g: {"chosen": attrs.evolve(g["chosen"], params=attrs.evolve(g["chosen"].params, k=9))},
    "label": lambda g: {"router": attrs.evolve(g["router"], label="other")},
    "seed": lambda g: {"cell": attrs.evolve(g["cell"], seed=43)},
    "low bound": lambda g: {"bounds": attrs.evolve(g["bounds"], low=0.5)},
    "high bound": lambda g: {"bounds": attrs.evolve(g["bounds"], high=9.0)},
    "models that cost nothing": lambda g: {"bounds": attrs.evolve(g["bounds"], free=("small",))},
    "refit": lambda g: {"cell": attrs.evolve(g["cell"], refit=True)},
    "point of a sweep": lambda g: {"swept": {"lambda": 3.0}},
    "another point of the sweep": lambda g: {"swept": {"lambda": float("inf")}},
}
"""What is passed to ``cell_key`` -> how it may differ."""

NOT_PASSED = {
    "schema": ("SCHEMA_VERSION", 2),
    "version": ("__version__", "other"),
    "sources of the core": ("core_digest", lambda kind: f"other {kind}"),
    "device": ("DEVICE", "other"),
}
"""What ``cell_key`` knows by itself -> its name in the module and another value."""


@pytest.fixture
def given(work: Work) -> dict[str, Any]:
    """Return what a key is made of, for a router with features, of which there are two sets."""
    sets = '[features.f]\nencoders = ["hashed-text"]\n[features.other]\nencoders = ["image-statistics"]\n'
    context = work.context(sets + '[[router]]\nuse = "knn"\nfeatures = "f"\n')
    (cell,), router = context.cells(), context.plan.routers[0]
    bounds = CostBounds(1e-3, 4e-3)
    shared = {"plan": context.plan, "benchmark": context.benchmark}
    return {
        **shared,
        "cell": cell,
        "router": router,
        "chosen": router.chosen,
        "swept": {},
        "split": "d",
        "bounds": bounds,
    }


def test_each_part_of_a_key_counts(given: dict[str, Any]) -> None:
    """One part is changed at a time: each is another key, and the same parts are the same key, in every process."""
    keys = {name: cell_key(**given | change(given)) for name, change in PARTS.items()}

    assert cell_key(**given) == cell_key(**given)
    assert len({cell_key(**given), *keys.values()}) == len(PARTS) + 1


@pytest.mark.parametrize("what", NOT_PASSED)
def test_what_is_not_passed_counts_too(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Another version, an edited core, another form of the files: an old result is not taken for a new one."""
    before = cell_key(**given)
    monkeypatch.setattr(cell_keys, *NOT_PASSED[what])

    assert cell_key(**given) != before


def test_other_weights_are_another_cell(given: dict[str, Any]) -> None:
    """A router that loads weights tells which; so does one whose weights nobody can tell, which is not one without any."""
    specs = [
        attrs.evolve(given["chosen"].registered.record, revision=tell)
        for tell in (None, lambda _: "rev-1", lambda _: "rev-2", lambda _: 1 / 0)
    ]
    chosen = [
        attrs.evolve(given["chosen"], registered=attrs.evolve(given["chosen"].registered, record=s)) for s in specs
    ]

    assert len({cell_key(**given | {"chosen": c}) for c in chosen}) == len(specs)


def test_what_a_cell_is_called_is_no_part_of_its_key(given: dict[str, Any]) -> None:
    """The split counts by its digest, not by its name: the same split under another name is the same work."""
    cell = attrs.evolve(given["cell"], split="fold-1", key="x", fit_key="y", dist="z")

    assert cell_key(**given | {"cell": cell}) == cell_key(**given)


@pytest.mark.parametrize("what", OTHERS)
def test_what_may_change_a_cells_result_is_another_cell(work: Work, what: str) -> None:
    """Each of these reaches ``fit``, or what it is measured by, so that the result kept for the other must not be taken."""
    assert OTHERS[what](work) != work.folder_of()


def test_other_features_are_another_cell(work: Work) -> None:
    """Another encoder, another size of its features and another fusion."""
    table = '[features.f]\nencoders = [{}]\nfusion = "{}"\n[[router]]\nuse = "knn"\nfeatures = "f"\n'
    text, wide = '"hashed-text"', '{ use = "hashed-text", dimension = 64 }'
    sets = [(text, "concat"), (text, "normalize-concat"), (wide, "concat"), ('"image-statistics"', "concat")]

    assert len({work.folder_of(table.format(*s)) for s in sets}) == len(sets)


@pytest.mark.parametrize(
    "same",
    [
        {"routers": '[[metric]]\nuse = "rank-score"\n[[metric]]\nuse = "accuracy"\n' + COUNTING},
        {"routers": '[[report]]\nuse = "leaderboard"\n' + COUNTING},
        {"top": '[selection]\non = "dev"'},
    ],
)
def test_what_cannot_change_a_cells_result_is_the_same_cell(work: Work, same: dict[str, str]) -> None:
    """Metrics that do not select, and reports, are made of choices, so that no router is fitted again for them."""
    assert work.folder_of(**same) == work.folder_of()
