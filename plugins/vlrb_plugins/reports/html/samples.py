"""The most telling test samples of a run, with what was chosen for them.

The rule: the leader is compared with the best single model, sample by sample.  Of four kinds of samples the same number is taken:

- won: the leader is right, the best single model is wrong; most saved first
- lost: the leader is wrong, the best single model is right; most expensive choice of the leader first
- missed: both are wrong, some model is right; most models right first
- overpaid: the leader is right, but a cheaper model is too; most overpaid first

Datasets take turns, and equal samples come in the order of their ids.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from vlrb import Array, Benchmark, FinishedRun, VlrbError, decode_image
from vlrb_plugins.shared.pages.tables import Cell, Column, Table, name_cell

KINDS = {
    "won": "Won: the best router is right, the best single model is wrong",
    "lost": "Lost: the best router is wrong, the best single model is right",
    "missed": "Missed: both are wrong, but some model is right",
    "overpaid": "Overpaid: the best router is right, but so is a cheaper model",
}
MOST_ROUTERS, MOST_OPTIONS, MOST_MODELS = 12, 10, 8
LONGEST_QUESTION, LONGEST_OPTION = 800, 160
THUMBNAIL = 240
"""Pixels of the longer side of an image."""
MOST_BYTES = 1_400_000
"""Bytes of all images together."""


@attrs.frozen(kw_only=True)
class Shown:
    """A sample on the page."""

    id: str
    dataset: str
    line: str
    question: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""
    image: str = ""
    images: int = 0
    right: str
    table: Table


def chosen_by_all(run: FinishedRun) -> dict[str, Array]:
    """Return what each router (its first seed) and reference point chose on test: int[n], -1 for samples without a choice."""
    found = {}
    for name in run.names:
        choices = run.chosen(name)
        column = np.full(len(run.samples.ids), -1)
        for made in reversed(choices):
            if made.seed == choices[0].seed:
                column[made.rows] = made.choices
        if (column >= 0).any():
            found[name] = column
    return found


def telling_rows(run: FinishedRun, leader: Array, single: Array, most: int) -> dict[str, list[int]]:
    """Return kind -> the rows of the samples that tell most, by the rule above."""
    samples = run.samples
    tested = np.flatnonzero((leader >= 0) & (single >= 0))
    quality, cost = samples.quality[tested], samples.cost[tested]
    at = np.arange(len(tested))
    ours, theirs = leader[tested], single[tested]
    right, single_right = quality[at, ours], quality[at, theirs]
    cheapest = np.where(quality, cost, np.inf).min(axis=1, initial=np.inf)
    overpaid = np.where(right, cost[at, ours] - cheapest, 0)
    ranked = {
        "won": (right & ~single_right, cost[at, theirs] - cost[at, ours]),
        "lost": (~right & single_right, cost[at, ours]),
        "missed": (~right & ~single_right & quality.any(axis=1), quality.sum(axis=1)),
        "overpaid": (overpaid > 0, overpaid),
    }
    each = -(-most // len(ranked))
    taken: set[int] = set()
    found = {}
    for kind, (inside, weight) in ranked.items():
        rows = [r for r in _in_turns(tested[inside], weight[inside], samples.datasets) if r not in taken]
        found[kind] = rows[: min(each, most - len(taken))]
        taken |= set(found[kind])
    return found


def _in_turns(rows: Array, weight: Array, datasets: Array) -> list[int]:
    """Return rows by their weight, the heaviest first, so that every dataset has its turn before one has a second."""
    order = rows[np.argsort(-weight, kind="stable")].tolist()
    turns: dict[str, int] = {}
    placed = []
    for place, row in enumerate(order):
        name = str(datasets[row])
        turns[name] = turns.get(name, 0) + 1
        placed.append((turns[name], place, row))
    return [row for _, _, row in sorted(placed)]


def telling_samples(run: FinishedRun, most: int) -> dict[str, list[Shown]]:
    """Return the samples that tell most, by kind in words; empty where no router leads."""
    leader = run.result.statistics.leader
    chosen = chosen_by_all(run) if leader and most else {}
    if leader not in chosen or "best-single" not in chosen:
        return {}
    found = telling_rows(run, chosen[leader], chosen["best-single"], most)
    routers = [r for r in chosen if r not in ("oracle", "best-single") and r != leader][: MOST_ROUTERS - 3]
    columns = {name: chosen[name] for name in (leader, "best-single", "oracle", *routers) if name in chosen}
    left = MOST_BYTES
    shown: dict[str, list[Shown]] = {}
    for kind, rows in found.items():
        for row in rows:
            sample = _shown(run, row, columns, left)
            left -= len(sample.image)
            shown.setdefault(KINDS[kind], []).append(sample)
    return shown


def _shown(run: FinishedRun, row: int, columns: Mapping[str, Array], room: int) -> Shown:
    samples = run.samples
    right = [samples.models[j] for j in np.flatnonzero(samples.quality[row])]
    listed = ", ".join(right[:MOST_MODELS]) + (
        f" and {len(right) - MOST_MODELS} more" if len(right) > MOST_MODELS else ""
    )
    about = Shown(
        id=samples.ids[row],
        dataset=str(samples.datasets[row]),
        line=samples.ids[row],
        right=f"{len(right)} of {len(samples.models)} models are right: {listed}" if right else "no model is right",
        table=_choices_table(run, row, columns),
    )
    return about if run.benchmark is None else _with_content(about, run.benchmark, room)


def _with_content(about: Shown, benchmark: Benchmark, room: int) -> Shown:
    """Add the question and the first image of a sample."""
    row = benchmark.ids.index(about.id)
    sample = benchmark.samples.slice(row, 1).select(["question", "options", "answer"]).to_pylist()[0]
    options = [f"{o['letter']}. {_cut(o['text'] or '', LONGEST_OPTION)}" for o in sample["options"] or ()]
    more = [f"… {len(options) - MOST_OPTIONS} more"] if len(options) > MOST_OPTIONS else []
    image = _thumbnail(benchmark, row)
    return attrs.evolve(
        about,
        line=_cut(sample["question"] or "", 90),
        question=_cut(sample["question"] or "", LONGEST_QUESTION),
        options=(*options[:MOST_OPTIONS], *more),
        answer=_cut(sample["answer"] or "", LONGEST_OPTION),
        image=image if len(image) <= room else "",
        images=len(benchmark.image_hashes[row]),
    )


def _cut(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _thumbnail(benchmark: Benchmark, row: int) -> str:
    """Return a sample's first image as a small JPEG in a data URI; an empty text where it has none, or it cannot be decoded."""
    from PIL import Image

    if not benchmark.image_hashes[row]:
        return ""
    try:
        image = decode_image(benchmark.images.encoded(row)[0], benchmark.ids[row])
    except VlrbError:
        return ""
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image.convert("RGB"), mask=image.convert("RGBA").getchannel("A"))
    file = io.BytesIO()
    ground.save(file, "JPEG", quality=72, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _choices_table(run: FinishedRun, row: int, columns: Mapping[str, Array]) -> Table:
    samples = run.samples
    rows = [
        (
            name_cell(name),
            name_cell(samples.models[j]),
            Cell("right" if samples.quality[row, j] else "wrong", mark="" if samples.quality[row, j] else "bad"),
            Cell(f"{1e4 * samples.cost[row, j]:,.3f}"),
        )
        for name, column in columns.items()
        if (j := int(column[row])) >= 0
    ]
    heads: Sequence[Column] = (
        Column("who", holds="name"), Column("chooses", holds="name"), Column("answer", holds="name"), Column("USD / 10k"),
    )  # fmt: skip
    return Table(id=f"chosen-{row}", caption=f"Choices for {samples.ids[row]}", columns=tuple(heads), rows=tuple(rows))
