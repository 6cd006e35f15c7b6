"""Features as the tree libraries take them: categories as codes, gaps as NaN, names that both libraries accept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from vlrb import Array, Column, DataError, Queries
from vlrb_plugins.shared.fitted import given_features


@attrs.frozen(eq=False)
class Table:
    """The columns that a router was fitted on, and the categories seen there: column number -> ascending values."""

    columns: tuple[Column, ...]
    categories: Mapping[int, Array]

    @classmethod
    def of(cls, queries: Queries, router: str) -> Table:
        """Learn the columns, and the categories on these queries.

        :raises DataError: when there are no features
        """
        features = given_features(queries, router)
        categories = {}
        for j, column in enumerate(features.columns):
            if column.kind == "categorical":
                values = np.unique(features.matrix[:, j])
                categories[j] = values[~np.isnan(values)].astype(np.float64)
        return cls(features.columns, categories)

    def matrix(self, queries: Queries, router: str) -> Array:
        """Return float32[n, d] with codes 0, 1 ... in categorical columns; a category never seen is a gap.

        :raises DataError: when there are no features, or of other columns than in the fit
        """
        features = given_features(queries, router)
        if features.columns != self.columns:
            what = _difference(features.columns, self.columns)
            raise DataError(what, where=router, fix="use the feature set of the fit")
        if not self.categories:
            return features.matrix
        coded = np.array(features.matrix)
        for j, values in self.categories.items():
            coded[:, j] = _codes(features.matrix[:, j], values)
        return coded

    @property
    def safe_names(self) -> list[str]:
        """Return a name per column, unique, of letters, digits and underscores only."""
        return safe_names([c.name for c in self.columns])


def safe_names(names: Sequence[str]) -> list[str]:
    """Return names of letters, digits and underscores, in order; of those that would be equal, all but the first get a number."""
    taken: set[str] = set()
    safe = []
    for i, name in enumerate(names):
        plain = re.sub(r"[^A-Za-z0-9_]+", "_", name) or "column"
        while plain in taken:
            plain = f"{plain}_{i}"
        taken.add(plain)
        safe.append(plain)
    return safe


def _codes(values: Array, known: Array) -> Array:
    if not known.size:
        return np.full(len(values), np.nan, dtype=np.float32)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[places] == values, places, np.nan).astype(np.float32)


def _difference(found: Sequence[Column], fitted: Sequence[Column]) -> str:
    if len(found) != len(fitted):
        return f"was fitted on {len(fitted):,} feature columns, not {len(found):,}"
    i = next(i for i, (a, b) in enumerate(zip(found, fitted, strict=True)) if a != b)
    return (
        f"feature column {i} is {found[i].name!r} ({found[i].kind}), in the fit {fitted[i].name!r} ({fitted[i].kind})"
    )
