"""The splitter that takes what the logs prescribe."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
import numpy as np

from vlrb import SPLITS, DataError, SplitRows, Splits, SplitSamples, shorten_list
from vlrb_plugins.splits.params import GivenParams
from vlrb_plugins.splits.tested import none_straddles, tested_in_turn

Values = Sequence[str | None]


@attrs.frozen
class Given:
    """The split that the logs prescribe, those of further columns, or a column of fold numbers."""

    params: GivenParams

    def __call__(self, samples: SplitSamples) -> Splits:
        """Return the splits.

        :raises DataError: when a sample has no split, or a split no sample
        """
        names = self.params.columns
        if not names:
            return Splits((_prescribed(samples, samples.given, "the split of the logs", "use"),), "as the logs give it")
        columns = {name: samples.column(name) for name in names}
        if len(names) == 1 and any(map(_is_number, columns[names[0]])):
            return self._folds(samples, names[0], columns[names[0]])
        self._check_unused()
        each = [
            _prescribed(samples, values, f"the column {name!r}", "columns", name if len(names) > 1 else "")
            for name, values in columns.items()
        ]
        return Splits(
            tuple(each), f"as the {'columns' if len(names) > 1 else 'column'} {shorten_list(names)} of the samples"
        )

    def _check_unused(self) -> None:
        """Refuse parameters that only divide the rest of folds."""
        default = GivenParams(columns=self.params.columns)
        for key in ("train", "dev", "seed"):
            if getattr(self.params, key) != getattr(default, key):
                what = f"{key} needs a column of fold numbers, and {self.params.columns[0]!r} has none"
                raise DataError(what, where=f"[split] {key}", fix=f"remove {key}, or name a column of fold numbers")

    def _folds(self, samples: SplitSamples, column: str, values: Values) -> Splits:
        numbers = [int(value) if value is not None and _is_number(value) else -1 for value in values]
        others = _named(samples, values, [i for i, number in enumerate(numbers) if number < 0])
        what, fix = (
            f"the column {column!r} puts all samples into fold {numbers[0]}",
            "use a column with at least two folds",
        )
        if others:
            count = f"{len(others):,} of {len(values):,} samples"
            what = f"the column {column!r} has fold numbers, and {count} have none: {shorten_list(others)}"
            fix = "give each sample the number of its fold"
        if others or len(set(numbers)) < 2:
            raise DataError(what, where="[split] columns", fix=fix)
        fold = np.array(numbers)
        tests = {f"fold-{number}": fold == number for number in sorted(set(numbers))}
        ratio = [share for share in (self.params.train, self.params.dev) if share is not None]
        each = tested_in_turn(samples, samples.groups, tests, ratio, self.params.seed)
        made = f"{len(tests)} folds of the column {column}, seed {self.params.seed}"
        return Splits(each, made, pooled=True, keeps_groups=none_straddles(samples.groups, tests))


def _prescribed(samples: SplitSamples, values: Values, source: str, key: str, name: str = "") -> SplitRows:
    """Return the split that values say.

    :param source: what the values are of, for messages
    :param key: of ``[split]``
    """
    parts = np.asarray([value if value in SPLITS else "" for value in values])
    others = _named(samples, values, np.flatnonzero(parts == "").tolist())
    where, fix = f"[split] {key}", 'choose use = "grouped", or use logs that say the split of every sample'
    if len(others) == len(parts) and key == "use":
        raise DataError(
            f"the logs give no split of their {len(parts):,} samples", where=where, fix='choose use = "grouped"'
        )
    if others:
        if key == "columns":
            fix = "correct them in the logs, or name another column; a column of fold numbers must be the only one"
        what = f"{source} puts {len(others):,} of {len(parts):,} samples into none of {', '.join(SPLITS)}"
        raise DataError(f"{what}: {shorten_list(others)}", where=where, fix=fix)
    for part in SPLITS:
        if part not in parts:
            what = f"{source} puts none of {len(parts):,} samples into {part!r}"
            fix = f'let the logs name samples for {part}, or choose use = "grouped"'
            raise DataError(what, where=where, fix=fix)
    train, dev, test = (np.flatnonzero(parts == part) for part in SPLITS)
    return SplitRows(train, dev, test, re.sub(r"[^\w.=+-]", "_", name))


def _is_number(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"[0-9]{1,9}", value) is not None


def _named(samples: SplitSamples, values: Values, rows: Sequence[int]) -> list[str]:
    """Return ids of samples with what stands there instead."""
    return [samples.ids[i] + (f" ({values[i]!r})" if values[i] else "") for i in rows]
