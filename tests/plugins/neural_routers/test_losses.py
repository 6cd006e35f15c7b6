"""Losses and schedule against the reference implementation, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vlrb.api.targets import soft_targets
from vlrb_plugins.neural_routers import heads, losses, objectives
from vlrb_plugins.neural_routers.schedule import rate_factor


@pytest.fixture
def vectors(shared: Callable[[str], Path]) -> dict[str, Any]:
    with np.load(shared("vectors/e2e_losses.npz")) as found:
        return {k: found[k] for k in found.files}


@pytest.mark.parametrize("lambda_", [0, 10, 10000])
def test_losses_equal_the_reference(vectors: dict[str, Any], lambda_: int) -> None:
    """Both contrasts of cosinecls and routerdc, zooter's divergence, vlc's cross-entropy, and the targets they are made of."""
    logits = torch.from_numpy(vectors["logits"])
    part = {k.split("__")[1]: v for k, v in vectors.items() if k.startswith(f"lam{lambda_}__")}
    targets = soft_targets(vectors["Y"].astype(bool), vectors["C"], float(lambda_), fallback="cheapest")
    positives = torch.from_numpy(part["topk_idx_as_torch_breaks_ties"])
    clusters = torch.from_numpy(part["cluster"]).long()

    assert np.allclose(targets, part["scores"], atol=1e-6)
    both = [losses.reference_model_contrast(logits, positives), losses.reference_sample_contrast(logits, clusters)]
    for name in ("cosinecls", "routerdc"):
        assert np.allclose([float(v) for v in both], part[f"{name}_sl_ss"], rtol=1e-6)
    exact = torch.from_numpy(targets.astype(np.float32))
    assert np.isclose(float(losses.distillation(logits, exact)), part["zooter_kl"], rtol=1e-5)
    assert np.isclose(float(losses.soft_cross_entropy(logits, exact)), part["vlc_soft_ce"], rtol=1e-5)


def test_the_head_of_cosinecls_gives_the_references_logits(vectors: dict[str, Any]) -> None:
    """Cosines of queries and model vectors, over a temperature that starts at 0.07."""
    head = heads.Cosine(8, 5, learnt_scale=True)
    head.vectors.data = torch.from_numpy(vectors["llm"]).float()

    found = head(torch.from_numpy(vectors["query"]).float()).detach().numpy()
    assert np.allclose(found, vectors["logits"], atol=1e-4)


def test_the_step_size_rises_and_falls() -> None:
    """Linear warm-up from 0 over a tenth of the steps, then a linear fall that would reach 0 after the last."""
    factors = [rate_factor(s, 100, 0.1) for s in range(100)]

    assert factors[0] == 0.0
    assert factors[5] == 0.5
    assert factors[10] == 1.0
    assert np.allclose(np.diff(factors[10:]), -1 / 90)
    assert rate_factor(0, 1, 0.0) == 1.0


def test_contrast_of_models_by_hand() -> None:
    """Each positive has a softmax with the negatives; -1 is nobody, and without negatives there is nothing to learn."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]], requires_grad=True)
    positives, negatives = torch.tensor([[0, 1, -1]]), torch.tensor([[2, 3, -1]])
    against = np.exp(0.0) + np.exp(-1.0)

    expected = sum(np.log(np.exp(z) + against) - z for z in (2.0, 1.0))
    assert np.isclose(float(losses.model_contrast(logits, positives, negatives).detach()), expected)
    nobody = losses.model_contrast(logits, positives, torch.tensor([[-1, -1]]))
    nobody.backward()
    assert float(nobody.detach()) == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0] * 4]


def test_contrast_of_samples_by_hand() -> None:
    """The cosine with the positive against those with the negatives; no groups, no loss, and still a gradient."""
    query = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], requires_grad=True)
    groups = torch.tensor([[0, 1, 2]])

    assert np.isclose(float(losses.sample_contrast(query, groups).detach()), np.log(np.e + 1) - 1)
    losses.sample_contrast(query, groups[:0]).backward()
    assert query.grad is not None


def test_partners_come_from_the_right_clusters() -> None:
    """A positive is another sample of the cluster, negatives are of others; who has none is left out."""
    clusters = np.array([0, 0, 1, 1, 1, 2])
    groups = objectives.partners(clusters, 2, np.random.default_rng(0))

    assert groups[:, 0].tolist() == [0, 1, 2, 3, 4]
    for me, positive, *negatives in groups.tolist():
        assert positive != me
        assert clusters[positive] == clusters[me]
        assert len(set(negatives)) == 2
        assert all(clusters[n] != clusters[me] for n in negatives)
    assert objectives.partners(np.zeros(3, int), 2, np.random.default_rng(0)).shape == (0, 4)
