"""Draw docs/images/*.png from finished runs of the examples on synthetic data.

vlrb run examples/quickstart.toml
vlrb run examples/budget.toml
python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import vlrb

FOLDER = Path(__file__).parent / "images"
PICTURES = (
    ("quickstart", "pareto", "synthetic-accuracy-over-cost.png"),
    ("quickstart", "calls", "synthetic-calls.png"),
    ("budget", "pareto", "synthetic-budgets.png"),
)


def draw(run: str, figure: str, name: str) -> None:
    """Draw a figure of the newest run of an experiment; the picture says that the data are synthetic."""
    found = vlrb.load_run(run)
    drawn = getattr(found.plot, figure)()
    drawn.text(0.99, -0.01, f"synthetic data: {found.result.run.benchmark.synthetic}", ha="right", va="top", size=8)
    drawn.savefig(FOLDER / name, dpi=90, facecolor="white", bbox_inches="tight", metadata={"Software": None})


if __name__ == "__main__":
    for picture in PICTURES:
        draw(*picture)
