"""Scoring raw answers: what the datasets' own scorers say, part by part, kept in the cache beside what the logs say."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vlrb.api.frozen import FrozenDict
from vlrb.api.logs import Case, Rotation, Score
from vlrb.api.returned import checked_verdicts
from vlrb.benchmark.read import PartBuilder
from vlrb.benchmark.rows import iterate_rows, read_rows
from vlrb.experiment.plan import ConfiguredComponent, digest_of
from vlrb.plugins.blame import blame
from vlrb.plugins.sources import core_digest
from vlrb.storage import locked, new_directory, read_parquet, write_json

SCORES = pa.schema(
    [("value", pa.float64()), ("reason", pa.dictionary(pa.int32(), pa.string())), ("unscorable", pa.bool_())]
)
"""A row per row of the part: the score, null where the scorer cannot decide, its reason, and whether that lies in the sample."""

ANSWERS = ("id", "dataset", "prediction", "judged", "rotations", "score")
QUESTIONS = ("id", "question", "options", "answer", "fields", "rotations")
CHUNK = 20_000


def scores_folder(
    builder: PartBuilder, key: str, samples: Mapping[str, str], datasets: Sequence[str], every: bool
) -> Path:
    """Return the folder of a part's scores in the cache.

    :param key: of the part
    :param samples: dataset -> key of the part that holds its samples
    :param every: also score the answers that the logs hold a verdict of
    """
    scorers = {d: s.identity() for d in datasets if (s := scorer_of(builder, d)) is not None}
    used = {d: samples.get(d, samples.get("")) for d in scorers}
    core = core_digest("scores")
    name = digest_of({"vlrb": core, "part": key, "scorers": scorers, "samples": used, "every": every})
    return builder.places.cache / "scores" / name[:20]


def scorer_of(builder: PartBuilder, name: str) -> ConfiguredComponent | None:
    """Return the scorer of a dataset, or None where it has none that is installed."""
    dataset = builder.plan.catalog.dataset(name)
    return builder.plan.scorer(dataset) if dataset is not None else None


def score_part(
    builder: PartBuilder, rows: Path, samples: Mapping[str, Path], target: Path, every: bool, name: str
) -> None:
    """Score a part's answers, unless their scores are there.

    :param rows: the part's folder in the cache
    :param samples: dataset -> folder of the part that holds its samples
    :param name: the part's id, for messages
    :raises PluginError: when a scorer raises or returns what it must not
    """
    with locked(target):
        if (target / "scores.json").is_file():
            return
        with new_directory(target) as aside:
            count = 0
            with pq.ParquetWriter(aside / "scores.parquet", SCORES, compression="zstd") as writer:
                for batch in iterate_rows(rows, ANSWERS, CHUNK):
                    count += batch.num_rows
                    writer.write_batch(_scored(builder, batch, samples, every, name))
            write_json(aside / "scores.json", {"part": name, "rows": count})


def read_scores(folder: Path) -> pa.Table:
    """Return the scores of a part, a row per row of the part."""
    return read_parquet(folder / "scores.parquet")


def _scored(
    builder: PartBuilder, batch: pa.RecordBatch, samples: Mapping[str, Path], every: bool, name: str
) -> pa.RecordBatch:
    rows = batch.to_pylist()
    values: list[float | None] = [None] * len(rows)
    reasons: list[str | None] = [None] * len(rows)
    unscorable = [False] * len(rows)
    for dataset in dict.fromkeys(r["dataset"] for r in rows):
        chosen = scorer_of(builder, dataset)
        if chosen is None:
            continue
        questions = _questions(samples.get(dataset, samples.get("", Path())))
        waiting = [i for i, r in enumerate(rows) if r["dataset"] == dataset and (every or r["score"] is None)]
        waiting = [i for i in waiting if rows[i]["id"] in questions]
        asked = [i for i in waiting if rows[i]["prediction"] is not None]
        scores = _score(chosen, [_case(rows[i], questions[rows[i]["id"]]) for i in asked], name)
        for i in set(waiting) - set(asked):
            reasons[i] = "the logs hold no prediction"
        for i, score in zip(asked, scores, strict=True):
            values[i], reasons[i] = score.value, score.reason or None
            unscorable[i] = score.unscorable and score.value is None
    arrays = [
        pa.array(values, pa.float64()),
        pa.array(reasons, pa.string()).dictionary_encode(),
        pa.array(unscorable, pa.bool_()),
    ]
    return pa.record_batch(arrays, schema=SCORES)


@functools.lru_cache(maxsize=2)
def _questions(folder: Path) -> dict[str, dict[str, Any]]:
    """Return sample id -> what a scorer may know of the sample."""
    table = read_rows(folder, QUESTIONS)
    questions = {}
    for row in table.to_pylist():
        row["options"] = _options(row["options"])
        row["fields"] = FrozenDict(row["fields"] or ())
        row["rotations"] = [(r["key"], _options(r["options"]), r["answer"] or "") for r in row["rotations"] or ()]
        questions[row["id"]] = row
    return questions


def _options(listed: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((o["letter"], o["text"]) for o in listed or ())


def _case(row: Mapping[str, Any], question: Mapping[str, Any]) -> Case:
    said = {r["key"]: r["prediction"] for r in row["rotations"] or ()}
    return Case(
        id=row["id"],
        question=question["question"],
        options=question["options"],
        answer=question["answer"] or "",
        prediction=row["prediction"],
        fields=question["fields"],
        judged=dict(row["judged"] or ()),
        rotations=tuple(Rotation(options, gold, said.get(key)) for key, options, gold in question["rotations"]),
    )


def _score(chosen: ConfiguredComponent, cases: Sequence[Case], name: str) -> list[Score]:
    if not cases:
        return []
    scorer = chosen.make("score")
    with blame(chosen.plugin, f"scoring {name}"):
        returned = scorer.score(tuple(cases))
        who = f"scorer {chosen.registered.id!r} of {chosen.plugin.label}"
        return checked_verdicts(returned, [c.id for c in cases], who, name)
