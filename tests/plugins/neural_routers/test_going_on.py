"""Long work: what is told, checkpoints, going on after a kill, saving, and that the same numbers come twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from vlrb.api.routing import FitContext, Undefined
from vlrb.errors import DataError
from vlrb_plugins.neural_routers import vlrb_routers
from vlrb_plugins.neural_routers.fitted import load
from vlrb_plugins.neural_routers.params import ROUTERS
from vlrb_plugins.neural_routers.routers import NeuralRouter
from vlrb_plugins.neural_routers.sources import revisions

TRAIN, DEV, TEST = slice(0, 96), slice(240, 280), slice(320, 340)


@pytest.fixture
def fit(bodies: Any, shades: Any) -> Callable[..., Any]:
    """Return a function that fits a router, on few samples, in a context."""

    def fitted(context: FitContext, name: str = "routerdc", **changes: Any) -> Any:
        values = {**bodies.parameters(), "learning_rate": 1e-3, "epochs": 3, "patience": 3, **changes}
        return NeuralRouter(name, ROUTERS[name][0](**values)).fit(shades.part(TRAIN), shades.part(DEV), context)

    return fitted


@pytest.fixture
def ready(context: Callable[..., Any], shades: Any) -> Callable[..., Any]:
    def make_context(work: str = "work", **changes: Any) -> Any:
        return context(work, dev=shades.part(DEV), **changes)

    return make_context


def interrupted(context: FitContext, at: int) -> FitContext:
    """Return a context whose progress raises what Ctrl-C raises, at a step."""

    def progress(done: int, total: int) -> None:
        if total == 18 and done == at:
            raise KeyboardInterrupt

    return attrs.evolve(context, progress=progress)


@pytest.mark.parametrize(("name", "at"), [("routerdc", 9), ("zooter", 12), ("cosinecls", 3)])
def test_going_on_after_a_kill_gives_the_same_numbers(
    fit: Callable[..., Any], ready: Callable[..., Any], shades: Any, name: str, at: int
) -> None:
    """Broken off in the middle of an epoch, at its end, or before the first ended: bit for bit what an unbroken fit gives."""
    asked = shades.part(TEST).queries
    whole, told = ready("whole")
    expected = fit(whole, name).scores(asked)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted(ready("broken")[0], at), name)

    again, told_again = ready("broken")
    assert np.array_equal(fit(again, name).scores(asked), expected)
    assert told_again.curve("dev_score") == told.curve("dev_score")[-len(told_again.curve("dev_score")) :]
    assert len(told_again.curve("dev_score")) == 3 - (at - 1) // 6


def test_a_half_written_checkpoint_is_not_used(fit: Callable[..., Any], ready: Callable[..., Any], shades: Any) -> None:
    """A kill while a checkpoint is written leaves the one before; checkpoints of another training are not used."""
    asked = shades.part(TEST).queries
    expected = fit(ready("whole")[0]).scores(asked)
    broken, _ = ready("broken")
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted(broken, 15))
    half = broken.work_directory / "checkpoints" / ".epoch-0003.0123456789ab.partial"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"cut")

    with pytest.raises(KeyboardInterrupt):
        fit(interrupted(ready("broken")[0], 1), learning_rate=2e-3)
    assert np.array_equal(fit(ready("broken")[0]).scores(asked), expected)


def test_curves_and_progress(fit: Callable[..., Any], ready: Callable[..., Any]) -> None:
    """Loss, step size and speed within an epoch, mean loss and dev score after it, and progress to the end."""
    context, told = ready()
    fit(context)

    assert told.progress[-1] == (18, 18)
    assert len(told.curve("epoch_loss")) == len(told.curve("dev_score")) == 3
    assert [s for s, v in told.logged if "dev_score" in v] == [6, 12, 18]
    assert len(told.curve("loss")) == len(told.curve("learning_rate")) == 18
    assert min(told.curve("samples_per_second")) > 0
    assert max(told.curve("learning_rate")) <= 1e-3


def test_only_the_last_and_the_best_checkpoint_are_kept_without_pickle(
    fit: Callable[..., Any], ready: Callable[..., Any], shades: Any
) -> None:
    """The best epoch's weights are what is returned, and disks do not fill with old ones."""
    scores = iter([0.9, 0.1, 0.2])
    context, _ = ready(dev_score=lambda choices: next(scores))
    best = fit(context)
    folder = context.work_directory / "checkpoints"

    assert sorted(f.name for f in folder.iterdir()) == ["epoch-0001", "epoch-0003"]
    assert {f.suffix for f in context.work_directory.rglob("*") if f.is_file()} == {".safetensors", ".json"}
    assert best.history == {"best_epoch": 1, "best_dev_score": 0.9}
    one = fit(ready("one", dev_score=lambda choices: 0.9)[0], patience=1)
    asked = shades.part(TEST).queries
    assert np.array_equal(best.scores(asked), one.scores(asked))


