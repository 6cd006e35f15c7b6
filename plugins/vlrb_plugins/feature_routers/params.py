"""Parameters of the feature-level routers."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import validators

from vlrb import param, toml_name
from vlrb_plugins.feature_routers.rules import RULES
from vlrb_plugins.shared.router_params import INF, LAMBDA, above_0, at_least_0, budget_without_lambda, optional

VARIANT = (
    "published: the method as its paper describes it; reference: decisions equal to VL-RouterBench's implementation"
)
TIES = (
    "published: of equal models the one that the neighbours answer best, then the cheaper; equally cheap correct models share a "
    "hard label; reference: the first, as in VL-RouterBench's implementation"
)
ROUTE_LAMBDA = "choose by P(correct) * exp(-lambda * 100 * USD); without lambda and budget, by the method's own rule"
BUDGET = "choose the model likeliest to be right among those expected to cost at most so many USD per sample"


def _sizes(_: Any, attribute: attrs.Attribute[Any], value: tuple[int, ...]) -> None:
    if not all(v >= 1 for v in value):
        raise ValueError(f"{attribute.name} must be at least 1 each, not {value!r}")


def _published(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Refuse a value, other than the default, that the variant ``reference`` makes no use of."""
    if instance.variant == "reference" and value != attribute.default:
        raise ValueError(f'{toml_name(attribute.name)} has no effect with variant = "reference": remove one of them')


def _accuracy_weight(instance: KmeansParams, attribute: attrs.Attribute[Any], value: float | None) -> None:
    _published(instance, attribute, value)
    if value is None:
        return
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value!r}")
    if RULES[instance.rule].balance == "accuracy":
        raise ValueError(
            _useless(attribute.name, instance.rule, [n for n, r in RULES.items() if r.balance != "accuracy"])
        )
    if instance.lambda_ is not None or instance.budget is not None:
        raise ValueError("accuracy_weight has no effect with lambda or a budget, which decide by the estimate")


def _top(instance: KmeansParams, attribute: attrs.Attribute[Any], value: int | None) -> None:
    _published(instance, attribute, value)
    if value is not None and not RULES[instance.rule].several:
        raise ValueError(_useless(attribute.name, instance.rule, [n for n, r in RULES.items() if r.several]))


def _beta(instance: KmeansParams, attribute: attrs.Attribute[Any], value: float | None) -> None:
    _published(instance, attribute, value)
    if value is None:
        return
    if not RULES[instance.rule].votes:
        raise ValueError(_useless(attribute.name, instance.rule, [n for n, r in RULES.items() if r.votes]))
    if (instance.top or RULES[instance.rule].top) == 1:
        raise ValueError("beta has no effect where one cluster decides: set top to at least 2")


def _useless(name: str, rule: str, rules: list[str]) -> str:
    return f'{name} has no effect with rule = "{rule}", but with {" and ".join(rules)}'


def _by_rule(what: str) -> str:
    """Return what the rules use, for a help text."""
    return f"{', '.join(str(getattr(r, what)) for r in RULES.values())} in the order of the rules unless set"


@attrs.frozen
class KnnParams:
    """Parameters of the router ``knn``."""

    variant: Literal["published", "reference"] = param(default="published", help=TIES)
    k: int = param(default=5, validator=validators.ge(1), help="neighbours that vote")
    weights: Literal["distance", "uniform"] = param(
        default="distance", help="distance: a vote weighs 1/distance; neighbours at distance 0 outvote all others"
    )
    metric: Literal["cosine", "euclidean"] = param(default="cosine", help="distance between z-scored feature vectors")
    lambda_: float = param(default=INF, validator=at_least_0, help=LAMBDA)


