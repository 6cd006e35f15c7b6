"""The router on data made for it."""

import numpy as np
from vlrb_myrouter import BestValue, Params, vlrb_routers

from vlrb import Labelled


def test_a_cheaper_model_within_the_tolerance_is_chosen() -> None:
    """The tolerance decides between the best model and one that is a little worse and much cheaper."""
    quality = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], dtype=bool)
    train = Labelled([0, 1, 2, 3], quality, quality.astype(float), np.array([[9.0, 1.0]] * 4))

    assert BestValue(Params(tolerance=0.1)).fit(train, train, None).choice == 0
    assert BestValue(Params(tolerance=0.3)).fit(train, train, None).choice == 1


def test_the_router_is_registered() -> None:
    """The entry point's module offers exactly one router."""
    assert [spec.name for spec in vlrb_routers()] == ["best-value"]
