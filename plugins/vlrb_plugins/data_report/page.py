"""The data report as a page of HTML that stands on its own: no scripts, no further files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape as escape_html
from typing import Any

from vlrb import printable
from vlrb_plugins.data_report.texts import agreement_share, shown, summary

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d8dee4;text-align:right;white-space:nowrap}
th{background:#f6f8fa;position:sticky;top:0}td:first-child,th:first-child,.text{text-align:left}
.text{white-space:normal;min-width:16rem;overflow-wrap:anywhere}.warn{background:#fff8c5;padding:.5rem 1rem;border-radius:6px}
.bad{background:#ffebe9}
"""

Row = Sequence[tuple[str, str]]
"""The cells of a row: text, and a class of the style."""


def data_page(report: Mapping[str, Any]) -> str:
    """Return the page of a data report (see :func:`vlrb_plugins.data_report.figures.report_figures`)."""
    title = f"Data report: benchmark {report['fingerprint'][:12]}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="warn">SYNTHETIC DATA: {escape(report["synthetic"])}</p>' if report["synthetic"] else "",
        _paragraph(summary(report)),
        "<h2>Datasets</h2>",
        _table(_DATASETS, (_dataset_row(d) for d in report["datasets"])),
        "<h2>Models</h2>",
        _table(_MODELS, (_model_row(m) for m in report["models"])),
        "<h2>Outcomes: each model on each dataset</h2>",
        _table(_OUTCOMES, (_outcome_row(o) for o in report["outcomes"])),
        "<h2>Left out or changed</h2>",
        _list(f"{e['count']:,} {e['reason']}" for e in report["excluded"]),
        "<h2>Worth knowing of the files</h2>",
        _list(f"{p['part']}: {n:,} {what}" for p in report["parts"] for what, n in p["counts"].items()),
        "<h2>Files passed over</h2>",
        _list(f"{file}: {why}" for file, why in report["ignored_files"].items()),
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(p for p in parts if p)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


_DATASETS = (
    "dataset",
    "group",
    "samples",
    "expected",
    "images",
    "Oracle %",
    "guessing Oracle %",
    "solved by one",
    "best model %",
    "best model",
    "agreement %",
    "decided",
)
_MODELS = (
    "model",
    "accuracy %",
    "mean score %",
    "USD / 10k",
    "input tokens",
    "output tokens",
    "found",
    "missing",
    "unknown",
    "failed calls",
    "failed judges",
)
_OUTCOMES = (
    "dataset",
    "model",
    "found",
    "missing",
    "unknown",
    "failed calls",
    "failed judges",
    "used",
    "accuracy %",
    "mean score %",
    "USD / 10k",
    "output tokens",
    "agreement %",
    "decided",
    "logs only",
    "ours only",
    "verdict from",
)


def _dataset_row(d: Mapping[str, Any]) -> Row:
    guessing = d["guessing"] or {}
    odd = d["expected_samples"] is not None and d["expected_samples"] != d["samples"]
    return [
        (d["name"], ""),
        (d["group"], ""),
        (shown(d["samples"]), "bad" if odd else ""),
        (shown(d["expected_samples"]), ""),
        (shown(d["images"]), ""),
        (shown(d["oracle_accuracy"], "%"), ""),
        (shown(guessing.get("guessing_oracle"), "%"), ""),
        (shown(guessing.get("solved_by_one")), ""),
        (shown(d["best_accuracy"], "%"), ""),
        (d["best_model"], ""),
        (shown(agreement_share(d["agreement"]), "%"), ""),
        (shown(d["agreement"]["decided"]), ""),
    ]


def _model_row(m: Mapping[str, Any]) -> Row:
    keys = (
        "cost_per_10k",
        "input_tokens",
        "output_tokens",
        "found",
        "missing",
        "unknown",
        "failed_calls",
        "failed_judges",
    )
    shares = [(shown(m[k], "%"), "") for k in ("accuracy", "mean_score")]
    return [(m["name"], ""), *shares, *((shown(m[k]), "bad" if k in _TROUBLE and m[k] else "") for k in keys)]


_TROUBLE = frozenset({"missing", "unknown", "failed_calls", "failed_judges"})


def _outcome_row(o: Mapping[str, Any]) -> Row:
    agreement = o["agreement"]
    counts = ("found", "missing", "unknown", "failed_calls", "failed_judges", "used")
    return [
        (o["dataset"], ""),
        (o["model"], ""),
        *((shown(o[k]), "bad" if k in _TROUBLE and o[k] else "") for k in counts),
        (shown(o["accuracy"], "%"), ""),
        (shown(o["mean_score"], "%"), ""),
        (shown(o["cost_per_10k"]), ""),
        (shown(o["output_tokens"]), ""),
        (shown(agreement_share(agreement), "%"), ""),
        *((shown(agreement[k] if agreement else None), "") for k in ("decided", "only_stored", "only_scored")),
        ("; ".join(t for t in (o["verdict"], o["scorer"] and f"scorer {o['scorer']}") if t), "text"),
    ]


def escape(text: str) -> str:
    """Return a text as HTML shows it; what cannot be printed, or stands for nothing in HTML, is an escape."""
    plain = printable(text, lines=False)
    return escape_html(_NO_CHARACTERS.sub(lambda m: f"\\u{ord(m[0]):04x}", plain))


_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(f"{chr(p * 0x10000 + n)}" for p in range(17) for n in (0xFFFE, 0xFFFF)) + "]"
)
"""Code points that Unicode keeps free, which HTML refuses."""


def _table(headings: Sequence[str], rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in headings)
    body = "\n".join("<tr>" + "".join(_cell(*cell) for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cell(text: str, style: str) -> str:
    return f'<td class="{style}">{escape(text)}</td>' if style else f"<td>{escape(text)}</td>"


def _paragraph(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _list(lines: Iterable[str]) -> str:
    items = [f"<li>{escape(line)}</li>" for line in lines]
    return f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing.</p>"