@attrs.frozen
class PrknnParams:
    """Parameters of the router ``prknn``."""

    variant: Literal["published", "reference"] = param(default="published", help=TIES)
    rule: Literal["wins", "majority", "correctness"] = param(
        default="wins",
        validator=_published,
        help="wins: the weighted sum of pairwise wins (VL-RouterBench); majority: a point for every model that is beaten by the "
        "weight of the neighbours, less one for every model that beats; correctness: the mean correctness (RouterEval)",
    )
    k: int = param(default=5, validator=validators.ge(1), help="neighbours that compare the models")
    weights: Literal["distance", "uniform"] | None = param(
        default=None,
        help="distance: a neighbour weighs 1/(1e-6 + distance); by rule, distance, distance or uniform unless set",
    )
    metric: Literal["cosine", "euclidean"] = param(default="cosine", help="distance between z-scored feature vectors")


@attrs.frozen
class OvrParams:
    """Parameters of the router ``ovr``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    c: float = param(default=1.0, validator=above_0, help="inverse strength of the L2 penalty")
    class_weight: Literal["balanced", "none"] | None = param(
        default=None,
        help="balanced: right and wrong answers of a model weigh the same in its own regression (which the estimate corrects "
        "for); none in published and balanced in reference unless set",
    )
    max_iter: int = param(default=1000, validator=validators.ge(1), help="most steps of the fit")
    tolerance: float = param(default=1e-5, validator=above_0, help="largest slope of the mean loss that counts as flat")
    lambda_: float | None = param(default=None, when="route", validator=optional(at_least_0), help=ROUTE_LAMBDA)
    budget: float | None = param(default=None, when="route", validator=budget_without_lambda, help=BUDGET)


@attrs.frozen
class KmeansParams:
    """Parameters of the router ``kmeans``."""

    variant: Literal["published", "reference"] = param(default="published", help=VARIANT)
    rule: Literal["best-accuracy", "avengers", "avengers-code", "avengers-pro", "avengers-pro-code", "budget"] = param(
        default="best-accuracy",
        validator=_published,
        help="how clusters decide: RouterEval, Avengers, Avengers-Pro (accuracy and cost), MMR-Bench (within the budget); "
        "-code: as the authors' code does it, not their paper",
    )
    clusters: int | None = param(
        default=None, validator=[_published, optional(validators.ge(1))], help=f"clusters; {_by_rule('clusters')}"
    )
    n_init: int | None = param(
        default=None,
        validator=[_published, optional(validators.ge(1))],
        help=f"starts of k-means; {_by_rule('starts')}",
    )
    max_iter: int = param(default=300, validator=[_published, validators.ge(1)], help="most steps of k-means")
    seed: int | None = param(
        default=None,
        validator=[_published, optional(at_least_0)],
        help="seed of k-means; the cell's seed unless set",
    )
    normalize: bool = param(default=True, help="scale feature vectors (and prototypes) to unit length")
    top: int | None = param(
        default=None,
        validator=[_top, optional(validators.ge(1))],
        help="nearest clusters that count: avengers-code 1, avengers-pro 4, avengers-pro-code 3 unless set; for no other rule",
    )
    beta: float | None = param(
        default=None,
        validator=[_beta, optional(at_least_0)],
        help="avengers-code, avengers-pro-code: clusters weigh softmax(-beta * distance); 9 unless set",
    )
    accuracy_weight: float | None = param(
        default=None,
        validator=_accuracy_weight,
        help="avengers-pro, avengers-pro-code: weight of accuracy, 0.7 unless set; the rest is that of cost",
    )
    lambda_: float | None = param(default=None, when="route", validator=optional(at_least_0), help=ROUTE_LAMBDA)
    budget: float | None = param(default=None, when="route", validator=budget_without_lambda, help=BUDGET)


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
    early_stopping: bool = param(
        default=True, was=("monitor",), help="reference: stop early by the selection metric on dev"
    )
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
    early_stopping: bool = param(
        default=True, was=("monitor",), help="stop early by the selection metric on dev, and keep the best epoch"
    )
    patience: int = param(default=3, validator=validators.ge(1), help="epochs without a better dev score")
    min_delta: float = param(default=1e-4, validator=at_least_0, help="what makes a dev score better")
    loss_patience: int = param(
        default=10, validator=validators.ge(1), help="without early_stopping: epochs without a smaller train loss"
    )
    device: Literal["cpu", "cuda", "auto"] = param(
        default="cpu", help="where it is trained; auto: cuda if there is one"
    )
