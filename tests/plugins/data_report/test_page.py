"""The page of the data report, whatever stands in names, and however many there are."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from browser import GROUND, OVERFLOW, look_at
from hypothesis import given
from hypothesis import strategies as st

from vlrb import Excluded, PartSummary, Policies, Stages
from vlrb_plugins.data_report.figures import (
    Agreement,
    DataReport,
    DatasetFigures,
    Guessing,
    Leak,
    ModelFigures,
    OutcomeFigures,
    PairAgreement,
)
from vlrb_plugins.data_report.page import data_page

ANY = st.text(st.characters(exclude_categories=()), max_size=40)
"""Control characters and lone surrogates included."""

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
HOSTILE = ("<script>alert(1)</script>", "\"a\" 'b' --> </style>", "דגם 7B", "x" * 300, "many words in it " * 18)


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order, and collects cells, items and paragraphs, and texts that are not folded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.unfolded: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)
        if tag in ("td", "th", "li", "p"):
            self.said.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th", "li", "p"} & set(self.open):
            self.said[-1] += data
        if "details" not in self.open or "summary" in self.open:
            self.unfolded.append(data)


def report(*models: str, datasets: tuple[str, ...] | None = None, files: int = 1) -> DataReport:
    """Return a report on models and datasets (one with the first model's name), in which every text is that name."""
    name = models[0]
    datasets = datasets or (name,)
    tokens = {"input_tokens": 1, "output_tokens": 1}
    held = {"found": 1, "missing": 1, "unknown": 1, "failed_calls": 1, "failed_judges": 1}
    figures = {"accuracy": 0.5, "mean_score": 0.25, "cost_per_10k": 1.0}
    agreement = PairAgreement(stored=4, decided=3, undecided=1, agreeing=2, only_stored=1, undecided_because={name: 1})
    guessing = Guessing(questions=1, oracle=0.5, guessing_oracle=0.9, solved_by_one=0)
    of_datasets = tuple(
        DatasetFigures(
            name=d, group=name, samples=100, expected_samples=None, images=0, oracle_correct=1, oracle_accuracy=0.5,
            best_model=name, best_accuracy=0.5, mean_score=0.5, correct={m: i % 101 for i, m in enumerate(models)},
            output_tokens={}, agreement=Agreement(), guessing=guessing,
        )
        for d in datasets
    )  # fmt: skip
    outcomes = tuple(
        OutcomeFigures(
            dataset=d, model=m, without_stored_verdict=0, verdict=f"hit of /logs/{name}.xlsx", scorer=name, part=name, used=1,
            output_tokens=1, agreement=agreement, **held, **figures,
        )
        for d in datasets for m in models
    )  # fmt: skip
    return DataReport(
        fingerprint="f" * 64, synthetic=name, total_tokens=1, token_counter=name, token_parameters={name: name},
        stages=Stages(), policies=Policies("stored", "error", "error", 1.0), excluded=(Excluded(name, 1),),
        ignored_files={f"/logs/{i}/{name}.xlsx": name for i in range(files)},
        parts=(PartSummary(name, ("/logs/a",), 1, "", {name: 1}, (), ()),), directory=name, samples=1, pairs=1,
        oracle_correct=1, solved_by_no_model=0, solved_by_every_model=0, agreement=Agreement(), guessing=guessing,
        leak=Leak(1, 0, 1), datasets=of_datasets, outcomes=outcomes,
        models=tuple(ModelFigures(name=m, correct=1, **tokens, **held, **figures) for m in models),
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


def test_tables_are_complete_for_a_screen_reader() -> None:
    """Each has a caption and lies in a named box that can be focused; headings say what they head; ids are unique."""
    page = Page(data_page(report("a", "b", datasets=("d", "e"))))
    ids = [a["id"] for _, a in page.attributes if "id" in a]
    boxes = [a for tag, a in page.attributes if tag == "div" and a.get("role") == "region"]

    assert page.tags.count("table") == page.tags.count("caption") == len(boxes) == 5
    assert all(b["tabindex"] == "0" and b["aria-labelledby"] in ids for b in boxes)
    assert {a.get("scope") for tag, a in page.attributes if tag == "th"} == {"col", "row"}
    assert page.tags.count("h1") == 1
    assert len(ids) == len(set(ids))


def test_the_page_refers_to_nothing_elsewhere() -> None:
    """Its links stay within it, and nothing is loaded."""
    page = Page(data_page(report("https://example.org/x.js", "b")))
    targets = [v for _, a in page.attributes for k, v in a.items() if k in ("href", "src", "action", "data")]
    ids = {a.get("id") for _, a in page.attributes}

    assert targets
    assert all(t and t.startswith("#") and t[1:] in ids for t in targets)
    assert not {"link", "img", "iframe", "object", "form"} & set(page.tags)


def test_paths_are_folded_and_relative_to_their_common_folder() -> None:
    """No column of absolute paths stands in the open; the folder is said once at the outcomes, and where the page ends."""
    text = data_page(report("m", "n", files=180))

    assert not [t for t in Page(text).unfolded if ".xlsx" in t]
    assert "hit of m.xlsx" in text
    assert "<bdi>179/m.xlsx</bdi>" in text
    assert re.findall(r"/logs\b[^<]*", text) == ["/logs", "/logs"]


def test_synthetic_data_is_called_so_before_anything_else() -> None:
    """Real data is not."""
    made = report("made up")
    page = Page(data_page(made))

    assert page.said[0] == "Synthetic data. No model gave these answers: made up."
    assert "Synthetic data" not in data_page(attrs.evolve(made, synthetic=""))


def test_what_is_unknown_or_never_happened_takes_no_column() -> None:
    """Without tokens (costs from the logs), scores beside verdicts, guessing and gaps, the page does not speak of them."""
    full = report("m")
    none = {"missing": 0, "unknown": 0, "failed_calls": 0, "failed_judges": 0, "output_tokens": None, "mean_score": 0.5}
    bare = attrs.evolve(
        full, total_tokens=None, guessing=None,
        models=(attrs.evolve(full.models[0], input_tokens=None, **none),),
        outcomes=(attrs.evolve(full.outcomes[0], **none),),
        datasets=(attrs.evolve(full.datasets[0], guessing=None),),
    )  # fmt: skip
    headings = ["output tokens", "mean score %", "failed judges", "Oracle on multiple choice", "guessing %"]
    shown, left = set(Page(data_page(full)).said), set(Page(data_page(bare)).said)

    assert shown.issuperset(headings)
    assert left.isdisjoint(headings)
    assert "accuracy %" in left
    assert any(s.startswith("No answer and no verdict is missing") for s in left)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(390, False), (700, False), (700, True), (1400, False)])
