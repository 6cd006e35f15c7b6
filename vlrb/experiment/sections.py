"""What the sections of an experiment file hold."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs
from attrs import validators

from vlrb.api.components import param
from vlrb.experiment.document import CONTROL, redacted_repr

TABLES = ("logs", "benchmark", "tokens", "split", "features", "selection", "statistics", "executor", "plugin")
ARRAYS = ("router", "metric", "report", "model", "dataset")
LOADING = ("plugins", "only_plugins", "include")
"""The keys of :class:`General` that say what is loaded; an experiment is resolved without them."""


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a folder everywhere: no separators, no control characters, not hidden."""
    return re.fullmatch(r"[^./\\][^/\\]*", name) is not None and not CONTROL.search(name)


def _file_name(_: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if not is_file_name(value):
        raise ValueError(f"must be usable as the name of a folder, not {value!r}")


def _digest(_: Any, _attribute: attrs.Attribute[Any], value: str) -> None:
    if value and not re.fullmatch(r"[0-9a-f]{8,64}", value):
        raise ValueError(f"must be 8 to 64 hexadecimal digits, as tables and results show them, not {value!r}")


@attrs.frozen
class General:
    """The keys that stand at the top of the file."""

    name: str = param(validator=_file_name, help="name of the experiment and of its folder under runs/")
    seeds: tuple[int, ...] = param(default=(42,), help="seeds of the routers, one cell each")
    protocol: str = param(
        default="strict", help="a preset of keys; paper sets the evaluation up as VL-RouterBench's own scripts do"
    )
    cost_bounds: Literal["train", "all"] = param(
        default="train", help="rows from which the cost bounds of the rank score are taken"
    )
    requires: tuple[str, ...] = param(default=("mlflow",), help="plugins without which the run is refused")
    plugins: tuple[str, ...] = param(default=(), help="plugin files, relative to this file")
    only_plugins: tuple[str, ...] | None = param(
        default=None, help="the installed plugins that may be imported beyond the bundled ones; default: all"
    )
    include: tuple[str, ...] = param(default=(), help="files that are merged into this one")

    @seeds.validator
    def _seeds(self, _: Any, value: tuple[int, ...]) -> None:
        if not value or len(set(value)) != len(value) or min(value) < 0:
            raise ValueError(f"must be distinct integers of at least 0, at least one, not {redacted_repr(list(value))}")


@attrs.frozen
class BenchmarkSection:
    """``[benchmark]``."""

    datasets: tuple[str, ...] = param(
        default=(), help="names, aliases, task groups or sets; default: what the logs hold"
    )
    models: tuple[str, ...] = param(default=(), help="names, aliases or sets; default: what the logs hold")
    missing: Literal["error", "drop-sample", "drop-model"] = param(
        default="error", help="what becomes of a sample that not every model answered"
    )
    verdicts: Literal["stored", "scored"] = param(
        default="stored",
        help="stored: the logs' verdicts, the dataset's scorer where they hold none; scored: the scorer judges every answer",
    )
    unknown: Literal["error", "stored", "wrong", "drop"] = param(
        default="error",
        help='what becomes of an answer that no rule can judge; stored (with verdicts = "scored"): as the logs judge it',
    )
    correct_at: float = param(
        default=1.0,
        validator=[validators.gt(0), validators.le(1)],
        help="score from which an answer counts as correct in Y",
    )
    expect: str = param(
        default="",
        validator=_digest,
        help="fingerprint of the benchmark, or its first characters; another one is refused",
    )


@attrs.frozen
class SplitSection:
    """``[split]``, less the splitter's parameters."""

    expect: str = param(
        default="", validator=_digest, help="digest of the split, or its first characters; another one is refused"
    )
    train_fraction: tuple[float, ...] = param(
        default=(1.0,), help="shares of train that routers are also fitted on, for learning curves; 1 is one of them"
    )

    @train_fraction.validator
    def _fractions(self, _: Any, value: tuple[float, ...]) -> None:
        shown = redacted_repr(list(value))
        if len({f"{v:g}" for v in value}) != len(value) or not all(0 < v <= 1 for v in value):
            raise ValueError(f"must be numbers above 0, at most 1, that differ in their first six digits, not {shown}")
        if 1 not in value:
            raise ValueError(f"must contain 1, since the leaderboard is of the whole train, not {shown}")


@attrs.frozen
class SelectionSection:
    """``[selection]``."""

    metric: str = param(
        default="rank-score", help="metric by which a router may select, and by which a point of a sweep is chosen"
    )
    on: Literal["dev", "folds", "test"] = param(
        default="dev",
        help="rows on which a point is chosen; folds: cross-validated inside train and dev; test only where the protocol says so",
    )
    folds: int = param(default=5, validator=validators.ge(2), help='number of folds where on = "folds"')
    rule: Literal["best", "one-standard-error", "predicted"] = param(
        default="best",
        help="best: the best value; one-standard-error: the cheapest point within one standard error of it; "
        "predicted: the best value by the router's own calibrated estimates, if it has any",
    )
    refit: bool = param(default=False, help="fit the chosen point again on train and dev")

    @property
    def inner_folds(self) -> int:
        """Return the number of inner folds; 0 where none are needed."""
        return self.folds if self.on == "folds" else 0


def _level(_: Any, _attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0.5 <= value < 1:
        raise ValueError(f"must be at least 0.5 and below 1, not {value!r}")


@attrs.frozen
class StatisticsSection:
    """``[statistics]``."""

    draws: int = param(
        default=2000, validator=[validators.ge(100), validators.le(100_000)], help="bootstrap draws of the test groups"
    )
    level: float = param(default=0.95, validator=_level, help="of the intervals")
    seed: int = param(default=0, validator=[validators.ge(0), validators.lt(2**32)], help="seed of the draws")
    baseline: str = param(
        default="best-single", help="the reference point or router from which the differences of all rows are taken"
    )
    pairs: tuple[tuple[str, ...], ...] = param(
        default=(), help="further differences: pairs of routers or reference points"
    )
    by: tuple[str, ...] = param(
        default=(), help="columns of the samples: every metric also for the samples of each of their values"
    )

    @pairs.validator
    def _pairs(self, _: Any, value: tuple[tuple[str, ...], ...]) -> None:
        for pair in value:
            if len(pair) != 2 or pair[0] == pair[1]:
                raise ValueError(f"must be lists of two different names, not {redacted_repr(list(pair))}")
