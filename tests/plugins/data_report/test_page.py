"""The page of the data report, whatever stands in names."""

from __future__ import annotations

import html.parser
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vlrb import Excluded, PartSummary, Policies, Stages
from vlrb_plugins.data_report.figures import Agreement, DataReport, DatasetFigures, Leak, ModelFigures, OutcomeFigures
from vlrb_plugins.data_report.page import data_page

ANY = st.text(st.characters(exclude_categories=()), max_size=40)
"""Control characters and lone surrogates included."""

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order, and collects cells and items."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag in ("td", "li", "p"):
            self.said.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "li", "p"):
            self.said[-1] += data


def report(name: str) -> DataReport:
    """Return a report in which every text is ``name``."""
    tokens = {"input_tokens": 1, "output_tokens": 1}
    held = {"found": 1, "missing": 1, "unknown": 1, "failed_calls": 1, "failed_judges": 1}
    figures = {"accuracy": 0.5, "mean_score": 0.5, "cost_per_10k": 1.0}
    dataset = DatasetFigures(
        name=name, group=name, samples=1, expected_samples=None, images=0, oracle_correct=1, oracle_accuracy=0.5,
        best_model=name, best_accuracy=0.5, mean_score=0.5, correct={}, output_tokens={}, agreement=Agreement(), guessing=None,
    )  # fmt: skip
    outcome = OutcomeFigures(
        dataset=name, model=name, without_stored_verdict=0, verdict=name, scorer=name, part=name, used=1, output_tokens=1,
        **held, **figures,
    )  # fmt: skip
    return DataReport(
        fingerprint="f" * 64, synthetic=name, total_tokens=1, token_counter=name, token_parameters={}, stages=Stages(),
        policies=Policies("stored", "error", "error", 1.0), excluded=(Excluded(name, 1),), ignored_files={name: name},
        parts=(PartSummary(name, (), 1, "", {name: 1}, (), ()),), directory=name, samples=1, pairs=1, oracle_correct=1,
        solved_by_no_model=0, solved_by_every_model=0, agreement=Agreement(), guessing=None, leak=Leak(1, 0, 1),
        datasets=(dataset,), models=(ModelFigures(name=name, correct=1, **tokens, **held, **figures),), outcomes=(outcome,),
    )  # fmt: skip


SHAPE = Page(data_page(report("plain"))).tags


@given(ANY)
def test_any_name_leaves_the_page_valid_html(name: str) -> None:
    """The same tags whatever a name holds, closed in order, no character that HTML refuses, and UTF-8 that can be written."""
    text = data_page(report(name))
    page = Page(text)

    assert not page.open
    assert page.tags == SHAPE or not name  # an empty word on the data has no paragraph
    assert not RAW.search(text)
    text.encode()


def test_names_are_shown_as_they_are_but_for_what_cannot_be_shown() -> None:
    """Markup in a name is text; an escape code is shown escaped."""
    said = Page(data_page(report("<b>&amp;\x1b[31m\udcff"))).said

    assert "<b>&amp;\\x1b[31m\\udcff" in said
