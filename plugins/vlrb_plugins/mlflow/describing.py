"""Names and descriptions of MLflow runs: what was compared, on what, and what may be concluded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from vlrb import (
    CellInfo,
    Difference,
    Interval,
    RunInfo,
    RunResult,
    SplitsInfo,
    Undefined,
    shorten_list,
)
from vlrb_plugins.shared.markdown import in_markdown

LONGEST_RUN_NAME = 250
_STARTED = re.compile(r"\d{4}(\d{4}-\d{6})-")

# --- names: the UI cuts them after some 15 characters, so that what differs comes first --------------------------------


def parent_name(run: RunInfo, leader: str = "") -> str:
    """Return the name of the parent run: when it started, the leading router, and the experiment."""
    return " ".join(filter(None, (_started(run), leader, f"({run.name})")))[:LONGEST_RUN_NAME]


def row_name(run: RunInfo, label: str) -> str:
    """Return the name of a leaderboard row, which other runs may have as well."""
    return f"{label} {_started(run)}"[:LONGEST_RUN_NAME]


def cell_name(run: RunInfo, cell: CellInfo) -> str:
    """Return the name of a cell: point, split and seed, as far as there are several, before the router."""
    seed = f"seed {cell.seed}" if len({c.seed for c in run.cells}) > 1 else ""
    return row_name(run, " ".join(filter(None, (cell.point_name, cell.split_name, seed, cell.label))))


def _started(run: RunInfo) -> str:
    found = _STARTED.match(run.directory.name)
    return found[1] if found else run.directory.name


# --- descriptions -----------------------------------------------------------------------------------------------------


def describe_run(run: RunInfo) -> str:
    """Return what is compared on what, as Markdown."""
    benchmark, split = run.benchmark, run.split
    labels = list(dict.fromkeys(c.label for c in run.cells))
    synthetic = f"\n\n**Synthetic data:** {in_markdown(benchmark.synthetic)}" if benchmark.synthetic else ""
    limited = f" **Only part of the experiment:** {in_markdown(run.limited)}." if run.limited else ""
    return (
        f"**Compared:** {len(labels)} routers ({in_markdown(shorten_list(labels))}) with the reference points.{limited}\n\n"
        f"**Benchmark** `{benchmark.fingerprint[:12]}`: {benchmark.samples:,} samples of {len(benchmark.datasets)} datasets, "
        f"{len(benchmark.models)} models.{synthetic}\n\n{_describe_split(run.protocol, split)}"
    )


def describe_result(result: RunResult) -> str:
    """Return what may be concluded, what was compared on what, and where the figures may mislead, as Markdown."""
    found = result.statistics
    cautions = "".join(f"\n- {in_markdown(text)}" for text in found.cautions)
    return (
        f"{_conclude(result)}\n\n{describe_run(result.run)}\n\n"
        f"**Intervals:** {100 * found.level:g} %, {found.draws:,} draws of {found.groups:,} groups of test samples."
        + (f"\n\n**Cautions:**\n{cautions}" if cautions else "")
    )


def describe_cell(run: RunInfo, cell: CellInfo) -> str:
    """Return what a cell is, as Markdown."""
    parts = (
        f"point {cell.point_name}" if cell.point else "",
        f"split {cell.split_name}" if cell.split_name else "",
        f"seed {cell.seed}",
        _features(cell),
    )
    return (
        f"**{in_markdown(cell.label)}**: router {in_markdown(cell.router)} ({in_markdown(cell.dist)}), "
        f"{in_markdown(', '.join(filter(None, parts)))}.\n\n{_describe_benchmark(run)}"
    )


def describe_row(result: RunResult, name: str, summary: str, cell: CellInfo | None = None) -> str:
    """Return what a row of the leaderboard is, and how it compares with the baseline, as Markdown."""
    what = (
        f"router {cell.router} ({cell.dist}), {_features(cell)}" if cell is not None else f"reference point, {summary}"
    )
    return f"**{in_markdown(name)}**: {in_markdown(what)}.\n\n{_compare(result, name)}\n\n{_describe_benchmark(result.run)}"


def _features(cell: CellInfo) -> str:
    return f"features {cell.features}" if cell.features else "no features"


def _describe_benchmark(run: RunInfo) -> str:
    synthetic = " (synthetic data)" if run.benchmark.synthetic else ""
    return (
        f"Benchmark `{run.benchmark.fingerprint[:12]}`{synthetic}, {run.benchmark.samples:,} samples. "
        f"{_describe_split(run.protocol, run.split)}"
    )


def _describe_split(protocol: str, split: SplitsInfo) -> str:
    whole = [one for one in split.each if one.train_fraction == 1]
    ends = {n: (min(o.samples[n] for o in whole), max(o.samples[n] for o in whole)) for n in whole[0].samples}
    sizes = ", ".join(f"{n} {low:,}" + (f" to {high:,}" if high > low else "") for n, (low, high) in ends.items())
    times = f"{len(whole)} splits, each with " if len(whole) > 1 else ""
    leaks = sum(one.group_also_in_train["test"] for one in whole)
    leaking = f" {leaks:,} test samples share an image or a group with a train sample." if leaks else ""
    return (
        f"**Protocol** {in_markdown(protocol)}; **split** `{split.digest[:12]}` by {in_markdown(f'{split.use} ({split.made})')}: "
        f"{times}{sizes} samples.{leaking}"
    )


def _conclude(result: RunResult) -> str:
    leader, metric = result.statistics.leader, selection_metric(result.run)
    if not leader:
        return f"**No router has a value of {in_markdown(metric)}**, so none leads."
    tied = [r.label for r in result.routers if r.label != leader and _may_be_chance(result, r.label, leader, metric)]
    also = f" Routers whose difference from it may be chance: {in_markdown(shorten_list(tied))}." if tied else ""
    return f"**{in_markdown(leader)} leads by {in_markdown(metric)}.** {_compare(result, leader)}{also}"


def _may_be_chance(result: RunResult, name: str, other: str, metric: str) -> bool:
    row = result.statistics.rows.get(name)
    difference = row.against.get(other, {}).get(metric) if row is not None else None
    return difference is not None and difference.may_be_chance


def _compare(result: RunResult, name: str) -> str:
    """Return the value of the selection metric, and whether the difference from the baseline may be chance."""
    metric, baseline = selection_metric(result.run), result.statistics.baseline
    row = result.statistics.rows.get(name)
    test = next((r.test for r in result.routers if r.label == name), None)
    test = test or next((r.test for r in result.references if r.name == name), None)
    if row is None or test is None:
        return "It has no values, since cells failed."
    value = test.scores["overall"].get(metric, Undefined("not computed"))
    text = f"{in_markdown(metric)} on test: {_number(value)}{_interval(row.intervals.get('overall', {}).get(metric))}."
    difference = row.against.get(baseline, {}).get(metric)
    return text if difference is None else f"{text} {_differs(result, baseline, difference)}"


def _differs(result: RunResult, baseline: str, difference: Difference) -> str:
    value = difference.value
    if isinstance(value, Undefined):
        return f"The difference from {in_markdown(baseline)} is undefined: {in_markdown(value.reason)}."
    p = difference.decisive_p
    text = f"Difference from {in_markdown(baseline)}: {value:+.4g}{_interval(difference.interval)}"
    if p is None:
        return f"{text}."
    corrected = ", Holm" if difference.corrected else ""
    metric = selection_metric(result.run)
    rises = next((m.higher_is_better for m in result.run.metrics if m.name == metric), True)
    said = (
        "it may be chance"
        if difference.may_be_chance
        else "better than chance explains"
        if (value > 0) == rises
        else "worse"
    )
    return f"{text}, p = {p:.2g}{corrected}: {said}."


def _number(value: object) -> str:
    return f"undefined ({in_markdown(value.reason)})" if isinstance(value, Undefined) else f"{value:.4g}"


def _interval(interval: object) -> str:
    return f" \\[{interval.low:.4g}, {interval.high:.4g}\\]" if isinstance(interval, Interval) else ""


def selection_metric(run: RunInfo) -> str:
    """Return the name of the metric that orders the leaderboard."""
    return str(run.experiment["selection"]["metric"]).rpartition("/")[2]


def about_splits(split: SplitsInfo) -> Mapping[str, Any]:
    """Return what all splits have in common, and the sizes where there is one only."""
    about = {
        **split.parameters,
        **attrs.asdict(split, recurse=False, filter=attrs.filters.exclude("parameters", "each")),
    }
    if len(split.each) == 1:
        about |= {k: getattr(split.each[0], k) for k in ("samples", "group_also_in_train")}
    return {**about, "splits": len(split.each)}
