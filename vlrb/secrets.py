"""Keeping user names, passwords and tokens of addresses out of messages, logs and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_QUERY = re.compile(r"(?i)([?&;](?:user|username|uid|password|passwd|pwd|token|api_?key)=)[^&;\s\"']*")


def without_credentials(text: str) -> str:
    """Return text whose addresses have lost what is secret in them."""
    return _QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def without_secrets(value: Any) -> Any:
    """Return JSON data whose texts have lost what is secret in them."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {k: without_secrets(v) for k, v in value.items()}
    return [without_secrets(v) for v in value] if isinstance(value, list | tuple) else value
