"""The page of a run: whole, escaped, small, and readable in any browser."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from browser import GROUND, OVERFLOW, look_at
from made_run import Made, figure_registry, made_run
from split_runs import FOLDS, SWEPT, run_splits

from vlrb import FigureSpec, FinishedRun, NoParams, Undefined
from vlrb.errors import ConfigError, DataError, PluginError
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry
from vlrb_plugins.reports.html.drawing import draw_figures, inline_svg
from vlrb_plugins.reports.html.params import HtmlParams
from vlrb_plugins.reports.html.report import HtmlReport
from vlrb_plugins.reports.html.samples import telling_rows, telling_samples

HOSTILE = ("<script>alert(1)</script>", "\"a\" 'b' --> </style> $x$", "דגם 7B \x1b[31m\udcff", "x" * 300)
VOID = {"meta", "br", "img"}


class Page(html.parser.HTMLParser):
    """Checks that tags are closed in order, and collects them with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data if not {"style", "script"} & set(self.open) else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.found if name == tag]


def page_of(run: FinishedRun, folder: Path, **params: Any) -> str:
    """Return the page that the report writes."""
    files = HtmlReport(HtmlParams(**params))(run, folder / "reports")
    assert all(f.is_file() for f in files)
    return files[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Return a run of the tiny logs with folds, seeds and a sweep, in whose cache the benchmark still is."""
    run = run_splits(tmp_path_factory.mktemp("folds"), SWEPT, FOLDS, "seeds = [1, 2]")
    return FinishedRun(run.result, run.context.places.cache, figure_registry())


@pytest.fixture(scope="module")
def page(folds: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(folds, tmp_path_factory.mktemp("page"))


def test_every_run_gets_the_page_and_its_figures(folds: FinishedRun) -> None:
    """Without being asked for: beside the leaderboard, as SVG and PNG."""
    reports = folds.directory / "reports"

    assert {p.name for p in reports.iterdir()} >= {"report.html", "figures", "leaderboard.md", "leaderboard.tex"}
    assert "| accuracy % | USD / 10k |" in (reports / "leaderboard.md").read_text(encoding="utf-8")
    assert {p.name for p in (reports / "figures").iterdir()} == {
        f"{name}.{form}" for name in ("pareto", "calls", "heatmap", "reliability", "sweeps") for form in ("svg", "png")
    }


def test_the_page_is_complete_for_a_screen_reader(page: str) -> None:
    """Tables have captions and scopes, figures words and captions, boxes names; ids are unique, links lead somewhere."""
    found = Page(page)
    ids = [a["id"] for _, a in found.found if "id" in a]
    boxes = [a for a in found.all("div") if a.get("role") == "region"]

    assert len(ids) == len(set(ids))
    assert len(found.all("caption")) == len(found.all("table")) > 3
    assert {a.get("scope") for a in found.all("th")} == {"col", "row"}
    assert len(found.all("figcaption")) == len(found.all("figure")) == len(found.all("svg")) == 5
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in found.all("svg"))
    assert all(a["tabindex"] == "0" and a["aria-labelledby"] in ids for a in boxes)
    assert all(a.get("alt") for a in found.all("img"))
    assert len(found.all("h1")) == 1
    assert all((a["href"] or "").removeprefix("#") in ids for a in found.all("a"))


def test_the_page_refers_to_nothing_elsewhere(page: str) -> None:
    """Images are in it, references of figures stay within their own figure, no script but ours runs."""
    found = Page(page)
    ids = {a.get("id") for _, a in found.found}
    targets = {v for _, a in found.found for k, v in a.items() if k in ("href", "src", "xlink:href")}

    assert all(t and (re.match("data:image/(jpeg|png);base64,", t) or t[1:] in ids) for t in targets)
    assert all(name in ids for name in re.findall(r"url\(#([^)]+)\)", page))
    assert "script-src &#39;sha256-" in page
    assert len(found.all("script")) == 1


def test_figures_take_the_colours_of_the_page(page: str) -> None:
    """No black is left that a dark page would hide, no ground, no font of matplotlib's, no date."""
    assert not re.search("(fill|stroke): #000000|DejaVu|<metadata|dc:date", page)
    assert "fill: currentColor" in page


def test_the_same_run_gives_the_same_files(folds: FinishedRun, tmp_path: Path) -> None:
    """Byte for byte: SVG, PNG and the page."""
    once, again = (HtmlReport(HtmlParams())(folds, tmp_path / n) for n in ("a", "b"))

    assert [
        f.name for f in once if f.read_bytes() != (again[0].parent / f.relative_to(once[0].parent)).read_bytes()
    ] == []


def test_samples_show_question_image_and_choices(page: str, folds: FinishedRun) -> None:
    """The text of the question, its options, who chose what, and a small image."""
    assert "Right answer:" in page
    assert "data:image/jpeg;base64," in page
    assert "Choices for" in page
    gone = page_of(FinishedRun(folds.result, registry=figure_registry()), folds.directory.parent / "gone")
    assert "no longer in the cache" in gone
    assert "data:image/jpeg" not in gone


def test_the_browser_can_be_left_out(folds: FinishedRun, tmp_path: Path) -> None:
    """``samples = 0``; without PNG and with a single figure the folder holds that one only."""
    text = page_of(folds, tmp_path, samples=0, figures=("calls",), png=False)

    assert "Choices for" not in text
    assert "samples = 0" in text
    assert [p.name for p in (tmp_path / "reports/figures").iterdir()] == ["calls.svg"]
    with pytest.raises(ConfigError, match="cals"):
        page_of(folds, tmp_path, figures=("cals",))
    with pytest.raises(ValueError, match="between 0 and 500"):
        HtmlParams(samples=501)


def test_telling_samples_by_hand(tmp_path: Path) -> None:
    """Won, lost, missed, overpaid; each by what weighs most, in turns over the datasets, none twice."""
    run = made_run(tmp_path, Made(samples=6))
    quality = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=bool)
    matrices = {"quality": quality, "cost": np.tile([1.0, 2.0, 4.0], (6, 1))}
    samples = attrs.evolve(run.samples, matrix=matrices.__getitem__, datasets=np.array(["D", "D", "D", "D", "D", "E"]))
    seen: Any = type("Run", (), {"samples": samples})()
    leader, single = np.array([0, 1, 0, 1, 0, 0]), np.full(6, 2)

    found = telling_rows(seen, leader, single, 8)
    assert found == {"won": [0, 3], "lost": [1], "missed": [2], "overpaid": []}
    assert telling_rows(seen, leader, single, 1) == {"won": [0], "lost": [], "missed": [], "overpaid": []}


