"""`vlrb build`: the data report with its review of verdicts, on synthetic and on real logs."""

from __future__ import annotations

import html.parser
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb import read_record
from vlrb_plugins.data_report.figures import DataReport
from vlrb_plugins.data_report.page import data_page

DEMO = """
name = "d"
requires = []
[logs]
use = "demo"
samples = 300
{logs}
[benchmark]
{benchmark}
[tokens]
counter = "{counter}"
"""


def demo(project: Any, logs: str = "", benchmark: str = "", counter: str = "usage") -> Path:
    """Write an experiment on the demo's logs."""
    path: Path = project.file(DEMO.format(logs=logs, benchmark=benchmark, counter=counter))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the tests of this file share: the demo's logs are written, read and scored once."""
    return tmp_path_factory.mktemp("data-report")


class Page(html.parser.HTMLParser):
    """Checks that a page's tags are closed in order, and collects its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in ("link", "img")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_our_own_scoring_agrees_with_the_demos_verdicts(project: Any, cache: Path) -> None:
    """The report compares every stored verdict; the demo's are what VLMEvalKit's rules give for its answers."""
    report = project.vlrb("--cache", cache, "build", demo(project), "--json").json

    assert report["agreement"]["stored"] == 300 * 17
    assert report["agreement"]["agreeing"] == report["agreement"]["decided"] > 0.8 * 300 * 17
    by_name = {d["name"]: d for d in report["datasets"]}
    assert len(by_name) == 14
    assert by_name["MathVerse_MINI"]["agreement"]["undecided"] > 0
    undecided = [o["agreement"]["undecided_because"] for o in report["outcomes"] if o["dataset"] == "MathVerse_MINI"]
    assert all(reason for because in undecided for reason in because)


def test_the_report_says_where_every_label_comes_from(project: Any, cache: Path) -> None:
    """File, sheet and column of each pair, and what was found of it."""
    report = project.vlrb("--cache", cache, "build", demo(project), "--json").json

    assert len(report["outcomes"]) == 14 * 17
    for outcome in report["outcomes"]:
        assert outcome["verdict"].startswith("is_correct of ")
        assert f"{outcome['model']}_{outcome['dataset']}" in outcome["verdict"]
        assert outcome["verdict"].endswith("sheet 'Sheet1'")
        assert outcome["found"] == outcome["used"] > 0 == outcome["missing"]


def test_guessing_and_leaks_are_told(project: Any, cache: Path) -> None:
    """Guessing alone would solve many questions for some of 17 models; the paper's split parts questions on one image."""
    report = project.vlrb("--cache", cache, "build", demo(project), "--json").json

    assert 0 < report["guessing"]["guessing_oracle"] <= 1
    assert report["guessing"]["questions"] < 300
    assert [d["guessing"] for d in report["datasets"] if d["name"] == "DocVQA_VAL"] == [None]
    hallusion = next(d["guessing"] for d in report["datasets"] if d["name"] == "HallusionBench")
    assert hallusion["guessing_oracle"] == pytest.approx(1 - 0.5**17)
    leak = report["leak"]
    assert 0 < leak["test_samples_with_a_relative_in_train"] < leak["test_samples"] == 60


def test_terminal_page_and_json_tell_the_same(project: Any, cache: Path) -> None:
    """The page is well-formed HTML without further files, and calls synthetic data so."""
    file = demo(project)
    report = project.vlrb("--cache", cache, "build", file, "--json", "--report", project.folder / "out").json
    shown = project.vlrb("--cache", cache, "build", file, "--report", project.folder / "out").out
    page = Page((project.folder / "out" / "data_report.html").read_text(encoding="utf-8"))
    text = " ".join(page.text)

    written = json.loads((project.folder / "out" / "data_report.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in report.items() if k not in ("page", "exported")} == written
    for part in ("synthetic data", "gpt4o", "mathverse_mini", "our own scoring decides", report["fingerprint"][:12]):
        assert part in text.lower()
        assert part in shown.lower()
    assert str(Path(report["page"])) == str(project.folder / "out" / "data_report.html")


def test_hostile_names_cannot_break_the_page(project: Any, cache: Path) -> None:
    """Names come from logs: they are text in the page, never markup."""
    project.vlrb("--cache", cache, "build", demo(project), "--report", project.folder)
    report = read_record(project.folder / "data_report.json", DataReport)
    models = (attrs.evolve(report.models[0], name="<script>alert(1)</script>"), *report.models[1:])
    page = Page(data_page(attrs.evolve(report, models=models, ignored_files={"a<b>.xlsx": "a & b"})))

    assert "<script>alert(1)</script>" in " ".join(page.text)


def test_the_review_can_be_left_out_and_is_kept(project: Any) -> None:
    """Without it nothing is scored; once made it is not made again."""
    file = demo(project, benchmark='datasets = ["AI2D_TEST", "MathVerse_MINI"]')
    report = project.vlrb("build", file, "--json", "--no-review").json
    assert report["agreement"]["stored"] == 0
    assert not list(project.folder.glob(".vlrb-cache/scores/*"))
    first = project.vlrb("build", file, "--json").json
    for file_of_scores in project.folder.glob(".vlrb-cache/scores/*/scores.parquet"):
        file_of_scores.unlink()
    assert project.vlrb("build", file, "--json").json["agreement"] == first["agreement"]


def test_plain_output_of_vlmevalkit_gives_a_complete_benchmark(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """No is_correct anywhere, several ages and formats: all 14 datasets come out, and files passed over are listed."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = demo(project, 'form = "vlmevalkit"', 'unknown = "wrong"\ncorrect_at = 0.5', "cl100k")
    shown = project.vlrb("--cache", cache, "build", file, "--json")
    assert shown.status == 0, shown.err
    report = shown.json

    assert (report["samples"], len(report["datasets"]), len(report["models"])) == (300, 14, 17)
    assert report["agreement"]["agreeing"] == report["agreement"]["decided"] > 0
    sources = {o["verdict"].split(" of ")[0] for o in report["outcomes"] if o["without_stored_verdict"] == 0}
    assert {"hit", "score", "eval_match"} <= sources
    reasons = set(report["ignored_files"].values())
    assert any(r.startswith("another run") for r in reasons)
    assert any(r.startswith("pickles are never loaded") for r in reasons)
    assert sum(m["failed_calls"] for m in report["models"]) > 0


def test_own_scoring_of_the_real_logs(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MathVision_MINI: 13 runs, scored from what a rule extracted, against the verdicts that came with them."""
    logs = shared("real-logs/mathvision")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = project.file(
        f'name = "m"\nrequires = []\ninclude = ["{logs}/prices.toml"]\n[logs]\nuse = "vlmevalkit"\npath = "{logs}"\n'
        '[benchmark]\ndatasets = ["MathVision_MINI"]\n[tokens]\ncounter = "cl100k"\n'
    )
    agreement = project.vlrb("build", file, "--json").json["agreement"]

    assert agreement["stored"] == 304 * 13
    assert agreement["decided"] + agreement["undecided"] == 304 * 13
    assert agreement["agreeing"] / agreement["decided"] > 0.9
