"""The data report as a page of HTML that stands on its own: no scripts, no further files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape as escape_html
from typing import Any

from vlrb import printable
from vlrb_plugins.data_report.figures import DataReport
from vlrb_plugins.data_report.texts import shown, summary

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1b1f24}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d8dee4;text-align:right;white-space:nowrap}
th{background:#f6f8fa;position:sticky;top:0}td:first-child,th:first-child,.text{text-align:left}
.text{white-space:normal;min-width:16rem;overflow-wrap:anywhere}.warn{background:#fff8c5;padding:.5rem 1rem;border-radius:6px}
.bad{background:#ffebe9}
"""


def data_page(report: DataReport) -> str:
    """Return the page of a data report."""
    title = f"Data report: benchmark {report.fingerprint[:12]}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="warn">SYNTHETIC DATA: {escape(report.synthetic)}</p>' if report.synthetic else "",
        _paragraph(summary(report)),
        "<h2>Datasets</h2>",
        _table(_DATASETS, report.datasets),
        "<h2>Models</h2>",
        _table(_MODELS, report.models),
        "<h2>Outcomes: each model on each dataset</h2>",
        _table(_OUTCOMES, report.outcomes),
        "<h2>Left out or changed</h2>",
        _list(f"{e.count:,} {e.reason}" for e in report.excluded),
        "<h2>Worth knowing of the files</h2>",
        _list(f"{p.part}: {n:,} {what}" for p in report.parts for what, n in p.counts.items()),
        "<h2>Files passed over</h2>",
        _list(f"{file}: {why}" for file, why in report.ignored_files.items()),
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(p for p in parts if p)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


Column = tuple[str, Callable[[Any], Any], str]
"""A heading, the value of an entry, and how it is shown: a form of :func:`shown`, ``text``, or ``trouble`` (marked unless 0)."""

_COUNTS: tuple[Column, ...] = (
    ("found", lambda e: e.found, ""),
    ("missing", lambda e: e.missing, "trouble"),
    ("unknown", lambda e: e.unknown, "trouble"),
    ("failed calls", lambda e: e.failed_calls, "trouble"),
    ("failed judges", lambda e: e.failed_judges, "trouble"),
)
_ACCURACY: tuple[Column, ...] = (
    ("accuracy %", lambda e: e.accuracy, "%"),
    ("mean score %", lambda e: e.mean_score, "%"),
)
_DATASETS: tuple[Column, ...] = (
    ("dataset", lambda d: d.name, ""),
    ("group", lambda d: d.group, ""),
    ("samples", lambda d: d.samples, "expected"),
    ("expected", lambda d: d.expected_samples, ""),
    ("images", lambda d: d.images, ""),
    ("Oracle %", lambda d: d.oracle_accuracy, "%"),
    ("guessing Oracle %", lambda d: d.guessing and d.guessing.guessing_oracle, "%"),
    ("solved by one", lambda d: d.guessing and d.guessing.solved_by_one, ""),
    ("best model %", lambda d: d.best_accuracy, "%"),
    ("best model", lambda d: d.best_model, ""),
    ("agreement %", lambda d: d.agreement.share, "%"),
    ("decided", lambda d: d.agreement.decided, ""),
)
_MODELS: tuple[Column, ...] = (
    ("model", lambda m: m.name, ""),
    *_ACCURACY,
    ("USD / 10k", lambda m: m.cost_per_10k, ""),
    ("input tokens", lambda m: m.input_tokens, ""),
    ("output tokens", lambda m: m.output_tokens, ""),
    *_COUNTS,
)
_OUTCOMES: tuple[Column, ...] = (
    ("dataset", lambda o: o.dataset, ""),
    ("model", lambda o: o.model, ""),
    *_COUNTS,
    ("used", lambda o: o.used, ""),
    *_ACCURACY,
    ("USD / 10k", lambda o: o.cost_per_10k, ""),
    ("output tokens", lambda o: o.output_tokens, ""),
    ("agreement %", lambda o: o.agreement and o.agreement.share, "%"),
    ("decided", lambda o: o.agreement and o.agreement.decided, ""),
    ("logs only", lambda o: o.agreement and o.agreement.only_stored, ""),
    ("ours only", lambda o: o.agreement and o.agreement.only_scored, ""),
    ("verdict from", lambda o: "; ".join(filter(None, (o.verdict, o.scorer and f"scorer {o.scorer}"))), "text"),
)


def escape(text: str) -> str:
    """Return a text as HTML shows it; what cannot be printed, or stands for nothing in HTML, is an escape."""
    plain = printable(text, lines=False)
    return escape_html(_NO_CHARACTERS.sub(lambda m: f"\\u{ord(m[0]):04x}", plain))


_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(f"{chr(p * 0x10000 + n)}" for p in range(17) for n in (0xFFFE, 0xFFFF)) + "]"
)
"""Code points that Unicode keeps free, which HTML refuses."""


def _table(columns: Sequence[Column], entries: Iterable[Any]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading, _, _ in columns)
    body = "\n".join("<tr>" + "".join(_cell(e, of(e), form) for _, of, form in columns) + "</tr>" for e in entries)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cell(entry: Any, value: Any, form: str) -> str:
    bad = (form == "trouble" and value) or (form == "expected" and entry.expected_samples not in (None, value))
    style = "bad" if bad else "text" if form == "text" else ""
    text = escape(shown(value, form))
    return f'<td class="{style}">{text}</td>' if style else f"<td>{text}</td>"


def _paragraph(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _list(lines: Iterable[str]) -> str:
    items = [f"<li>{escape(line)}</li>" for line in lines]
    return f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing.</p>"