@pytest.mark.parametrize("most", [1, 3, 24])
def test_no_more_samples_than_asked_for(folds: FinishedRun, most: int) -> None:
    """The number is a limit over all kinds."""
    shown = telling_samples(folds, most)

    assert 0 < sum(map(len, shown.values())) <= most


CASES: dict[str, dict[str, Any]] = {
    "one": {"models": ("only",), "routers": ("solo",), "datasets": ("D",), "swept": False},
    "failed": {"failed": True},
    "undefined": {"undefined": True},
    "free": {"free": 3},
    "hostile": {
        "models": (*HOSTILE[:2], HOSTILE[3]), "routers": (HOSTILE[2], HOSTILE[0]), "datasets": HOSTILE[:1], "synthetic": HOSTILE[1]
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_whatever_a_run_holds_there_is_a_page(tmp_path: Path, case: str) -> None:
    """One model, failed cells, undefined metrics, no costs, any name: valid HTML in UTF-8 without control characters."""
    text = page_of(made_run(tmp_path, Made(**CASES[case])), tmp_path)
    found = Page(text)

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    assert len(found.all("script")) == 1
    if case in ("failed", "undefined"):
        assert "No router has a rank score on test" in text
        assert "None: no router leads" in text
    if case == "undefined":
        assert "<small>nothing has a value here</small>" in text


def test_500_models_make_a_page_below_3_mb(tmp_path: Path) -> None:
    """With 60 routers and 40 datasets."""
    names = [f"model-{i}" for i in range(500)]
    many = Made(models=names, routers=[f"r{i}" for i in range(60)], datasets=[f"d{i}" for i in range(40)], samples=400)
    text = page_of(made_run(tmp_path, many), tmp_path, png=False)

    assert len(text.encode()) < 3_000_000


def with_figures(run: FinishedRun, *specs: FigureSpec) -> FinishedRun:
    plugin = Plugin("mine", "mine", "1", "here")
    return FinishedRun(
        run.result, registry=Registry((), {"figure": tuple(Registered(s, plugin) for s in specs)}, Selection.of(()))
    )


def own_figure(name: str, draw: Any) -> FigureSpec:
    return FigureSpec(name=name, title=name, summary=f"about {name}", params=NoParams, factory=lambda _: draw)


def test_figures_of_other_plugins_are_shown_too(tmp_path: Path) -> None:
    """Their summary is the alternative text; one that raises is named as missing, and the others stay."""
    from matplotlib.figure import Figure

    def plain(_: FinishedRun) -> Figure:
        figure = Figure()
        figure.subplots().plot([1, 2], [2, 1])
        return figure

    def broken(_: FinishedRun) -> Figure:
        raise RuntimeError("no ink")

    run = with_figures(made_run(tmp_path, Made()), own_figure("mine", plain), own_figure("broken", broken))
    shown, files = draw_figures(run, None, tmp_path / "figures", png=True)
    found = {drawn.name: drawn for drawn in shown}

    assert "no ink" in found["broken"].missing
    assert found["broken"].error is not None
    assert 'aria-label="about mine"' in found["mine"].svg
    assert [f.name for f in files] == ["mine.svg", "mine.png"]


def test_a_figure_that_raises_fails_the_report_after_the_page(tmp_path: Path) -> None:
    """The page is there with the other figures, and the error reaches the command, which ends with a status for it."""

    def broken(_: FinishedRun) -> Any:
        raise RuntimeError("no ink")

    run = with_figures(made_run(tmp_path, Made()), own_figure("broken", broken))

    with pytest.raises(PluginError, match="no ink"):
        HtmlReport(HtmlParams())(run, tmp_path / "reports")
    assert "no ink" in (tmp_path / "reports/report.html").read_text(encoding="utf-8")


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    """With the figure's reason, and no file."""
    run = with_figures(made_run(tmp_path, Made()), own_figure("none", lambda _: Undefined("it is empty")))

    assert "none: it is empty" in Page(page_of(run, tmp_path)).said
    assert not (tmp_path / "reports/figures").exists()


def test_references_in_an_inline_figure_get_a_prefix() -> None:
    """So that two figures on a page do not take each other's markers; ids that nothing refers to are dropped."""
    svg = (
        '<?xml version="1.0"?>\n<svg width="72pt" height="36pt" viewBox="0 0 72 36"><metadata>x</metadata>'
        '<defs><path id="m1"/></defs>'
        '<g id="axes_1" clip-path="url(#m1)"><use xlink:href="#m1" style="stroke: #000000"/></g></svg>'
    )
    text = inline_svg(svg, "f0-", 'a "b" <c>')

    assert 'id="f0-m1"' in text
    assert "url(#f0-m1)" in text
    assert 'xlink:href="#f0-m1" style="stroke: currentColor"' in text
    assert "axes_1" not in text
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in text
    assert text.startswith('<svg viewBox="0 0 72 36" style="width: 96px')


def test_a_directory_without_its_files_is_an_error_that_names_them(tmp_path: Path) -> None:
    """Not a page that lacks things without a word."""
    run = made_run(tmp_path, Made())
    (tmp_path / "evaluated.parquet").unlink()

    with pytest.raises(DataError, match=r"evaluated\.parquet"):
        page_of(run, tmp_path)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 700, 390])
