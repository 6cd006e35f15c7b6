"""What the sections of an experiment file hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import validators

from vlrb.api.components import param
from vlrb.api.records import HIGHEST_PRICE
from vlrb.experiment.document import CONTROL, redacted_repr

TABLES = ("logs", "benchmark", "tokens", "split", "features", "plugin")


ARRAYS = ("router", "metric", "report", "model", "dataset")


def _fraction(_: Any, _attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"must be between 0 and 1, both excluded, not {value!r}")


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a folder everywhere: no separators, no control characters, not hidden."""
    return (
        bool(name)
        and name == Path(name).name
        and not name.startswith(".")
        and "\\" not in name
        and not CONTROL.search(name)
    )


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
    protocol: Literal["strict", "paper"] = param(
        default="strict", help="paper: a preset of keys that sets the evaluation up as VL-RouterBench's own scripts do"
    )
    cost_bounds: Literal["train", "all"] = param(
        default="train", help="rows from which the cost bounds of the rank score are taken"
    )
    select_by: str = param(
        default="rank-score", help="metric by which a router may select, and by which the winner of a sweep is chosen"
    )
    select_on: Literal["dev", "test"] = param(
        default="dev", help='split on which the winner of a sweep is chosen; test only with protocol = "paper"'
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
    correct_at: float = param(default=1.0, help="score from which an answer counts as correct in Y")
    expect: str = param(
        default="",
        validator=_digest,
        help="fingerprint of the benchmark, or its first characters; another one is refused",
    )

    @correct_at.validator
    def _in_range(self, _: Any, value: float) -> None:
        if not 0 < value <= 1:
            raise ValueError(f"must be above 0 and at most 1, not {value!r}")


@attrs.frozen
class SplitSection:
    """``[split]``."""

    method: Literal["stratified", "paper", "given"] = param(
        default="stratified",
        help="paper: sample by sample, numpy seed over sorted ids, not stratified; given: as the logs prescribe",
    )
    train: float = param(default=0.7, validator=_fraction, help="share of the samples")
    dev: float = param(default=0.1, validator=_fraction, help="share of the samples")
    test: float = param(default=0.2, validator=_fraction, help="share of the samples")
    seed: int = param(
        default=42,
        validator=[validators.ge(0), validators.lt(2**32)],
        help="seed of the split, apart from the routers' seeds",
    )
    group_by: Literal["image", "sample"] | None = param(
        default=None,
        help="image (default): questions that share an image or a group never straddle two splits; sample: the paper's method",
    )
    near_duplicates: float | None = param(
        default=None,
        validator=validators.optional([validators.gt(0), validators.le(1)]),
        help="similarity from which texts count as nearly the same, and stay on one side too; default: no look at it",
    )
    expect: str = param(
        default="", validator=_digest, help="digest of the split, or its first characters; another one is refused"
    )

    @property
    def grouping(self) -> str:
        """Return what is dealt out as a whole."""
        return self.group_by or ("image" if self.method == "stratified" else "sample")


@attrs.frozen
class FeatureSection:
    """``[features.NAME]``; the encoders stand beside it, as components."""

    fusion: Literal[
        "concat",
        "normalize-concat",
        "average",
        "weighted-average",
        "concat-interaction",
        "normalize-concat-interaction",
        "only-text",
        "only-image",
    ] = param(default="normalize-concat", help="normalize-: each encoder's rows are scaled to unit length first")
    text_weight: float = param(
        default=0.5,
        validator=[validators.ge(0), validators.le(1)],
        help="of the text in weighted-average; the image has the rest",
    )


_PRICE = validators.optional(validators.and_(validators.ge(0), validators.le(HIGHEST_PRICE)))


@attrs.frozen
class ModelSection:
    """``[[model]]``: a candidate model of one's own, or other prices for a known one."""

    name: str = param()
    aliases: tuple[str, ...] = param(default=())
    input_price_per_million: float | None = param(default=None, validator=_PRICE)
    output_price_per_million: float | None = param(default=None, validator=_PRICE)
    parameters: float | Literal["api"] | None = param(default=None, help='billions, or "api" where not published')


@attrs.frozen
class DatasetSection:
    """``[[dataset]]``: a dataset of one's own."""

    name: str = param()
    group: str = param(default="own")
    task: str = param(default="")
    scorer: str = param(default="")
    slug: str = param(default="")
    aliases: tuple[str, ...] = param(default=())
    samples: int | None = param(default=None)
    id_column: str = param(default="index")
    circular: bool = param(default=False)
    group_column: str = param(default="", help="samples with the same cell here are kept on one side of a split")
    group_pattern: str = param(
        default="", help="regular expression; its first group is the part of the cell that counts"
    )
