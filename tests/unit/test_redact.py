"""What is taken out of messages and results: passwords, tokens, and values under names of secrets."""

from __future__ import annotations

import time

import pytest

from vlrb.redact import is_secret, without_credentials, without_secrets, without_secrets_in_toml


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see http://me:hunter2@host/a.", "see http://***@host/a."),
        ("http://hunter2@host/a", "http://***@host/a"),
        ("postgresql+psycopg://me:hun/ter@2@host:5432/db", "postgresql+psycopg://***@host:5432/db"),
        ("'http://a:hunter2@x/' 'http://b:hunter2@y/'", "'http://***@x/' 'http://***@y/'"),
        ("http://x/?token=hunter2&page=3", "http://x/?token=***&page=3"),
        ("odbc;PWD=hunter2;Server=x", "odbc;PWD=***;Server=x"),
        ("mssql://x/?odbc_connect=hunter2", "mssql://x/?odbc_connect=***"),
    ],
)
def test_an_address_keeps_all_but_its_credentials(text: str, shown: str) -> None:
    """Readers of a message must still see which host and database are meant, and no part of the password."""
    assert without_credentials(text) == shown


@pytest.mark.parametrize("text", ["write to a@b.org", "http://host/a@b", "http://host/?page=3", "10 tokens at 3", ""])
def test_what_is_no_secret_stays(text: str) -> None:
    """A message must not lose the words that it is about."""
    assert without_credentials(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("API_KEY", True),
        ("hf_token", True),
        ("apikey", True),
        ("aws_secret", True),
        ("credentials", True),
        ("tokens", False),
        ("token_counter", False),
        ("key", False),
        ("passwords_file", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    """A name that only contains such a word is that of something else, whose value belongs into the results."""
    assert is_secret(name) is secret


def test_secrets_are_taken_out_of_data_at_any_depth() -> None:
    """Texts under a secret's name, lists of them, addresses anywhere; numbers, empty texts and all other values stay."""
    data = {
        "uri": "http://me:hunter2@host/",
        "plugin": ({"api_key": "hunter2", "token": ["hunter2", ""], "folder": "x"}, None, 3),
        "tokens": "cl100k",
        "password": {"nested": 5},
    }

    assert without_secrets(data) == {
        "uri": "http://***@host/",
        "plugin": [{"api_key": "***", "token": ["***", ""], "folder": "x"}, None, 3],
        "tokens": "cl100k",
        "password": {"nested": 5},
    }


def test_secrets_are_taken_out_of_an_experiment_file() -> None:
    """The copy of the file that a run keeps: keys, quoted and dotted ones too; what remains is the same text."""
    text = (
        'name = "a"\n[plugin.x]\n  api_key = "hunter2"\n"password" = \'hunter2\'\nmine.token="hunter2"\n'
        'uri = "http://me:hunter2@host/"  # the server\n[tokens]\ncounter = "cl100k"\n'
    )
    shown = without_secrets_in_toml(text)

    assert shown == (
        'name = "a"\n[plugin.x]\n  api_key = "***"\n"password" = "***"\nmine.token="***"\n'
        'uri = "http://***@host/"  # the server\n[tokens]\ncounter = "cl100k"\n'
    )


@pytest.mark.parametrize("piece", ["://a:", "://a", "://@", "@:", "://a:@ "])
def test_a_long_text_is_made_safe_in_no_time(piece: str) -> None:
    """Logs may hold any text, a megabyte of it as well: no step takes quadratic time."""
    started = time.process_time()
    without_credentials(piece * (1_000_000 // len(piece)))

    assert time.process_time() - started < 5
