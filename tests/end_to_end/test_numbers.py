"""Numbers and names of logs that could make arithmetic or tables fail: refused where they stand, never an internal error."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture
def logs(project: Any) -> Any:
    """Return a function that writes tables of records and an experiment on them."""

    def write(outcome: dict[str, Any] | None = None, more: str = "", datasets: tuple[str, ...] = ("Own",)) -> Any:
        folder = project.folder / "logs"
        folder.mkdir()
        keys = [(d, str(k)) for d in datasets for k in range(20)]
        samples = [{"dataset": d, "key": k, "question": f"What is {k} of {d}?"} for d, k in keys]
        outcomes = [
            {"dataset": d, "key": k, "model": m, "score": 1.0, "cost": 0.5} for d, k in keys for m in ("large", "small")
        ]
        outcomes[-1] |= outcome or {}
        for name, rows in (("samples", samples), ("outcomes", outcomes)):
            text = "".join(json.dumps(r) + "\n" for r in rows)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        head = 'name = "t"\nrequires = []\n[logs]\nuse = "records"\npath = "logs"\n[tokens]\ncounter = "usage"\n'
        return project.file(f'{head}{more}\n[[router]]\nuse = "cheapest"\n')

    return write


PRICES = '[[model]]\nname = "small"\ninput_price_per_million = {0}\noutput_price_per_million = {0}\n'
TOKENS = {"cost": None, "input_tokens": 10**12, "output_tokens": 10**12}


@pytest.mark.parametrize("cost", [1e308, 1.1e9])
def test_a_cost_beyond_all_use_is_refused_where_it_stands(project: Any, logs: Any, cost: float) -> None:
    """A sum of such costs is infinite, and no rank score can be made of it."""
    shown = project.vlrb("run", logs({"cost": cost}))

    assert shown.status == 4
    assert "outcomes.jsonl, line 40, column cost" in shown.err
    assert repr(cost) in shown.err


def test_prices_that_make_costs_beyond_all_use_are_refused(project: Any, logs: Any) -> None:
    """Tokens and prices may each be within their limits: model, sample and both are named."""
    shown = project.vlrb("run", logs(TOKENS, PRICES.format("1e9")))

    assert shown.status == 4
    for said in ("[[model]]", "'small'", "'Own/19'", "1,000,000,000,000 tokens", "1e+09"):
        assert said in shown.err


def test_numbers_at_their_limits_are_fine(project: Any, logs: Any) -> None:
    """Nothing overflows up to them."""
    shown = project.vlrb("run", logs(TOKENS, PRICES.format("500.0")))

    assert shown.status == 0, shown.err


@pytest.mark.parametrize("price", ["1e308", "inf", "nan", "1.1e9"])
def test_a_price_beyond_all_use_is_refused_in_the_file(project: Any, logs: Any, price: str) -> None:
    """The key is named."""
    shown = project.vlrb("check", logs(more=PRICES.format(price)))

    assert shown.status == 4
    assert "input_price_per_million" in shown.err


def test_a_log_source_that_gives_such_numbers_is_told_the_sample(project: Any) -> None:
    """The core checks what any source hands on; all columns are told at once."""
    for fault, column in (("cost-1e308", "cost"), ("tokens", "input_tokens")):
        shown = project.vlrb("build", project.experiment(logs=f'fault = "{fault}"'))

        assert shown.status == 4, shown.err
        assert f"{column} of sample 'TinyB/" in shown.err


@pytest.mark.parametrize("name", [" ", "数据", "|"])
def test_a_dataset_without_a_slug_is_named(project: Any, logs: Any, name: str) -> None:
    """A name of the logs that gives no slug is refused with what to declare."""
    shown = project.vlrb("build", logs(datasets=(name,)))

    assert shown.status == 4
    assert repr(name) in shown.err
    assert "[[dataset]]" in shown.err


def test_datasets_of_one_slug_are_not_mixed(project: Any, logs: Any) -> None:
    """Tables name datasets by slug: the figures of one would stand for both."""
    shown = project.vlrb("build", logs(datasets=("own set", "own-set")))

    assert shown.status == 4
    assert "'own set', 'own-set'" in shown.err
    assert "'own-set'" in shown.err


def test_odd_names_break_no_page(project: Any, logs: Any) -> None:
    """NUL, escape codes and tags in names of the logs: the run is fine, and the data report is proper HTML."""
    name = "<script>|\0\x1b[31mred"
    shown = project.vlrb("build", logs(datasets=(name,)), "--report", project.folder / "report")
    page = (project.folder / "report" / "data_report.html").read_text(encoding="utf-8")

    assert shown.status == 0
    assert "<script>|" not in page
    assert not {"\0", "\x1b"} & set(page + shown.out + shown.err)
    assert "&lt;script&gt;|\\x00\\x1b[31mred" in page
