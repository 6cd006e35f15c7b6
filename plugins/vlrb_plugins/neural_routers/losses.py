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
    """Return the mean negative log of the positives' share of the softmax (the reference's L_sl).

    :param positives: int64[b, t]
    """
    chosen = logits.gather(1, positives).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - chosen).mean()


def reference_sample_contrast(logits: Tensor, clusters: Tensor) -> Tensor:
    """Return the contrast between the logits, scaled to unit length, of samples of a cluster (the reference's L_ss).

    Samples that are alone in their cluster do not count; 0 if all are.
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


def model_contrast(logits: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the contrast of a query with some of its best models against some wrong ones (RouterDC, sample-LLM loss).

    Each positive has a softmax with all negatives of its sample; the terms are summed over the positives.

    :param positives: int64[b, t], padded with -1
    :param negatives: int64[b, l], padded with -1
    """
    near = logits.gather(1, positives.clamp(min=0))
    against = logits.gather(1, negatives.clamp(min=0)).masked_fill(negatives < 0, -torch.inf)
    all_against = torch.cat([near[:, :, None], against[:, None, :].expand(-1, near.shape[1], -1)], dim=2)
    terms = F.log_softmax(all_against, dim=2)[:, :, 0].masked_fill(positives < 0, 0.0)
    return -terms.sum(dim=1).mean()


def sample_contrast(query: Tensor, groups: Tensor) -> Tensor:
    """Return the contrast of each query with one of its cluster against some of others (RouterDC, sample-sample loss).

    :param groups: int64[m, 2 + h], a row per sample that counts: itself, its positive, its negatives; without rows the loss is 0
    """
    if not len(groups):
        return query.sum() * 0.0
    unit = F.normalize(query, dim=1)
    likeness = torch.einsum("md,mhd->mh", unit[groups[:, 0]], unit[groups[:, 1:]])
    return -F.log_softmax(likeness, dim=1)[:, 0].mean()
