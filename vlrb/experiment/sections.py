"""What the sections of an experiment file hold."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs
from attrs import validators

from vlrb.api.components import param
from vlrb.experiment.document import CONTROL, redacted_repr

TABLES = ("logs", "benchmark", "tokens", "split", "features", "selection", "executor", "plugin")
ARRAYS = ("router", "metric", "report", "model", "dataset")


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
        if len(set(value)) != len(value) or not all(0 < v <= 1 for v in value):
            raise ValueError(f"must be distinct numbers above 0, at most 1, not {shown}")
        if 1 not in value:
            raise ValueError(f"must contain 1, since the leaderboard is of the whole train, not {shown}")


@attrs.frozen
class SelectionSection:
    """``[selection]``."""

    metric: str = param(
        default="rank-score", help="metric by which a router may select, and by which the winner of a sweep is chosen"
    )
    on: Literal["dev", "test"] = param(
        default="dev", help="split on which the winner of a sweep is chosen; test only where the protocol says so"
    )
