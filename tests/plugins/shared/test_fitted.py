"""Checks of saved routers that several plugins share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlrb.errors import DataError
from vlrb.storage import write_json
from vlrb_plugins.shared.fitted import read_saved, refuse_other_models


def test_a_saved_router_is_read_if_it_is_the_one_asked_for(tmp_path: Path) -> None:
    """The name stands under ``router`` or another entry; without a name any router is accepted."""
    content = {"schema": 2, "library": "forest"}
    write_json(tmp_path / "router.json", content)

    assert read_saved(tmp_path, 2) == content
    assert read_saved(tmp_path, 2, "forest", key="library") == content


@pytest.mark.parametrize(
    ("schema", "router", "message", "fix"),
    [
        (1, "knn", "has schema version 2, not 1", "fit the router again"),
        (2, "mlp", "holds a router 'knn', not 'mlp'", "name a folder that mlp was saved in"),
    ],
)
def test_another_saved_router_is_refused(tmp_path: Path, schema: int, router: str, message: str, fix: str) -> None:
    """The error names the file and what to do."""
    write_json(tmp_path / "router.json", {"schema": 2, "router": "knn"})
    with pytest.raises(DataError) as caught:
        read_saved(tmp_path, schema, router)

    (problem,) = caught.value.problems
    assert (problem.message, problem.where, problem.fix) == (message, str(tmp_path / "router.json"), fix)


@pytest.mark.parametrize("models", [("a",), ("b", "a"), ("a", "b", "c")])
def test_other_candidates_are_refused(models: tuple[str, ...]) -> None:
    """Columns of a fitted router stand for models by their order: fewer, more or reordered ones would be mixed up."""
    queries: Any = SimpleNamespace(candidates=[SimpleNamespace(name=n) for n in ("a", "b")])
    refuse_other_models(queries, ("a", "b"), "knn")
    with pytest.raises(DataError, match="knn: was fitted for the models .*, not a, b"):
        refuse_other_models(queries, models, "knn")
