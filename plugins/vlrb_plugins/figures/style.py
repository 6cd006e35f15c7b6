"""What all figures have in common: colours and markers, names as text, an empty figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from vlrb import Undefined, printable
from vlrb_plugins.shared.pages.tables import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8579a", "#9a7400", "#7a6ad8", "#6b7f8c")
"""Okabe and Ito's colours, darkened or replaced where they fade: contrast of at least 3 on the light and the dark page."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h")
"""As many as can be distinguished; their number has no factor in common with that of the colours."""

GREY = "#7d8590"
LONGEST = 28
"""Characters of a name in a figure."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; sizes in inches.  What is black in it has the text's colour on a page of HTML."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    return figure


def plain_axes(axes: Any, grid: str = "both") -> None:
    """Give axes a faint grid and no frame."""
    axes.patch.set_alpha(0.0)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis=grid, color=GREY, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(color=GREY, labelsize=9)


def shown_name(name: str, limit: int = LONGEST) -> str:
    """Return a name as a figure shows it: one line, shortened in the middle, a dollar sign as it is."""
    return shortened(printable(name, lines=False), limit).replace("$", r"\$")


def legend_name(name: str) -> str:
    """Return a name as a legend shows it: matplotlib leaves out those that begin with an underscore."""
    return f" {shown_name(name)}" if name.startswith("_") else shown_name(name)


def look(number: int) -> dict[str, Any]:
    """Return colour and marker of the n-th series."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def ink_on(colour: Sequence[float]) -> str:
    """Return the colour of a text on a colour (red, green, blue, in [0, 1]): of black and white the one with more contrast.

    They are not quite black and white, so that a page leaves them as they are.
    """
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return "#010101" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#fefefe"


def number_of(value: object) -> float | None:
    """Return a metric's value, or None where it is undefined."""
    return None if value is None or isinstance(value, Undefined) else float(value)  # type: ignore[arg-type]


def described(figure: Figure, text: str) -> Figure:
    """Return the figure with a text that says in words what it shows: its label, which reports take for the alternative text."""
    figure.set_label(f"{text} {figure.get_supxlabel()}".rstrip())
    return figure


def say_what_is_left_out(figure: Figure, **counts: tuple[int, int]) -> None:
    """Write under a figure how many things of a kind it shows, of how many, where it does not show all."""
    texts = [
        f"{shown:,} of {all_of_them:,} {what}" for what, (shown, all_of_them) in counts.items() if shown < all_of_them
    ]
    if texts:
        figure.supxlabel(f"shown: {', '.join(texts)}", fontsize=8.5, color=GREY)


def listed(items: Iterable[str], most: int = 8) -> str:
    """Return items as a list in words, the first ones only."""
    found = list(items)
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest
