"""Views of an experiment's run table, kept as its tags: which columns the UI shows, in which order and of which runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from vlrb import RunResult
from vlrb_plugins.mlflow.describing import selection_metric
from vlrb_plugins.mlflow.naming import named
from vlrb_plugins.mlflow.rows import Row

ROWS = "tags.selected = 'true'"
RUNS_VIEW, ROWS_VIEW = "vlrb-runs", "vlrb-leaderboard"
VIEW_TAG = "mlflow.sharedViewState."
"""Where MLflow 3 keeps the views that its button "Share" makes."""

LONGEST_VIEW = 5000
"""What databases have room for in a tag of an experiment; MLflow itself would take more."""

FIRST = ("accuracy", "cost-per-10k", "oracle-gap-closed")
_SHORT_NAMES = "Model metrics"
"""What the UI calls the charts of metrics without a prefix."""


def table_views(result: RunResult, rows: Sequence[Row]) -> dict[str, str]:
    """Return the tags of the experiment with the views of runs, and of leaderboards."""
    selected = selection_metric(result.run)
    names = sorted(named(dict.fromkeys(name for row in rows for name in row.metrics)))
    first = [name for name in dict.fromkeys((selected, *FIRST)) if name in names]
    columns = first + [f"test-{end}/{name}" for name in first for end in ("low", "high")]
    rises = next((m.higher_is_better for m in result.run.metrics if m.name == selected), True)
    latest = {"searchFilter": "", "orderByKey": "attributes.start_time", "orderByAsc": False}
    best = {"searchFilter": ROWS, "orderByKey": f"metrics.`{selected}`", "orderByAsc": not rises}
    views = {
        VIEW_TAG + RUNS_VIEW: latest | _columns("leader", columns) | _charts(first, names),
        VIEW_TAG + ROWS_VIEW: best | _columns("role", columns) | _charts(first, names),
    }
    return {tag: text for tag, view in views.items() if (text := _short_json(view))}


def _short_json(view: dict[str, Any]) -> str:
    """Return a view with as many folded sections as fit; empty where even the rest is too long."""
    sections = view["compareRunSections"]
    for count in range(len(sections), 0, -1):
        text = json.dumps({**view, "compareRunSections": sections[:count]}, separators=(",", ":"))
        if len(text) <= LONGEST_VIEW:
            return text
    return ""


def _columns(tag: str, metrics: Sequence[str]) -> dict[str, Any]:
    shown = [f"tags.`{tag}`", *(f"metrics.`{name}`" for name in metrics)]
    widths = {"attributes.`Run Name`": 220, **dict.fromkeys(shown, 120)}
    return {"selectedColumns": shown, "columnOrder": list(widths), "columnWidths": widths}


def _charts(first: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Return the charts of a view: what compares all routers is open, a chart for each other metric is folded away."""
    sections = [_SHORT_NAMES, *sorted({name.rpartition("/")[0] for name in names if "/" in name})]
    opened: list[dict[str, Any]] = []
    if {"accuracy", "cost-per-10k"} <= set(names):
        axes = {"xaxis": {"key": "cost-per-10k", "type": "METRIC"}, "yaxis": {"key": "accuracy", "type": "METRIC"}}
        opened.append({"type": "SCATTER", **axes})
    opened += [{"type": "BAR", "metricKey": name, "displayName": name} for name in first]
    opened.append({"type": "PARALLEL", "selectedParams": [], "selectedMetrics": list(first), "showAllRuns": False})
    common = {"metricSectionId": _SHORT_NAMES, "runsCountToCompare": 100, "deleted": False, "isGenerated": False}
    return {
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [{"uuid": f"vlrb-{i}", **common, **chart} for i, chart in enumerate(opened)],
        "compareRunSections": [
            {"uuid": name, "name": name, "display": name == _SHORT_NAMES, "isReordered": False} for name in sections
        ],
        "isAccordionReordered": True,
    }


def table_address(server: str, experiment: str, view: str, kept: bool) -> str:
    """Return the address of an experiment's run table in a view, or of the same runs where an earlier version kept no views."""
    more = {"viewStateShareKey": view} if kept else {"searchFilter": ROWS} if view == ROWS_VIEW else {}
    query = urlencode({"workflowType": "machine_learning", **more}, quote_via=quote)
    return f"{server}/#/experiments/{quote(experiment)}/runs?{query}"
