"""Texts in Markdown that show as they are."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vlrb import printable
from vlrb_plugins.shared.markdown import in_markdown

TEXTS = st.text() | st.text("\\`*_|[]()<>~&#!-+=:.1ax \t\n", max_size=30)
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(TEXTS)
@example("- a")
@example("1. a")
@example("---")
@example("\\|")
@example("&lt;b&gt;")
@pytest.mark.parametrize(
    ("form", "tokens"),
    [
        ("| {} | b |\n|---|---|\n| {} | b |\n", ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]),
        ("- {}\n- b\n", ["bullet_list", "list_item", "paragraph", "list_item", "paragraph"]),
        ("# {}\n\n**b**\n", ["heading", "paragraph"]),
    ],
)
def test_no_text_is_markup(form: str, tokens: list[str], text: str) -> None:
    """Protects tables, lists and headings: no text ends its cell or starts markup, and what is shown is the text."""
    plain = printable(text, lines=False).strip()
    if not plain.strip("-+=. "):  # the words beside it are what it is for
        plain = text = f"x{plain}"
    found = READER.parse(form.format(*[in_markdown(text)] * form.count("{}")))

    assert [t.type.removesuffix("_open") for t in found if t.type.endswith("_open")] == tokens
    shown = next(t for t in found if t.type == "inline")
    assert "".join(t.content for t in shown.children or ()).strip() == plain
    assert {t.type for t in shown.children or ()} <= {"text", "text_special"}
