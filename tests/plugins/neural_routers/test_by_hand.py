"""Losses, the cosine head and early stopping, each against a plain loop over its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vlrb_plugins.neural_routers import heads, losses

LOGITS = [
    [2.0, 1.0, 0.0, -1.0],
    [0.5, 0.5, 3.0, 0.0],
    [-2.0, 0.0, 1.0, 1.0],
    [0.0, 4.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 1.0],
]
TARGETS = [
    [0.7, 0.3, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.25, 0.25, 0.25, 0.25],
    [0.0, 0.5, 0.0, 0.5],
    [1.0, 0.0, 0.0, 0.0],
]


def log_share(row: list[float], m: int) -> float:
    """Return the logarithm of a model's share in the softmax of a row."""
    return row[m] - math.log(sum(math.exp(x) for x in row))


def cosine(a: list[float], b: list[float]) -> float:
    """Return the cosine of two vectors."""
    lengths = [math.sqrt(sum(x * x for x in v)) for v in (a, b)]
    return sum(x * y for x, y in zip(a, b, strict=True)) / (lengths[0] * lengths[1])


def test_cross_entropy_and_divergence() -> None:
    """Means over the samples of -sum t log p, and of sum t (log t - log p), where 0 log 0 is 0."""
    entropy = divergence = 0.0
    for row, target in zip(LOGITS, TARGETS, strict=True):
        for m, t in enumerate(target):
            if t:
                entropy -= t * log_share(row, m) / len(LOGITS)
                divergence += t * (math.log(t) - log_share(row, m)) / len(LOGITS)
    logits, targets = torch.tensor(LOGITS), torch.tensor(TARGETS)

    assert float(losses.soft_cross_entropy(logits, targets)) == pytest.approx(entropy, rel=1e-5)
    assert float(losses.distillation(logits, targets)) == pytest.approx(divergence, rel=1e-5)


def test_cross_entropy_in_figures() -> None:
    """Logits log 3 and 0 are shares of 3/4 and 1/4: even targets cost -(log 3/4 + log 1/4) / 2, log 2 more than they must."""
    logits, even = torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([[0.5, 0.5]])

    assert float(losses.soft_cross_entropy(logits, even)) == pytest.approx(0.836988, abs=1e-6)
    assert float(losses.distillation(logits, even)) == pytest.approx(0.143841, abs=1e-6)


def test_the_references_contrast_of_models() -> None:
    """Minus the logarithm of the softmax that the positives hold together, a mean over the samples."""
    positives = [[0, 1, 2], [2, 0, 1], [2, 3, 1], [1, 3, 0], [0, 1, 2]]
    expected = 0.0
    for row, chosen in zip(LOGITS, positives, strict=True):
        expected -= math.log(sum(math.exp(log_share(row, m)) for m in chosen)) / len(LOGITS)

    found = losses.reference_model_contrast(torch.tensor(LOGITS), torch.tensor(positives))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("clusters", [[0, 0, 1, 1, 1], [0, 1, 0, 2, 3], [0, 0, 0, 0, 0]])
def test_the_references_contrast_of_samples(clusters: list[int]) -> None:
    """The share of its cluster in exp(cosine) over all samples, itself among them; who is alone in a cluster does not count."""
    terms = []
    for i, row in enumerate(LOGITS):
        others = [j for j, c in enumerate(clusters) if c == clusters[i] and j != i]
        if others:
            near = sum(math.exp(cosine(row, LOGITS[j])) for j in others)
            terms.append(-math.log(near / sum(math.exp(cosine(row, other)) for other in LOGITS)))

    found = losses.reference_sample_contrast(torch.tensor(LOGITS), torch.tensor(clusters))
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_samples_that_are_all_alone_have_no_contrast() -> None:
    """0, with a gradient of 0, rather than a mean over nothing."""
    logits = torch.tensor(LOGITS, requires_grad=True)
    found = losses.reference_sample_contrast(logits, torch.arange(len(LOGITS)))
    torch.autograd.backward(found)

    assert float(found.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize(("learnt_scale", "factor"), [(True, 1 / 0.07), (False, 1.0)])
def test_cosine_heads(learnt_scale: bool, factor: float) -> None:
    """The cosine of query and model vector, over a temperature of 0.07 where the scale is learnt."""
    queries, models = (
        [[1.0, 2.0, -1.0], [0.0, 3.0, 4.0]],
        [[2.0, 0.0, 0.0], [0.1, 0.2, -0.1], [-1.0, 1.0, 1.0], [0.0, 0.6, 0.8]],
    )
    head = heads.Cosine(3, 4, learnt_scale=learnt_scale)
    head.vectors.data = torch.tensor(models)
    found = head(torch.tensor(queries)).detach().numpy()

    assert np.allclose(found, [[factor * cosine(q, m) for m in models] for q in queries], rtol=1e-5)


def test_a_batch_without_pairs_has_no_contrast() -> None:
    """Where no sample has another of its cluster the loss is 0, and its gradient too: it can be added to others."""
    query = torch.tensor([[0.5, 2.0], [1.0, -0.25]], requires_grad=True)
    alone = (
        losses.sample_contrast(query, torch.zeros((0, 3), dtype=torch.int64)),
        losses.reference_sample_contrast(query, torch.tensor([0, 1])),
    )
    for loss in alone:
        assert loss.item() == 0
        (gradient,) = torch.autograd.grad(loss, query)
        assert gradient.abs().max() == 0
