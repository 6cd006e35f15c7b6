"""What the routers learn, from small samples and tiny bodies, and that they learn it from the image."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from vlrb.api.routing import Labelled
from vlrb.errors import DataError
from vlrb_plugins.neural_routers.fitted import FittedNeural
from vlrb_plugins.neural_routers.params import ROUTERS
from vlrb_plugins.neural_routers.routers import NeuralRouter

QUICK = {"learning_rate": 2e-3, "epochs": 3}
"""The published step sizes are for pretrained bodies of full size."""


def right(choices: Any, labelled: Labelled) -> float:
    return float(labelled.quality[np.arange(len(choices)), choices].mean())


@pytest.fixture
def fit(bodies: Any, shades: Any, context: Callable[..., Any]) -> Callable[..., FittedNeural]:
    def fitted(
        name: str, cross: str = "lxmert", train: Labelled | None = None, rng: Any = None, **changes: Any
    ) -> FittedNeural:
        params = ROUTERS[name][0](**{**bodies.parameters(cross), **QUICK, **changes})
        given = {} if rng is None else {"rng": rng}
        work, _ = context(work=f"work-{name}-{len(changes)}-{params.route_batch_size}", **given)
        return NeuralRouter(name, params).fit(train or shades.part(slice(0, 240)), shades.part(slice(240, 320)), work)

    return fitted


CASES = [
    ("cosinecls", {}),
    ("routerdc", {}),
    ("zooter", {}),
    ("vlc", {}),
    ("cosinecls", {"variant": "reference", "lambda_": 0.0}),
    ("routerdc", {"variant": "reference", "lambda_": 0.0}),
    ("zooter", {"variant": "reference"}),
]


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_each_router_learns(fit: Callable[..., FittedNeural], shades: Any, name: str, changes: dict[str, Any]) -> None:
    """All four, and the reference's losses, are far better than the strongest model, which beats a random choice."""
    test = shades.part(slice(320, 480))
    strongest, random = test.quality.mean(axis=0).max(), test.quality.mean()

    reached = right(fit(name, **changes).route(test.queries), test)
    assert reached > max(strongest, random) + 0.3


@pytest.mark.parametrize("name", ["cosinecls", "vlc"])
def test_without_the_image_less_is_learnt(fit: Callable[..., FittedNeural], shades: Any, name: str) -> None:
    """A blind router tells charts from pictures by the text, but guesses at the shade: at most 0.7 + 4 deviations of 0.03."""
    test = shades.part(slice(320, 480))

    blind = right(fit(name, blind=True).route(test.queries), test)
    assert 0.6 < blind < 0.82


def test_the_image_reaches_the_model(fit: Callable[..., FittedNeural], shades: Any) -> None:
    """Pixels that are all alike make the choices worse and change every picture's logits: the network looks at them."""
    from vlrb_plugins.neural_routers import pixels

    fitted = fit("vlc")
    test = shades.part(slice(320, 480))
    seen, logits = right(fitted.route(test.queries), test), fitted.scores(test.queries)
    batches = [fitted.made.network.sight.register_forward_pre_hook(lambda _, inputs: _constant(inputs[0]))]
    grey, constant = right(fitted.route(test.queries), test), fitted.scores(test.queries)
    batches[0].remove()

    assert seen > grey + 0.15
    assert (np.abs(logits - constant).max(axis=1) > 1e-3).mean() > 0.95
    pixel = pixels.in_memory(test.queries.images, test.queries.ids, 1, fitted.made.reading.resizing, _Inline())
    assert pixel.take(np.arange(20)).std(axis=(1, 2, 3)).min() > 5


def _constant(batch: Any) -> Any:
    return (attrs.evolve(batch, pixels=torch.full_like(batch.pixels, 128)),)


class _Inline:
    """A pool without threads."""

    def map(self, function: Callable[[Any], Any], items: Any) -> Any:
        return map(function, items)


@pytest.mark.parametrize("model", ["visualbert", "uniter-from-scratch", "vilbert-from-scratch"])
def test_other_bodies_learn_as_well(fit: Callable[..., FittedNeural], shades: Any, tmp_path: Path, model: str) -> None:
    """Every body of vlc sees text and image, and comes back from its files as it was."""
    cross = "visualbert" if model == "visualbert" else "bert"
    fitted = fit("vlc", cross, model=model, epochs=6, patience=6, learning_rate=3e-3)
    test = shades.part(slice(320, 480))

    reached = right(fitted.route(test.queries), test)
    assert reached > 0.85
    from vlrb_plugins.neural_routers.fitted import load

    fitted.save(tmp_path / "saved")
    assert np.array_equal(load("vlc", tmp_path / "saved").scores(test.queries), fitted.scores(test.queries))


