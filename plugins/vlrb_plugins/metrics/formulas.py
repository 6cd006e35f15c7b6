"""The formulas of the metrics and where they are from, as `vlrb list metric NAME` and the reference show them."""

from __future__ import annotations

PAPER = "VL-RouterBench (arXiv 2512.23562), section 4"

FORMULAS = {
    "accuracy": "(1/n) Σ Y[i, m(i)]",
    "mean-score": "(1/n) Σ S[i, m(i)]",
    "average-cost": "(1/n) Σ C[i, m(i)]",
    "cost-per-10k": "10,000 × `average-cost`",
    "rank-score": "(1 + β) A K / (β A + K), with A = `accuracy`, K = (log2 high - log2 c) / (log2 high - log2 low), and c = "
    "`average-cost` moved into the cost bounds low and high, the least and the greatest mean cost of a single model "
    "on the rows that `cost_bounds` names",
    "oracle-gap-closed": "(A - A_best) / (A_oracle - A_best), with the accuracies of the router, of the model that is best on "
    "train, and of the Oracle, on the same samples",
    "requests-per-second": "n / (seconds of encoding + seconds of `route`)",
    "tokens-per-second": "Σ over i of the mean over models of the input tokens, / (seconds of encoding + seconds of `route`)",
    "routing-ms": "1000 × seconds of `route` / n",
    "encoding-ms": "1000 × seconds of encoding / n; 0 for a router without features",
}

SOURCES = {
    "accuracy": PAPER,
    "average-cost": PAPER,
    "cost-per-10k": f"{PAPER}: the unit of its tables",
    "rank-score": f"{PAPER}; the form is that of RouterArena's score (arXiv 2510.00202)",
    "oracle-gap-closed": "vlrb, in the form of RouteLLM's performance gap recovered (arXiv 2406.18665)",
}
"""Of the metrics that are not vlrb's own."""
