"""The splitters that test on datasets or task groups that routers were not fitted on."""

from __future__ import annotations

import attrs
import numpy as np

from vlrb import Array, DataError, Splits, SplitSamples, did_you_mean, shorten_list
from vlrb_plugins.splits.params import HoldOutParams, LeaveOneOutParams
from vlrb_plugins.splits.tested import none_straddles, tested_in_turn


@attrs.frozen
class HoldOut:
    """Datasets or task groups are test."""

    params: HoldOutParams

    def __call__(self, samples: SplitSamples) -> Splits:
        """Return the split.

        :raises DataError: when a dataset or task group is not there, or all are held out
        """
        params = self.params
        if params.datasets:
            key, wanted, values = "datasets", params.datasets, samples.datasets
        else:
            key, wanted, values = "task_groups", params.task_groups, samples.task_groups
        known = {name: name for name in np.unique(values).tolist()}
        by_slug = {slug: name for name, slug in samples.slugs.items()} if params.datasets else {}
        for name in wanted:
            if name not in {*known, *by_slug}:
                what = f"no sample is of {name!r}"
                raise DataError(what, where=f"[split] {key}", fix=did_you_mean(name, {*known, *by_slug}))
        test = np.isin(values, [known.get(name) or by_slug[name] for name in wanted])
        if test.all():
            what = f"all {len(samples.ids):,} samples are held out, so none is left to train on"
            raise DataError(
                what, where=f"[split] {key}", fix=f"hold out fewer; the samples are of {shorten_list(known)}"
            )
        return _rest_dealt(samples, params, {"": test}, f"{shorten_list(wanted)} held out", pooled=False)


@attrs.frozen
class LeaveOneOut:
    """Each dataset, or each task group, is test once."""

    params: LeaveOneOutParams

    def __call__(self, samples: SplitSamples) -> Splits:
        """Return a split for each.

        :raises DataError: when there is only one
        """
        params = self.params
        if params.by == "dataset":
            what, values = "dataset", np.array([samples.slugs[name] for name in samples.datasets.tolist()])
        else:
            what, values = "task group", samples.task_groups
        names = np.unique(values).tolist()
        if len(names) < 2:
            message = f"all {len(samples.ids):,} samples are of one {what}, {names[0]!r}, so none is left to train on"
            raise DataError(
                message, where="[split] by", fix=f'use samples of a second {what}, or choose use = "grouped"'
            )
        return _rest_dealt(
            samples, params, {name: values == name for name in names}, f"each {what} held out once", pooled=True
        )


def _rest_dealt(
    samples: SplitSamples,
    params: HoldOutParams | LeaveOneOutParams,
    tests: dict[str, Array],
    made: str,
    *,
    pooled: bool,
) -> Splits:
    each = tested_in_turn(samples, samples.groups, tests, (params.train, params.dev), params.seed)
    whole = none_straddles(samples.groups, tests)
    return Splits(each, f"{made}, seed {params.seed}", pooled=pooled, keeps_groups=whole)
