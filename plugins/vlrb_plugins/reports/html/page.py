"""The page of a run's report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlrb import FinishedRun, Leaderboard, RunResult, Undefined, leaderboard
from vlrb_plugins.reports.html.board_table import board_table, points_table
from vlrb_plugins.reports.html.drawing import Drawn
from vlrb_plugins.reports.html.findings import compared_in_words, findings_in_words
from vlrb_plugins.reports.html.samples import telling_samples
from vlrb_plugins.reports.notes import leaderboard_notes
from vlrb_plugins.shared.pages.pages import render_page
from vlrb_plugins.shared.pages.tables import Cell, Column, Table, name_cell, percent

MOST_SPLITS = 10


def run_page(run: FinishedRun, figures: Sequence[Drawn], samples: int) -> str:
    """Return the page."""
    from markupsafe import Markup

    result = run.result
    board = leaderboard(result)
    context = {
        "run": result.run,
        "result": result,
        "compared": compared_in_words(result),
        "findings": findings_in_words(run, board),
        "tiles": _tiles(result),
        "board": board_table(result, board),
        "points": [points_table(n, p, result.run.metrics) for n, p in enumerate((*board.sweeps, *board.curves))],
        "notes": _notes(result, board),
        "figures": [(f, Markup(f.svg)) for f in figures if f.svg],
        "missing": [f for f in figures if f.missing],
        "telling": telling_samples(run, samples),
        "samples": samples,
        "cached": run.benchmark is not None if samples else True,
        "data": _data_table(run),
        "provenance": _provenance(result),
        "components": _components(result),
    }
    return render_page(__package__, "run_report.html.j2", context)


def _notes(result: RunResult, board: Leaderboard) -> list[str]:
    """Return what explains the leaderboard, without what the page says elsewhere."""
    elsewhere = ("SYNTHETIC DATA:", "caution:", "benchmark ", "protocol ", "left out or changed:")
    return [note for note in leaderboard_notes(result, board) if not note.startswith(elsewhere)]


def _tiles(result: RunResult) -> dict[str, str]:
    """Return the figures at the top: what each is, and its value."""
    tests = {r.label: r.test for r in result.routers if r.label == result.statistics.leader}
    tests |= {r.name: r.test for r in result.references if r.name in ("best-single", "oracle")}
    names = {"best-single": "the best single model", "oracle": "the Oracle"}
    tiles = {}
    for name, test in tests.items():
        scores = test.scores.get("overall", {}) if test is not None else {}
        what, accuracy, cost = names.get(name, "the best router"), scores.get("accuracy"), scores.get("cost-per-10k")
        if accuracy is not None and not isinstance(accuracy, Undefined):
            tiles[f"accuracy of {what}"] = f"{percent(accuracy)} %"
        if cost is not None and not isinstance(cost, Undefined):
            tiles[f"cost of 10,000 samples with {what}"] = f"{cost:.3g} USD"
    return tiles


def _data_table(run: FinishedRun) -> Table:
    """Return the datasets: their samples, those in test, and what the models reach on the latter."""
    samples = run.samples
    splits = run.chosen("oracle") if any(r.name == "oracle" for r in run.result.references) else ()
    tested = np.unique(np.concatenate([c.rows for c in splits])) if splits else np.array([], dtype=int)
    rows = []
    for name, count in run.result.run.benchmark.datasets.items():
        inside = tested[samples.datasets[tested] == name]
        quality = samples.quality[inside]
        means = quality.mean(axis=0) if len(inside) else np.full(len(samples.models), np.nan)
        best = int(np.argmax(means)) if len(inside) else None
        rows.append(
            (
                name_cell(name),
                Cell(f"{count:,}"),
                Cell(f"{len(inside):,}"),
                Cell("–") if best is None else name_cell(samples.models[best]),
                Cell(percent(None if best is None else float(means[best]))),
                Cell(percent(float(quality.any(axis=1).mean()) if len(inside) else None)),
            )
        )
    columns = (
        Column("dataset", holds="name"),
        Column("samples", "samples in the benchmark"),
        Column("tested", "samples that are in test, of some split"),
        Column("best model", "the model that is most accurate on them", "name"),
        Column("best %", "accuracy of that model"),
        Column("Oracle %", "samples that some model answers right"),
    )
    return Table(
        id="data-table",
        caption="Datasets, and what the models reach on the tested samples",
        columns=columns,
        rows=tuple(rows),
    )


def _provenance(result: RunResult) -> dict[str, str]:
    """Return where the numbers come from: what is said of it, and its value."""
    run, bounds, statistics = result.run, result.run.bounds, result.statistics
    splits = [
        f"{one.name or 'split'}: {', '.join(f'{part} {count:,}' for part, count in one.samples.items())}"
        for one in run.split.whole
    ]
    selection = run.experiment["selection"]
    versions = [f"{name} {version}" for name, version in run.environment.items() if not name.startswith("plugin ")]
    return {
        "Run": run.id,
        "Started, finished": f"{result.started}, {result.finished}",
        "Protocol": run.protocol,
        "Benchmark": run.benchmark.fingerprint,
        "Split": f"{run.split.use}, {run.split.made}; digest {run.split.digest}",
        "Samples": "; ".join(splits[:MOST_SPLITS]) + ("; …" if len(splits) > MOST_SPLITS else ""),
        "Selection": f"by {selection['metric']} on {selection['on']}",
        "Cost bounds": f"{bounds.low:.3g} to {bounds.high:.3g} USD per sample, from {bounds.rows}",
        "Intervals": f"{statistics.draws:,} draws of {statistics.groups:,} groups, seed {statistics.seed}",
        "Key": run.key,
        "Versions": ", ".join(versions),
    }


def _components(result: RunResult) -> list[str]:
    """Return the plugins that the run loaded, with their distributions."""
    loaded = [
        f"{k.removeprefix('plugin ')} ({v})" for k, v in result.run.environment.items() if k.startswith("plugin ")
    ]
    return sorted(loaded)
