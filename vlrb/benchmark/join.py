"""Joining parts by sample id and model name; what becomes of missing answers, and of those without a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.frozen import Array
from vlrb.api.logs import Part
from vlrb.benchmark.checks import files_of, refuse
from vlrb.benchmark.logs import Logs
from vlrb.benchmark.manifest import Excluded, PairCounts, PairFindings
from vlrb.benchmark.read import iterate_rows, read_rows
from vlrb.benchmark.score import read_scores, scorer_of
from vlrb.errors import DataError, Problem, shorten_list
from vlrb.experiment.plan import Plan

ROWS_AT_ONCE = 1_000_000
OUTCOMES = ("id", "dataset", "model", "score", "cost", "input_tokens", "output_tokens")
GRIDS = {"score": np.nan, "cost": np.nan, "input_tokens": -1, "output_tokens": -1, "stored": False, "present": False}
"""Arrays [n, k] of :class:`Joined` -> their value where nothing is known."""
NO_GOLD_FIX = (
    'give the samples what they lack, or the answers verdicts, or leave these samples out with unknown = "drop" in '
    '[benchmark]; "wrong" does not cover them, since it would count right answers as wrong'
)


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
        self._keep(keep, "sample", reason)

    def keep_models(self, keep: Array, reason: str) -> None:
        """Leave out some models, and say which."""
        names = np.array(self.models)
        self.excluded += [Excluded(f"{reason} ({name})", 1) for name in names[~keep].tolist()]
        self.models = names[keep].tolist()
        self._keep((slice(None), keep), "model", reason)

    def _keep(self, index: Any, what: str, reason: str) -> None:
        for name in GRIDS:
            setattr(self, name, getattr(self, name)[index])
        if not self.score.size:
            fix = "complete the logs, or choose other values of missing and unknown in [benchmark]"
            raise DataError(f"no {what} is left: all were left out because of: {reason}", where="[benchmark]", fix=fix)

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


def join_parts(logs: Logs) -> Joined:
    parts = logs.parts("samples")
    samples = pa.concat_tables([read_rows(logs.folder(p)) for p in parts]).sort_by("id")
    ids = samples.column("id").combine_chunks()
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        where = shorten_list(sorted({str(f) for p in parts for f in p.files}))
        raise DataError(f"holds samples twice: {shorten_list(twice)}", where=where, fix="keep one row of each")
    models = sorted({pair.model for p in logs.parts("outcomes") for pair in logs.findings[p.id].pairs})
    joined = Joined(samples, models, **{n: np.full((len(ids), len(models)), gap) for n, gap in GRIDS.items()})
    shared = samples.column("input_tokens")
    if shared.null_count == 0:
        joined.input_tokens[:] = shared.to_numpy()[:, None]
    spans = spans_of(joined.datasets)
    outcomes = logs.parts("outcomes")
    refuse(x for p in outcomes for x in _fill_part(joined, ids, spans.get(p.dataset, (0, len(ids))), p, logs))
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
    own = read_scores(logs.scores(part, every=logs.every)) if part.id in logs.to_score else None
    models = pa.array(joined.models, pa.string())
    offset = 0
    for batch in iterate_rows(logs.folder(part), OUTCOMES, ROWS_AT_ONCE):
        rows = pc.index_in(batch.column("id"), value_set=among)
        scores = own.slice(offset, batch.num_rows) if own is not None else None
        offset += batch.num_rows
        if rows.null_count:
            problems = _leave_out(joined, batch.filter(rows.is_null()), part, logs)
            if problems:
                return problems
            known = rows.is_valid()
            batch, rows = batch.filter(known), rows.filter(known)
            scores = scores.filter(known) if scores is not None else None
        at = first + rows.to_numpy(), pc.index_in(batch.column("model"), value_set=models).to_numpy()
        again = joined.present[at]
        repeated = np.ones_like(again)
        repeated[np.unique(at[0].astype(np.int64) * len(models) + at[1], return_index=True)[1]] = False
        again |= repeated
        if again.any():
            extra = batch.filter(pa.array(again))
            names = (
                f"{i} of {m}" for i, m in zip(*(extra.column(c).to_pylist() for c in ("id", "model")), strict=True)
            )
            what = f"{extra.num_rows:,} answers are in the logs twice: {shorten_list(names)}"
            return [Problem(what, files_of(part), "keep one row of each")]
        joined.present[at] = True
        _fill(joined, at, batch, scores, own_first=logs.every)
    return []


def _fill(
    joined: Joined, at: tuple[Array, Array], batch: pa.RecordBatch, own: pa.Table | None, *, own_first: bool
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
    first, second = (scored, stored) if own_first else (stored, scored)
    joined.score[at] = np.where(np.isnan(first), second, first)
    joined.stored[at] = np.isnan(scored) & ~np.isnan(stored) if own_first else False
    unscorable = own.column("unscorable").combine_chunks()
    ids, reasons = (column.filter(unscorable).to_pylist() for column in (batch.column("id"), own.column("reason")))
    joined.unscorable.update(zip(ids, reasons, strict=True))


def _leave_out(joined: Joined, extra: pa.RecordBatch, part: Part, logs: Logs) -> list[Problem]:
    """Count the answers to samples that the log source has left out with their answers; return what is wrong with the others."""
    notes = [logs.left_out.get(i) for i in extra.column("id").to_pylist()]
    problems: list[Problem] = []
    for note in {id(n): n for n in notes}.values():
        answers = extra.filter(pa.array([n is note for n in notes]))
        ids, models, datasets = (answers.column(c).to_pylist() for c in ("id", "model", "dataset"))
        if note is None:
            who, whose = (shorten_list(sorted(set(names))) for names in (models, datasets))
            what = f"{len(ids):,} answers of {who} belong to no sample of {whose}: {shorten_list(dict.fromkeys(ids))}"
            fix = "use answers and questions of one version of the dataset"
            problems.insert(0, Problem(what, files_of(part), fix))
        elif note.drop_answers:
            counts = sorted(Counter(zip(models, datasets, strict=True)).items())
            reason = f"answers to samples that {note.reason}"
            joined.excluded += [Excluded(f"{reason} ({dataset}, {model})", n) for (model, dataset), n in counts]
        else:
            what = f"{len(ids):,} answers are to samples that {note.reason}: {shorten_list(ids)}"
            problems.append(Problem(what, files_of(part), note.fix))
    return problems


def pairs_of(logs: Logs, joined: Joined) -> tuple[PairFindings, ...]:
    """Return what the logs hold of every dataset and model, before any policy is applied."""
    unknown = np.isnan(joined.score)
    names, counts = np.unique(joined.datasets, return_counts=True)
    places = np.split(np.argsort(joined.datasets, kind="stable"), np.cumsum(counts)[:-1])
    parts = {(c.dataset, c.model): (p.id, c) for p in logs.parts("outcomes") for c in logs.findings[p.id].pairs}
    pairs = []
    for dataset, rows in zip(names.tolist(), places, strict=True):
        scorer = scorer_of(logs.plan, dataset)
        for j, model in enumerate(joined.models):
            found = joined.present[rows, j]
            part, counted = parts.get((dataset, model), ("", PairCounts(dataset, model)))
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
                    verdict=logs.findings[part].verdict if part else "",
                    scorer=scorer.registered.id if scorer and part in logs.to_score else "",
                    part=part,
                )
            )
    return tuple(pairs)


def apply_missing(joined: Joined, policy: str) -> None:
    """Deal with samples that not every model answered."""
    present = joined.present
    if present.all():
        return
    if policy == "drop-sample":
        joined.keep_samples(np.asarray(present.all(axis=1)), "samples that not every model answered")
    elif policy == "drop-model":
        joined.keep_models(np.asarray(present.all(axis=0)), "models that did not answer every sample")
    else:
        problems = [
            Problem(f"{model} lacks {_counted(joined, lacking, name)}", name)
            for model, lacking in zip(joined.models, ~present.T, strict=True)
            for name in np.unique(joined.datasets[lacking]).tolist()
        ]
        fix = 'complete the logs, or set missing = "drop-sample" or "drop-model" in [benchmark]'
        raise DataError([*problems[:-1], attrs.evolve(problems[-1], fix=fix)])


def _counted(joined: Joined, marked: Array, name: str) -> str:
    """Return how many samples of a dataset are marked, bool[n], and which."""
    among = joined.datasets == name
    ids = joined.samples.column("id").take(np.flatnonzero(marked & among)).to_pylist()
    return f"{len(ids):,} of {among.sum():,} samples: {shorten_list(ids)}"


def apply_unknown(joined: Joined, plan: Plan, pairs: Sequence[PairFindings]) -> None:
    """Deal with answers that the experiment's verdicts leave open."""
    policy = plan.benchmark.unknown
    if policy != "stored":
        joined.score[joined.stored] = np.nan
    reasons = _unscorable_reasons(joined, plan)
    if policy == "drop":
        for reason in sorted({*reasons} - {""}):
            keep = reasons != reason
            joined.keep_samples(keep, f"samples on which no answer can be judged: {reason}")
            reasons = reasons[keep]
        judged = np.asarray(~np.isnan(joined.score).any(axis=1))
        if not judged.all():
            joined.keep_samples(judged, "samples with an answer that no rule can judge")
        return
    names, marked = joined.datasets, reasons != ""
    problems = []
    for name, reason in sorted({*zip(names[marked].tolist(), reasons[marked], strict=True)}):
        whose = _counted(joined, reasons == reason, name)
        problems.append(Problem(f"{reason}, so that no answer can be judged ({whose})", name, NO_GOLD_FIX))
    unknown = np.isnan(joined.score) & ~marked[:, None]
    if policy == "stored":
        joined.exclude_answers("answers that no rule can judge, taken as the logs judge them", joined.stored)
    if policy == "wrong":
        joined.exclude_answers("answers that no rule can judge, counted as wrong", unknown)
    else:
        rows, columns = np.nonzero(unknown)
        counts = Counter(zip(np.array(joined.models)[columns].tolist(), names[rows].tolist(), strict=True))
        known = {(p.model, p.dataset): p for p in pairs}
        problems += [_unjudged(plan, known[pair], count) for pair, count in sorted(counts.items())]
    refuse(problems)
    joined.score[unknown] = 0.0


