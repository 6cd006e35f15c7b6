"""The report ``comparison``."""

from __future__ import annotations

from pathlib import Path

from vlrb import Comparison, NoParams, write_text


class ComparisonReport:
    """Writes a comparison as files, and gives it as a text for the terminal."""

    def __init__(self, _: NoParams) -> None: ...

    def __call__(self, comparison: Comparison, directory: Path) -> list[Path]:
        """Write ``comparison.md`` and ``comparison.html``."""
        from vlrb_plugins.comparison.markdown import markdown_text
        from vlrb_plugins.comparison.page import comparison_page

        markdown, page = directory / "comparison.md", directory / "comparison.html"
        write_text(markdown, markdown_text(comparison))
        write_text(page, comparison_page(comparison))
        return [markdown, page]

    def text(self, comparison: Comparison) -> str:
        """Return the comparison for the terminal."""
        from vlrb_plugins.comparison.terminal import print_comparison
        from vlrb_plugins.shared.text_table import text_for_stdout

        return text_for_stdout(lambda out: print_comparison(comparison, out))