@pytest.mark.parametrize("case", ["folds", "hostile", "one"])
def test_the_page_fits_its_window(folds: FinishedRun, page: str, tmp_path: Path, width: int, case: str) -> None:
    """Nothing overflows sideways, also with every part unfolded, in light or dark; the console shows nothing."""
    text = page if case == "folds" else page_of(made_run(tmp_path, Made(**CASES[case])), tmp_path)
    steps = f"(page.querySelectorAll('details').forEach((d) => d.open = true), [{OVERFLOW}, {GROUND}])"
    dark = (case, width) == ("folds", 700)
    seen = look_at(text, steps, tmp_path, width=width, dark=dark)

    assert seen.value == [0, "rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)"]
    assert seen.console == ()


@pytest.mark.browser
def test_the_leaderboard_sorts_by_values_not_by_what_stands_under_them(page: str, tmp_path: Path) -> None:
    """Intervals and notes do not count; the keyboard reaches the headings, which are buttons."""
    steps = (
        "(page.querySelectorAll('#leaderboard-table ~ thead th button')[3].click(),"
        " [...page.querySelectorAll('#leaderboard-table ~ tbody tr')].map((r) => Number(r.cells[3].firstChild.textContent)))"
    )
    values = look_at(page, steps, tmp_path).value

    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 1
