"""What becomes of samples that not every model answered, and of answers without a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from vlrb.benchmark.join import Joined
from vlrb.benchmark.manifest import PairFindings
from vlrb.errors import DataError, Problem, shorten_list
from vlrb.experiment.plan import Plan


def apply_missing(joined: Joined, policy: str) -> None:
    """Deal with samples that not every model answered."""
    if joined.present.all():
        return
    if policy == "drop-sample":
        joined.keep_samples(np.asarray(joined.present.all(axis=1)), "samples that not every model answered")
    elif policy == "drop-model":
        joined.keep_models(np.asarray(joined.present.all(axis=0)), "models that did not answer every sample")
    else:
        problems = [p for j, model in enumerate(joined.models) for p in _lacking(joined, j, model)]
        fix = 'complete the logs, or set missing = "drop-sample" or "drop-model" in [benchmark]'
        raise DataError([*problems[:-1], attrs.evolve(problems[-1], fix=fix)])


def _lacking(joined: Joined, j: int, model: str) -> Iterator[Problem]:
    names, ids = joined.datasets, joined.samples.column("id")
    for name in np.unique(names[~joined.present[:, j]]).tolist():
        rows = np.flatnonzero(~joined.present[:, j] & (names == name))
        which = shorten_list(ids.take(rows).to_pylist())
        yield Problem(f"{model} lacks {rows.size:,} of {(names == name).sum():,} samples: {which}", name)


def apply_unknown(joined: Joined, plan: Plan, pairs: Sequence[PairFindings]) -> None:
    """Deal with answers that the experiment's verdicts leave open."""
    policy = plan.benchmark.unknown
    if policy != "stored":
        joined.score[joined.stored] = np.nan
    problems = _apply_unscorable(joined, plan)
    names = joined.datasets
    unknown = np.isnan(joined.score)
    if problems:
        unknown &= np.array([not why for why in _reasons(joined, plan)])[:, None]
    if policy == "stored":
        joined.exclude_answers("answers that no rule can judge, taken as the logs judge them", joined.stored)
    if not unknown.any() and not problems:
        return
    if policy == "drop":
        joined.keep_samples(np.asarray(~unknown.any(axis=1)), "samples with an answer that no rule can judge")
        return
    if policy == "wrong":
        joined.exclude_answers("answers that no rule can judge, counted as wrong", unknown)
    else:
        problems += [
            _unjudged(plan, pair, count)
            for j, model in enumerate(joined.models)
            for pair in pairs
            if pair.model == model and (count := int((unknown[:, j] & (names == pair.dataset)).sum()))
        ]
    if problems:
        raise DataError(problems)
    joined.score[unknown] = 0.0


def _apply_unscorable(joined: Joined, plan: Plan) -> list[Problem]:
    """Leave out the samples on which no answer can be judged, where the experiment drops what is unknown.

    :return: the problems that they are where it does not
    """
    ids, names = joined.samples.column("id").to_pylist(), joined.datasets
    reasons = _reasons(joined, plan)
    problems = []
    for name, reason in sorted({(names[i], why) for i, why in enumerate(reasons) if why}):
        rows = [i for i, why in enumerate(reasons) if why == reason and names[i] == name]
        whose = f"{len(rows):,} of {int((names == name).sum()):,} samples: {shorten_list(ids[i] for i in rows)}"
        problems.append(Problem(f"{reason}, so that no answer can be judged ({whose})", name, _NO_GOLD_FIX))
    if plan.benchmark.unknown != "drop":
        return problems
    for reason in sorted({why for why in reasons if why}):
        keep = np.array([why != reason for why in reasons])
        joined.keep_samples(keep, f"samples on which no answer can be judged: {reason}")
        reasons = [why for why in reasons if why != reason]
    return []


def _reasons(joined: Joined, plan: Plan) -> list[str]:
    """Return for each sample why no answer to it can be judged; an empty text where one can, or where all have a verdict."""
    unknown = np.asarray(np.isnan(joined.score).any(axis=1)).tolist()
    if not any(unknown):
        return [""] * len(unknown)
    known = {name: plan.catalog.dataset(name) for name in set(joined.datasets.tolist())}
    no_rule = {name for name, record in known.items() if record is None or plan.scorer(record) is None}
    golds = joined.samples.column("answer").to_pylist()
    ids = joined.samples.column("id").to_pylist()
    rows = zip(ids, joined.datasets.tolist(), golds, unknown, strict=True)
    return [
        joined.unscorable.get(i, _NO_GOLD if name in no_rule and not (gold or "").strip() else "") if is_open else ""
        for i, name, gold, is_open in rows
    ]


_NO_GOLD = "the sample has no gold answer"


_NO_GOLD_FIX = (
    'give the samples what they lack, or the answers verdicts, or leave these samples out with unknown = "drop" in '
    '[benchmark]; "wrong" does not cover them, since it would count right answers as wrong'
)


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
