"""What every answer costs: tokens that depend on the model, times its prices, unless the logs give costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vlrb.api.logs import WithModelTokens
from vlrb.api.returned import FIX, plain_array
from vlrb.api.routing import Candidate
from vlrb.api.schemas import HIGHEST_COST, MOST_TOKENS
from vlrb.benchmark.checks import label_of, refuse
from vlrb.benchmark.join import Joined
from vlrb.benchmark.read import PartBuilder
from vlrb.errors import PluginError, Problem
from vlrb.experiment.plan import Plan
from vlrb.plugins.blame import blame
from vlrb.texts import short_repr


def add_model_tokens(joined: Joined, builder: PartBuilder) -> None:
    """Add the input tokens that depend on the model, if the token counter counts any."""
    counter, chosen = builder.counter, builder.plan.counter
    if not isinstance(counter, WithModelTokens) or not counter.per_model:
        return
    listed = joined.samples.column("image_sizes").to_pylist()
    sizes = tuple(tuple((s["width"], s["height"]) for s in each or ()) for each in listed)
    for j, name in enumerate(joined.models):
        with blame(chosen.plugin, f"counting the image tokens of {name}"):
            counted = counter.model_tokens(name, builder.plan.catalog.model(name), sizes)
            more = plain_array(counted, "what it returned", label_of(chosen))
            whole = more.shape == (len(sizes),) and more.dtype.kind in "iu"
            if not whole or not ((more >= 0) & (more <= MOST_TOKENS)).all():
                what = f"{len(sizes):,} integers between 0 and {MOST_TOKENS:,}, not {short_repr(more)}"
                raise PluginError(f"{label_of(chosen)} must return {what}", fix=FIX)
        joined.input_tokens[:, j] += more


def candidate_of(plan: Plan, name: str) -> Candidate:
    """Return what is known of a model that the logs name."""
    model = plan.catalog.model(name)
    if model is None:
        return Candidate(name)
    return Candidate(name, model.input_price_per_million, model.output_price_per_million, model.parameters)


def fill_costs(joined: Joined, plan: Plan) -> None:
    """Turn tokens and prices into USD per sample, except where the logs give costs; refuse what cannot be priced."""
    refuse(p for j, name in enumerate(joined.models) for p in _fill_column(joined, j, candidate_of(plan, name), plan))


def _fill_column(joined: Joined, j: int, model: Candidate, plan: Plan) -> Iterator[Problem]:
    cost, inputs, outputs = joined.cost[:, j], joined.input_tokens[:, j], joined.output_tokens[:, j]
    rows = np.isnan(cost)
    low, high = model.input_price, model.output_price
    lacking = int((rows & ((inputs < 0) | (outputs < 0))).sum())
    if lacking:
        what = f"token counter {plan.counter.registered.id!r} gives no tokens for {lacking:,} answers of {model.name}"
        fix = "name another counter, or add the tokens (or the costs) of these answers to the logs"
        yield Problem(what, "[tokens] counter", fix)
    elif rows.any() and (low is None or high is None):
        what = f"model {model.name!r} has no price, and the logs give no costs"
        fix = f"add a table [[model]] with name = {model.name!r}, input_price_per_million and output_price_per_million"
        yield Problem(what, "[[model]]", fix)
    elif rows.any():
        cost[rows] = (inputs[rows] * low + outputs[rows] * high) / 1e6
        dear = np.flatnonzero(cost > HIGHEST_COST)
        if dear.size:
            row = int(dear[0])
            what = (
                f"{dear.size:,} answers of {model.name!r} cost more than {HIGHEST_COST:,.0f} US dollars each; the first, to sample "
                f"{joined.samples.column('id')[row].as_py()!r}, has {inputs[row]:,} tokens in at {low:g} and {outputs[row]:,} out "
                f"at {high:g} US dollars per million"
            )
            yield Problem(what, "[[model]]", f"correct the prices of {model.name!r}, or the tokens in the logs")