@pytest.mark.parametrize("cross", ["lxmert", "visualbert"])
def test_questions_are_clustered_by_pretrained_encoders(
    fit: Callable[..., FittedNeural], shades: Any, monkeypatch: pytest.MonkeyPatch, cross: str
) -> None:
    """What they make of texts and images depends on both, on no seed and no batch; a sample without images has zeros."""
    from vlrb_plugins.neural_routers import objectives

    seen = []
    monkeypatch.setattr(objectives, "of_questions", lambda parts, *_: seen.append(parts) or np.zeros(8, np.int64))
    base = shades.part(slice(0, 8))
    images = type(base.queries.images)(
        base.queries.images._store, [(), *base.queries.images.hashes[1:]], base.queries.ids
    )
    train = attrs.evolve(base, queries=attrs.evolve(base.queries, images=images))
    for seed, size in ((1, 8), (2, 3)):
        fit("routerdc", cross, train=train, epochs=1, route_batch_size=size, rng=np.random.default_rng(seed))

    (text, sight), (text_again, sight_again) = seen
    assert np.allclose(text, text_again, atol=1e-4)
    assert np.allclose(sight, sight_again, atol=1e-4)
    assert np.abs(sight[0]).max() == 0.0
    for part in (text, sight[1:]):
        assert part.std(axis=0).max() > 1e-3


@pytest.mark.parametrize("freeze", ["vision", "bodies"])
def test_frozen_parts_do_not_change(fit: Callable[..., FittedNeural], bodies: Any, freeze: str) -> None:
    """What is frozen has the checkpoint's weights after training, and the rest has not."""
    from transformers import LxmertModel, ViTModel

    network = fit("vlc", freeze=freeze, epochs=1).made.network
    vit, lxmert = (k.from_pretrained(bodies.of(n)) for k, n in ((ViTModel, "vit"), (LxmertModel, "lxmert")))

    assert _same(network.sight.model, vit)
    assert _same(network.body.model, lxmert) == (freeze == "bodies")


def _same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_gradients_add_up_over_batches(fit: Callable[..., FittedNeural], shades: Any) -> None:
    """Two batches of 8 that make one step train as one of 16, up to rounding; dropout is off in this test."""
    test = shades.part(slice(320, 340))
    before = torch.nn.Dropout.forward
    torch.nn.Dropout.forward = lambda self, x: x  # type: ignore[method-assign]
    try:
        whole, parts = fit("vlc", epochs=1), fit("vlc", epochs=1, batch_size=8, accumulate=2)
    finally:
        torch.nn.Dropout.forward = before  # type: ignore[method-assign]

    assert np.allclose(whole.scores(test.queries), parts.scores(test.queries), atol=2e-3)


def test_samples_may_have_several_images_or_none(fit: Callable[..., FittedNeural], shades: Any) -> None:
    """A sample's logits do not depend on the others of its batch, however many images these have; further images count."""
    fitted = fit("vlc", epochs=1)
    base = shades.part(slice(320, 324)).queries
    hashes = [base.images.hashes[0], (), base.images.hashes[1] + base.images.hashes[2], base.images.hashes[3] * 7]
    images = type(base.images)(base.images._store, hashes, base.ids)
    queries = attrs.evolve(base, images=images)

    together = fitted.scores(queries)
    alone = np.concatenate([fitted.scores(queries.take(np.array([i]))) for i in range(4)])
    assert np.allclose(together, alone, atol=1e-4)
    first = attrs.evolve(base, images=type(images)(images._store, [h[:1] for h in hashes], base.ids))
    changed = np.abs(fitted.scores(first) - together).max(axis=1)
    assert changed[2] > 1e-4
    assert np.allclose(changed[:2], 0, atol=1e-4)


def test_choices_follow_the_scores_and_an_empty_batch(fit: Callable[..., FittedNeural], shades: Any) -> None:
    """``scores`` has its maximum at ``route``; no queries, no choices; other candidates are refused."""
    fitted = fit("cosinecls", epochs=1)
    queries = shades.part(slice(320, 330)).queries

    choices = fitted.route(queries)
    assert fitted.scores(queries).argmax(axis=1).tolist() == choices.tolist()
    assert fitted.route(queries.take(np.array([], int))).shape == (0,)
    with pytest.raises(DataError, match="was fitted for the models light-small, .*, not light-small, dark-small"):
        fitted.route(attrs.evolve(queries, candidates=queries.candidates[:2]))


def test_options_belong_to_the_text_unless_the_reference_is_followed(bodies: Any, shades: Any) -> None:
    """Published routers read hint and options; the reference reads the question alone."""
    from vlrb_plugins.neural_routers.samples import prompts

    queries = attrs.evolve(shades.part(slice(0, 1)).queries, hints=["look well"])
    question = queries.texts[0]
    params = ROUTERS["vlc"][0]

    assert prompts(queries, params().with_options) == [f"look well\n{question}\nA. yes\nB. no"]
    assert prompts(queries, params(variant="reference").with_options) == [question]


def test_registering_imports_no_torch() -> None:
    """Listing the routers costs no second."""
    import subprocess

    code = "import sys; from vlrb_plugins.neural_routers import vlrb_routers as r; r(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
