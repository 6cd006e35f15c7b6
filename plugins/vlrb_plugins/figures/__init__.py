"""Figures of finished runs, drawn with matplotlib."""

from __future__ import annotations

from vlrb import FigureSpec, hookimpl
from vlrb_plugins.figures.params import ModelsParams, SweepParams


@hookimpl
def vlrb_figures() -> list[FigureSpec]:
    """Return the figures, in the order in which a report shows them."""
    return [
        FigureSpec(
            name="pareto",
            title="Accuracy over cost",
            summary="Up and to the left is better. Bars are intervals over the choice of test samples. Thin lines join the points "
            "of a sweep on test (means of their cells), the dashed line the single models that no other one beats in both.",
            factory="vlrb_plugins.figures.pareto:draw_pareto",
        ),
        FigureSpec(
            name="heatmap",
            title="Accuracy by dataset",
            summary="Accuracy in % on the test samples of each dataset: routers, reference points, and single models.",
            factory="vlrb_plugins.figures.heatmap:draw_heatmap",
            params=ModelsParams,
        ),
        FigureSpec(
            name="calls",
            title="Calls per model",
            summary="Share of the test samples that go to each model. Models are numbered by their mean cost, the cheapest first: "
            "a router that falls back on expensive models has long bars at the right.",
            factory="vlrb_plugins.figures.calls:draw_calls",
            params=ModelsParams,
        ),
        FigureSpec(
            name="sweeps",
            title="Sweeps",
            summary="The points of each sweep where they were compared; a ring marks a point that was chosen.",
            factory="vlrb_plugins.figures.sweeps:draw_sweeps",
            params=SweepParams,
        ),
        FigureSpec(
            name="reliability",
            title="Reliability of estimates",
            summary="How often the chosen model is right, against the router's own estimate, in ten bins; on the diagonal both are "
            "equal. Below: the number of test samples in each bin. Routers without estimates are left out.",
            factory="vlrb_plugins.figures.reliability:draw_reliability",
        ),
    ]
