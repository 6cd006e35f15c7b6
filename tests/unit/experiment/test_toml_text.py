"""Experiments given as dicts."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.errors import ConfigError
from vlrb.experiment.document import read_document
from vlrb.experiment.toml_text import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAF = (
    TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.just(date(2026, 11, 28))
)
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, VALUE, max_size=4))
def test_what_is_written_reads_the_same(tree: dict[str, Any]) -> None:
    """Whatever TOML can hold, with its type, at any depth."""
    text = to_toml(tree)

    assert tomllib.loads(text) == tree
    assert repr(tomllib.loads(text)) == repr({k: tree[k] for k in tomllib.loads(text)})


def test_what_python_adds_becomes_what_toml_has() -> None:
    """Paths, tuples, numbers and arrays of numpy."""
    tree = {"path": Path("a/b"), "seeds": (1, 2), "n": np.int64(3), "share": np.float64(0.5), "each": np.arange(2)}

    assert tomllib.loads(to_toml(tree)) == {"path": "a/b", "seeds": [1, 2], "n": 3, "share": 0.5, "each": [0, 1]}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": {"b": None}}, r"dict: a.b: is None.*\n.*leave the key out"),
        ({"router": [{"k": {1}}]}, r"dict: router\[0\].k: is \{1\}"),
        ({"a": [1, object()]}, r"dict: a\[1\]: is <object"),
        ({1: 2}, "dict: has the key 1, which is not a text"),
        ({"a": {None: 2}}, "dict: a: has the key None"),
        ({"a": "\ud800"}, "dict: a: is "),
        ({"a": b"x"}, "dict: a: is b'x'"),
    ],
)
def test_what_toml_cannot_hold_is_refused(tree: dict[Any, Any], message: str) -> None:
    """With the key's place."""
    with pytest.raises(ConfigError, match=message):
        to_toml(tree, "dict")


def test_a_dict_in_itself_is_refused() -> None:
    """It would never end."""
    tree: dict[str, Any] = {}
    tree["a"] = {"b": tree}

    with pytest.raises(ConfigError, match="more than 50 levels"):
        to_toml(tree)


def test_a_text_is_read_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same checks and includes, relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.toml").write_text("seeds = [1]\n", encoding="utf-8")
    read = read_document(Path("<dict>"), to_toml({"include": ["more.toml"], "name": "n"}))

    assert read.tree == {"include": ["more.toml"], "name": "n", "seeds": [1]}
    assert read.where(("seeds",)) == "more.toml: seeds"
    with pytest.raises(ConfigError, match="<dict>: name: has a control character"):
        read_document(Path("<dict>"), to_toml({"name": "a\x07"}))
