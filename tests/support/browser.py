"""Loading a page in a browser without a window, for tests marked ``browser``; skipped where no Chromium is found."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OVERFLOW = "page.documentElement.scrollWidth - page.documentElement.clientWidth"
GROUND = "window.getComputedStyle(page.body).backgroundColor"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
DARK = "--blink-settings=preferredColorScheme=0"
"""Chromium's --force-dark-mode leaves ``prefers-color-scheme`` alone."""

_FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe style="border:0;width:{width}px;height:{height}px" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const window = document.querySelector("iframe").contentWindow, page = window.document;
  const said = document.createElement("output");
  said.textContent = encodeURIComponent(JSON.stringify({value}));
  document.body.append(said);
}});
</script>"""


@attrs.frozen
class Seen:
    """What a browser found: the value of an expression, and the errors and warnings of the page."""

    value: Any
    console: tuple[str, ...]


def find_browser() -> str | None:
    """Return the browser that ``VLRB_BROWSER`` names, else the first Chromium on the path."""
    return os.environ.get("VLRB_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


def look_at(page: str, value: str, folder: Path, width: int = 390, height: int = 800, *, dark: bool = False) -> Seen:
    """Return the value of an expression of JavaScript on a page that is ``width`` pixels wide, and what its console shows.

    The page is in a frame, since a window has a least width and the page's policy allows no other script; the expression may
    use ``page`` (its document) and ``window``.  ``dark``: for a reader who prefers dark pages.
    """
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium: install one, or name one in VLRB_BROWSER")
    file = folder / "frame.html"
    text = _FRAME.format(page=html.escape(page), value=value, width=width, height=height)
    file.write_text(text, encoding="utf-8")
    flags = (*FLAGS, "--enable-logging=stderr", *([DARK] if dark else []))
    shown = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=True, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    found = re.search("<output>(.*?)</output>", shown.stdout, re.DOTALL)
    assert found is not None, shown.stderr
    console = tuple(line for line in shown.stderr.splitlines() if ":CONSOLE" in line)
    return Seen(json.loads(unquote(found[1])), console)


def dumped(address: str, folder: Path, seconds: int = 25) -> str:
    """Return the elements of a page of a running server, as they are after some seconds of the page's own time."""
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium: install one, or name one in VLRB_BROWSER")
    folder.mkdir()
    flags = (*FLAGS, "--window-size=1600,1000", f"--virtual-time-budget={1000 * seconds}")
    return subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", "--dump-dom", address],
        capture_output=True, text=True, encoding="utf-8", timeout=180, check=True, env={**os.environ, "HOME": str(folder)},
    ).stdout  # fmt: skip
