"""What routers, scorers, metrics and reports return: converted where nothing is lost, refused otherwise."""

from __future__ import annotations

import decimal
import fractions
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vlrb.api.logs import Score
from vlrb.api.returned import (
    check_saved,
    checked_cautions,
    checked_choices,
    checked_chosen,
    checked_estimate,
    checked_files,
    checked_metric,
    checked_scores,
    checked_seconds,
    checked_text,
    checked_verdicts,
)
from vlrb.api.routing import Estimate, Undefined
from vlrb.errors import PluginError

NAN = float("nan")


class Sub(np.ndarray):
    def min(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError


class Queries(SimpleNamespace):
    candidates = ("a", "b")

    def __len__(self) -> int:
        return 3


QUERIES: Any = Queries()
odd: Any = Score
undefined: Any = Undefined


def masked(array: Any, mask: bool) -> Any:
    return np.ma.masked_array(array, mask=mask)


@pytest.mark.parametrize(
    "routed",
    [
        [0, 1, 0], (0, 1, 0), np.array([0, 1, 0], ">i4"), np.array([0, 1, 0], np.uint8), np.array([0, 1, 0]).view(Sub),
        masked([0, 1, 0], False),
    ],
)  # fmt: skip
def test_choices_of_any_integer_type(routed: Any) -> None:
    """Lists, any byte order and width, subclasses: int64 of numpy's own class."""
    choices = checked_choices(routed, 3, 2, "router")

    assert type(choices) is np.ndarray
    assert choices.dtype == np.int64
    assert choices.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "routed",
    [
        None, 5, "abc", [0, 1], [[0], [1], [0]], [[0], [1, 2]], (x for x in [0, 1, 0]), np.zeros(3), np.zeros(3, bool),
        np.zeros(3, object), masked([0, 1, 0], True), [0, 1, 2], [0, -1, 0], [0, 10**400, 0], np.full(3, 2**64 - 1, np.uint64),
        np.zeros(3, "M8[s]"),
    ],
)  # fmt: skip
def test_other_choices_are_refused(routed: Any) -> None:
    """No float, boolean, object, masked value or generator passes for a choice, and no model that is not there."""
    with pytest.raises(PluginError, match="router"):
        checked_choices(routed, 3, 2, "router")


@pytest.mark.parametrize(
    ("dtype", "kept"), [(np.float16, np.float32), (">f8", np.float64), (">f4", np.float32), (np.float64, np.float64)]
)
def test_scores_of_any_float_type(dtype: Any, kept: Any) -> None:
    """float16 and other byte orders are converted, since nothing is lost."""
    scores = checked_scores(np.array([[1, 0.5]] * 3, dtype), np.zeros(3, int), QUERIES, "router")

    assert scores.dtype == kept
    assert scores.dtype.isnative
    assert scores.tolist() == [[1, 0.5]] * 3


@pytest.mark.parametrize("dtype", [np.longdouble, complex, int, bool, object, "U3"])
def test_other_scores_are_refused(dtype: Any) -> None:
    """What a table of float64 cannot hold is refused; integers are not scores."""
    with pytest.raises(PluginError, match="router"):
        checked_scores(np.array([[1, 0]] * 3, dtype), np.zeros(3, int), QUERIES, "router")


@pytest.mark.parametrize("dtype", [np.float16, ">f4", np.float64, np.int32, bool])
def test_estimates_become_float64(dtype: Any) -> None:
    """Whatever number of up to 64 bits a router gives, metrics see float64."""
    matrix = np.array([[1, 0]] * 3, dtype)
    estimate = checked_estimate(Estimate(matrix, matrix), QUERIES, "router")

    assert estimate.p_correct.dtype == estimate.cost.dtype == np.float64
    assert estimate.p_correct.tolist() == [[1, 0]] * 3


@pytest.mark.parametrize(
    "matrix", [None, "a", np.full((3, 2), NAN), np.zeros((2, 2)), np.zeros((3, 2), complex), np.ones((3, 2)) * 2]
)
def test_other_estimates_are_refused(matrix: Any) -> None:
    """A probability outside [0, 1], a wrong shape, a type that is not a number."""
    good = np.zeros((3, 2))
    with pytest.raises(PluginError, match="p_correct"):
        checked_estimate(Estimate(matrix, good), QUERIES, "router")
    with pytest.raises(PluginError, match="instead of an Estimate"):
        checked_estimate((good, good), QUERIES, "router")


def test_what_a_fit_chose_becomes_plain() -> None:
    """numpy's scalars and subclasses of text and number become Python's own, so that JSON and observers can hold them."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "other"

    chosen = checked_chosen(
        {Text("a"): Text("b"), "n": np.int8(3), "x": np.float32(0.5), "i": float("inf"), "t": np.True_, "o": None}, "r"
    )

    assert chosen == {"a": "b", "n": 3, "x": 0.5, "i": float("inf"), "t": True, "o": None}
    assert {type(v) for v in (*chosen, *chosen.values())} == {str, int, float, bool, type(None)}


@pytest.mark.parametrize(
    "chosen",
    [
        None, 5, [("a", 1)], {1: 2}, {"": 1}, {"\udcff": 1}, {"a": "\udcff"}, {"a": 10**400}, {"a": NAN}, {"a": 1j}, {"a": [1]},
        {"a": decimal.Decimal(1)}, {"a": "x" * 10**6}, {"a": np.longdouble(1)},
    ],
    ids=lambda c: repr(c)[:40],
)  # fmt: skip
def test_other_choices_of_a_fit_are_refused(chosen: Any) -> None:
    """What no table, JSON file or MLflow could show."""
    with pytest.raises(PluginError, match="router"):
        checked_chosen(chosen, "router")


@pytest.mark.parametrize(
    "value",
    [True, 1, 0.5, np.float16(0.5), np.bool_(True), np.uint8(1), np.longdouble(0.5), fractions.Fraction(1, 2)],
)
def test_a_score_is_any_real_number(value: Any) -> None:
    """numpy's scalars are fine as scores."""
    (score,) = checked_verdicts([Score(value, "why")], ["a"], "scorer")

    assert type(score.value) is float
    assert score.value == float(value)
    assert score.reason == "why"


