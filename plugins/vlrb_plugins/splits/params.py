"""Parameters of the splitters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs
from attrs import validators

from vlrb import param


def _fraction(_: Any, _attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 < value < 1:
        raise ValueError(f"must be between 0 and 1, both excluded, not {value!r}")


def _seed(_: Any, _attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None and not 0 <= value < 2**32:
        raise ValueError(f"must be at least 0 and below 2**32, not {value!r}")


def _seeds(_: Any, attribute: attrs.Attribute[Any], value: tuple[int, ...]) -> None:
    for seed in value:
        _seed(None, attribute, seed)
    if len(set(value)) != len(value):
        raise ValueError(f"must be distinct, not {list(value)}")


def _names(_: Any, _attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    if len(set(value)) != len(value):
        raise ValueError(f"must be distinct, not {list(value)}")


def _default_if(holds: Callable[[Any], bool], value: Any) -> Any:
    """Return a default: ``value`` if ``holds`` is true of the parameters declared before it, else None."""
    return attrs.Factory(lambda self: value if holds(self) else None, takes_self=True)


@attrs.frozen
class RestParams:
    """How the samples that are not test are divided, for splitters that choose test otherwise."""

    train: float = param(default=0.7, validator=_fraction, help="with dev, the ratio in which the rest is divided")
    dev: float = param(default=0.1, validator=_fraction, help="with train, the ratio in which the rest is divided")
    seed: int = param(default=42, validator=_seed, help="seed of the split, apart from the routers' seeds")


@attrs.frozen
class SamplesParams:
    """Parameters of ``samples``, and of ``grouped``."""

    folds: int | None = param(
        default=None,
        validator=validators.optional(validators.ge(2)),
        help="number of folds: each sample is tested once, and the rest is divided in the ratio of train and dev",
    )
    seeds: tuple[int, ...] = param(default=(), validator=_seeds, help="instead of seed: one split for each")
    train: float = param(default=0.7, validator=_fraction, help="share of the samples")
    dev: float = param(default=0.1, validator=_fraction, help="share of the samples")
    test: float | None = param(
        default=_default_if(lambda self: self.folds is None, 0.2),
        validator=_fraction,
        help="share of the samples, 0.2 by default; not with folds",
    )
    seed: int | None = param(
        default=_default_if(lambda self: not self.seeds, 42),
        validator=_seed,
        help="seed of the split, apart from the routers' seeds, 42 by default; not with seeds",
    )

    def __attrs_post_init__(self) -> None:
        """Refuse keys that contradict each other, and shares that leave samples out, or take some twice."""
        if self.folds is not None and self.seeds:
            raise ValueError("folds and seeds exclude each other: folds test each sample once; remove one of them")
        if self.seeds and self.seed is not None:
            raise ValueError("seed and seeds exclude each other: remove one of them, or the protocol that sets seed")
        if self.folds is not None:
            if self.test is not None:
                raise ValueError("test and folds exclude each other: each fold is test once; remove one of them")
        elif self.test is not None and abs(self.train + self.dev + self.test - 1) > 1e-9:
            total = self.train + self.dev + self.test
            shares = f"{self.train:g} + {self.dev:g} + {self.test:g} = {total:g}"
            raise ValueError(f"train, dev and test must add up to 1, not {shares}")


@attrs.frozen
class GroupedParams(SamplesParams):
    """Parameters of ``grouped``."""

    group_by: Literal["image", "sample"] = param(
        default="image",
        help="image: questions that share an image or a group never straddle two splits; sample: each on its own",
    )
    near_duplicates: float | None = param(
        default=None,
        validator=validators.optional([validators.gt(0), validators.le(1)]),
        help="similarity from which texts count as nearly the same, and stay on one side too; default: not looked at",
    )


def _one_column(self: Any) -> bool:
    return len(self.columns) == 1


@attrs.frozen
class GivenParams:
    """Parameters of ``given``."""

    columns: tuple[str, ...] = param(
        default=(),
        validator=_names,
        help="columns of the samples with train, dev or test, one split each; or one with fold numbers, each of which is test "
        "once; default: the split of the logs",
    )
    train: float | None = param(
        default=_default_if(_one_column, 0.7),
        validator=_fraction,
        help="with fold numbers: with dev, the ratio in which the rest is divided, 0.7 by default",
    )
    dev: float | None = param(
        default=_default_if(_one_column, 0.1),
        validator=_fraction,
        help="with fold numbers: with train, the ratio in which the rest is divided, 0.1 by default",
    )
    seed: int | None = param(
        default=_default_if(_one_column, 42),
        validator=_seed,
        help="with fold numbers: seed by which the rest is divided, 42 by default",
    )

    def __attrs_post_init__(self) -> None:
        """Refuse keys that would change nothing."""
        without = [key for key in ("train", "dev", "seed") if getattr(self, key) is not None]
        if without and not _one_column(self):
            raise ValueError(f"{without[0]} needs one column of fold numbers, not columns = {list(self.columns)}")


@attrs.frozen
class HoldOutParams(RestParams):
    """Parameters of ``hold-out``."""

    datasets: tuple[str, ...] = param(default=(), validator=_names, help="names or slugs of the datasets that are test")
    task_groups: tuple[str, ...] = param(default=(), validator=_names, help="slugs of the task groups that are test")

    def __attrs_post_init__(self) -> None:
        """Refuse a split without test, and one with two ways to choose it."""
        if bool(self.datasets) == bool(self.task_groups):
            raise ValueError('give exactly one of datasets and task_groups, such as datasets = ["NAME"]')


@attrs.frozen
class LeaveOneOutParams(RestParams):
    """Parameters of ``leave-one-out``."""

    by: Literal["dataset", "task-group"] = param(default="dataset", help="what is held out in turn, one fold each")
