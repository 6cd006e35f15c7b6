"""The lines below a leaderboard: what its figures are, and why some are missing."""

from __future__ import annotations

from vlrb import CHANCE, ITSELF, NO_BASELINE, Interval, Leaderboard, RunResult, SplitsInfo, TableRow, Undefined
from vlrb_plugins.shared.values import SHARES

GROUPINGS = {"group": "the logs' groups", "image": "image", "text": "text"}


def leaderboard_notes(result: RunResult, board: Leaderboard) -> tuple[str, ...]:
    """Return the lines that say what the figures are."""
    return (*_figures(result), *_statistics(result, board), *_failures(result), *_ordered_by(board), *_reasons(board))


def note_text(row: TableRow) -> str:
    """Return the note of a row, with what it is tied with."""
    tied = f"tied with {' and '.join(row.tied)}" if row.tied else ""
    return "; ".join(filter(None, (tied, row.note)))


def _figures(result: RunResult) -> list[str]:
    """Return what was evaluated: benchmark, protocol, splits and cost bounds."""
    run = result.run
    split, bounds = run.split, run.bounds
    notes = [f"SYNTHETIC DATA: {run.benchmark.synthetic}"] if run.benchmark.synthetic else []
    notes += [
        f"benchmark {run.benchmark.fingerprint[:12]}: {run.benchmark.samples:,} samples, "
        f"datasets: {len(run.benchmark.datasets)}, models: {len(run.benchmark.models)}",
        f"protocol {run.protocol}; split {split.digest[:12]}, {_split_made(split)}: {_sizes(split)}",
        f"cost bounds ({bounds.rows}{', mean over splits' if len(split.whole) > 1 and bounds.rows == 'train' else ''}): "
        f"{bounds.low:.3g} to {bounds.high:.3g} USD per sample",
    ]
    if run.experiment["selection"]["refit"]:
        notes.append("refit: after the choice, routers were fitted again on train and dev together")
    leaking = sum(one.group_also_in_train["test"] for one in split.whole)
    if leaking:
        together = " (all splits together)" if len(split.whole) > 1 else ""
        notes.append(f"caution: {leaking:,} test samples{together} share an image or a group with a train sample")
    if bounds.free:
        fix = "give them prices ([[model]]), leave them out ([benchmark] models), or set another [selection] metric"
        notes.append(f"models that cost nothing: {', '.join(bounds.free)}; the rank score needs positive costs: {fix}")
    return notes


def _sizes(split: SplitsInfo) -> str:
    """Return the numbers of samples in train, dev and test; of several splits the smallest and the largest."""
    whole = [one.samples for one in split.whole]
    ends = {name: (min(s[name] for s in whole), max(s[name] for s in whole)) for name in whole[0]}
    return ", ".join(f"{n} {low:,}" + (f" to {high:,}" if high > low else "") for n, (low, high) in ends.items())


def _statistics(result: RunResult, board: Leaderboard) -> list[str]:
    """Return what intervals, deviations and ties are, and where the metrics mislead."""
    statistics, pooled = result.statistics, result.run.split.pooled
    several = len(result.run.split.whole) > 1
    left_out = "; they leave out the variance of training" if several and pooled else ""
    notes = [
        f"[low, high]: {100 * statistics.level:g} % percentile intervals over the choice of test samples: "
        f"{statistics.draws:,} bootstrap draws of {statistics.groups:,} groups within datasets{left_out}"
    ]
    cells = [c for row in board.rows for c in row.cells]
    seeds, splits = (any(getattr(c, n) is not None for c in cells) for n in ("over_seeds", "over_splits"))
    over = {
        "seeds of the training": seeds,
        "splits (not a standard error: they share test samples)": splits,
    }
    if seeds or splits:
        shown = "± a / b" if seeds and splits else "±"
        notes.append(
            f"{shown}: standard deviation over {' / over '.join(text for text, found in over.items() if found)}"
        )
    if any(row.tied for row in board.rows):
        leader = f"; the best router is {statistics.leader}" if statistics.leader else ""
        notes.append(f"tied: the difference in {board.headings[0]} may be chance (p >= {CHANCE:g}, Holm){leader}")
    notes += _columns(result)
    notes += [_pair(result, one, other) for one, other in result.run.experiment["statistics"]["pairs"]]
    return notes + [f"caution: {text}" for text in statistics.cautions]


def _columns(result: RunResult) -> list[str]:
    """Return how many test samples have each value of the columns of ``[statistics] by``."""
    samples, notes = result.statistics.samples, []
    for column in result.run.experiment["statistics"]["by"]:
        counts = {
            scope.removeprefix(f"by/{column}/"): n for scope, n in samples.items() if scope.startswith(f"by/{column}/")
        }
        without = samples["overall"] - sum(counts.values())
        none = f"; {without:,.0f} have no value" if without else ""
        notes.append(f"test samples by {column}: {', '.join(f'{value} {n:,.0f}' for value, n in counts.items())}{none}")
    return notes


def _pair(result: RunResult, one: str, other: str) -> str:
    """Return the differences of a pair that was asked for, in the selection metric and in accuracy."""
    rows = result.statistics.rows
    found = rows[one].against.get(other, {}) if one in rows else {}
    texts = []
    for metric in dict.fromkeys((result.run.selection_metric, "accuracy")):
        difference = found.get(metric)
        if difference is None or isinstance(difference.value, Undefined):
            continue
        scale, unit = (100.0, " points") if metric in SHARES else (1.0, "")
        low_high = ""
        if isinstance(difference.interval, Interval):
            low_high = f" [{difference.interval.low * scale:.3f}, {difference.interval.high * scale:.3f}]"
        how, p = "Holm" if difference.corrected else "uncorrected", difference.decisive_p
        chance = "" if p is None else f", p {p:.3f} ({how})"
        texts.append(f"{metric} {difference.value * scale:+.3f}{unit}{low_high}{chance}")
    return f"{one} minus {other}: {'; '.join(texts) or 'undefined, since one of them has no value'}"


def _failures(result: RunResult) -> list[str]:
    """Return what failed, and what was left out."""
    failed = [c for c in result.cells if c.status == "failed"]
    notes = [f"{c.cell.name} failed, see cells/{c.cell.name}/error.txt: {c.error}" for c in failed]
    return notes + [f"left out or changed: {n:,} {why}" for why, n in result.run.benchmark.excluded.items()]


def _split_made(split: SplitsInfo) -> str:
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
            known = cell in (ITSELF, NO_BASELINE)
            if isinstance(cell.value, Undefined) and not known and row.kind == "router" and any_value:
                found.setdefault(cell.value.reason, {})[heading] = None
    return [f"- in {', '.join(names)}: {reason}" for reason, names in found.items()]
