"""Parameters of the tree routers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs
from attrs import validators

from vlrb import param
from vlrb_plugins.shared.router_params import at_least_0, budget_without_lambda, optional

_SHARE = validators.and_(validators.gt(0), validators.le(1))


def _within_0_and_1(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value != "auto" and not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be 'auto' or a number from 0 to 1, not {value!r}")


@attrs.frozen
class TreeParams:
    """Parameters that both libraries share."""

    library: ClassVar[str]

    rounds: int = param(default=300, validator=validators.ge(1), help="trees per model at most")
    patience: int = param(
        default=30, validator=validators.ge(1), help="rounds without a better dev loss before stopping"
    )
    learning_rate: float = param(default=0.05, validator=_SHARE, help="weight of each tree")
    leaves: int = param(default=7, validator=validators.in_(range(2, 1025)), help="leaves per tree at most")
    min_leaf: int = param(default=40, validator=validators.ge(1), help="train samples in a leaf, at least")
    l2: float = param(default=50.0, validator=validators.ge(0), help="L2 penalty on the values of the leaves")
    columns: float = param(default=0.1, validator=_SHARE, help="share of the columns that a tree sees, 16 at least")
    rows: float = param(default=0.8, validator=_SHARE, help="share of the train samples that a tree sees")
    bins: int = param(default=63, validator=validators.in_(range(2, 256)), help="bins per column at most")
    min_cases: int = param(
        default=10,
        validator=validators.ge(1),
        help="a model with fewer right or fewer wrong train samples gets its smoothed mean for every query",
    )
    cost: Literal["boosted", "mean"] = param(
        default="boosted", help="expected cost: of trees on the logarithm of the cost, or each model's mean on train"
    )
    calibration: Literal["none", "platt", "isotonic"] = param(
        default="platt", help="fitted on dev, per model; platt is drawn towards changing nothing where dev is small"
    )
    shrinkage: Literal["auto"] | float = param(
        default="auto",
        validator=_within_0_and_1,
        help="p becomes mean + shrinkage * (p - mean) of the model; auto: of 0, 0.1 ... 1 the best by log loss on dev",
    )
    lambda_: float | None = param(
        default=None,
        validator=optional(at_least_0),
        when="route",
        help="price of money in the decision; default: of 0, 1, 3, 10 ... 10000 the best on dev by the selection metric",
    )
    budget: float | None = param(
        default=None,
        validator=budget_without_lambda,
        when="route",
        help="decide by this budget in USD per sample instead",
    )


@attrs.frozen
class LightgbmParams(TreeParams):
    """Parameters of the router ``lightgbm``."""

    library: ClassVar[str] = "lightgbm"


@attrs.frozen
class XgboostParams(TreeParams):
    """Parameters of the router ``xgboost``.

    XGBoost sums up all columns for every tree, whatever share the tree may use, so its trees take longer: by default there are half
    as many of twice the weight.
    """

    library: ClassVar[str] = "xgboost"

    rounds: int = param(default=150, validator=validators.ge(1), help="trees per model at most")
    learning_rate: float = param(default=0.1, validator=_SHARE, help="weight of each tree")


PARAMS: dict[str, type[TreeParams]] = {"lightgbm": LightgbmParams, "xgboost": XgboostParams}
