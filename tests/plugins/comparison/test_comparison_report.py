"""The comparison of runs on the terminal, as Markdown and as a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from browser import OVERFLOW, look_at
from finished import finished_run
from rich.console import Console

from vlrb import (
    ChangedChoices,
    ComparedRow,
    Comparison,
    Difference,
    DifferingSetting,
    Interval,
    NoParams,
    RunPair,
    Undefined,
)
from vlrb_plugins.comparison.markdown import markdown_text
from vlrb_plugins.comparison.page import comparison_page
from vlrb_plugins.comparison.report import ComparisonReport
from vlrb_plugins.comparison.values import difference_text, p_text, setting_text, value_text
from vlrb_plugins.comparison.views import calls_line
from vlrb_plugins.shared import text_table

HOSTILE = ("<script>alert(1)</script>", "a|b*c`d`", "[bold]x[/bold]", "\x1b[31mred\u202e", "very-long-" * 40)
NO_VALUE = Undefined("nothing there")


def difference(value: float, p: float = 0.5) -> Difference:
    return Difference(value, Interval(value - 0.01, value + 0.01, 2000), p, p)


def row(
    name: str, kind: Any = "router", models: int = 3, value: float = 0.05, p: float = 0.5, **more: Any
) -> ComparedRow:
    """Return a row with three metrics, of which the last has no value, and choices that differ."""
    calls = {f"m{i}": (10.0 * i, 10.0 * i + (i % 3 - 1)) for i in range(models)}
    return ComparedRow(
        name=name,
        other_name=more.pop("other_name", name),
        kind=kind,
        values={"rank-score": (0.5, 0.5 + value), "accuracy": (0.61234, 0.6), "own": (NO_VALUE, 0.3)},
        intervals={},
        differences={"rank-score": difference(value, p), "accuracy": difference(-0.01234, p)},
        choices=ChangedChoices(200, 50, 20, 10, calls),
        **more,
    )


def comparison(*rows: ComparedRow, differing: tuple[DifferingSetting, ...] = (), **more: Any) -> Comparison:
    """Return a comparison of two runs with some rows."""
    result = finished_run()
    run = attrs.evolve(result.run, metrics=tuple(m for m in result.run.metrics if m.name != "own"))
    pair = {"other": 1, "paired": True, "notes": ("a note",), "samples": 200, "groups": 150, "rows": rows}
    return Comparison(
        runs=(run, run),
        names=("r/1", "r/2"),
        leaders=("good", ""),
        metrics=run.metrics,
        left_out={"own": "no plugin has it"},
        selection_metric="rank-score",
        draws=2000,
        level=0.95,
        differing=differing,
        pairs=(RunPair(**{**pair, **more}),),  # type: ignore[arg-type]
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that gives the text on a terminal of some width."""

    def text(found: Comparison, width: int = 300) -> str:
        monkeypatch.setattr(text_table, "console", lambda: Console(width=width))
        return ComparisonReport(NoParams()).text(found)

    return text


@pytest.mark.parametrize("width", [40, 60, 100, 160, 300])
def test_no_number_is_cut_on_a_narrow_terminal(width: int, shown: Any) -> None:
    """Columns are left out from the right, and named; row, share and the first difference are always there."""
    text = shown(comparison(row("good"), row("best", "leaders", other_name="other")), width)
    squeezed = "".join(c for c in text if c not in " │\n")

    assert "…" not in text
    for part in ("25.0", "+0.05000[+0.04000,+0.06000]", "best:best→other"):
        assert part in squeezed
    assert ("columns left out" in text) == (width < 160)


def test_the_terminal_tells_what_changed(shown: Any) -> None:
    """Settings, how many choices became right or wrong, models that gained and lost calls, notes and what was left out."""
    settings = DifferingSetting("experiment", "router.mlp.lr", (0.1, None))
    text = shown(comparison(row("good"), differing=(settings,), only_other=("new",)))

    for part in (
        "A: r/1, best router good",
        "B: r/2, best router none",
        "router.mlp.lr",
        "a note",
        "only in B: new",
        "good: 20 choices became right, 10 wrong; more calls to m2 (+1); fewer to m0 (-1)",
        "metrics left out: own (no plugin has it)",
        "of a difference: 95 % interval from the same 2,000 bootstrap draws",
    ):
        assert part in text
    assert "experiment, benchmark, splits and versions are the same" in shown(comparison(row("good")))


def test_equal_reference_points_are_only_counted(shown: Any) -> None:
    """They tell nothing; one that differs has its row, as have all where the runs are not paired."""
    same = row("oracle", "reference", value=0.0)
    same = attrs.evolve(
        same, differences={"rank-score": difference(0.0)}, choices=ChangedChoices(200, 0, 0, 0, {"m": (1, 1)})
    )
    other = row("best-single", "reference")
    text = shown(comparison(row("good"), same, other))

    assert "reference points that are the same in both: 1" in text
    assert re.search(r"│ best-single +│", text)
    assert "│ oracle" not in text
    unpaired = [attrs.evolve(r, differences={}, choices=None) for r in (row("good"), same)]
    assert "│ oracle" in shown(comparison(*unpaired, paired=False, samples=0, groups=0))


