"""What is missing, of another fit or out of range is said."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.api.routing import Column
from vlrb.errors import ConfigError, DataError
from vlrb_plugins.tree_routers.libraries import library
from vlrb_plugins.tree_routers.params import PARAMS


def test_features_that_are_missing_or_others_are_an_error(trees: Any, name: str) -> None:
    """No features, fewer columns, another column, other candidates: each says what is wrong."""
    train, dev = trees.drawn(60, 0)[0], trees.drawn(20, 1)[0]
    fitted, asked = trees.standard(name), trees.drawn(5, 2)[0].queries
    assert asked.features is not None
    matrix = asked.features.matrix

    with pytest.raises(DataError, match="needs features"):
        trees.fit(name, attrs.evolve(train, queries=attrs.evolve(train.queries, features=None)), dev)
    with pytest.raises(DataError, match="needs features"):
        fitted.route(attrs.evolve(asked, features=None))
    with pytest.raises(DataError, match="fitted on 4 feature columns, not 3"):
        fitted.route(trees.queries(matrix[:, :3], trees.columns[:3]))
    with pytest.raises(DataError, match=r"column 0 is 'other' \(dense\), in the fit 'text/0' \(dense\)"):
        fitted.route(trees.queries(matrix, (Column("other"), *trees.columns[1:])))
    with pytest.raises(DataError, match="fitted for the models large, middle, small, never, not large"):
        fitted.route(trees.queries(matrix, candidates=trees.candidates[:1]))
    with pytest.raises(DataError, match="at least 2 dev samples"):
        trees.fit(name, train, attrs.evolve(dev, queries=dev.queries.take(np.arange(1))))


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError("libgomp.so.1: cannot open shared object file"), "libgomp1"),
        (ImportError("no such module"), r"vlrb\[trees\]"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_an_error_with_a_way_out(
    name: str, raised: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing OpenMP runtime names Debian's package, a missing Python package the extra."""
    real = builtins.__import__

    def fail(asked: str, *rest: Any, **more: Any) -> Any:
        if asked == name:
            raise raised
        return real(asked, *rest, **more)

    monkeypatch.delitem(sys.modules, f"vlrb_plugins.tree_routers.with_{name}", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ConfigError, match=message):
        library(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shrinkage": 1.5}, "from 0 to 1"),
        ({"lambda_": -1.0}, "lambda must be at least 0"),
        ({"budget": -1.0}, "budget must be at least 0"),
        ({"lambda_": 1.0, "budget": 1.0}, "set one of them"),
        ({"columns": 0.0}, "columns"),
        ({"bins": 1}, "bins"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any], message: str) -> None:
    """Each says what it may be."""
    with pytest.raises(ValueError, match=message):
        PARAMS["lightgbm"](**wrong)