def _unscorable_reasons(joined: Joined, plan: Plan) -> Array:
    """Return for each sample with open answers why none can be judged; an empty text where one can, and for all others."""
    reasons = np.full(joined.samples.num_rows, "", dtype=object)
    rows = np.flatnonzero(np.isnan(joined.score).any(axis=1))
    samples = joined.samples.select(["id", "dataset", "answer"]).take(pa.array(rows))
    no_rule = {n for n in samples.column("dataset").unique().to_pylist() if scorer_of(plan, n) is None}
    for row, sample in zip(rows, samples.to_pylist(), strict=True):
        no_gold = sample["dataset"] in no_rule and not (sample["answer"] or "").strip()
        reasons[row] = joined.unscorable.get(sample["id"], "the sample has no gold answer" if no_gold else None) or ""
    return reasons


def _unjudged(plan: Plan, pair: PairFindings, count: int) -> Problem:
    dataset = plan.catalog.dataset(pair.dataset)
    why = ""
    if pair.scorer:
        why = f"; scorer {pair.scorer!r} could not decide"
    elif dataset is not None and dataset.scorer and plan.scorer(dataset) is None:
        why = f"; its scorer {dataset.scorer!r} is not installed"
    if pair.failed_judges:
        why = f"; the judge of the logs failed on {pair.failed_judges:,} answers{why}"
    return Problem(
        f"{count:,} answers of {pair.model} have no verdict: {pair.verdict or 'the logs hold none'}{why}",
        pair.dataset,
        "give the logs verdicts (a column score; is_correct in VLMEvalKit's), name a scorer, or set unknown in [benchmark]",
    )
