"""Joining parts by sample id and model name."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.frozen import Array
from vlrb.api.logs import Part
from vlrb.benchmark.findings import PairCounts
from vlrb.benchmark.listing import files_of, refuse_duplicates
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import Excluded, PairFindings
from vlrb.benchmark.rows import iterate_rows, read_rows
from vlrb.benchmark.score import read_scores, scorer_of
from vlrb.errors import DataError, Problem, shorten_list

ROWS_AT_ONCE = 1_000_000


GRIDS = {"score": np.nan, "cost": np.nan, "input_tokens": -1, "output_tokens": -1, "stored": False, "present": False}
"""Arrays [n, k] of :class:`Joined` -> what stands in them where nothing is known."""


@attrs.define(eq=False)
class Joined:
    """Samples and matrices while they are being put together.

    ``stored``: the score is that of the logs, though the scorers were to judge; ``present``: the logs hold an answer;
    ``unscorable``: sample id -> why no answer to it can be judged.
    """

    samples: pa.Table
    models: list[str]
    score: Array
    cost: Array
    input_tokens: Array
    output_tokens: Array
    stored: Array
    present: Array
    excluded: list[Excluded] = attrs.field(factory=list, init=False)
    unscorable: dict[str, str] = attrs.field(factory=dict, init=False)

    @property
    def datasets(self) -> Array:
        """Return the dataset's name of every sample, str[n]."""
        return np.asarray(self.samples.column("dataset").to_numpy(), dtype=np.str_)

    def keep_samples(self, keep: Array, reason: str) -> None:
        """Leave out some samples, and count them per dataset."""
        self.exclude(reason, self.datasets[~keep])
        self.samples = self.samples.filter(pa.array(keep))
        self._keep(keep)
        if not self.samples.num_rows:
            raise _none_left("sample", reason)

    def keep_models(self, keep: Array, reason: str) -> None:
        """Leave out some models, and say which."""
        self.excluded += [Excluded(f"{reason} ({m})", 1) for m, kept in zip(self.models, keep, strict=True) if not kept]
        self.models = [m for m, kept in zip(self.models, keep, strict=True) if kept]
        self._keep((slice(None), keep))
        if not self.models:
            raise _none_left("model", reason)

    def _keep(self, index: Any) -> None:
        for name in GRIDS:
            setattr(self, name, getattr(self, name)[index])

    def exclude(self, reason: str, datasets: Array, model: str = "") -> None:
        """Count what was left out or changed, per dataset."""
        for name, count in zip(*np.unique(datasets, return_counts=True), strict=True):
            what = f"{name}, {model}" if model else name
            self.excluded.append(Excluded(f"{reason} ({what})", int(count)))

    def exclude_answers(self, reason: str, marked: Array) -> None:
        """Count the marked answers, bool[n, k], per model and dataset."""
        datasets = self.datasets
        for j, model in enumerate(self.models):
            self.exclude(reason, datasets[marked[:, j]], model)


def _none_left(what: str, reason: str) -> DataError:
    return DataError(
        f"no {what} is left: all were left out because of: {reason}",
        where="[benchmark]",
        fix="complete the logs, or choose other values of missing and unknown in [benchmark]",
    )


def join_parts(logs: Logs) -> Joined:
    tables = [read_rows(logs.folder(p)) for p in logs.parts("samples")]
    samples = pa.concat_tables(tables).sort_by("id")
    ids = samples.column("id").combine_chunks()
    refuse_duplicates(ids, sorted({str(f) for p in logs.parts("samples") for f in p.files}))
    models = sorted({pair.model for p in logs.parts("outcomes") for pair in logs.findings[p.id].pairs})
    joined = Joined(samples, models, **{n: np.full((len(ids), len(models)), gap) for n, gap in GRIDS.items()})
    shared = samples.column("input_tokens")
    if shared.null_count == 0:
        joined.input_tokens[:] = shared.to_numpy()[:, None]
    spans = spans_of(joined.datasets)
    problems: list[Problem] = []
    for part in logs.parts("outcomes"):
        problems += _fill_part(joined, ids, spans.get(part.dataset, (0, len(ids))), part, logs)
    if problems:
        raise DataError(problems)
    return joined


def spans_of(datasets: Array) -> dict[str, tuple[int, int]]:
    """Return dataset -> the first of its rows and the one after the last; between them may be others' rows."""
    names, first = np.unique(datasets, return_index=True)
    last = len(datasets) - np.unique(datasets[::-1], return_index=True)[1]
    return {n: (int(f), int(e)) for n, f, e in zip(names, first, last, strict=True)}


def _fill_part(joined: Joined, ids: pa.Array, span: tuple[int, int], part: Part, logs: Logs) -> list[Problem]:
    """Put a part's rows where they belong; return what is wrong with them.

    :param span: where among ``ids`` the samples of the part's dataset begin and end
    """
    first, among = span[0], ids[slice(*span)]
    columns = ["id", "dataset", "model", "score", "cost", "input_tokens", "output_tokens"]
    own = read_scores(logs.scores(part, every=logs.every)) if logs.scored(part) else None
    models = pa.array(joined.models, pa.string())
    offset = 0
    for batch in iterate_rows(logs.folder(part), columns, ROWS_AT_ONCE):
        rows = pc.index_in(batch.column("id"), value_set=among)
        scored = own.slice(offset, batch.num_rows) if own is not None else None
        offset += batch.num_rows
        if rows.null_count:
            problems = _leave_out(joined, batch.filter(rows.is_null()), part, logs)
            if problems:
                return problems
            known = rows.is_valid()
            batch, rows = batch.filter(known), rows.filter(known)
            scored = scored.filter(known) if scored is not None else None
        at = first + rows.to_numpy(), pc.index_in(batch.column("model"), value_set=models).to_numpy()
        flat = at[0].astype(np.int64) * len(joined.models) + at[1]
        _, earliest = np.unique(flat, return_index=True)
        again = np.flatnonzero(joined.present[at])
        if earliest.size < flat.size:
            again = np.setdiff1d(np.arange(flat.size), earliest)
        if again.size:
            return [_twice(part, batch.take(pa.array(again)))]
        joined.present[at] = True
        _fill(joined, at, batch, scored, first_own=logs.every)
        joined.unscorable.update(_unscorable(batch, scored))
    return []


