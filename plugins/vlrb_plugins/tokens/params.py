"""Parameters of the token counters."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs import validators

from vlrb import param

_PER_IMAGE = validators.and_(validators.ge(0), validators.le(10**9))


@attrs.frozen
class Cl100kParams:
    """Parameters of the token counter ``cl100k``."""

    image_rule: Literal["constant", "per-model"] = param(
        default="constant", help="per-model: each model's own published rule, from its record"
    )
    image_tokens: int = param(default=256, validator=_PER_IMAGE, help="input tokens per image")
    without_rule: int | None = param(
        default=None,
        validator=validators.optional(_PER_IMAGE),
        help='tokens per image of models without a published rule (with image_rule = "per-model"); default: an error',
    )
