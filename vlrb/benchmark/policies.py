"""What becomes of samples that not every model answered, and of answers without a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.frozen import Array
from vlrb.benchmark.checks import refuse
from vlrb.benchmark.join import Joined
from vlrb.benchmark.manifest import PairFindings
from vlrb.benchmark.score import scorer_of
from vlrb.errors import DataError, Problem, shorten_list
from vlrb.experiment.plan import Plan

NO_GOLD = "the sample has no gold answer"
NO_GOLD_FIX = (
    'give the samples what they lack, or the answers verdicts, or leave these samples out with unknown = "drop" in '
    '[benchmark]; "wrong" does not cover them, since it would count right answers as wrong'
)


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
        reasons[row] = joined.unscorable.get(sample["id"], NO_GOLD if no_gold else "")
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
        "give the logs a column is_correct, name a scorer that is installed, or set unknown in [benchmark]",
    )
