"""Values of the leaderboard as texts."""

from __future__ import annotations

import math

import pytest

from vlrb import MetricInfo, MetricValue, TableCell, Undefined
from vlrb_plugins.shared.values import SHARES, cell_text, fixed, heading_of


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.12345, "12.35"),
        ("oracle-gap-closed", -0.5, "-50.00"),
        ("mean-score", 0.5, "50.00"),
        ("accuracy STEM", 1.0, "100.00"),
        ("rank-score", 0.0123456, "0.01235"),
        ("cost-per-10k", 12.3456, "12.35"),
        ("cost-per-10k", 123456.7, "123,457"),
        ("cost-per-10k", 1.5, "1.500"),
        ("cost-per-10k", 1e-12, "0.0000"),
        ("own", Undefined("none"), "-"),
    ],
)
def test_values_are_shown_with_four_digits_or_in_per_cent(name: str, value: MetricValue, text: str) -> None:
    """Per cent have two digits behind the point; no value is cut before the point."""
    assert cell_text(TableCell(value), name) == text


def test_deviations_have_the_digits_of_their_value() -> None:
    """And its unit."""
    assert cell_text(TableCell(0.5, over_seeds=0.125), "accuracy") == "50.00 ± 12.50"
    assert cell_text(TableCell(12.3456, over_seeds=0.0456), "cost-per-10k") == "12.35 ± 0.05"
    assert fixed(-0.004, 2) == "0.00"
    assert fixed(-0.006, 2) == "-0.01"
    assert fixed(-math.inf, 2) == "-inf"


@pytest.mark.parametrize(
    ("value", "text"), [(-1e-12, "0.0000"), (-0.0, "0.00"), (0.0, "0.00"), (-0.5, "-0.5000"), (math.inf, "inf")]
)
def test_zero_has_no_sign(value: float, text: str) -> None:
    """A value that rounds to zero is not shown as `-0.0000`."""
    assert cell_text(TableCell(value), "rank-score") == text


def test_headings_say_the_unit() -> None:
    """Protects readers from a percentage without its sign; a metric of another plugin keeps its name and has its declared unit."""
    metrics = [
        MetricInfo("own", "USD", False, ""),
        MetricInfo("bare", "", True, ""),
        MetricInfo("accuracy", "", True, ""),
    ]
    names = ("own", "bare", "accuracy", "accuracy STEM", "cost-per-10k", "rank-score", "vs strongest")
    shown = ["own (USD)", "bare", "accuracy %", "STEM %", "USD / 10k", "rank-score", "vs strongest"]
    assert [heading_of(name, metrics) for name in names] == shown
    assert all(heading_of(name, metrics).endswith(" %") for name in SHARES)
