"""The data report on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from rich.console import Console

from vlrb import passed_over, printable
from vlrb_plugins.data_report.texts import agreement_share, shown, summary
from vlrb_plugins.shared.text_table import TextTable, print_line, print_table

_DATASETS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "samples": itemgetter("samples"),
    "expected": itemgetter("expected_samples"),
    "images": itemgetter("images"),
    "oracle %": itemgetter("oracle_accuracy"),
    "guessing %": lambda entry: entry["guessing"] and entry["guessing"]["guessing_oracle"],
    "best model %": itemgetter("best_accuracy"),
    "best model": itemgetter("best_model"),
    "agreement %": lambda entry: agreement_share(entry["agreement"]),
}
_MODELS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "accuracy %": itemgetter("accuracy"),
    "USD / 10k": itemgetter("cost_per_10k"),
    "output tokens": itemgetter("output_tokens"),
    "input tokens": itemgetter("input_tokens"),
    "missing": itemgetter("missing"),
    "unknown": itemgetter("unknown"),
    "failed calls": itemgetter("failed_calls"),
}


def print_report(report: Mapping[str, Any], out: Console) -> None:
    """Print what a benchmark holds."""
    if report["synthetic"]:
        print_line(out, f"SYNTHETIC DATA: {report['synthetic']}")
    for kind, columns in (("datasets", _DATASETS), ("models", _MODELS)):
        rows = [
            (
                printable(e["name"], lines=False),
                *(printable(shown(of(e), h[-1]), lines=False) for h, of in columns.items()),
            )
            for e in report[kind]
        ]
        print_table(out, TextTable(kind, ("name", *columns), tuple(rows), 2, frozenset({"name", "best model"})))
    notes = [f"left out or changed: {e['count']:,} {e['reason']}" for e in report["excluded"]]
    notes += [f"{count:,} {what}" for what, count in _counts(report).items()]
    for line in (*notes, *passed_over(report["ignored_files"]), *summary(report)):
        print_line(out, line)
    print_line(out, f"benchmark: {report['directory']}")


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    """Return what sources found worth counting, summed over the parts."""
    total: Counter[str] = Counter()
    for part in report["parts"]:
        total.update(part["counts"])
    return dict(total)
