"""Parameters of the encoders."""

from __future__ import annotations

import attrs
from attrs import validators

from vlrb import param


@attrs.frozen
class HashedTextParams:
    """Parameters of the encoder ``hashed-text``."""

    dimension: int = param(default=256, validator=validators.in_(range(1, 4097)), help="columns after the projection")
    buckets: int = param(default=2**14, validator=validators.in_(range(2, 2**20 + 1)), help="buckets of the n-grams")
    seed: int = param(default=0, validator=validators.ge(0), help="seed of the projection")