def test_runs_without_pairs_show_values_only(shown: Any) -> None:
    """No difference, no p, no words on draws: values with their own intervals; undefined values are dashes."""
    bare = attrs.evolve(
        row("good"),
        differences={},
        choices=None,
        values={"rank-score": (0.5, NO_VALUE), "accuracy": (0.5, 0.6)},
        intervals={"accuracy": (Interval(0.4, 0.61, 2000), NO_VALUE)},
    )
    text = shown(comparison(bare, paired=False, samples=0, groups=0))

    assert "B against A: not paired" in text
    assert re.search(r"│ good +│ +0.5000 │ +- │ 50.00 \[40.0, 61.0\] │ +60.00 │", text)
    assert "of a value: 95 % interval over the test samples of its own run" in text
    assert "B - A" not in text
    assert "bootstrap" not in text
    assert "differ %" not in comparison_page(comparison(bare, paired=False))


def test_values_are_shown_with_the_digits_that_count() -> None:
    """Percentages with two, others with about four; a difference with its sign; small p-values as less than 0.001."""
    assert value_text(0.61234, "accuracy") == "61.23"
    assert value_text(0.000123456, "cost") == "0.0001235"
    assert value_text(NO_VALUE, "accuracy") == "-"
    assert difference_text(difference(-0.01234), "accuracy") == "-1.23 [-2.23, -0.23]"
    assert difference_text(Difference(0.0, NO_VALUE, NO_VALUE, NO_VALUE), "rank-score") == "0.00"
    assert difference_text(Difference(NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE), "rank-score") == "-"
    assert [p_text(difference(1, p)) for p in (0.0004, 0.0496)] == ["<0.001", "0.050"]
    assert p_text(Difference(1.0, NO_VALUE, 0.25, NO_VALUE)) == "0.250"
    assert setting_text("a" * 64) == "a" * 12
    assert setting_text({"x": (1, "inf")}) == '{"x": [1, "inf"]}'
    assert (setting_text(None), setting_text(True)) == ("-", "true")


def test_rows_with_equal_calls_say_so() -> None:
    """Choices may change although each model is called as often."""
    changed = attrs.evolve(row("good"), choices=ChangedChoices(10, 4, 1, 1, {"a": (5, 5), "b": (5, 5)}))

    assert calls_line(changed).endswith("as many calls to each model")


def test_files_are_written(tmp_path: Path) -> None:
    """Markdown for a text, HTML for a browser."""
    files = ComparisonReport(NoParams())(comparison(row("good")), tmp_path)

    assert [f.name for f in files] == ["comparison.md", "comparison.html"]
    assert "| good | 25.0 |" in files[0].read_text(encoding="utf-8")


def test_markup_in_names_is_shown_as_it_is(shown: Any) -> None:
    """In no form does a name become markup, a cell border, a script, or a colour."""
    found = comparison(*map(row, HOSTILE), differing=tuple(DifferingSetting("experiment", n, (n, 1)) for n in HOSTILE))
    page, markdown, text = comparison_page(found), markdown_text(found), shown(found, 500)

    assert "<script>alert" not in page
    assert "\x1b" not in page + markdown
    assert "\u202e" not in page + markdown + text
    assert "a\\|b\\*c\\`d\\`" in markdown
    assert "<script>" not in markdown
    assert "[bold]x[/bold]" in text
    assert "\x1b[31mred" not in text


def test_significant_differences_are_marked() -> None:
    """Better and worse by the metric's own direction, not by the sign; others may be chance and carry no mark."""
    page = comparison_page(comparison(row("up", p=0.01), row("chance", p=0.2)))

    assert len(re.findall(r'<td class="number best"', page)) == 1  # rank-score of the first row
    assert len(re.findall(r'<td class="number bad"', page)) == 1  # its accuracy


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 700, 1400])
def test_the_page_is_never_wider_than_the_window(width: int, tmp_path: Path) -> None:
    """Hostile names and 500 models, on a phone and on a desk; its console stays empty."""
    settings = tuple(DifferingSetting("experiment", n, (n, n * 3)) for n in HOSTILE)
    rows = [row(n, models=500) for n in HOSTILE]
    text = comparison_page(comparison(*rows, differing=settings)).replace("<details", "<details open")
    seen = look_at(text, OVERFLOW, tmp_path, width)

    assert (seen.value, seen.console) == (0, ())


@pytest.mark.browser
@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("rows-1", 2, ["+0.1000", "+0.05000", "-0.2000"]),
        ("rows-1", 3, ["0.900", "0.200", "<0.001"]),
        ("calls-1", 1, ["20 → 21", "10", "0 → -1"]),
    ],
)
def test_columns_of_differences_sort_by_their_numbers(
    table: str, column: int, values: list[str], tmp_path: Path
) -> None:
    """Signs, intervals, "<" and arrows do not keep a heading from sorting."""
    found = comparison(row("low", value=-0.2, p=0.9), row("high", value=0.1, p=0.0001), row("middle", p=0.2))
    cells = f"[...page.querySelectorAll('#{table} ~ tbody tr')].map((r) => r.cells[{column}].firstChild.textContent)"
    steps = f"(page.querySelectorAll('#{table} ~ thead th button')[{column}].click(), {cells})"

    assert look_at(comparison_page(found), steps, tmp_path).value == values


def test_intervals_stand_under_the_differences() -> None:
    """The number to sort by is in the cell's data, since its text is none."""
    page = comparison_page(comparison(row("good", p=0.0001)))

    assert '<td class="number best" data-sort="0.05000">+0.05000<br><small>[+0.04000, +0.06000]</small></td>' in page
    assert '<td class="number" data-sort="0.001">&lt;0.001</td>' in page
