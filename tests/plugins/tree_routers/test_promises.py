"""What the harness may rely on: equal numbers, order and batch, files, progress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.errors import DataError


def test_two_fits_are_equal_whatever_the_threads_and_another_seed_is_not(trees: Any, name: str) -> None:
    """Same seed, same bytes of estimate, on one thread or three; the seed draws rows and columns."""
    train, dev, test = trees.drawn(3000, 0)[0], trees.drawn(100, 1)[0], trees.drawn(200, 2)[0]
    import vlrb_plugins.tree_routers.boosters as module

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CELLS_PER_THREAD", 1)
        for seed, threads in ((1, 1), (1, 3), (2, 1)):
            fitted = trees.fit(name, train, dev, trees.context(dev, seed=seed, threads=threads), rounds=15)
            estimate = fitted.estimate(test.queries)
            found[seed, threads] = (estimate.p_correct.tobytes(), estimate.cost.tobytes())
    assert found[1, 1] == found[1, 3]
    assert found[1, 1] != found[2, 1]


def _permuted(labelled: Any, order: Any) -> Any:
    """Return the same samples with the candidates in another order."""
    candidates = tuple(labelled.queries.candidates[m] for m in order)
    arrays = {field: getattr(labelled, field)[:, order] for field in ("quality", "score", "cost")}
    return attrs.evolve(labelled, queries=attrs.evolve(labelled.queries, candidates=candidates), **arrays)


@pytest.mark.parametrize("cost", ["boosted", "mean"])
def test_the_order_of_the_candidates_changes_nothing(trees: Any, name: str, cost: str) -> None:
    """Every model is learned by itself: the same estimates, bit by bit, the same lambda and shrinkage, the same choices."""
    parts = [trees.drawn(n, seed)[0] for n, seed in ((400, 0), (100, 1), (200, 2))]
    fitted = trees.fit(name, parts[0], parts[1], rounds=20, cost=cost)
    estimate, choices = fitted.estimate(parts[2].queries), fitted.route(parts[2].queries)

    for order in ([3, 2, 1, 0], [2, 0, 3, 1]):
        train, dev, test = (_permuted(part, order) for part in parts)
        context = trees.context(dev, candidates=dev.queries.candidates)
        again = trees.fit(name, train, dev, context, rounds=20, cost=cost)
        found = again.estimate(test.queries)

        assert again.chosen == fitted.chosen
        assert (found.p_correct == estimate.p_correct[:, order]).all()
        assert (found.cost == estimate.cost[:, order]).all()
        assert np.array(order)[again.route(test.queries)].tolist() == choices.tolist()


def test_a_choice_depends_neither_on_the_order_nor_on_the_batch(trees: Any, name: str) -> None:
    """Alone, reversed, or among others: the same estimate, bit by bit; an empty batch is fine."""
    asked = trees.drawn(60, 5)[0].queries
    fitted = trees.standard(name)
    whole = fitted.estimate(asked)
    backwards = fitted.estimate(asked.take(np.arange(60)[::-1]))
    alone = [fitted.estimate(asked.take(np.array([i]))) for i in range(60)]

    assert (backwards.p_correct[::-1] == whole.p_correct).all()
    assert (backwards.cost[::-1] == whole.cost).all()
    assert (np.vstack([e.p_correct for e in alone]) == whole.p_correct).all()
    assert (np.vstack([e.cost for e in alone]) == whole.cost).all()
    assert fitted.route(asked.take(np.arange(0))).shape == (0,)
    assert fitted.scores(asked.take(np.arange(0))).shape == (0, 4)


def test_saving_and_loading_is_exact_and_without_pickle(
    trees: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit the same estimate and scores, with pickle out of order; every file is JSON or the library's own format."""
    import pickle

    asked = trees.drawn(200, 6)[0].queries
    fitted = trees.standard(name)
    for module in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(pickle, module, None)
    fitted.save(tmp_path / "router")
    again = trees.specs[name].load(tmp_path / "router")

    assert (again.estimate(asked).p_correct == fitted.estimate(asked).p_correct).all()
    assert (again.estimate(asked).cost == fitted.estimate(asked).cost).all()
    assert (again.scores(asked) == fitted.scores(asked)).all()
    assert again.params == fitted.params
    suffix = {"lightgbm": ".txt", "xgboost": ".ubj"}[name]
    assert {p.suffix for p in (tmp_path / "router").iterdir()} == {".json", suffix}
    again.save(tmp_path / "twice")
    assert {p.name: p.read_bytes() for p in (tmp_path / "twice").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "router").iterdir()
    }


@pytest.mark.parametrize(
    "more", [{"calibration": "isotonic"}, {"lambda_": float("inf")}, {"budget": 0.002}, {"l2": float("inf")}]
)
def test_every_kind_of_fit_is_saved(trees: Any, name: str, more: dict[str, Any], tmp_path: Path) -> None:
    """Isotonic points, a budget, and numbers that are infinite come back."""
    train, dev = trees.drawn(200, 0)[0], trees.drawn(60, 1)[0]
    fitted = trees.fit(name, train, dev, rounds=10, **more)
    fitted.save(tmp_path)
    again = trees.specs[name].load(tmp_path)

    assert again.route(dev.queries).tolist() == fitted.route(dev.queries).tolist()
    assert (again.estimate(dev.queries).p_correct == fitted.estimate(dev.queries).p_correct).all()
    assert (again.params, again.lambda_) == (fitted.params, fitted.lambda_)


def test_what_cannot_be_loaded_is_said(trees: Any, name: str, tmp_path: Path) -> None:
    """Another schema version, the other library, a booster that is broken or missing: each names the place."""
    loader = trees.specs[name].load
    trees.standard(name).save(tmp_path)
    file = next(tmp_path.glob("right-0.*"))
    content = file.read_bytes()

    file.write_bytes(content[:40])
    with pytest.raises(DataError, match=r"right-0\..*cannot be read"):
        loader(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"right-0\..*cannot be read"):
        loader(tmp_path)
    router = json.loads((tmp_path / "router.json").read_text(encoding="utf-8"))
    for key, value, message in (("library", "forest", "holds a router 'forest'"), ("schema", 99, "schema version 99")):
        router[key] = value
        (tmp_path / "router.json").write_text(json.dumps(router), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            loader(tmp_path)


def test_importances_say_which_columns_matter(trees: Any, name: str, tmp_path: Path) -> None:
    """By the names of the feature set, per model, as shares; what decides a model is on top for it."""
    trees.standard(name).save(tmp_path)
    found = json.loads((tmp_path / "importances.json").read_text(encoding="utf-8"))["columns"]

    assert [c["mean"] for c in found] == sorted((c["mean"] for c in found), reverse=True)
    assert max(found, key=lambda c: c["models"].get("large", 0))["column"] == "subject [of] {it}"
    assert max(found, key=lambda c: c["models"].get("middle", 0))["column"] == "width"
    assert abs(sum(c["models"].get("large", 0) for c in found) - 1) < 1e-4


def test_progress_and_curves(trees: Any, name: str) -> None:
    """Every model is counted, and what dev chose is logged."""
    train, dev = trees.drawn(120, 0)[0], trees.drawn(40, 1)[0]
    context = trees.context(dev)
    fitted = trees.fit(name, train, dev, context, rounds=5)

    assert context.done == [(i, 4) for i in (1, 2, 3, 4)]
    values = {k: v for _, found in context.logged for k, v in found.items()}
    assert values.keys() >= {"trees", "shrinkage", "lambda", "dev_log_loss", "dev_selection"}
    assert values["lambda"] == fitted.lambda_
