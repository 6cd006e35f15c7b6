"""Token counters: the logs' own usage columns, and cl100k as the paper counts."""

from __future__ import annotations

from vlrb import TokenCounterSpec, hookimpl
from vlrb_plugins.tokens.params import Cl100kParams


@hookimpl
def vlrb_token_counters() -> list[TokenCounterSpec]:
    """Return the two counters."""
    return [
        TokenCounterSpec(
            name="usage", summary="the tokens that the logs record", factory="vlrb_plugins.tokens.counters:Usage"
        ),
        TokenCounterSpec(
            name="cl100k",
            summary="tiktoken's cl100k_base for question and answer, and tokens per image (VL-RouterBench)",
            factory="vlrb_plugins.tokens.counters:Cl100k",
            params=Cl100kParams,
        ),
    ]
