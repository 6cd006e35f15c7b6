"""The bundled splitters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs
import numpy as np

from vlrb import SPLITS, Array, DataError, NoParams, SplitRows, SplitSamples, joined_groups, shorten_list
from vlrb_plugins.shared.sample_split import sample_split
from vlrb_plugins.splits.params import GroupedParams, SamplesParams


@attrs.frozen
class Samples:
    """VL-RouterBench's split, sample by sample."""

    params: SamplesParams

    def __call__(self, samples: SplitSamples) -> SplitRows:
        """Return the split."""
        params = self.params
        train, dev, test = sample_split(len(samples.ids), params.train, params.dev, params.seed)
        return SplitRows(train, dev, test, f"sample by sample, seed {params.seed}")


@attrs.frozen
class Given:
    """The split that the logs prescribe."""

    params: NoParams

    def __call__(self, samples: SplitSamples) -> SplitRows:
        """Return the split.

        :raises DataError: when a sample has no split, or a split no sample
        """
        names = np.asarray([name if name in SPLITS else "" for name in samples.given])
        without = [samples.ids[i] for i in np.flatnonzero(names == "").tolist()]
        if without:
            raise DataError(
                f"the logs put {len(without):,} of {len(names):,} samples into none of {', '.join(SPLITS)}: "
                f"{shorten_list(without)}",
                where="[split] use",
                fix='choose use = "grouped", or use logs that say the split of every sample',
            )
        for name in SPLITS:
            if name not in names:
                what = f"the logs put none of {len(names):,} samples into {name!r}"
                fix = f'let the logs name samples for {name}, or choose use = "grouped"'
                raise DataError(what, where="[split] use", fix=fix)
        train, dev, test = (np.flatnonzero(names == name) for name in SPLITS)
        return SplitRows(train, dev, test, "as the logs give it")


@attrs.frozen
class Grouped:
    """Whole groups dealt out, dataset by dataset."""

    params: GroupedParams

    def __call__(self, samples: SplitSamples) -> SplitRows:
        """Return the split."""
        params, groups = self.params, samples.groups
        near = ""
        if params.near_duplicates is not None:
            from vlrb_plugins.splits.near_texts import near_pairs

            groups = joined_groups(groups, [*near_pairs(samples.texts, params.near_duplicates)])
            near = f"texts of similarity {params.near_duplicates:g}, "
        whole = params.group_by == "image"
        units = groups if whole else np.arange(len(samples.ids))
        train, dev, test = stratified_split(samples.ids, samples.datasets, units, params)
        made = f"{near if whole else 'sample by sample, '}seed {params.seed}"
        return SplitRows(train, dev, test, made, keeps_groups=whole, groups=groups)


def stratified_split(ids: Sequence[str], datasets: Array, units: Array, params: SamplesParams) -> list[Array]:
    """Return the rows of train, dev and test: whole units are dealt out, dataset by dataset, in the order of a seeded hash.

    Large units come first.  Each goes to the split that lacks most of its share among those with room for it, so that large
    and small units are spread alike; where none has room, to the one that lacks most samples.

    :param datasets: str[n]
    :param units: int[n], the unit that each sample belongs to
    """
    members: dict[int, list[int]] = {}
    for i, unit in enumerate(units.tolist()):
        members.setdefault(unit, []).append(i)
    shares = np.array([params.train, params.dev, params.test])
    names, counts = np.unique(datasets, return_counts=True)
    target = {str(n): c * shares for n, c in zip(names, counts, strict=True)}
    filled = {n: np.zeros(3) for n in target}

    def order(rows: list[int]) -> tuple[int, bytes]:
        return -len(rows), hashlib.sha256(f"{params.seed}:{ids[rows[0]]}".encode()).digest()

    dealt: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in sorted(members.values(), key=order):
        dataset = str(datasets[rows[0]])
        lacking = target[dataset] - filled[dataset]
        room = lacking >= len(rows) - 1e-9
        choice = int(np.where(room, lacking / target[dataset], -np.inf).argmax() if room.any() else lacking.argmax())
        for i in rows:
            filled[str(datasets[i])][choice] += 1
        dealt[choice].extend(rows)
    return [np.array(sorted(rows), dtype=np.int64) for rows in dealt]
