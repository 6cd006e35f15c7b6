"""The lines below a leaderboard: what its figures are, and why some are missing."""

from __future__ import annotations

from vlrb import Leaderboard, RunResult, SplitInfo, Undefined

GROUPINGS = {"group": "the logs' groups", "image": "image", "text": "text"}


def leaderboard_notes(result: RunResult, board: Leaderboard) -> tuple[str, ...]:
    """Return the lines that say what the figures are."""
    return (*_figures(result), *_failures(result), *_ordered_by(board), *_reasons(board))


def _figures(result: RunResult) -> list[str]:
    """Return what was evaluated: benchmark, protocol, split and cost bounds."""
    run = result.run
    split, bounds = run.split, run.bounds
    counts = ", ".join(f"{n} {c:,}" for n, c in split.samples.items())
    notes = [f"SYNTHETIC DATA: {run.benchmark.synthetic}"] if run.benchmark.synthetic else []
    notes += [
        f"benchmark {run.benchmark.fingerprint[:12]}: {run.benchmark.samples:,} samples, "
        f"datasets: {len(run.benchmark.datasets)}, models: {len(run.benchmark.models)}",
        f"protocol {run.protocol}; split {split.digest[:12]}, {_split_made(split)}: {counts}",
        f"cost bounds ({bounds.rows}): {bounds.low:.3g} to {bounds.high:.3g} USD per sample",
    ]
    leaking = split.group_also_in_train["test"]
    if leaking:
        notes.append(f"{leaking:,} test samples share an image or a group with a train sample")
    if bounds.free:
        fix = "give them prices ([[model]]), leave them out ([benchmark] models), or set another [selection] metric"
        notes.append(f"models that cost nothing: {', '.join(bounds.free)}; the rank score needs positive costs: {fix}")
    return notes


def _failures(result: RunResult) -> list[str]:
    """Return what failed, and what was left out."""
    failed = [c for c in result.cells if c.status == "failed"]
    notes = [f"{c.cell.name} failed, see cells/{c.cell.name}/error.txt: {c.error}" for c in failed]
    return notes + [f"left out or changed: {n:,} {why}" for why, n in result.run.benchmark.excluded.items()]


def _split_made(split: SplitInfo) -> str:
    """Return how a split was made, and from how many groups of what."""
    found = split.grouped_by
    if not found:
        return split.made
    by = ", ".join(f"{GROUPINGS[k]} ({n:,} samples)" if len(found) > 1 else GROUPINGS[k] for k, n in found.items())
    return f"{split.groups:,} groups by {by}, {split.made}"


def _ordered_by(board: Leaderboard) -> list[str]:
    """Return a line on what orders the rows where the selection metric has no value anywhere."""
    columns = zip(*(row.cells for row in board.rows), strict=True)
    valued = [i for i, cells in enumerate(columns) if any(not isinstance(c.value, Undefined) for c in cells)]
    if not valued or valued[0] == 0:
        return []
    return [f"ordered by {board.headings[valued[0]]}: {board.headings[0]} has no value in any row"]


def _reasons(board: Leaderboard) -> list[str]:
    """Return why values of routers are undefined, a line for each reason; of routers without any value nothing."""
    found: dict[str, dict[str, None]] = {}
    for row in board.rows:
        any_value = any(not isinstance(c.value, Undefined) for c in row.cells)
        for heading, cell in zip(board.headings, row.cells, strict=True):
            if isinstance(cell.value, Undefined) and row.kind == "router" and any_value:
                found.setdefault(cell.value.reason, {})[heading] = None
    return [f"- in {', '.join(names)}: {reason}" for reason, names in found.items()]