@pytest.mark.parametrize(
    "score",
    [
        odd(None, 5), odd(None, "\udcff"), odd(10**400), odd(-0.1), odd(NAN), odd("1"), odd(decimal.Decimal(1)),
        odd(1j), odd(0.5, "x" * 10**5), odd(0.5, "", "yes"), 0.5, None,
    ],
    ids=lambda s: repr(s)[:40],
)  # fmt: skip
def test_other_scores_name_scorer_and_sample(score: Any) -> None:
    """A verdict outside [0, 1], and a reason that no file can hold."""
    with pytest.raises(PluginError, match=r"the scorer .* sample-7"):
        checked_verdicts([score], ["sample-7"], "the scorer")


@pytest.mark.parametrize("returned", [None, 5, [], [Score(1.0)] * 3, iter(lambda: Score(1.0), None)])
def test_as_many_scores_as_cases(returned: Any) -> None:
    """Too few, too many, or without an end."""
    with pytest.raises(PluginError, match="scorer"):
        checked_verdicts(returned, ["a", "b"], "scorer")


@pytest.mark.parametrize(
    "value",
    [1, 0.5, float("inf"), np.float16(0.5), np.longdouble(0.5), np.uint8(3), fractions.Fraction(1, 4)],
)
def test_a_metric_is_any_real_number(value: Any) -> None:
    """Whatever real number: a Python float."""
    number = checked_metric(value, "metric")

    assert type(number) is float
    assert number == float(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        NAN,
        np.float32("nan"),
        True,
        np.True_,
        10**400,
        1j,
        decimal.Decimal(1),
        "1",
        np.array(0.5),
        undefined("\udcff"),
        undefined(5),
    ],
)
def test_other_metrics_are_refused(value: Any) -> None:
    """Values that are not numbers, or a reason that no file can hold."""
    with pytest.raises(PluginError, match="metric"):
        checked_metric(value, "metric")


@pytest.mark.parametrize("seconds", [NAN, float("inf"), -1, "1", 1j])
def test_borrowed_time_is_finite(seconds: Any) -> None:
    """It is added to a time that tables show; None says that the time is unknown."""
    with pytest.raises(PluginError):
        checked_seconds(seconds, "router")
    assert checked_seconds(None, "router") is None


@pytest.mark.parametrize("act", ["outside", "removed", "file", "link", "inside", "fifo"])
def test_what_is_saved_stays_in_its_folder(tmp_path: Path, act: str) -> None:
    """Files and folders below the one that `save` was given, no links, no pipes."""
    saved = tmp_path / "router"
    if act not in ("removed", "file", "link"):
        (saved / "deep").mkdir(parents=True)
        (saved / "deep" / "weights").write_text("x", encoding="utf-8")
        if act == "outside":
            check_saved(tmp_path, "router")
    acts: dict[str, Callable[[], Any]] = {
        "outside": lambda: (tmp_path / "dev.parquet").touch(),
        "removed": lambda: None,
        "file": saved.touch,
        "link": lambda: saved.symlink_to("/"),
        "inside": lambda: (saved / "x").symlink_to("/etc"),
        "fifo": lambda: os.mkfifo(saved / "x"),
    }
    acts[act]()

    with pytest.raises(PluginError, match="save"):
        check_saved(tmp_path, "router")


@pytest.mark.parametrize("returned", [["a", Path("b")], (p for p in ("a", "b")), {"a": 1, "b": 2}])
def test_a_report_names_its_files(returned: Any) -> None:
    """Paths or texts, in whatever can be gone through."""
    assert checked_files(returned, "report") == [Path("a"), Path("b")]


@pytest.mark.parametrize("returned", ["a.html", b"a", None, 3, ["\udcff"], [None], Path("a")])
def test_what_names_no_files_is_refused(returned: Any) -> None:
    """A text is not the list of its characters, and a forgotten return is the report's."""
    with pytest.raises(PluginError, match="report returned .* wrote"):
        checked_files(returned, "report")


def test_cautions_are_a_list_of_texts() -> None:
    """Of any iterable; one text is not the list of its characters."""
    assert checked_cautions((text for text in ("a", "b")), "metric") == ["a", "b"]
    for wrong in ("few groups", b"a", None, 3, ["\udcff"], [None], ["a" * 10_001]):
        with pytest.raises(PluginError, match="metric: cautions returned .* instead of a"):
            checked_cautions(wrong, "metric")


def test_a_text_for_the_terminal_is_plain() -> None:
    """What cannot be printed is refused."""
    assert checked_text("a\nb", "report") == "a\nb"
    for wrong in (3, None, b"a", "\udcff"):
        with pytest.raises(PluginError, match=r"report: text\(\) returned .* instead of a text"):
            checked_text(wrong, "report")
