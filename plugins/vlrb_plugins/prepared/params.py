"""Parameters of the log source ``prepared``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from vlrb import param


def _distinct(_: object, attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    if len(set(value)) < len(value) or "" in value:
        raise ValueError(f"{attribute.name} must be distinct names, none of them empty, not {list(value)!r}")


@attrs.frozen
class PreparedParams:
    """Parameters of the log source ``prepared``."""

    path: Path = param(help="folder with data/matrices, data/registry and BENCHMARKS")
    models: tuple[str, ...] = param(
        default=(), validator=_distinct, help="names of the columns of Y and C in their order, where no file holds them"
    )
    order: Literal["ids", "meta"] = param(
        default="ids", help="meta: there is no list of sample ids; the rows of Y and C are those of meta.parquet"
    )
    images: Literal["required", "none"] = param(default="required", help="none: the samples' images are left out")
    assets: Path | None = param(default=None, help="folder that uri and tsv_file start from; default: path")
