"""Scoring raw answers with the datasets' own scorers, part by part, into the cache."""

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
from vlrb.benchmark.checks import label_of
from vlrb.benchmark.read import PartBuilder, iterate_rows, read_rows
from vlrb.experiment.plan import ConfiguredComponent, Plan, digest_of
from vlrb.locks import locked
from vlrb.plugins.blame import blame
from vlrb.plugins.sources import core_digest
from vlrb.storage import new_directory, read_parquet, write_json

REASON = pa.dictionary(pa.int32(), pa.string())
SCORES = pa.schema([("value", pa.float64()), ("reason", REASON), ("unscorable", pa.bool_())])
"""A row per row of the part: the score, null where the scorer cannot decide, its reason, and whether the sample is the cause."""

ANSWERS = ("id", "dataset", "prediction", "judged", "rotations", "score")
QUESTIONS = ("id", "question", "options", "answer", "fields", "rotations")
CHUNK = 20_000


def scores_folder(
    builder: PartBuilder, key: str, samples: Mapping[str, str], datasets: Sequence[str], every: bool
) -> Path:
    """Return the folder of a part's scores in the cache.

    :param key: of the part
    :param samples: dataset -> key of the part that holds its samples
    :param every: also score answers for which the logs hold a verdict
    """
    scorers = {d: s.identity() for d in datasets if (s := scorer_of(builder.plan, d)) is not None}
    used = {d: samples.get(d, samples.get("")) for d in scorers}
    core = core_digest("scores")
    name = digest_of({"vlrb": core, "part": key, "scorers": scorers, "samples": used, "every": every})
    return builder.places.cache / "scores" / name[:20]


def scorer_of(plan: Plan, name: str) -> ConfiguredComponent | None:
    """Return the scorer of a dataset, or None if it has none that is installed."""
    dataset = plan.catalog.dataset(name)
    return plan.scorer(dataset) if dataset is not None else None


def score_part(
    builder: PartBuilder, rows: Path, samples: Mapping[str, Path], target: Path, every: bool, name: str
) -> None:
    """Score the answers of the part in the folder ``rows``, unless the cache has their scores.

    :param samples: dataset -> folder of the part that holds its samples
    :param name: the part's id, for messages
    """
    with locked(target):
        if (target / "scores.json").is_file():
            return
        with new_directory(target) as aside:
            count = 0
            with pq.ParquetWriter(aside / "scores.parquet", SCORES, compression="zstd") as writer:
                for batch in iterate_rows(rows, ANSWERS, CHUNK):
                    count += batch.num_rows
                    scores = _scores(builder.plan, batch.to_pylist(), samples, every, name)
                    values = pa.array([s.value for s in scores], pa.float64())
                    reasons = pa.array([s.reason or None for s in scores], pa.string()).dictionary_encode()
                    unscorable = pa.array([s.unscorable and s.value is None for s in scores], pa.bool_())
                    writer.write_batch(pa.record_batch([values, reasons, unscorable], schema=SCORES))
            write_json(aside / "scores.json", {"part": name, "rows": count})


def read_scores(folder: Path) -> pa.Table:
    """Return the scores of a part, a row per row of the part."""
    return read_parquet(folder / "scores.parquet")


def _scores(
    plan: Plan, rows: Sequence[Mapping[str, Any]], samples: Mapping[str, Path], every: bool, name: str
) -> list[Score]:
    scores = [Score(None)] * len(rows)
    for dataset in dict.fromkeys(r["dataset"] for r in rows):
        chosen = scorer_of(plan, dataset)
        if chosen is None:
            continue
        questions = _questions(samples.get(dataset, samples.get("", Path())))
        waiting = [i for i, r in enumerate(rows) if r["dataset"] == dataset and (every or r["score"] is None)]
        waiting = [i for i in waiting if rows[i]["id"] in questions]
        asked = [i for i in waiting if rows[i]["prediction"] is not None]
        for i in set(waiting).difference(asked):
            scores[i] = Score(None, "the logs hold no prediction")
        if asked:
            cases = tuple(_case(rows[i], questions[rows[i]["id"]]) for i in asked)
            scorer = chosen.make("score")
            with blame(chosen.plugin, f"scoring {name}"):
                found = checked_verdicts(scorer.score(cases), [c.id for c in cases], label_of(chosen), name)
            for i, score in zip(asked, found, strict=True):
                scores[i] = score
    return scores


@functools.lru_cache(maxsize=2)
def _questions(folder: Path) -> dict[str, dict[str, Any]]:
    """Return sample id -> what a scorer may know of the sample."""
    questions = {row["id"]: row for row in read_rows(folder, QUESTIONS).to_pylist()}
    for row in questions.values():
        row["options"] = _options(row["options"])
        row["fields"] = FrozenDict(row["fields"] or ())
        row["rotations"] = [(r["key"], _options(r["options"]), r["answer"] or "") for r in row["rotations"] or ()]
    return questions


def _options(listed: Sequence[Mapping[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((o["letter"], o["text"]) for o in listed or ())


def _case(row: Mapping[str, Any], question: Mapping[str, Any]) -> Case:
    predictions = {r["key"]: r["prediction"] for r in row["rotations"] or ()}
    return Case(
        id=row["id"],
        question=question["question"],
        options=question["options"],
        answer=question["answer"] or "",
        prediction=row["prediction"],
        fields=question["fields"],
        judged=dict(row["judged"] or ()),
        rotations=tuple(Rotation(options, gold, predictions.get(key)) for key, options, gold in question["rotations"]),
    )