def test_an_undefined_dev_score_keeps_the_last_epoch(
    fit: Callable[..., Any], ready: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Without any dev score there is no best epoch; it is said so, and no number is made up."""
    context, told = ready(dev_score=lambda choices: Undefined("no bounds"))

    assert fit(context).history["best_epoch"] == 0
    assert told.curve("dev_score") == []
    assert "undefined in every epoch" in caplog.text


def test_equal_seeds_equal_numbers_and_nothing_global_changes(
    fit: Callable[..., Any], ready: Callable[..., Any], shades: Any
) -> None:
    """Two fits agree bit for bit, another seed does not; random states and settings of the process are as before."""
    asked = shades.part(TEST).queries
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.are_deterministic_algorithms_enabled()  # noqa: NPY002
    first = fit(ready("first")[0]).scores(asked)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.are_deterministic_algorithms_enabled()  # noqa: NPY002
    torch.manual_seed(2)
    second = fit(ready("second")[0]).scores(asked)
    other = fit(ready("other", rng=np.random.default_rng(8))[0]).scores(asked)

    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("name", list(ROUTERS))
def test_saving_and_loading_is_exact(
    fit: Callable[..., Any], ready: Callable[..., Any], shades: Any, tmp_path: Path, name: str
) -> None:
    """A saved router scores the same when it is loaded, without its checkpoints, without pickle; versions are checked."""
    fitted = fit(ready()[0], name, epochs=1)
    asked = shades.part(TEST).queries
    folder = tmp_path / "saved"
    folder.mkdir()
    fitted.save(folder)

    assert {f.suffix for f in folder.rglob("*") if f.is_file()} == {".json", ".safetensors"}
    spec = next(s for s in vlrb_routers() if s.name == name)
    assert spec.load is not None
    again: Any = spec.load(folder)
    assert np.array_equal(again.scores(asked), fitted.scores(asked))
    assert again.params == fitted.params
    content = json.loads((folder / "router.json").read_text(encoding="utf-8"))
    assert content["machine"]["device"] == "cpu"
    assert content["sources"] == revisions(fitted.params)
    (folder / "router.json").write_text(json.dumps({**content, "schema": 99}), encoding="utf-8")
    with pytest.raises(DataError, match="schema version 99"):
        load(name, folder)
    (folder / "router.json").write_text(json.dumps({**content, "router": "knn"}), encoding="utf-8")
    with pytest.raises(DataError, match="holds a router 'knn'"):
        load(name, folder)


def test_broken_weights_of_a_saved_router_are_named(
    fit: Callable[..., Any], ready: Callable[..., Any], tmp_path: Path
) -> None:
    """Cut off, or those of another network: the file and what to do."""
    from safetensors.torch import load_file, save_file

    fit(ready()[0], "zooter", epochs=1).save(tmp_path)
    file = tmp_path / "weights.safetensors"
    tensors = load_file(file)
    whole = file.read_bytes()
    for change in (lambda: file.write_bytes(whole[:-9]), lambda: save_file({"a": tensors["head.layer.bias"]}, file)):
        change()
        with pytest.raises(DataError, match="cannot be read|of another network") as error:
            load("zooter", tmp_path)
        assert error.value.problems[0].where == str(file)
        assert error.value.problems[0].fix


def test_bfloat16_trains_too(fit: Callable[..., Any], ready: Callable[..., Any]) -> None:
    """Mixed precision gives finite losses of about the same size, and weights stay in single precision."""
    context, told = ready()
    fitted = fit(context, "vlc", precision="bfloat16", epochs=2)
    full, told_full = ready("full")
    fit(full, "vlc", epochs=2)

    assert np.allclose(told.curve("epoch_loss"), told_full.curve("epoch_loss"), rtol=0.1)
    assert {p.dtype for p in fitted.made.network.parameters()} == {torch.float32}
    assert fitted.device["precision"] == "bfloat16"


@pytest.mark.parametrize("name", list(ROUTERS))
def test_heads_compute_in_single_precision(
    fit: Callable[..., Any], ready: Callable[..., Any], shades: Any, name: str
) -> None:
    """With bodies in bfloat16, logits are what the head makes of the query in float32, and not rounded to bfloat16."""
    fitted = fit(ready()[0], name, precision="bfloat16", epochs=1)
    network, queries = fitted.made.network, []
    hook = network.head.register_forward_pre_hook(lambda _, inputs: queries.append(inputs[0]))
    found = torch.from_numpy(fitted.scores(shades.part(TEST).queries)).float()
    hook.remove()
    with torch.no_grad():
        expected = network.head(torch.cat(queries))

    assert torch.equal(found, expected)
    assert (found != found.bfloat16().float()).float().mean() > 0.9
