"""Tokens and prices to costs."""

from __future__ import annotations

import numpy as np

from vlrb.api.logs import WithModelTokens
from vlrb.api.returned import FIX, plain_array
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS
from vlrb.benchmark.join import Joined
from vlrb.benchmark.listing import counter_of
from vlrb.benchmark.read import PartBuilder
from vlrb.errors import DataError, PluginError, Problem
from vlrb.experiment.plan import Plan
from vlrb.faults import short_repr
from vlrb.plugins.blame import blame


def add_model_tokens(joined: Joined, builder: PartBuilder) -> None:
    """Add the input tokens that depend on the model, where the token counter has such."""
    counter = builder.counter
    if not isinstance(counter, WithModelTokens) or not counter.per_model:
        return
    sizes = tuple(
        tuple((s["width"], s["height"]) for s in each or ())
        for each in joined.samples.column("image_sizes").to_pylist()
    )
    plugin = builder.plan.counter.plugin
    for j, name in enumerate(joined.models):
        with blame(plugin, f"counting the image tokens of {name}"):
            counted = counter.model_tokens(name, builder.plan.catalog.model(name), sizes)
            more = plain_array(counted, "what it returned", counter_of(builder.plan))
            whole = more.shape == (len(sizes),) and more.dtype.kind in "iu"
            if not whole or not ((more >= 0) & (more <= MOST_TOKENS)).all():
                what = f"{len(sizes):,} integers between 0 and {MOST_TOKENS:,}, not {short_repr(more)}"
                raise PluginError(f"{counter_of(builder.plan)} must return {what}", fix=FIX)
        joined.matrices["input_tokens"][:, j] += more


def fill_costs(joined: Joined, plan: Plan) -> None:
    """Turn tokens and prices into USD per sample, except where the logs give costs themselves.

    :raises DataError: for a model without a price, and where neither tokens nor costs are known
    """
    cost, inputs, outputs = (joined.matrices[m] for m in ("cost", "input_tokens", "output_tokens"))
    problems = []
    for j, name in enumerate(joined.models):
        model = plan.catalog.model(name)
        open_rows = np.isnan(cost[:, j])
        lacking = int((open_rows & ((inputs[:, j] < 0) | (outputs[:, j] < 0))).sum())
        if lacking:
            counter = plan.counter.registered.id
            problems.append(
                Problem(
                    f"token counter {counter!r} gives no tokens for {lacking:,} answers of {name}",
                    "[tokens] counter",
                    "name another counter, or add the tokens (or the costs) of these answers to the logs",
                )
            )
        elif open_rows.any() and (
            model is None or model.input_price_per_million is None or model.output_price_per_million is None
        ):
            problems.append(
                Problem(
                    f"model {name!r} has no price, and the logs give no costs",
                    "[[model]]",
                    f"add a table [[model]] with name = {name!r}, input_price_per_million and output_price_per_million",
                )
            )
        elif open_rows.any() and model is not None:
            low, high = model.input_price_per_million or 0.0, model.output_price_per_million or 0.0
            cost[open_rows, j] = (inputs[open_rows, j] * low + outputs[open_rows, j] * high) / 1e6
            problems += _too_dear(joined, j, low, high)
    if problems:
        raise DataError(problems)


def _too_dear(joined: Joined, j: int, low: float, high: float) -> list[Problem]:
    """Return a problem where the costs that tokens and prices make of a model's answers are beyond all use."""
    cost = joined.matrices["cost"][:, j]
    dear = np.flatnonzero(~(cost <= HIGHEST_COST) & ~np.isnan(cost))
    if not dear.size:
        return []
    row, name = int(dear[0]), joined.models[j]
    tokens = [int(joined.matrices[m][row, j]) for m in ("input_tokens", "output_tokens")]
    said = (
        f"{dear.size:,} answers of {name!r} cost more than {HIGHEST_COST:,.0f} US dollars each; the first, to sample "
        f"{joined.samples.column('id')[row].as_py()!r}, has {tokens[0]:,} tokens in at {low:g} and {tokens[1]:,} out at {high:g} "
        "US dollars per million"
    )
    return [Problem(said, "[[model]]", f"correct the prices of {name!r}, or the tokens in the logs")]


def total_tokens(joined: Joined) -> int | None:
    """Return all tokens, input counted once per sample; None where the logs do not give them."""
    inputs, outputs = joined.matrices["input_tokens"], joined.matrices["output_tokens"]
    if (inputs < 0).any() or (outputs < 0).any():
        return None
    return int(inputs.mean(axis=1).sum() if inputs.size else 0) + int(outputs.sum())
