"""Losses of a batch of b samples over k models."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-8


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy against distributions [b, k]."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def distillation(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean Kullback-Leibler divergence from the targets [b, k] (ZOOTER)."""
    return F.kl_div(F.log_softmax(logits, dim=1), targets, reduction="batchmean")


def reference_model_contrast(logits: Tensor, positives: Tensor) -> Tensor:
    """Return how far the positives int64[b, t] are from having all of the softmax (the reference's L_sl)."""
    chosen = logits.gather(1, positives).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - chosen).mean()


def reference_sample_contrast(logits: Tensor, clusters: Tensor) -> Tensor:
    """Return the contrast between the logits, scaled to length 1, of samples of a cluster (the reference's L_ss).

    Samples alone in their cluster do not count; 0 where all are.
    """
    unit = F.normalize(logits, dim=1)
    likeness = (unit @ unit.T).exp()
    same = (clusters[:, None] == clusters[None, :]) & ~torch.eye(
        len(clusters), dtype=torch.bool, device=clusters.device
    )
    together = same.any(dim=1)
    if not bool(together.any()):
        return logits.sum() * 0.0
    share = (likeness * same).sum(dim=1) / (likeness.sum(dim=1) + TINY)
    return -share[together].log().mean()


def model_contrast(logits: Tensor, scores: Tensor, correct: Tensor, top: int, last: int) -> Tensor:
    """Return the contrast of a query with its best models against its worst ones (RouterDC, sample-LLM loss).

    Each of the ``top`` models of highest score, where it is above 0, is told from the ``last`` of lowest score that are not
    correct; the terms are summed.

    :param scores: [b, k], at least 0
    :param correct: bool[b, k]
    """
    best = scores.sort(dim=1, descending=True, stable=True)
    worst = scores.sort(dim=1, stable=True).indices[:, :last]
    against = logits.gather(1, worst).masked_fill(correct.gather(1, worst), -torch.inf)
    total = logits.new_zeros(())
    for rank in range(min(top, scores.shape[1])):
        pair = torch.cat([logits.gather(1, best.indices[:, rank : rank + 1]), against], dim=1)
        there = (best.values[:, rank] > 0).to(logits.dtype)
        total = total - (F.log_softmax(pair, dim=1)[:, 0] * there).mean()
    return total


def sample_contrast(query: Tensor, groups: Tensor) -> Tensor:
    """Return the contrast of each query with one of its cluster against some of others (RouterDC, sample-sample loss).

    :param groups: int64[m, 2 + h], a row for each sample that counts: itself, its positive, its negatives; 0 without any
    """
    if not len(groups):
        return query.sum() * 0.0
    unit = F.normalize(query, dim=1)
    likeness = torch.einsum("md,mhd->mh", unit[groups[:, 0]], unit[groups[:, 1:]])
    return -F.log_softmax(likeness, dim=1)[:, 0].mean()
