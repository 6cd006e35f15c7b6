"""Objectives: the train rows that a router learns from, its targets, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import attrs
import numpy as np
import torch
from torch import Tensor

from vlrb import Array, Labelled, soft_targets, solved_rows
from vlrb_plugins.neural_routers import losses
from vlrb_plugins.neural_routers.clusters import k_means, of_questions
from vlrb_plugins.neural_routers.params import NeuralParams, RouterdcParams, ZooterParams
from vlrb_plugins.neural_routers.tags import smoothed, text_tags

REFERENCE_SEED = 42
"""Seed of the reference's clusters, which does not depend on the run's."""


class Objective(Protocol):
    """What a router learns: its train rows, and the loss over a batch of them."""

    @property
    def rows(self) -> Array:
        """The indices of the train rows, int64[m]."""

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:
        """Return the loss of a batch, a mean over its samples.

        :param rows: the indices of the train rows in the batch
        """


@attrs.frozen(eq=False)
class Known:
    """The inputs of an objective.

    ``texts`` are those of train.  ``embed`` returns pretrained embeddings of all train rows' texts, float32[n, d], and
    images, float32[n, e]; ``kept`` returns the array of a name, which is computed once and kept for a resumed training.
    """

    train: Labelled
    texts: list[str]
    seed: int
    embed: Callable[[], tuple[Array, Array]]
    kept: Callable[[str, Callable[[], Array]], Array]


@attrs.frozen(eq=False)
class Targets:
    """A distribution over the models for every train row, float32[n, k], and a loss against it."""

    rows: Array
    targets: Tensor
    of_batch: Callable[[Tensor, Tensor], Tensor]

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return the loss."""
        return self.of_batch(logits, self.targets[rows].to(logits.device))


def classify(known: Known, params: Any, router: str) -> Objective:
    """Return the soft cross-entropy against soft targets, over rows that any model solves (cosinecls, vlc)."""
    rows = solved_rows(known.train, router)
    return Targets(rows, _tensor(targets_of(known.train, params)), losses.soft_cross_entropy)


def distil(known: Known, params: ZooterParams, router: str) -> Objective:
    """Return ZOOTER's objective.

    The reference distils soft targets, with the cheapest model as the target of rows that no model solves.  As published, all
    rows are trained on, and a row's target is averaged with the mean targets of its tags.
    """
    train = known.train
    if not params.published:
        targets = soft_targets(train.quality, train.cost, params.lambda_, fallback="cheapest")
        return Targets(np.arange(len(train)), _tensor(targets), losses.distillation)
    solved_rows(train, router)  # raises if there is none
    targets = targets_of(train, params, unsolved=True)
    tags = text_tags(known.texts, params.tags_per_question)
    return Targets(np.arange(len(train)), _tensor(smoothed(targets, tags, params.sample_weight)), losses.distillation)


def targets_of(train: Labelled, params: NeuralParams, unsolved: bool = False) -> Array:
    """Return soft targets, float64[n, k].

    As published, right models of the same cost share the hard label of lambda inf; in the reference the first one gets it.

    :param unsolved: give rows that no model solves targets by cost alone, rather than zeros
    """
    fallback: Literal["cost_soft"] | None = "cost_soft" if unsolved else None
    ties: Literal["first", "shared"] = "shared" if params.published else "first"
    return soft_targets(train.quality, train.cost, params.lambda_, fallback=fallback, ties=ties)


# --- dual contrast ------------------------------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class ReferenceContrast:
    """The loss that the reference's cosinecls and routerdc share: scores float32[n, k] and clusters int64[n] of train rows."""

    rows: Array
    positives: Tensor
    clusters: Tensor
    weight: float

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:  # noqa: ARG002
        """Return the contrast of models plus that of samples."""
        models = losses.reference_model_contrast(logits, self.positives[rows].to(logits.device))
        return models + self.weight * losses.reference_sample_contrast(logits, self.clusters[rows].to(logits.device))


