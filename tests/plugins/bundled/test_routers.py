"""Bundled routers and reference points against the reference implementation, and on their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import Candidate, Column, Features, Labelled, Queries
from vlrb.api.targets import hard_labels
from vlrb.evaluation import reference
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.testing import make_queries
from vlrb_plugins.baselines import routers
from vlrb_plugins.fusions.fusing import fuse

TRAIN, TEST = slice(0, 420), slice(480, 600)
CANDIDATES = tuple(Candidate(f"m{i}") for i in range(5))


@attrs.frozen
class Context:
    """What the bundled routers use of a context."""

    candidates: tuple[Candidate, ...] = CANDIDATES
    seed: int = 42


def queries(matrix: Any) -> Queries:
    return make_queries([""] * len(matrix), candidates=CANDIDATES, features=matrix)


def labelled(matrix: Any, quality: Any, cost: Any) -> Labelled:
    return Labelled(queries(matrix), quality.astype(bool), quality.astype(float), cost)


@pytest.fixture
def data(shared: Callable[[str], Path]) -> dict[str, Any]:
    with np.load(shared("vectors/data_small.npz")) as vectors:
        return {k: vectors[k] for k in vectors.files}


def test_fusion_equals_the_reference(shared: Callable[[str], Path]) -> None:
    """concat and normalize-concat, zero rows included."""
    with np.load(shared("vectors/fusion.npz")) as vectors:
        found = {k: vectors[k] for k in vectors.files}
    text, vision = (next(v for k, v in found.items() if k.lower().endswith(end)) for end in ("text", "vision"))
    parts = [Features(m.astype(np.float32), tuple(Column(str(i)) for i in range(m.shape[1]))) for m in (text, vision)]
    for fusion in ("concat", "normalize-concat"):
        expected = next(v for k, v in found.items() if k.removeprefix("fused_") == fusion.replace("-", "_"))
        assert np.allclose(fuse(parts, fusion).matrix, expected, atol=1e-6)


def test_baselines_and_reference_points_equal_the_reference_fitted_on_train(
    data: dict[str, Any], shared: Callable[[str], Path]
) -> None:
    """Strongest, cheapest, strongest per dataset and Oracle, all learnt on train rows."""
    quality, cost = data["Y"].astype(bool), data["C"].astype(np.float64)
    train = labelled(np.zeros((420, 1), np.float32), data["Y"][TRAIN], cost[TRAIN])
    rows = queries(np.zeros((120, 1), np.float32))
    with np.load(shared("vectors/baselines.npz")) as vectors:
        expected = {
            k: vectors[f"{k}__fit_train__pred"].tolist()
            for k in ("strongest_global", "cheapest_global", "strongest_per_dataset", "oracle")
        }

    for name, router in (("strongest_global", routers.Strongest()), ("cheapest_global", routers.Cheapest())):
        assert router.fit(train, train, Context()).route(rows).tolist() == expected[name]  # type: ignore[arg-type]
    per_dataset = reference.strongest_per_dataset(
        data["dataset"][TEST], data["dataset"][TRAIN], quality[TRAIN], cost[TRAIN]
    )
    assert per_dataset.tolist() == expected["strongest_per_dataset"]
    assert reference.oracle_choices(quality[TEST], cost[TEST]).tolist() == expected["oracle"]


def test_hard_labels_equal_the_reference(data: dict[str, Any], shared: Callable[[str], Path]) -> None:
    """The cheapest correct model; rows without one are marked."""
    with np.load(shared("vectors/hard_targets.npz")) as vectors:
        expected, solved = vectors["labels_fallback"], vectors["has_correct"]
    labels = hard_labels(data["Y"].astype(bool), data["C"])

    assert np.array_equal(labels >= 0, solved)
    assert np.array_equal(labels[solved], expected[solved])


def test_random_does_not_depend_on_the_batch_and_is_even() -> None:
    """A hash of the sample id: the same choice alone and among others; every model about equally often."""
    fitted = routers.HashedChoice(seed=1, models=5)
    all_of_them = fitted.route(queries(np.zeros((5000, 1), np.float32)))
    some = queries(np.zeros((5000, 1), np.float32)).take(np.array([7, 4000]))

    assert fitted.route(some).tolist() == all_of_them[[7, 4000]].tolist()
    assert np.bincount(all_of_them, minlength=5).min() > 900
    assert (routers.HashedChoice(2, 5).route(queries(np.zeros((5000, 1), np.float32))) != all_of_them).any()


def test_a_dataset_without_train_samples_gets_the_overall_strongest() -> None:
    """No dataset is left without a choice, and none borrows another's."""
    quality = np.array([[1, 0], [0, 1], [0, 1]], dtype=bool)

    chosen = reference.strongest_per_dataset(
        np.array(["a", "b", "new"]), np.array(["a", "b", "b"]), quality, np.ones((3, 2))
    )
    assert chosen.tolist() == [0, 1, 1]


@pytest.mark.parametrize("name", ["random", "strongest", "cheapest"])
def test_saving_and_loading_is_exact(name: str, tmp_path: Path) -> None:
    """A fitted router that was saved, without pickle, decides the same when it is loaded."""
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((80, 4)).astype(np.float32)
    quality, cost = rng.random((80, 5)) < 0.5, rng.random((80, 5))
    spec = load(Selection()).find("router", name).record
    fitted = spec.factory(spec.params()).fit(labelled(matrix, quality, cost), None, Context())
    fitted.save(tmp_path)

    again = spec.load(tmp_path)
    asked = queries(rng.standard_normal((50, 4)).astype(np.float32))
    assert again.route(asked).tolist() == fitted.route(asked).tolist()
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    text = (tmp_path / "router.json").read_text(encoding="utf-8").replace('"schema": 1', '"schema": 99')
    (tmp_path / "router.json").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match="schema version 99"):
        spec.load(tmp_path)
