"""The data report as a page of HTML that stands on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vlrb_plugins.data_report.figures import DataReport, DatasetFigures, OutcomeFigures
from vlrb_plugins.data_report.files import common_folder, findings_in_files, passed_over_by_reason, relative_to
from vlrb_plugins.data_report.tables import LONG, accuracy_map, datasets_table, models_table, outcomes_table
from vlrb_plugins.data_report.texts import facts
from vlrb_plugins.shared.pages.pages import render_page
from vlrb_plugins.shared.pages.tables import name_cell, percent

TROUBLES = ("missing", "unknown", "failed_calls", "failed_judges")


def data_page(report: DataReport) -> str:
    """Return the page of a data report."""
    folder = common_folder(report)
    heat, scale = accuracy_map(report)
    said = facts(report, names=False)
    said.pop("size")
    context = {
        "report": report,
        "tiles": _tiles(report),
        "facts": said,
        "heat": heat,
        "scale": scale and (percent(scale.low), percent(scale.high)),
        "models": models_table(report),
        "datasets": datasets_table(report),
        "outcomes": _outcomes(report, folder),
        "troubles": _troubles(report.models),
        "folder": folder,
        "passed_over": passed_over_by_reason(report, folder),
        "findings": findings_in_files(report, folder),
    }
    return render_page(__package__, "data_report.html.j2", context)


def _tiles(report: DataReport) -> dict[str, str]:
    """Return the figures at the top: what each is, and its value."""
    best = max((m.accuracy for m in report.models), default=None)
    tiles = {
        "samples": f"{report.samples:,}",
        "datasets" if len(report.datasets) != 1 else "dataset": f"{len(report.datasets):,}",
        "models" if len(report.models) != 1 else "model": f"{len(report.models):,}",
        "answers": f"{report.pairs:,}",
    }
    if report.total_tokens is not None:
        tiles["tokens"] = _rounded(report.total_tokens)
    tiles["accuracy of the best single model"] = f"{percent(best)} %"
    if report.samples:
        tiles["solved by some model (Oracle)"] = f"{percent(report.oracle_correct / report.samples)} %"
        tiles["solved by every model"] = f"{percent(report.solved_by_every_model / report.samples)} %"
    return tiles


def _rounded(count: int) -> str:
    """Return a large count in millions (M) or billions (G), with three digits that count."""
    for size, unit in ((10**9, "G"), (10**6, "M")):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count // size:,} {unit}"
    return f"{count:,}"


def _troubles(entries: Sequence[Any]) -> str:
    """Return what the logs lack, as words; an empty text if they lack nothing."""
    counts = {key: sum(getattr(e, key) for e in entries) for key in TROUBLES}
    return ", ".join(f"{count:,} {key.replace('_', ' ')}" for key, count in counts.items() if count)


def _outcomes(report: DataReport, folder: str) -> list[dict[str, Any]]:
    """Return what the page says of each dataset's outcomes, folded: a line, a table, and what explains it."""
    of: dict[str, list[OutcomeFigures]] = {}
    for outcome in report.outcomes:
        of.setdefault(outcome.dataset, []).append(outcome)
    figures = {d.name: d for d in report.datasets}
    return [
        {
            "name": name_cell(name, LONG),
            "line": _line(figures.get(name), outcomes),
            "table": outcomes_table(number, name, outcomes),
            "sources": [_source(o, folder) for o in outcomes],
            "undecided": _undecided(outcomes),
        }
        for number, (name, outcomes) in enumerate(of.items(), start=1)
    ]


def _source(outcome: OutcomeFigures, folder: str) -> str:
    """Return a model, and where it stands whether its answers are right."""
    verdict = filter(None, (outcome.verdict, outcome.scorer and f"scorer {outcome.scorer}"))
    return f"{outcome.model}: {relative_to(folder, '; '.join(verdict)) or 'nowhere'}"


def _line(dataset: DatasetFigures | None, outcomes: Sequence[OutcomeFigures]) -> str:
    reached = [o.accuracy for o in outcomes if o.accuracy is not None]
    said = [f"{dataset.samples:,} samples" if dataset else "not in the benchmark"]
    if reached:
        said.append(f"accuracy {percent(min(reached))} to {percent(max(reached))} %")
    return ", ".join([*said, *filter(None, [_troubles(outcomes)])])


def _undecided(outcomes: Sequence[OutcomeFigures]) -> list[tuple[str, int]]:
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        reasons.update(outcome.agreement.undecided_because if outcome.agreement else {})
    return reasons.most_common()