def reference_contrast(known: Known, params: Any, router: str) -> Objective:
    """Return the reference's contrast: the three highest targets are positives, and targets are clustered.

    Ties go to the first models, where the reference leaves them to chance.
    """
    train, rows = known.train, solved_rows(known.train, router)
    top, clusters, weight = 3, 5, 1.0
    if isinstance(params, RouterdcParams):
        top, clusters, weight = params.top, params.cluster_count, params.cluster_weight
    scores = soft_targets(train.quality, train.cost, params.lambda_, fallback="cheapest").astype(np.float32)

    def cluster() -> Array:
        found = np.zeros(len(train), dtype=np.int64)
        count = min(clusters, len(np.unique(scores[rows], axis=0)))
        found[rows] = k_means(scores[rows], count, REFERENCE_SEED)
        return found

    positives = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    ids = known.kept("target-clusters", cluster)
    return ReferenceContrast(rows, torch.from_numpy(positives), torch.from_numpy(ids), weight)


@attrs.frozen(eq=False)
class DualContrast:
    """RouterDC's loss as published: tiers float64[n, k], wrong bool[n, k] and clusters int64[n] of train rows."""

    rows: Array
    tiers: Array
    wrong: Array
    clusters: Array
    params: RouterdcParams

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:
        """Return the contrast of models plus that of samples; positives and negatives are drawn for each batch."""
        positives = drawn(self.tiers[rows], self.params.top, rng)
        negatives = drawn(np.where(self.wrong[rows], 0.0, np.inf), self.params.last, rng)
        near, far = (torch.from_numpy(found).to(logits.device) for found in (positives, negatives))
        groups = torch.from_numpy(partners(self.clusters[rows], self.params.others, rng)).to(query.device)
        models = losses.model_contrast(logits, near, far)
        return models + self.params.cluster_weight * losses.sample_contrast(query, groups)


def dual_contrast(known: Known, params: RouterdcParams, router: str) -> Objective:
    """Return RouterDC's objective, with clusters of the questions by their pretrained embeddings."""
    train, rows = known.train, solved_rows(known.train, router)

    def cluster() -> Array:
        return of_questions(known.embed(), params.cluster_count, known.seed % 2**32)

    tiers = positive_tiers(train, params.lambda_)
    return DualContrast(rows, tiers, ~np.asarray(train.quality), known.kept("question-clusters", cluster), params)


def positive_tiers(train: Labelled, lambda_: float) -> Array:
    """Return the rank of models as positives, the best lowest, float64[n, k]; inf for models that cannot be positives.

    The order is that of soft targets without computing them, since small weights underflow to 0: cheaper right models are
    better; with lambda 0 all right models are equal, with inf only the cheapest of them count.
    """
    quality, cost = np.asarray(train.quality, dtype=np.bool_), np.asarray(train.cost, dtype=np.float64)
    tiers = np.where(quality, cost if lambda_ > 0 else 0.0, np.inf)
    if np.isinf(lambda_):
        tiers = np.where(tiers == tiers.min(axis=1, keepdims=True), tiers, np.inf)
    return tiers


def drawn(tiers: Array, count: int, rng: np.random.Generator) -> Array:
    """Return the models of the lowest tiers, int64[b, min(count, k)], ties in random order; -1 for infinite tiers.

    :param tiers: float64[b, k]
    """
    order = np.lexsort((rng.random(tiers.shape), tiers), axis=1)[:, :count]
    return np.where(np.isfinite(np.take_along_axis(tiers, order, axis=1)), order, -1)


def partners(clusters: Array, others: int, rng: np.random.Generator) -> Array:
    """Draw, for each sample of a batch, one of its cluster and ``others`` of other clusters, int64[m, 2 + others].

    Samples without enough partners are left out.
    """
    rows = []
    for i, cluster in enumerate(clusters.tolist()):
        same = np.flatnonzero(clusters == cluster)
        same, different = same[same != i], np.flatnonzero(clusters != cluster)
        if len(same) and len(different) >= others:
            rows.append([i, int(rng.choice(same)), *rng.choice(different, others, replace=False).tolist()])
    return np.array(rows, dtype=np.int64).reshape(-1, 2 + others)


def _tensor(targets: Array) -> Tensor:
    return torch.from_numpy(np.asarray(targets, dtype=np.float32))
