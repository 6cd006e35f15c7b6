"""The tables of the data report's page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from vlrb_plugins.data_report.figures import DataReport, DatasetFigures, ModelFigures, OutcomeFigures
from vlrb_plugins.shared.pages.tables import (
    UNKNOWN,
    Cell,
    Column,
    Scale,
    Table,
    heat_rows,
    name_cell,
    percent,
    shortened,
)

LONG = 80
"""Characters of a name in tables where it does not stand for the first time."""

MARKED = " The best model of a column is bold and underlined."

Entry = TypeVar("Entry", ModelFigures, OutcomeFigures)


@attrs.frozen
class Field:
    """A column of a table: its value of an entry, and the form in which the values of the column are shown."""

    column: Column
    value: Callable[[Any], Any]
    form: str = "count"


def _field(heading: str, value: Callable[[Any], Any], form: str = "count", meaning: str = "") -> Field:
    holds = form if form in ("name", "text") else "number"
    return Field(Column(heading, meaning, holds), value, form)  # type: ignore[arg-type]


_TROUBLES = (
    _field("missing", lambda e: e.missing, "trouble", "samples to which the logs hold no answer of the model"),
    _field(
        "unknown", lambda e: e.unknown, "trouble", "answers that neither the logs nor a scorer judge right or wrong"
    ),
    _field(
        "failed calls",
        lambda e: e.failed_calls,
        "trouble",
        "answers that hold the error message of a call to the model",
    ),
    _field("failed judges", lambda e: e.failed_judges, "trouble", "answers on which the judge of the logs failed"),
)
_ACCURACY = _field("accuracy %", lambda e: e.accuracy, "share", "share of samples that are answered right")
_SCORE = _field(
    "mean score %", lambda e: e.mean_score, "share", "mean of the scores from which right and wrong are decided"
)
_COST = (
    _field("USD / 10k", lambda e: e.cost_per_10k, "usd", "mean cost of 10,000 samples, in US dollars"),
    _field("output tokens", lambda e: e.output_tokens, meaning="tokens of all answers"),
)
_AGREEMENT = (
    _field(
        "agreement %",
        lambda e: e.agreement and e.agreement.share,
        "agreement",
        "share of the answers decided by our own scoring on which it agrees with the logs",
    ),
    _field(
        "decided",
        lambda e: e.agreement and e.agreement.stored and e.agreement.decided,
        "optional",
        "answers that the logs judge and that our own scoring can judge too",
    ),
    _field(
        "logs only", lambda e: e.agreement and e.agreement.only_stored, "trouble", "of these: right in the logs only"
    ),
    _field(
        "ours only", lambda e: e.agreement and e.agreement.only_scored, "trouble", "of these: right in our scoring only"
    ),
)
_DATASETS = (
    _field("dataset", lambda d: Cell(d.name), "name"),
    _field("group", lambda d: name_cell(d.group, LONG), "name", "the dataset's task group"),
    _field(
        "samples",
        lambda d: _expected(d),
        "cell",
        "samples in the benchmark; marked where the dataset should have others",
    ),
    _field("expected", lambda d: d.expected_samples, meaning="samples that the dataset is known to have"),
    _field("images", lambda d: d.images, "optional", "different images"),
    _field("Oracle %", lambda d: d.oracle_accuracy, "share", "samples that at least one model answers right"),
    _field(
        "guessing %",
        lambda d: d.guessing and d.guessing.guessing_oracle,
        "share",
        "the Oracle's share on multiple-choice questions if every model only guessed",
    ),
    _field(
        "solved by one",
        lambda d: d.guessing and d.guessing.solved_by_one,
        "optional",
        "multiple-choice questions that a single model answers right, where a lucky guess is likeliest",
    ),
    _field("best model", lambda d: name_cell(d.best_model, LONG), "name"),
    _field("best %", lambda d: d.best_accuracy, "share", "accuracy of the best model"),
    *_AGREEMENT,
)
_MODELS = (
    _field("model", lambda m: Cell(m.name), "name"),
    _ACCURACY,
    _SCORE,
    *_COST,
    _field(
        "input tokens", lambda m: m.input_tokens, meaning="tokens of all questions and images, as the model counts them"
    ),
    *_TROUBLES,
)
_OUTCOMES = (
    _field("model", lambda o: name_cell(o.model, LONG), "name"),
    _ACCURACY,
    _SCORE,
    *_COST,
    _field("used", lambda o: o.used, meaning="answers that are in the benchmark"),
    *_TROUBLES,
    _field(
        "unjudged", lambda o: o.without_stored_verdict, "optional", "answers that the logs do not judge; a scorer does"
    ),
    *_AGREEMENT,
)


def datasets_table(report: DataReport) -> Table:
    """Return the table of datasets."""
    return _table("datasets-table", "Each dataset and what the models reach on it", _DATASETS, report.datasets)


def models_table(report: DataReport) -> Table:
    """Return the table of models, the most accurate first."""
    return _table("models-table", "Each model on all samples", _MODELS, by_accuracy(report.models))


def outcomes_table(number: int, name: str, outcomes: Iterable[OutcomeFigures]) -> Table:
    """Return the table of the models' outcomes on a dataset."""
    return _table(f"outcomes-{number}", f"Each model on {shortened(name, LONG)}", _OUTCOMES, by_accuracy(outcomes))


