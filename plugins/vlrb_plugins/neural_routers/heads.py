"""Heads: from a query to one number per candidate model."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlrb import Array, Labelled

START_SCALE = math.log(1 / 0.07)
FAITHFUL_DEVIATION = 0.78
"""Standard deviation of RouterDC's model vectors."""


class Cosine(nn.Module):
    """Cosine between the query and a learnt vector per model, times a scale.

    The scale is learnt and starts at 1/0.07, as in the reference, or is 1, as in RouterDC.
    """

    def __init__(self, width: int, models: int, learnt_scale: bool, deviation: float = 1.0) -> None:
        super().__init__()
        self.vectors = nn.Parameter(deviation * torch.randn(models, width))
        self.scale = nn.Parameter(torch.tensor(START_SCALE)) if learnt_scale else None

    def forward(self, query: Tensor) -> Tensor:
        """Return logits, [b, k]."""
        logits = F.normalize(query, dim=1) @ F.normalize(self.vectors, dim=1).T
        return logits if self.scale is None else self.scale.exp() * logits


class Linear(nn.Module):
    """Dropout and a linear layer."""

    def __init__(self, width: int, models: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layer = nn.Linear(width, models)

    def forward(self, query: Tensor) -> Tensor:
        """Return logits, [b, k]."""
        logits: Tensor = self.layer(self.dropout(query))
        return logits


def preference(train: Labelled) -> Array:
    """Return the models in order of preference among equal logits, int64[k].

    Models that are right more often on train come first, then those with the lower mean cost, then those named first.
    """
    order: Array = np.lexsort((train.cost.mean(axis=0), -train.quality.sum(axis=0)))
    return order


def chosen(logits: Array, order: Array) -> Array:
    """Return the model with the highest logit, int64[n].

    :param logits: [n, k]
    :param order: the models in order of preference among equal logits, int64[k]
    """
    choices: Array = order[logits[:, order].argmax(axis=1)]
    return choices
