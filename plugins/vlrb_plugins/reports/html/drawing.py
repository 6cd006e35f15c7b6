"""Figures as files, and as SVG inside a page of HTML."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import attrs

from vlrb import FinishedRun, Undefined, VlrbError, new_file, write_text
from vlrb_plugins.shared.pages.pages import visible_text

ORDER = ("pareto", "calls", "heatmap", "reliability", "sweeps")
"""Figures that come first, in this order; others follow by their names."""

DPI = 130
WIDE = 8.0
"""Inches from which a figure has the width of the page."""

_SALT = "vlrb"
_NO_GLYPH = ".*[Gg]lyph"
"""How matplotlib warns of characters that its own font lacks; browsers have fonts for every script."""


@attrs.frozen(kw_only=True)
class Drawn:
    """A figure on the page: its SVG, or why there is none; ``error`` where it raised."""

    name: str
    title: str
    caption: str
    svg: str = ""
    wide: bool = False
    missing: str = ""
    error: VlrbError | None = None


def draw_figures(
    run: FinishedRun, names: Iterable[str] | None, directory: Path, *, png: bool
) -> tuple[list[Drawn], list[Path]]:
    """Draw figures and write them into a folder; return what the page shows, and the files.

    :raises VlrbError: when a figure that was asked for by its name is offered by no plugin
    """
    offered = {spec.name: spec for spec in run.figures}
    wanted = sorted(offered, key=_place) if names is None else list(names)
    shown: list[Drawn] = []
    files: list[Path] = []
    for number, name in enumerate(wanted):
        drawn = _figure(run, name, known=name in offered)
        about = Drawn(name=name, title=offered[name].title, caption=offered[name].summary)
        if isinstance(drawn, VlrbError):
            shown.append(attrs.evolve(about, missing=f"it could not be drawn: {drawn}", error=drawn))
            continue
        if isinstance(drawn, Undefined):
            shown.append(attrs.evolve(about, missing=drawn.reason))
            continue
        svg, image = _saved(drawn, png=png)
        directory.mkdir(parents=True, exist_ok=True)
        files += _written(directory / name, svg, image)
        words = visible_text(drawn.get_label() or about.caption)
        shown.append(attrs.evolve(about, svg=inline_svg(svg, f"f{number}-", words), wide=drawn.get_figwidth() > WIDE))
    return shown, files


def _place(name: str) -> tuple[int, str]:
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def _figure(run: FinishedRun, name: str, *, known: bool) -> Any:
    """Return a figure, why there is none, or its error: one that fails leaves the others as they are."""
    from matplotlib import style

    try:
        with style.context("default"), warnings.catch_warnings():  # whatever a matplotlibrc says
            warnings.filterwarnings("ignore", message=_NO_GLYPH)
            return run.figure(name)
    except VlrbError as error:
        if not known:
            raise
        return error


def _saved(figure: Any, *, png: bool) -> tuple[str, bytes]:
    """Return a figure as SVG, with a transparent ground and the same bytes each time, and as PNG on white.

    ``savefig`` would lay out the figure and draw it twice for each file.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    canvases: Any = FigureCanvasSVG, FigureCanvasAgg
    vector, image = io.StringIO(), io.BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": _SALT, "svg.fonttype": "none"}):
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        _lay_out(figure)
        figure.patch.set_facecolor("none")
        canvases[0](figure).print_svg(vector, metadata={"Date": None, "Creator": None})
        if png:
            figure.patch.set(facecolor="white", alpha=1.0)
            figure.dpi = DPI
            canvases[1](figure).print_png(image, metadata={"Software": None})
    return vector.getvalue(), image.getvalue()


def _lay_out(figure: Any) -> None:
    """Decide once where everything is; axes lose a white ground.

    Positions are rounded, since the solver of the layout varies in the last digits, which ids in an SVG are made of.
    """
    if (layout := figure.get_layout_engine()) is not None:
        layout.execute(figure)
        figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(value, 6) for value in axes.get_position(original=True).bounds])
        if axes.patch.get_facecolor()[:3] == (1, 1, 1):
            axes.patch.set_facecolor("none")


def _written(path: Path, svg: str, image: bytes) -> list[Path]:
    files = [path.with_name(f"{path.name}.svg")]
    write_text(files[0], svg.replace("<svg ", '<svg style="background: white" ', 1))
    if image:
        files.append(path.with_name(f"{path.name}.png"))
        with new_file(files[1]) as aside:
            aside.write_bytes(image)
    return files


def inline_svg(svg: str, prefix: str, words: str) -> str:
    """Return an SVG file of matplotlib's as an element of a page: black takes the text's colour, and no id clashes.

    :param prefix: what the ids of the element begin with
    :param words: what the figure shows
    """
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style .*?</style>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}", text)
    text = re.sub(r"(stroke|fill): #000000", r"\1: currentColor", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, 'Segoe UI', Roboto, Arial, sans-serif", text)
    root = re.match(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', text)
    assert root is not None, "matplotlib wrote an SVG without a viewBox"
    width = round(float(root[1].split()[2]) * 96 / 72)
    style = f"width: {width}px; min-width: min({width}px, 34rem); fill: currentColor; stroke-linejoin: round"
    return f'<svg {root[1]} style="{style}" role="img" aria-label="{escape(words)}">{text[root.end() :]}'
