"""The report ``html``: ``report.html``, and its figures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrb import FinishedRun, PluginError, write_text
from vlrb_plugins.reports.html.drawing import draw_figures
from vlrb_plugins.reports.html.page import run_page
from vlrb_plugins.reports.html.params import HtmlParams


class HtmlReport:
    """Draws the figures of a run, and writes the page that shows them."""

    def __init__(self, params: HtmlParams) -> None:
        self._params = params

    def __call__(self, run: FinishedRun, directory: Path) -> Sequence[Path]:
        """Write ``report.html`` and ``figures/NAME.svg`` and ``.png``.

        :raises PluginError: when figures failed; the page with the others is there
        """
        params, page = self._params, directory / "report.html"
        figures, files = draw_figures(run, params.figures, directory / "figures", png=params.png)
        write_text(page, run_page(run, figures, params.samples))
        if errors := [f.error for f in figures if f.error is not None]:
            raise PluginError([problem for error in errors for problem in error.problems])
        return [page, *files]
