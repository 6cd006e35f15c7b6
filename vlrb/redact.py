"""Keeping passwords, tokens and the like out of messages, logs and results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# texts, compiled at the first use: every command imports this module, and few need it
_TOKEN = r"[^\s\"']+"
_USER = r"[^/@:]*:"
_QUERY = r"(?i)([?&;](?:user|username|uid|password|passwd|pwd|token|api_?key|odbc_connect)=)[^&;\s\"']*"
_NAMES = r"(?:\w+_)?(?:password|passwd|pwd|secret|api_?key|access_?key|token|credentials?)"
_TOML = rf"(?im)^(\s*[\"']?(?:[\w.-]+\.)?{_NAMES}[\"']?\s*=\s*)(?:\"[^\"\n]*\"|'[^'\n]*')"


def without_credentials(text: str) -> str:
    """Return a text without the passwords and tokens in its addresses."""
    if "@" in text:
        text = re.sub(_TOKEN, lambda found: _without_user(found[0]), text)
    return re.sub(_QUERY, r"\1***", text)


def _without_user(token: str) -> str:
    """Return a text without blanks whose addresses have lost user and password, in linear time.

    What follows ``://USER:`` counts as the password up to the last ``@``, since passwords with ``/`` and ``@`` are common.
    """
    last, done, parts = token.rfind("@"), 0, []
    while 0 <= (start := token.find("://", done)) < last:
        begin = start + 3
        user = re.compile(_USER).match(token, begin)
        stop = token.find("/", begin)
        end = last if user and user.end() <= last else token.rfind("@", begin, len(token) if stop < 0 else stop)
        parts += [token[done:begin], "***@"] if end >= 0 else [token[done:begin]]
        done = max(begin, end + 1)
    return "".join(parts) + token[done:]


def is_secret(name: str) -> bool:
    """Tell whether a key of this name holds a secret: ``api_key``, ``password`` and the like."""
    return re.fullmatch(_NAMES, name, re.IGNORECASE) is not None


def without_secrets(value: Any, name: str = "") -> Any:
    """Return JSON data without the secrets in addresses, and in texts under names such as ``api_key``."""
    if isinstance(value, str):
        return "***" if value and is_secret(name) else without_credentials(value)
    if isinstance(value, Mapping):
        return {k: without_secrets(v, str(k)) for k, v in value.items()}
    return [without_secrets(v, name) for v in value] if isinstance(value, list | tuple) else value


def without_secrets_in_toml(text: str) -> str:
    """Return a TOML file's text without these secrets."""
    return re.sub(_TOML, r'\1"***"', without_credentials(text))
