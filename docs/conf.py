"""Sphinx builds the pages from the repository's root: ``sphinx-build -W -c docs . build/docs``."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import generate

ROOT = Path(__file__).parents[1]

project = "vlrb"
author = "The vlrb authors"
release = version = generate.vlrb.__version__
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/reference/*.md",
    "changelog.d/README.md",
    "examples/vlrb-my-router/README.md",
]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "vlrb"
html_copy_source = False
html_additional_pages = {"index": "first-page.html"}
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["tables.css"]
nitpicky = True


pages = cache(generate.pages)


def fresh(_: Any, name: str, source: list[str]) -> None:
    """Take the reference from the code, not from the checked-in files, and the contents from the lists of the first page."""
    folder, _, page = name.rpartition("/")
    if folder == "docs/reference":
        source[0] = pages()[f"{page}.md"]
    if name == "changelog.d/README":  # of interest to contributors only: no page of the contents
        source[0] = f"---\norphan: true\n---\n{source[0]}"
    if name == root_doc:
        source[0] += contents(source[0])


def contents(text: str) -> str:
    """Return a hidden table of contents for each section of the first page, of the pages that it links to."""
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = section.partition("\n")
        pages = re.findall(r"\[([^]]+)\]\(([\w./-]+)\.md\)", rest)
        lines = [f"{words} <{'/' + page[3:] if page.startswith('../') else page}>" for words, page in pages]
        found.append(
            "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *dict.fromkeys(lines), "```", ""])
        )
    return "\n".join(found)


def setup(app: Any) -> None:
    """Read the sources through :func:`fresh`."""
    app.connect("source-read", fresh)
