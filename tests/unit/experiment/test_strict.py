"""Strict structuring of experiment files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import validators
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.components import param
from vlrb.errors import Problem
from vlrb.experiment.document import Document
from vlrb.experiment.strict import restructure, structure, unstructure

DOCUMENT = Document(Path("/x/file.toml"), {}, {})


@attrs.frozen
class Inner:
    size: int = param(default=1, validator=validators.ge(1))


class Colour(Enum):
    RED = "red"
    THREE = 3


@attrs.frozen
class Everything:
    number: float = param(default=1.0)
    count: int = param(default=1)
    word: str = param(default="a")
    flag: bool = param(default=False)
    lambda_: float = param(default=0.5)
    kind: Literal["a", "b"] = param(default="a")
    maybe: int | None = param(default=None)
    either: float | Literal["auto"] = param(default="auto")
    many: tuple[int, ...] = param(default=())
    place: Path = param(default=Path("/y"))
    inner: Inner = param(default=Inner())
    table: dict[str, float] = param(factory=dict)
    mapping: Mapping[str, Inner] | None = param(default=None)
    anything: Any = param(default=None)
    thing: object = param(default=None)
    colour: Colour = param(default=Colour.RED)
    listed: list[int] = param(factory=list)
    numbered: dict[int, str] = param(factory=dict)


def structured(table: Any) -> tuple[Everything | None, list[Problem]]:
    problems: list[Problem] = []
    return structure(table, Everything, DOCUMENT, ("router", 0), problems), problems


def test_what_is_written_right_is_taken_as_it_stands() -> None:
    """An integer may stand for a float; a path is relative to the file; a trailing underscore is not written."""
    made, problems = structured(
        {
            "number": 3,
            "lambda": float("inf"),
            "many": [1, 2],
            "place": "logs",
            "either": 2,
            "inner": {"size": 4},
            "maybe": 7,
            "table": {"a": 1, "b": 0.5},
            "mapping": {"x": {"size": 2}},
            "anything": [1, {"a": "b"}],
            "thing": date(2026, 1, 2),
            "colour": 3,
        }
    )

    assert not problems
    assert made == Everything(
        number=3.0, lambda_=float("inf"), many=(1, 2), place=Path("/x/logs"), either=2.0, inner=Inner(size=4), maybe=7,
        table={"a": 1.0, "b": 0.5}, mapping={"x": Inner(size=2)}, anything=[1, {"a": "b"}], thing=date(2026, 1, 2),
        colour=Colour.THREE,
    )  # fmt: skip
    assert made is not None
    assert type(made.table["a"]) is float
    assert {k: v for k, v in unstructure(made).items() if k in ("colour", "mapping", "thing")} == {
        "colour": 3, "mapping": {"x": {"size": 2}}, "thing": "2026-01-02",
    }  # fmt: skip
    assert unstructure(made)["lambda"] == "inf"
    assert unstructure(made)["place"] == "/x/logs"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"count": "5"}, "router[0].count: must be an integer, not '5'"),
        ({"count": 5.0}, "router[0].count: must be an integer, not 5.0"),
        ({"count": True}, "router[0].count: must be an integer, not True"),
        ({"flag": "false"}, "router[0].flag: must be true or false, not 'false'"),
        ({"flag": 0}, "router[0].flag: must be true or false, not 0"),
        ({"word": 3}, "router[0].word: must be a string, not 3"),
        ({"number": True}, "router[0].number: must be a number, not True"),
        ({"number": float("nan")}, "router[0].number: must be a number, not nan"),
        ({"many": "12"}, "router[0].many: must be a list, not '12'"),
        ({"many": [1, "2"]}, "router[0].many[1]: must be an integer, not '2'"),
        ({"kind": "A"}, "router[0].kind: must be 'a' or 'b', not 'A'"),
        ({"maybe": "x"}, "router[0].maybe: must be an integer, not 'x'"),
        ({"either": "automatic"}, "router[0].either: must be a number or 'auto'"),
        ({"inner": {"size": 0}}, "router[0].inner.size: must be >= 1, not 0"),
        ({"inner": {"sise": 1}}, "router[0].inner.sise: unknown key"),
        ({"inner": 3}, "router[0].inner: must be a table, not 3"),
        ({"lambda_": 1.0}, "router[0].lambda_: unknown key"),
        ({"table": {"a": "1"}}, "router[0].table.a: must be a number, not '1'"),
        ({"table": [1]}, "router[0].table: must be a table, not [1]"),
        ({"mapping": {"x": {"size": 0}}}, "router[0].mapping.x.size: must be >= 1, not 0"),
        ({"colour": "Red"}, "router[0].colour: must be 'red' or 3, not 'Red'"),
        ({"colour": "rd"}, "did you mean 'red'?"),
        ({"colour": 3.0}, "router[0].colour: must be 'red' or 3, not 3.0"),
        ({"listed": [1]}, "cannot be set: its plugin declares it as list[int], and parameters are bool, int"),
        ({"numbered": {"1": "x"}}, "router[0].numbered: cannot be set: its plugin declares it as dict[int, str]"),
        (5, "router[0]: must be a table, not 5"),
    ],
)
def test_nothing_is_coerced(table: Any, said: str) -> None:
    """Each wrong type or value is refused with its key path."""
    made, problems = structured(table)

    assert made is None
    assert said in str(problems[0])


def test_all_problems_of_a_table_are_found_at_once() -> None:
    """Types, ranges and unknown keys are reported together."""
    _, problems = structured({"count": "5", "inner": {"size": 0}, "wrod": "x", "kind": 3})

    assert len(problems) == 4
    assert any("did you mean 'word'" in p.fix for p in problems)


@attrs.frozen
class Renamed:
    """Parameters that had other names."""

    lambda_: float = param(default=0.0, was=("price", "lamda"))
    word: str = param(default="")


@pytest.mark.parametrize("old", ["price", "lamda"])
def test_a_former_name_is_told_the_new_one(old: str) -> None:
    """A key that was renamed is an error that names the new key, and what was saved under it is still read."""
    problems: list[Problem] = []

    assert structure({old: 1.0, "wrd": ""}, Renamed, DOCUMENT, ("router", 0), problems) is None
    assert [str(p).split(": ", 1)[1] for p in problems] == [
        f"router[0].{old}: is now called 'lambda'\n    fix: change the key",
        "router[0].wrd: unknown key\n    fix: did you mean 'word'?",
    ]
    assert restructure({old: "inf", "word": "x"}, Renamed) == Renamed(lambda_=float("inf"), word="x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([f.name.removesuffix("_") for f in attrs.fields(Everything)]) | st.text(max_size=6), JSON
    )
)
def test_any_table_is_taken_or_refused_with_problems(table: dict[str, Any]) -> None:
    """No input raises; what is taken has the declared types."""
    made, problems = structured(table)

    assert (made is None) == bool(problems)
    if made is not None:
        assert type(made.count) is int
        assert type(made.number) is float
        assert type(made.flag) is bool
