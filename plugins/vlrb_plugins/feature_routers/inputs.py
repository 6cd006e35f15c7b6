"""What the feature-level routers take from the data, with errors that say what is missing."""

from __future__ import annotations

from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from vlrb import COST_SCALE, Array, Column, DataError, Features, Labelled, Queries, sealed, soft_targets
from vlrb_plugins.feature_routers.scaling import ZScore
from vlrb_plugins.shared.fitted import given_features


def features_of(queries: Queries, router: str, width: int | None = None) -> Features:
    """Return the features of the queries, with a column of 0 and 1 for each category of a categorical one.

    :param width: the number of columns, such ones among them, that the router was fitted on
    :raises DataError: when there are none, or not so many columns
    """
    features = _prepared(given_features(queries, router))
    columns = features.matrix.shape[1]
    if width is not None and columns != width:
        raise DataError(
            f"was fitted on {width:,} feature columns, but the queries have {columns:,}",
            where=router,
            fix="encode the queries with the encoders and the fusion that the router was fitted with",
        )
    return features


_PREPARED: WeakKeyDictionary[Features, Features] = WeakKeyDictionary()


def _prepared(features: Features) -> Features:
    """Return features with indicators, the same object each time, so that what was found for it is found again."""
    if not any(c.kind == "categorical" and c.categories for c in features.columns):
        return features
    if features not in _PREPARED:
        _PREPARED[features] = with_indicators(features)
    return _PREPARED[features]


def with_indicators(features: Features) -> Features:
    """Return features in which a categorical column of m categories has become m columns of 0 and 1, all 0 where it has a gap.

    A code is no quantity: its distance to another means nothing.  A column whose number of categories the encoder does not
    say stays as it is.
    """
    apart = [j for j, c in enumerate(features.columns) if c.kind == "categorical" and c.categories]
    kept = [j for j, c in enumerate(features.columns) if not (c.kind == "categorical" and c.categories)]
    parts, columns = [features.matrix[:, kept]], [features.columns[j] for j in kept]
    for j in apart:
        codes = np.arange(features.columns[j].categories, dtype=np.float32)
        parts.append((features.matrix[:, [j]] == codes).astype(np.float32))
        columns += [Column(f"{features.columns[j].name}={int(code)}", "numeric") for code in codes]
    return Features(sealed(np.hstack(parts)), tuple(columns))


def scaled_dev(dev: Labelled, scaler: ZScore, router: str) -> Array:
    """Return the features of the dev samples, scaled, which training is stopped by."""
    return scaler.apply(features_of(dev.queries, router, len(scaler.mean)).matrix)


def targets_of(train: Labelled, kept: Array, lambda_: float, variant: str, cost_scale: float = COST_SCALE) -> Array:
    """Return what is learnt of the kept rows, a distribution over their correct models, float64[n, k].

    With lambda inf equally cheap correct models share the label; in the variant ``reference`` the first has it.
    """
    ties: Literal["first", "shared"] = "first" if variant == "reference" else "shared"
    return soft_targets(train.quality[kept], train.cost[kept], lambda_, cost_scale=cost_scale, ties=ties)
