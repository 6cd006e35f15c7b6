"""Objectives: which train rows a router learns from, its targets, and the loss of a batch of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import attrs
import numpy as np
import torch
from torch import Tensor

from vlrb.targets import soft_targets, solved_rows
from vlrb.types import Array, Labelled
from vlrb_plugins.neural_routers import losses
from vlrb_plugins.neural_routers.params import RouterdcParams, ZooterParams

REFERENCE_SEED = 42
"""Seed of the reference's clusters, whatever the seed of the run."""

WORDS = 4096
"""Most frequent words that texts are told apart by."""


class Objective(Protocol):
    """What a router learns: the rows of train it is shown, and the loss over a batch of them."""

    @property
    def rows(self) -> Array:
        """The numbers of the train rows, int64[m]."""

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:
        """Return the loss of a batch, a mean over its samples.

        :param rows: the numbers of the train rows in the batch
        """


@attrs.frozen(eq=False)
class Known:
    """What an objective may be made from.

    ``texts`` are those of train.  ``embed`` returns the queries float32[n, d] of all train rows before training; ``kept`` returns
    an array under a name, which is computed once and found again after a kill.
    """

    train: Labelled
    texts: list[str]
    seed: int
    embed: Callable[[], Array]
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
    """Return the soft cross-entropy against soft targets, over rows that some model solves (cosinecls, vlc)."""
    targets = soft_targets(known.train.quality, known.train.cost, params.lambda_)
    return Targets(solved_rows(known.train, router), _tensor(targets), losses.soft_cross_entropy)


def distil(known: Known, params: ZooterParams, router: str) -> Objective:
    """Return ZOOTER's objective.

    The reference distils soft targets, those of rows that no model solves being the cheapest model.  As published, targets of
    solved rows are averaged with those of rows with the same tag.
    """
    train = known.train
    if not params.published:
        targets = soft_targets(train.quality, train.cost, params.lambda_, fallback="cheapest")
        return Targets(np.arange(len(train)), _tensor(targets), losses.distillation)
    rows = solved_rows(train, router)
    targets = soft_targets(train.quality, train.cost, params.lambda_)
    tags = known.kept("tags", lambda: text_tags(known.texts, params.tags, known.seed))
    smooth = smoothed(targets, tags, rows, params.sample_weight)
    return Targets(rows, _tensor(smooth), losses.distillation)


def smoothed(targets: Array, tags: Array, rows: Array, sample_weight: float) -> Array:
    """Return targets averaged with the mean of the rows of the same tag, float64[n, k]; only ``rows`` count, and only they change.

    :param targets: float64[n, k]
    :param tags: int64[n]
    :param rows: int64[m], numbers of rows
    :param sample_weight: of a row's own target; the rest is the mean's
    """
    tag = tags[rows]
    sums = np.zeros((int(tag.max()) + 1, targets.shape[1]))
    np.add.at(sums, tag, targets[rows])
    means = sums / np.maximum(np.bincount(tag, minlength=len(sums)), 1)[:, None]
    result = np.array(targets)
    result[rows] = sample_weight * targets[rows] + (1 - sample_weight) * means[tag]
    return result


def text_tags(texts: list[str], count: int, seed: int) -> Array:
    """Return a tag for every text, int64[n]: clusters of their wording, in which all numbers are alike."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    plain = [re.sub(r"\d+", "0", t.lower()) for t in texts]
    if not any(re.search(r"\w", t) for t in plain):
        return np.zeros(len(texts), dtype=np.int64)
    vectorizer = TfidfVectorizer(max_features=WORDS, sublinear_tf=True, token_pattern=r"(?u)\w+", dtype=np.float32)
    return _clusters(vectorizer.fit_transform(plain), min(count, len(set(plain))), seed, starts=3)


def _clusters(points: Any, count: int, seed: int, starts: int) -> Array:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # it warns where points coincide and there are fewer clusters than asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(count, random_state=seed, n_init=starts).fit(points)
    return np.asarray(model.labels_, dtype=np.int64)


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
    """Return the reference's contrast: three positives of highest target, clusters of the targets.

    Of equal targets the first count, where the reference leaves it to chance.
    """
    train, rows = known.train, solved_rows(known.train, router)
    top, clusters, weight = 3, 5, 1.0
    if isinstance(params, RouterdcParams):
        top, clusters, weight = params.top, params.clusters, params.cluster_weight
    scores = soft_targets(train.quality, train.cost, params.lambda_, fallback="cheapest").astype(np.float32)

    def cluster() -> Array:
        found = np.zeros(len(train), dtype=np.int64)
        count = min(clusters, len(np.unique(scores[rows], axis=0)))
        found[rows] = _clusters(scores[rows], count, REFERENCE_SEED, starts=10)
        return found

    positives = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    ids = known.kept("target-clusters", cluster)
    return ReferenceContrast(rows, torch.from_numpy(positives), torch.from_numpy(ids), weight)


@attrs.frozen(eq=False)
class DualContrast:
    """RouterDC's loss as published: scores float32[n, k], correctness bool[n, k] and clusters int64[n] of train rows."""

    rows: Array
    scores: Tensor
    correct: Tensor
    clusters: Array
    params: RouterdcParams

    def loss(self, logits: Tensor, query: Tensor, rows: Array, rng: np.random.Generator) -> Tensor:
        """Return the contrast of models plus that of samples, whose partners are drawn from the batch."""
        scores, correct = (t[rows].to(logits.device) for t in (self.scores, self.correct))
        models = losses.model_contrast(logits, scores, correct, self.params.top, self.params.last)
        groups = partners(self.clusters[rows], self.params.others, rng)
        found = torch.from_numpy(groups).to(query.device)
        return models + self.params.cluster_weight * losses.sample_contrast(query, found)


def dual_contrast(known: Known, params: RouterdcParams, router: str) -> Objective:
    """Return RouterDC's objective, with clusters of the queries as they are before the training."""
    train, rows = known.train, solved_rows(known.train, router)
    scores = soft_targets(train.quality, train.cost, params.lambda_)

    def cluster() -> Array:
        points = known.embed()
        count = min(params.clusters, len(np.unique(points, axis=0)))
        return _clusters(points, count, known.seed % 2**32, starts=10)

    clusters = known.kept("query-clusters", cluster)
    return DualContrast(rows, _tensor(scores), torch.from_numpy(np.array(train.quality)), clusters, params)


def partners(clusters: Array, others: int, rng: np.random.Generator) -> Array:
    """Draw, for each sample of a batch, one of its cluster and ``others`` of other clusters, int64[m, 2 + others].

    Samples for which there are none or too few are left out.
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
