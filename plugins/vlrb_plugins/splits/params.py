"""Parameters of the splitters."""

from __future__ import annotations

from typing import Any, Literal

import attrs
from attrs import validators

from vlrb import param


def _fraction(_: Any, _attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"must be between 0 and 1, both excluded, not {value!r}")


@attrs.frozen
class SamplesParams:
    """Parameters of ``samples``, and of ``grouped``."""

    train: float = param(default=0.7, validator=_fraction, help="share of the samples")
    dev: float = param(default=0.1, validator=_fraction, help="share of the samples")
    test: float = param(default=0.2, validator=_fraction, help="share of the samples")
    seed: int = param(
        default=42,
        validator=[validators.ge(0), validators.lt(2**32)],
        help="seed of the split, apart from the routers' seeds",
    )

    def __attrs_post_init__(self) -> None:
        """Refuse shares that leave samples out, or take some twice."""
        if abs(self.train + self.dev + self.test - 1) > 1e-9:
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
