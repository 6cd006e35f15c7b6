"""The data report on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from vlrb import passed_over, printable
from vlrb_plugins.data_report.figures import DataReport, DatasetFigures, ModelFigures
from vlrb_plugins.data_report.texts import shown, summary
from vlrb_plugins.shared.text_table import TextTable, print_line, print_table

_DATASETS: Mapping[str, Callable[[DatasetFigures], Any]] = {
    "samples": lambda d: d.samples,
    "expected": lambda d: d.expected_samples,
    "images": lambda d: d.images,
    "oracle %": lambda d: d.oracle_accuracy,
    "guessing %": lambda d: d.guessing and d.guessing.guessing_oracle,
    "best model %": lambda d: d.best_accuracy,
    "best model": lambda d: d.best_model,
    "agreement %": lambda d: d.agreement.share,
}
_MODELS: Mapping[str, Callable[[ModelFigures], Any]] = {
    "accuracy %": lambda m: m.accuracy,
    "USD / 10k": lambda m: m.cost_per_10k,
    "output tokens": lambda m: m.output_tokens,
    "input tokens": lambda m: m.input_tokens,
    "missing": lambda m: m.missing,
    "unknown": lambda m: m.unknown,
    "failed calls": lambda m: m.failed_calls,
}


def print_report(report: DataReport, out: Console) -> None:
    """Print what a benchmark holds."""
    if report.synthetic:
        print_line(out, f"SYNTHETIC DATA: {report.synthetic}")
    print_table(out, _table("datasets", _DATASETS, report.datasets))
    print_table(out, _table("models", _MODELS, report.models))
    counts: Counter[str] = Counter()
    for part in report.parts:
        counts.update(part.counts)
    notes = [f"left out or changed: {e.count:,} {e.reason}" for e in report.excluded]
    notes += [f"{count:,} {what}" for what, count in counts.items()]
    for line in (*notes, *passed_over(report.ignored_files), *summary(report)):
        print_line(out, line)
    print_line(out, f"benchmark: {report.directory}")


def _table(title: str, columns: Mapping[str, Callable[[Any], Any]], entries: Sequence[Any]) -> TextTable:
    rows = [[e.name, *(shown(of(e), heading[-1]) for heading, of in columns.items())] for e in entries]
    texts = tuple(tuple(printable(cell, lines=False) for cell in row) for row in rows)
    return TextTable(title, ("name", *columns), texts, 2, frozenset({"name", "best model"}))
