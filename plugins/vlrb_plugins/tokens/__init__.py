"""Token counters: the logs' own usage columns, and cl100k as the paper counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
from attrs import validators

from vlrb import NoParams, TokenCounterSpec, hookimpl, param

if TYPE_CHECKING:
    from vlrb import TokenCounter


_PER_IMAGE = validators.and_(validators.ge(0), validators.le(10**9))


@attrs.frozen
class Cl100kParams:
    """Parameters of the token counter ``cl100k``."""

    image_rule: Literal["constant", "per-model"] = param(
        default="constant", help="per-model: each model's own published rule, from its record"
    )
    image_tokens: int = param(default=256, validator=_PER_IMAGE, help="input tokens that one image counts for")
    without_rule: int | None = param(
        default=None,
        validator=validators.optional(_PER_IMAGE),
        help='tokens per image for models without a published rule (with image_rule = "per-model"); default: an error',
    )


def _usage(_: NoParams) -> TokenCounter:
    from vlrb_plugins.tokens.counters import Usage

    return Usage()


def _cl100k(params: Cl100kParams) -> TokenCounter:
    from vlrb_plugins.tokens.counters import Cl100k

    return Cl100k(params)


@hookimpl
def vlrb_token_counters() -> list[TokenCounterSpec]:
    """Return the two counters."""
    return [
        TokenCounterSpec(name="usage", summary="the tokens that the logs record themselves", factory=_usage),
        TokenCounterSpec(
            name="cl100k",
            summary="tiktoken's cl100k_base of question and answer, and tokens per image (VL-RouterBench)",
            factory=_cl100k,
            params=Cl100kParams,
        ),
    ]