def test_the_page_is_never_wider_than_the_window(width: int, dark: bool, tmp_path: Path) -> None:
    """Hostile names and everything unfolded, on a phone and on a desk, in light or dark; its console stays empty."""
    text = data_page(report(*HOSTILE, datasets=HOSTILE, files=50)).replace("<details", "<details open")
    seen = look_at(text, f"[{OVERFLOW}, {GROUND}]", tmp_path, width, dark=dark)

    assert seen.value == [0, "rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)"]
    assert seen.console == ()


@pytest.mark.browser
def test_many_models_do_not_make_the_page_long(tmp_path: Path) -> None:
    """500 models on 14 datasets, 7,000 outcomes and 180 files: tables scroll, outcomes are folded."""
    many = report(*(f"m{i}" for i in range(500)), datasets=tuple(f"d{i}" for i in range(14)), files=180)
    seen = look_at(data_page(many), "page.documentElement.scrollHeight", tmp_path, 1400)

    assert 1000 < seen.value < 5000
    assert not seen.console


@pytest.mark.browser
def test_a_heading_sorts_its_table(tmp_path: Path) -> None:
    """By a button, hence by keyboard too: the largest first, then the smallest, then as at first; the foot stays."""
    text = data_page(report("a", "c", "b"))
    steps = """(() => {
      const table = page.querySelector("[aria-labelledby=accuracy-map] table"), heading = table.tHead.rows[0].cells;
      const names = () => [...table.rows].slice(1, 4).map((row) => row.cells[0].textContent).join("");
      const click = (column) => {
        heading[column].querySelector("button").click();
        return [names(), heading[0].ariaSort, heading[1].ariaSort];
      };
      return [names(), click(1), click(1), click(1), click(0), heading[1].querySelector("button").tabIndex];
    })()"""
    seen = look_at(text, steps, tmp_path)

    assert seen.value == [
        "acb",
        ["bca", "none", "descending"],
        ["acb", "none", "ascending"],
        ["acb", "none", "none"],
        ["abc", "ascending", "none"],
        0,
    ]
    assert not seen.console
