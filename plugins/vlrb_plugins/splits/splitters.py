"""The splitters that deal out samples: whole groups, or sample by sample."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from vlrb import Array, SplitRows, Splits, SplitSamples, grouped_folds, grouped_shares, joined_groups, shorten_list
from vlrb_plugins.shared.sample_split import sample_folds, sample_split
from vlrb_plugins.splits.params import GroupedParams, SamplesParams
from vlrb_plugins.splits.tested import tested_in_turn


@attrs.frozen
class Samples:
    """VL-RouterBench's split, sample by sample."""

    params: SamplesParams

    def __call__(self, samples: SplitSamples) -> Splits:
        """Return one split, one for each seed, or folds."""
        params, n = self.params, len(samples.ids)
        if params.folds is not None:
            folds = sample_folds(n, params.folds, params.train, params.dev, _seeds(params)[0])
            each = [_named_rows(f"fold-{i}", rows) for i, rows in enumerate(folds, 1)]
        else:
            each = [
                _named_rows(_seed_name(params, seed), sample_split(n, params.train, params.dev, seed))
                for seed in _seeds(params)
            ]
        return Splits(tuple(each), f"sample by sample, {_seeding(params)}", pooled=params.folds is not None)


@attrs.frozen
class Grouped:
    """Whole groups dealt out, dataset by dataset."""

    params: GroupedParams

    def __call__(self, samples: SplitSamples) -> Splits:
        """Return one split, one for each seed, or folds."""
        params, groups = self.params, samples.groups
        near = ""
        if params.near_duplicates is not None:
            from vlrb_plugins.splits.near_texts import near_pairs

            groups = joined_groups(groups, [*near_pairs(samples.texts, params.near_duplicates)])
            near = f"texts of similarity {params.near_duplicates:g}, "
        whole = params.group_by == "image"
        units = groups if whole else np.arange(len(samples.ids))
        made = f"{near if whole else 'sample by sample, '}{_seeding(params)}"
        if params.folds is not None:
            seed = _seeds(params)[0]
            fold = grouped_folds(units, samples.datasets, samples.ids, params.folds, seed)
            tests = {f"fold-{i + 1}": fold == i for i in range(params.folds)}
            each = tested_in_turn(samples, units, tests, (params.train, params.dev), seed)
        else:
            each = tuple(_dealt_split(samples, units, params, seed) for seed in _seeds(params))
        return Splits(each, made, pooled=params.folds is not None, keeps_groups=whole, groups=groups)


def _dealt_split(samples: SplitSamples, units: Array, params: GroupedParams, seed: int) -> SplitRows:
    shares = [share for share in (params.train, params.dev, params.test) if share is not None]
    part = grouped_shares(units, samples.datasets, samples.ids, shares, seed)
    return _named_rows(_seed_name(params, seed), [np.flatnonzero(part == i) for i in range(3)])


def _named_rows(name: str, rows: Sequence[Array]) -> SplitRows:
    train, dev, test = rows
    return SplitRows(train, dev, test, name)


def _seeds(params: SamplesParams) -> tuple[int, ...]:
    return params.seeds if params.seed is None else (params.seed,)


def _seed_name(params: SamplesParams, seed: int) -> str:
    return f"seed-{seed}" if params.seeds else ""


def _seeding(params: SamplesParams) -> str:
    """Return number and seeds of the splits as tables show them."""
    if params.seeds:
        return f"seeds {shorten_list(params.seeds)}"
    return (f"{params.folds} folds, " if params.folds else "") + f"seed {params.seed}"
