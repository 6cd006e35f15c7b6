"""Parameters of the feature-level routers."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import validators

from vlrb.specs import param

INF = float("inf")
VARIANT = (
    "published: the method as its paper describes it; reference: decisions equal to VL-RouterBench's implementation"
)
LAMBDA = (
    "price of cost in soft targets, 0 to inf: weights exp(-lambda * 100 * USD) over the correct models; inf: hard label"
)
ROUTE_LAMBDA = "choose by P(correct) * exp(-lambda * 100 * USD); without lambda and budget, by the method's own rule"
BUDGET = "choose the model likeliest to be right among those expected to cost at most so many USD per sample"

optional = validators.optional
at_least_0: Any = validators.ge(0)
above_0: Any = validators.gt(0)


def _budget(instance: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None:
        at_least_0(instance, attribute, value)
        if instance.lambda_ is not None:
            raise ValueError("lambda and budget are two ways to decide: set one of them")


def _sizes(_: Any, attribute: attrs.Attribute[Any], value: tuple[int, ...]) -> None:
    if not all(v >= 1 for v in value):
        raise ValueError(f"{attribute.name} must be at least 1 each, not {value!r}")


def _accuracy_weight(_: Any, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value!r}")


@attrs.frozen
class KnnParams:
    """Parameters of the router ``knn``."""

    k: int = param(default=5, validator=validators.ge(1), help="neighbours that vote")
    weights: Literal["distance", "uniform"] = param(
        default="distance", help="distance: a vote weighs 1/distance; neighbours at distance 0 outvote all others"
    )
    metric: Literal["cosine", "euclidean"] = param(default="cosine", help="distance between z-scored feature vectors")
    lambda_: float = param(default=INF, validator=at_least_0, help=LAMBDA)


@attrs.frozen
class PrknnParams:
    """Parameters of the router ``prknn``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    k: int = param(default=5, validator=validators.ge(1), help="neighbours that compare the models")
    weights: Literal["distance", "uniform"] = param(
        default="distance", help="distance: a neighbour weighs 1/(1e-6 + distance)"
    )
    metric: Literal["cosine", "euclidean"] = param(default="cosine", help="distance between z-scored feature vectors")


@attrs.frozen
class OvrParams:
    """Parameters of the router ``ovr``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    c: float = param(default=1.0, validator=above_0, help="inverse strength of the L2 penalty")
    class_weight: Literal["balanced", "none"] = param(
        default="balanced", help="balanced: right and wrong answers of a model weigh the same in its own regression"
    )
    max_iter: int = param(default=1000, validator=validators.ge(1), help="most steps of the fit")
    tolerance: float = param(default=1e-5, validator=above_0, help="largest slope of the mean loss that counts as flat")
    lambda_: float | None = param(default=None, when="route", validator=optional(at_least_0), help=ROUTE_LAMBDA)
    budget: float | None = param(default=None, when="route", validator=_budget, help=BUDGET)


@attrs.frozen
class KmeansParams:
    """Parameters of the router ``kmeans``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    rule: Literal["best-accuracy", "avengers", "avengers-pro", "budget"] = param(
        default="best-accuracy",
        help="how a cluster decides: RouterEval, Avengers, Avengers-Pro (accuracy and cost), MMR-Bench (within the budget)",
    )
    clusters: int | None = param(
        default=None, validator=optional(validators.ge(1)), help="clusters; by rule, 3, 32, 32 or 20 unless set"
    )
    n_init: int | None = param(
        default=None, validator=optional(validators.ge(1)), help="starts of k-means; by rule, 1, 10, 10 or 1 unless set"
    )
    max_iter: int = param(default=300, validator=validators.ge(1), help="most steps of k-means")
    seed: int | None = param(
        default=None, validator=optional(at_least_0), help="seed of k-means; the cell's seed unless set"
    )
    normalize: bool = param(default=True, help="scale feature vectors (and prototypes) to unit length")
    top: int = param(default=1, validator=validators.ge(1), help="avengers: nearest clusters that count")
    beta: float = param(default=9.0, validator=at_least_0, help="avengers: clusters weigh softmax(-beta * distance)")
    accuracy_weight: float = param(
        default=0.7, validator=_accuracy_weight, help="avengers-pro: weight of accuracy; the rest is that of cost"
    )
    lambda_: float | None = param(default=None, when="route", validator=optional(at_least_0), help=ROUTE_LAMBDA)
    budget: float | None = param(default=None, when="route", validator=_budget, help=BUDGET)


@attrs.frozen
class LinearParams:
    """Parameters of the router ``linear``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    lambda_: float = param(default=INF, validator=at_least_0, help=LAMBDA + " (reference: 1 instead of 100)")
    c: float = param(default=1.0, validator=above_0, help="inverse strength of the L2 penalty")
    max_iter: int = param(default=200, validator=validators.ge(1), help="most steps")
    tolerance: float = param(
        default=1e-4, validator=above_0, help="published: largest slope of the mean loss that counts as flat"
    )
    learning_rate: float = param(default=0.01, validator=above_0, help="reference: step size of Adam")
    monitor: bool = param(default=True, help="reference: stop early by the selection metric on dev")
    patience: int = param(default=3, validator=validators.ge(1), help="reference: epochs without a better dev score")
    min_delta: float = param(default=1e-4, validator=at_least_0, help="reference: what makes a dev score better")


@attrs.frozen
class MlpParams:
    """Parameters of the router ``mlp``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    lambda_: float = param(default=INF, validator=at_least_0, help=LAMBDA)
    hidden: tuple[int, ...] = param(default=(2048, 1024), validator=_sizes, help="units of the hidden layers")
    learning_rate: float = param(default=1e-3, validator=above_0, help="step size of Adam")
    alpha: float = param(default=1e-4, validator=at_least_0, help="L2 penalty (reference: on biases as well)")
    batch_size: int = param(default=1024, validator=validators.ge(1), help="samples per step")
    max_iter: int = param(default=300, validator=validators.ge(1), help="most epochs")
    monitor: bool = param(default=True, help="stop early by the selection metric on dev, and keep the best epoch")
    patience: int = param(default=3, validator=validators.ge(1), help="epochs without a better dev score")
    min_delta: float = param(default=1e-4, validator=at_least_0, help="what makes a dev score better")
    loss_patience: int = param(
        default=10, validator=validators.ge(1), help="without monitor: epochs without a smaller train loss"
    )
    device: Literal["cpu", "cuda", "auto"] = param(
        default="cpu", help="where it is trained; auto: cuda if there is one"
    )
