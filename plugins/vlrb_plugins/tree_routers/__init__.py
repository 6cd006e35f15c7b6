"""Routers of gradient-boosted trees: the probability of each model being right, and a cost-aware decision."""

from __future__ import annotations

from vlrb import RouterSpec, hookimpl
from vlrb_plugins.tree_routers.params import LightgbmParams, XgboostParams

SUMMARY = "boosted trees ({}) estimate each model's chance and cost; the greatest expected utility wins"


@hookimpl
def vlrb_routers() -> list[RouterSpec]:
    """Return the routers ``lightgbm`` and ``xgboost``."""
    return [
        RouterSpec(
            name="lightgbm",
            summary=SUMMARY.format("LightGBM"),
            factory="vlrb_plugins.tree_routers.router:Trees",
            params=LightgbmParams,
            load="vlrb_plugins.tree_routers.fitted:load_lightgbm",
            needs_features=True,
            requires=("lightgbm",),
            extra="trees",
        ),
        RouterSpec(
            name="xgboost",
            summary=SUMMARY.format("XGBoost"),
            factory="vlrb_plugins.tree_routers.router:Trees",
            params=XgboostParams,
            load="vlrb_plugins.tree_routers.fitted:load_xgboost",
            needs_features=True,
            requires=("xgboost",),
            extra="trees",
        ),
    ]