def accuracy_map(report: DataReport) -> tuple[Table, Scale | None]:
    """Return the heat map of accuracies, models by datasets, and the range of its colours if they differ."""
    models = by_accuracy(report.models)
    whole = len(report.datasets) > 1
    values = [[*([m.accuracy] if whole else []), *(_reached(d, m.name) for d in report.datasets)] for m in models]
    scale = Scale.over(v for row in values for v in row)
    columns = [
        Column("model", holds="name"),
        *([Column("all samples", "on all samples together, so that larger datasets count more")] if whole else []),
        *(Column(shortened(d.name), whole=d.name) for d in report.datasets),
    ]
    table = Table(
        id="accuracy-map",
        caption="Accuracy in %, models by datasets." + (MARKED if len(models) > 1 else ""),
        columns=tuple(columns),
        rows=heat_rows([m.name for m in models], values, scale),
        foot=_bounds(report, whole),
        heat=True,
    )
    return table, scale if scale.high > scale.low else None


def by_accuracy(entries: Iterable[Entry]) -> list[Entry]:
    """Return models or outcomes, the most accurate first."""
    return sorted(entries, key=lambda e: -(e.accuracy or 0))


def _reached(dataset: DatasetFigures, model: str) -> float | None:
    correct = dataset.correct.get(model)
    return correct / dataset.samples if correct is not None and dataset.samples else None


def _bounds(report: DataReport, whole: bool) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows of a perfect choice and of guessing, under the heat map."""
    solved = [report.oracle_correct / report.samples if report.samples else None] if whole else []
    guessing = [*([report.guessing] if whole else []), *(d.guessing for d in report.datasets)]
    rows = {"Oracle": [*solved, *(d.oracle_accuracy for d in report.datasets)]}
    if any(guessing):
        rows["Oracle on multiple choice"] = [g.oracle if g else None for g in guessing]
        rows["Oracle if all models guess"] = [g.guessing_oracle if g else None for g in guessing]
    return tuple((Cell(name), *(Cell(percent(v)) for v in values)) for name, values in rows.items())


def _expected(dataset: DatasetFigures) -> Cell:
    other = dataset.expected_samples not in (None, dataset.samples)
    return Cell(f"{dataset.samples:,}", mark="bad" if other else "")


def _counts(values: Sequence[int | None]) -> list[Cell]:
    return [Cell(UNKNOWN if v is None else f"{v:,}") for v in values]


def _troubles(values: Sequence[int | None]) -> list[Cell]:
    return [attrs.evolve(c, mark="bad" if v else "") for c, v in zip(_counts(values), values, strict=True)]


def _dollars(values: Sequence[float | None]) -> list[Cell]:
    """Return costs with as many digits as the smallest needs for two that count, the same for the whole column."""
    known = [v for v in values if v is not None and math.isfinite(v) and v > 0]
    digits = min(max(1 - math.floor(math.log10(min(known))), 2), 8) if known else 2
    return [Cell(UNKNOWN if v is None else f"{v:,.{digits}f}") for v in values]


_FORMS: Mapping[str, Callable[[Sequence[Any]], list[Cell]]] = {
    "count": _counts,
    "optional": _counts,
    "trouble": _troubles,
    "share": lambda values: [Cell(percent(v)) for v in values],
    "agreement": lambda values: [Cell(percent(v, 2)) for v in values],
    "usd": _dollars,
    **dict.fromkeys(("cell", "name", "text"), list),
}


def _table(id_: str, caption: str, fields: Sequence[Field], entries: Iterable[Any]) -> Table:
    """Return a table without the columns that say nothing: no value is known, nothing happened, or scores equal accuracies."""
    found = list(entries)
    columns = [(f, _FORMS[f.form]([f.value(e) for e in found])) for f in fields]
    accuracies = next((cells for f, cells in columns if f is _ACCURACY), None)
    kept = [
        (f, cells) for f, cells in columns if _says_something(f, cells) and (f is not _SCORE or cells != accuracies)
    ]
    rows = zip(*(cells for _, cells in kept), strict=True)
    return Table(id=id_, caption=caption, columns=tuple(f.column for f, _ in kept), rows=tuple(rows))


def _says_something(field: Field, cells: Sequence[Cell]) -> bool:
    nothing = {UNKNOWN, "", "0"} if field.form in ("trouble", "optional") else {UNKNOWN, ""}
    return field.form in ("name", "cell") or any(c.text not in nothing for c in cells)
