"""Keeping passwords, tokens and the like out of messages, logs and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)(?:[^/@:\s\"']*:[^\s\"']*|[^/\s\"']*)@")
_QUERY = re.compile(r"(?i)([?&;](?:user|username|uid|password|passwd|pwd|token|api_?key|odbc_connect)=)[^&;\s\"']*")
_NAMES = r"(?:\w+_)?(?:password|passwd|pwd|secret|api_?key|access_?key|token|credentials?)"
_NAMED = re.compile(rf"(?i){_NAMES}")
_TOML = re.compile(rf"(?im)^(\s*[\"']?(?:[\w.-]+\.)?{_NAMES}[\"']?\s*=\s*)(?:\"[^\"\n]*\"|'[^'\n]*')")


def without_credentials(text: str) -> str:
    """Return text whose addresses have lost what is secret in them."""
    return _QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))


def is_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret: ``api_key``, ``password`` and the like."""
    return _NAMED.fullmatch(name) is not None


def without_secrets(value: Any, name: str = "") -> Any:
    """Return JSON data whose addresses, and whose texts under names such as ``api_key``, have lost what is secret in them."""
    if isinstance(value, str):
        return "***" if value and is_secret(name) else without_credentials(value)
    if isinstance(value, Mapping):
        return {k: without_secrets(v, str(k)) for k, v in value.items()}
    return [without_secrets(v, name) for v in value] if isinstance(value, list | tuple) else value


def without_secrets_in_toml(text: str) -> str:
    """Return a TOML file's text in which the same has been done."""
    return _TOML.sub(r'\1"***"', without_credentials(text))
