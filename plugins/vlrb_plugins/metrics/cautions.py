"""Where the metrics mislead, in a sentence each; an evaluation is that of the best single model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vlrb import Evaluation, Undefined
from vlrb_plugins.metrics.rank import normalised_cost, rank_score

NEARLY_MOST_EXPENSIVE = 0.05
"""A normalised cost K below this leaves an accurate model little of its rank score: at accuracy 0.8, at most 0.34."""
FAR_COST = 10.0
"""A cost bound is set by one model where it is so many times as expensive, or as cheap, as the next model."""
WIDE_GAP = 0.1
"""An Oracle so far above the best single model invites the belief that a router could close much of the gap."""


def of_rank_score(evaluation: Evaluation, beta: float) -> Sequence[str]:
    """Return what is wrong with the rank score: a nearly most expensive best model, and bounds that one model sets."""
    bounds = evaluation.bounds
    if bounds.free:
        verb, them = ("costs", "it") if len(bounds.free) == 1 else ("cost", "them")
        return [
            f"{', '.join(bounds.free)} {verb} nothing on {bounds.rows} rows, so the lower cost bound is 0 USD/sample and the "
            f"rank score undefined: leave {them} out with `[benchmark] models`, give {them} a price in `[[model]]`, or compare "
            f"accuracy and average-cost"
        ]
    random = rank_score(float(evaluation.quality.mean()), float(evaluation.cost.mean()), bounds.low, bounds.high, beta)
    if isinstance(random, Undefined):
        return []
    return [*_nearly_most_expensive(evaluation, beta, random), *_far_bounds(evaluation)]


def _nearly_most_expensive(evaluation: Evaluation, beta: float, random: float) -> Iterator[str]:
    """Yield a sentence where a model chosen at random is ranked above a best single model that is nearly the most expensive one."""
    bounds = evaluation.bounds
    right, cost = (float(evaluation.chosen(m).mean()) for m in (evaluation.quality, evaluation.cost))
    normalised = normalised_cost(cost, bounds.low, bounds.high)
    own = rank_score(right, cost, bounds.low, bounds.high, beta)
    if normalised < NEARLY_MOST_EXPENSIVE and not isinstance(own, Undefined) and own < random:
        yield (
            f"the best single model, {_best(evaluation)}, costs {cost:.3g} USD/sample where the upper cost bound is "
            f"{bounds.high:.3g} (normalised cost {normalised:.3f} of 1), so its rank score is {own:.3f} at an accuracy of "
            f"{100 * right:.1f} %, below the {random:.3f} of a model chosen at random: compare with it by accuracy and "
            f"average-cost"
        )


def _far_bounds(evaluation: Evaluation) -> Iterator[str]:
    """Yield a sentence for each cost bound that one model of three or more sets, far from all others."""
    means, names, bounds = evaluation.cost.mean(axis=0), evaluation.models, evaluation.bounds
    if means.size < 3 or means.min() <= 0:
        return
    order = np.argsort(means, kind="stable").tolist()
    ends = (
        (order[-1], order[-2], "as expensive as the second most expensive", "upper", "at least"),
        (order[0], order[1], "cheaper than the second cheapest", "lower", "at most"),
    )
    for one, other, compared, side, limit in ends:
        times = max(means[one] / means[other], means[other] / means[one])
        if times > FAR_COST:
            normalised = normalised_cost(float(means[other]), bounds.low, bounds.high)
            yield (
                f"{names[one]} costs {means[one]:.3g} USD/sample, {times:.0f} times {compared} model, {names[other]} "
                f"({means[other]:.3g}), and alone sets the {side} cost bound, so every other model has a normalised cost of "
                f"{limit} {normalised:.2f} in the rank score: leave it out with `[benchmark] models`, or compare accuracy and "
                f"average-cost"
            )


def of_oracle_gap(evaluation: Evaluation) -> Sequence[str]:
    """Return what is wrong with the share of the Oracle gap: that chance alone makes such a gap.

    The Oracle of models that answer each sample right by a coin flip at their own accuracy a is right on 1 - prod(1 - a) of
    the samples.  No router can learn from coins, so a gap that they would make too says nothing of what can be learnt.  On
    three real logs of 7 to 20 models coins give Oracles of 79 to 99.7 %, above the real ones (59 to 92 %).  The data report
    compares the Oracle with guessing among the options; an evaluation has no options, and coins need none.
    """
    quality = evaluation.quality
    best = float(quality[np.arange(len(quality)), evaluation.best_single_choices].mean())
    oracle = float(quality[np.arange(len(quality)), evaluation.oracle_choices].mean())
    coins = 1 - float(np.prod(1 - quality.mean(axis=0)))
    if oracle - best < WIDE_GAP or coins < oracle:
        return []
    return [
        f"the Oracle ({100 * oracle:.1f} %) could be chance: {quality.shape[1]} models that are right at random, each with its own "
        f"accuracy, would give one of {100 * coins:.1f} %; judge a router by its difference from the best single model, "
        f"{_best(evaluation)} ({100 * best:.1f} %)"
    ]


def _best(evaluation: Evaluation) -> str:
    """Return the name of the best single model; of several, over folds, the one of most samples."""
    return evaluation.models[int(np.bincount(evaluation.best_single_choices).argmax())]
