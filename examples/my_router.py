"""A router in a single file: long questions go to the most accurate model, short ones to the cheapest.

Name the file in an experiment file, ``plugins = ["my_router.py"]``, and use the router, ``use = "longer-is-harder"``.
"""

from __future__ import annotations

import attrs
import numpy as np

from vlrb import RouterSpec, hookimpl, param


@attrs.frozen
class Params:
    """What the experiment file may set."""

    threshold: int = param(default=80, help="characters from which a question counts as long")


@attrs.frozen
class Fitted:
    """Route whatever comes."""

    params: Params
    strong: int
    cheap: int

    def route(self, queries):
        """Return the index of a candidate model for every query."""
        long = np.array([len(text) >= self.params.threshold for text in queries.texts])
        return np.where(long, self.strong, self.cheap)


@attrs.frozen
class LongerIsHarder:
    """Find the two models on train."""

    params: Params

    def fit(self, train, dev, context):
        """Return a fitted router."""
        return Fitted(self.params, int(train.quality.mean(axis=0).argmax()), int(train.cost.mean(axis=0).argmin()))


@hookimpl
def vlrb_routers():
    """Register the router."""
    summary = "long questions go to the strongest model, short ones to the cheapest"
    return [RouterSpec(name="longer-is-harder", summary=summary, factory=LongerIsHarder, params=Params)]
