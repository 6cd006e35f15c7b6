"""What the feature-level routers take from the data, with errors that say what is missing."""

from __future__ import annotations

from vlrb.errors import DataError
from vlrb.targets import kept_rows
from vlrb.types import Array, Features, Labelled, Queries
from vlrb_plugins.feature_routers.scaling import ZScore


def features_of(queries: Queries, router: str, width: int | None = None) -> Features:
    """Return the features of the queries.

    :param width: the number of columns that the router was fitted on
    :raises DataError: when there are none, or not so many columns
    """
    if queries.features is None:
        fix = 'set features = "NAME" of a [features.NAME] table'
        raise DataError(f"{router} needs features", where="[[router]]", fix=fix)
    columns = queries.features.matrix.shape[1]
    if width is not None and columns != width:
        raise DataError(
            f"was fitted on {width} feature columns, but the queries have {columns}",
            where=router,
            fix="encode the queries with the encoders and the fusion that the router was fitted with",
        )
    return queries.features


def solved_rows(train: Labelled, router: str) -> Array:
    """Return the numbers of the train rows on which some model is right.

    :raises DataError: when there is none
    """
    rows = kept_rows(train.quality)
    if not rows.size:
        fix = "look at the scores in the data report of vlrb build"
        raise DataError(f"no model is right on any of {len(train)} train samples", where=router, fix=fix)
    return rows


def scaled_dev(dev: Labelled, scaler: ZScore, router: str) -> Array:
    """Return the features of the dev samples, scaled, which training is stopped by."""
    return scaler.apply(features_of(dev.queries, router, len(scaler.mean)).matrix)