def _unscorable(batch: pa.RecordBatch, scored: pa.Table | None) -> dict[str, str]:
    """Return the ids of the samples on which no answer can be judged, and why not."""
    if scored is None:
        return {}
    whose = scored.column("unscorable").combine_chunks()
    reasons = scored.column("reason").filter(whose).to_pylist()
    return dict(zip(batch.column("id").filter(whose).to_pylist(), reasons, strict=True))


def _fill(
    joined: Joined, at: tuple[Array, Array], batch: pa.RecordBatch, own: pa.Table | None, *, first_own: bool
) -> None:
    for name in ("cost", "input_tokens", "output_tokens"):
        column = batch.column(name)
        if column.null_count < len(column):
            getattr(joined, name)[at] = column.fill_null(GRIDS[name]).to_numpy()
    stored = batch.column("score").fill_null(np.nan).to_numpy()
    if own is None:
        joined.score[at] = stored
        return
    scored = own.column("value").fill_null(np.nan).to_numpy()
    first, second = (scored, stored) if first_own else (stored, scored)
    joined.score[at] = np.where(np.isnan(first), second, first)
    joined.stored[at] = np.isnan(scored) & ~np.isnan(stored) if first_own else False


def _leave_out(joined: Joined, extra: pa.RecordBatch, part: Part, logs: Logs) -> list[Problem]:
    """Count the answers to samples that the log source has left out with their answers; return what is wrong with the others."""
    notes = [logs.left_out.get(i) for i in extra.column("id").to_pylist()]
    strangers = extra.filter(pa.array([note is None for note in notes]))
    problems = [_not_asked(part, strangers)] if strangers.num_rows else []
    for note in {id(n): n for n in notes if n is not None}.values():
        answers = extra.filter(pa.array([n is note for n in notes]))
        if not note.drop_answers:
            ids = shorten_list(answers.column("id").to_pylist())
            what = f"{answers.num_rows:,} answers are to samples that {note.reason}: {ids}"
            problems.append(Problem(what, files_of(part), note.fix))
            continue
        for model in sorted(set(answers.column("model").to_pylist())):
            whose = answers.filter(pc.equal(answers.column("model"), model)).column("dataset").to_pylist()
            joined.exclude(f"answers to samples that {note.reason}", np.array(whose, dtype=np.str_), model)
    return problems


def _not_asked(part: Part, extra: pa.RecordBatch) -> Problem:
    pairs = sorted(set(zip(extra.column("model").to_pylist(), extra.column("dataset").to_pylist(), strict=True)))
    whose = f"{pairs[0][0]} belong to no sample of {pairs[0][1]}"
    if len(pairs) > 1:
        models, datasets = (shorten_list(sorted(set(names))) for names in zip(*pairs, strict=True))
        whose = f"{models} belong to no sample of {datasets}"
    return Problem(
        f"{extra.num_rows:,} answers of {whose}: {shorten_list(extra.column('id').unique().to_pylist())}",
        files_of(part),
        "use answers and questions of one version of the dataset",
    )


def _twice(part: Part, rows: pa.RecordBatch) -> Problem:
    pairs = zip(rows.column("id").to_pylist(), rows.column("model").to_pylist(), strict=True)
    return Problem(
        f"{rows.num_rows:,} answers are in the logs twice: {shorten_list(f'{i} of {m}' for i, m in pairs)}",
        files_of(part),
        "keep one row of each",
    )


def pairs_of(logs: Logs, joined: Joined) -> tuple[PairFindings, ...]:
    """Return what the logs hold of every dataset and model, before any policy is applied."""
    unknown = np.isnan(joined.score)
    names, counts = np.unique(joined.datasets, return_counts=True)
    places = np.split(np.argsort(joined.datasets, kind="stable"), np.cumsum(counts)[:-1])
    parts = {(c.dataset, c.model): (p, c) for p in logs.parts("outcomes") for c in logs.findings[p.id].pairs}
    pairs = []
    for dataset, rows in zip(names.tolist(), places, strict=True):
        chosen = scorer_of(logs.builder, dataset)
        for j, model in enumerate(joined.models):
            found = joined.present[rows, j]
            part, counted = parts.get((dataset, model), (None, PairCounts(dataset, model)))
            scored = chosen is not None and part is not None and logs.scored(part)
            pairs.append(
                PairFindings(
                    dataset,
                    model,
                    found=int(found.sum()),
                    missing=int((~found).sum()),
                    unknown=int((unknown[rows, j] & found).sum()),
                    failed_calls=counted.failed,
                    failed_judges=counted.judge_failed,
                    without_stored_verdict=counted.unjudged,
                    verdict=logs.findings[part.id].verdict if part else "",
                    scorer=chosen.registered.id if chosen and scored else "",
                    part=part.id if part else "",
                )
            )
    return tuple(pairs)
