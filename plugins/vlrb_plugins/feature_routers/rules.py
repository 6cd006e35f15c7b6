"""How the clusters of ``kmeans`` decide, by rule, with what each method's source uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

Balance = Literal["accuracy", "min-max", "max"]


@attrs.frozen
class Rule:
    """What a rule uses unless a parameter says otherwise.

    ``balance`` is what a cluster scores a model by: its accuracy, or accuracy and cost with cost scaled by minimum and maximum,
    or by the maximum alone.  ``votes`` says that clusters weigh ``softmax(-beta * distance)`` and give ``1 / place``; else the
    scores of the clusters are summed.
    """

    clusters: int
    starts: int
    top: int = 1
    balance: Balance = "accuracy"
    votes: bool = False

    @property
    def several(self) -> bool:
        """Whether more than one cluster may count."""
        return self.votes or self.top > 1


RULES: Mapping[str, Rule] = {
    "best-accuracy": Rule(clusters=3, starts=1),
    "avengers": Rule(clusters=64, starts=1),
    "avengers-code": Rule(clusters=32, starts=10, votes=True),
    "avengers-pro": Rule(clusters=60, starts=10, top=4, balance="min-max"),
    "avengers-pro-code": Rule(clusters=25, starts=10, top=3, balance="max", votes=True),
    "budget": Rule(clusters=20, starts=1),
}
"""RouterEval, commit 2edf54d; Avengers, arXiv 2505.19797 and its generate_rank_router.py at 168bcb9; the simple cluster router of
AvengersPro, commit dfb60b1, with the defaults of its config.py; Avengers-Pro, arXiv 2508.12631; the balance cluster router of
AvengersPro with its config/balance_config.json; MMR-Bench, commit 494e8c8."""
