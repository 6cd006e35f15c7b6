"""Evaluations for the tests of metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from vlrb.api.routing import CostBounds, Evaluation
from vlrb.evaluation.reference import oracle_choices


def evaluation(best: int = 1, **more: Any) -> Evaluation:
    """Return an evaluation of four samples and two models, unless ``more`` has others; ``best`` is the best single model."""
    given: dict[str, Any] = {
        "choices": np.array([0, 1, 1, 0]),
        "quality": np.array([[1, 0], [0, 1], [1, 0], [0, 0]], dtype=bool),
        "score": np.zeros((4, 2)),
        "cost": np.array([[4.0, 1.0]] * 4),
        "input_tokens": np.full((4, 2), 10),
        "output_tokens": np.full((4, 2), 5),
        "bounds": CostBounds(1.0, 4.0),
    } | more
    quality, cost = given["quality"], given["cost"]
    n, k = quality.shape
    given.setdefault("best_single_choices", np.full(n, best))
    given.setdefault("oracle_choices", oracle_choices(quality, cost))
    right = {name: float(quality[np.arange(n), given[f"{name}_choices"]].mean()) for name in ("best_single", "oracle")}
    return Evaluation(**{"models": tuple(f"model-{j}" for j in range(k)), **right, **given})
