"""The skeleton of HTML pages: everything escaped, nothing from elsewhere, tables and heat maps."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import look_at

from vlrb_plugins.shared.pages import pages
from vlrb_plugins.shared.pages.pages import render_page
from vlrb_plugins.shared.pages.tables import Cell, Column, Scale, Table, heat_rows, name_cell, shortened

TEMPLATE = """
{% extends "page.html.j2" %}
{% import "parts.html.j2" as parts %}
{% block title %}{{ title }}{% endblock %}
{% block header %}<h1 title="{{ title }}">{{ title }}</h1>{% endblock %}
{% block content %}{{ parts.table(table) }}{{ parts.meanings(table.columns) }}{% endblock %}
"""
TABLE = Table(id="t", caption="c", columns=(Column("model", holds="name"), Column("a %", "what a is")), rows=())

Render = Callable[..., str]


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Render]:
    """Return a function that renders the template of a plugin's package."""
    package = tmp_path / "own_pages"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "own.html.j2").write_text(TEMPLATE, encoding="utf-8")
    (package / "own.js").write_text("window.own = true;\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def rendered(title: str = "t", table: Table = TABLE, **more: Any) -> str:
        return render_page("own_pages", "own.html.j2", {"title": title, "table": table}, **more)

    yield rendered
    pages._environment.cache_clear()
    pages._text_of.cache_clear()


def test_every_value_is_escaped_and_printable(render: Render) -> None:
    """Markup and quotes are text, in attributes too; control characters, overrides and free code points are escapes."""
    page = render("<b>\"x\" & 'y'\x1b\u202e\ufffe\udc80", TABLE)

    assert "&lt;b&gt;&#34;x&#34; &amp; &#39;y&#39;\\x1b\\u202e\\ufffe\\udc80" in page
    assert "<b>" not in page
    page.encode()


def test_only_scripts_of_the_page_may_run(render: Render) -> None:
    """The policy names the digest of each script, and forbids every request."""
    page = render(scripts=["own.js"])
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]

    assert policy is not None
    assert len(scripts) == 2
    assert "default-src &#39;none&#39;" in policy[1]
    assert all(f"&#39;sha256-{d}&#39;" in policy[1].replace("&#43;", "+") for d in digests)
    assert not re.search(r"(src|href)=.?(?!data:|#)\w|url\(|@import", page)


@pytest.mark.browser
def test_the_policy_stops_other_scripts_and_requests(render: Render, tmp_path: Path) -> None:
    """Even if markup got into a page; the console says so, so other tests can tell by it that nothing was stopped."""
    smuggled = (
        '<script>window.bad = 1</script><p onclick="window.bad = 2">x</p><img src="http://127.0.0.1:9/x.png"></main>'
    )
    page = render(scripts=["own.js"]).replace("</main>", smuggled)
    steps = "(page.querySelector('main p').click(), [window.own ?? null, window.bad ?? null])"
    seen = look_at(page, steps, tmp_path)

    assert seen.value == [True, None]
    assert any("127.0.0.1:9" in line for line in seen.console)
    assert sum("script" in line for line in seen.console) >= 2


@pytest.mark.browser
def test_printing_unfolds_every_part_and_folds_it_again(render: Render, tmp_path: Path) -> None:
    """Paper cannot be unfolded; afterwards the page is as it was, with what the reader had open."""
    page = render().replace("</main>", "<details open><summary>s</summary>x</details></main>")
    steps = """(() => {
      const open = () => [...page.querySelectorAll("details")].map((part) => part.open);
      const after = (event) => (window.dispatchEvent(new window.Event(event)), open());
      return [open(), after("beforeprint"), after("afterprint"), after("beforeprint"), after("afterprint")];
    })()"""
    seen = look_at(page, steps, tmp_path)

    assert seen.value == [[False, True], [True, True]] * 2 + [[False, True]]
    assert not seen.console


def test_a_table_has_a_caption_scopes_and_a_box_that_scrolls(render: Render) -> None:
    """What a screen reader needs, and what keeps a wide table from widening the page."""
    table = Table(
        id="n", caption="All", columns=TABLE.columns,
        rows=((name_cell("ב"), Cell("1.0", heat=5, mark="best")), (name_cell("c"), Cell("–", whole="why"))),
        foot=((name_cell("sum"), Cell("–")),), heat=True,
    )  # fmt: skip
    page = render(table=table)

    assert '<div class="box heat" role="region" aria-labelledby="n" tabindex="0">' in page
    assert '<caption id="n"><span>All</span></caption>' in page
    assert page.count('scope="col"') == 2
    assert '<th scope="row"><bdi>ב</bdi></th>' in page
    assert '<td class="number best" style="--heat:5%">1.0</td>' in page
    assert '<td class="number" title="why">–</td>' in page
    assert "<dt>a %</dt><dd>what a is</dd>" in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_on_every_ground(scheme: str) -> None:
    """WCAG AA, 4.5 : 1, on all colours of a heat map too: its ends have the least and the most contrast."""
    style = (Path(pages.__file__).parent / "page.css").read_text(encoding="utf-8")
    values = re.findall(r"--([\w-]+): (#\w{6})", style)
    colours = dict(values[: len(values) // 2] if scheme == "light" else values[len(values) // 2 :])
    grounds = {
        "ink": ("paper", "panel", "cold", "hot", "bad", "warn"),
        "soft": ("paper", "panel"),
        "link": ("paper", "panel"),
    }

    assert len(colours) == 11
    for text, on in grounds.items():
        for ground in on:
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_heat_maps_mark_the_best_and_leave_unknown_values_out() -> None:
    """Depths run from the lowest to the highest known value; a single row has no best."""
    values = [[0.2, None], [0.7, math.nan]]
    scale = Scale.over(v for row in values for v in row)
    low, high = heat_rows(["a", "b"], values, scale)

    assert [(c.text, c.heat, c.mark) for c in low] == [("a", None, ""), ("20.0", 0, ""), ("–", None, "")]
    assert [(c.text, c.heat, c.mark) for c in high] == [("b", None, ""), ("70.0", 100, "best"), ("–", None, "")]
    assert heat_rows(["a"], [[0.5]], Scale.over([0.5]))[0][1] == Cell("50.0", 50)
    assert Scale.over([]).heat(None) is None


def test_a_very_long_name_keeps_its_beginning_and_end() -> None:
    """The whole name is the cell's title."""
    name = "start" + "x" * 300 + "end"

    assert shortened("short") == "short"
    assert len(shortened(name)) == 40
    assert (shortened(name)[:5], shortened(name)[-3:]) == ("start", "end")
    assert name_cell(name).whole == name
