"""What is missing, does not fit or goes wrong is said, with the parameter to change."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from vlrb.errors import ConfigError, DataError
from vlrb.plugins import missing_requirements
from vlrb_plugins.neural_routers import ROUTERS, losses, vlrb_routers
from vlrb_plugins.neural_routers.machine import machine, memory
from vlrb_plugins.neural_routers.params import VlcParams
from vlrb_plugins.neural_routers.routers import make


@pytest.fixture
def fit(bodies: Any, shades: Any, context: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fits a router on few samples."""

    def fitted(name: str = "vlc", train: Any = None, work: Any = None, **changes: Any) -> Any:
        params = ROUTERS[name][0](**{**bodies.parameters(), "epochs": 2, **changes})
        dev = shades.part(slice(240, 280))
        return make(name, params).fit(train or shades.part(slice(0, 48)), dev, work or context(dev=dev)[0])

    return fitted


def test_without_torch_the_core_lists_and_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The routers say what they need and which extra brings it."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else found(name))
    for spec in vlrb_routers():
        assert missing_requirements(spec) == ("torch",)
        assert spec.extra == "torch"


@pytest.mark.parametrize("parameter", ["vision", "cross", "text"])
def test_missing_weights_name_model_place_and_fix(
    fit: Callable[..., Any], parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is neither in the cache nor reachable: its name, the cache looked into, and how to provide it."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as error:
        fit(**{parameter: "no-such/model"})
    text = str(error.value)
    assert text.startswith(f"{parameter}: ")
    assert "'no-such/model'" in text
    assert str(huggingface_hub.constants.HF_HUB_CACHE) in text
    assert "hf download no-such/model" in text


def test_a_gpu_that_is_not_there(fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for CUDA without any is refused before any work; ``auto`` takes the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match='device: is "cuda", and torch finds no GPU') as error:
        fit(device="cuda")
    assert 'device = "auto"' in str(error.value)
    assert machine(VlcParams()).device == "cpu"
    assert not machine(VlcParams()).half


def edited(bodies: Any, name: str, folder: Path, file: str = "config.json", **changes: Any) -> str:
    """Copy a checkpoint and change its configuration."""
    shutil.copytree(bodies.of(name), folder / name)
    path = folder / name / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return str(folder / name)


CASES = [
    ("vision", "vit", "config.json", {"hidden_size": 48}, "cannot be loaded|wrong shape"),
    ("vision", "vit", "preprocessor_config.json", {"size": {"height": 16, "width": 16}}, "takes images of 32 pixels"),
    ("vision", "vit", "preprocessor_config.json", {"size": {"longest_edge": 90}}, "which are no squares"),
    ("cross", "lxmert", "config.json", {"visual_feat_dim": 64}, "wrong shape of 1 weights"),
    ("cross", "lxmert", "config.json", {"vocab_size": 20}, "wrong shape|cannot be loaded"),
    ("cross", "lxmert", "config.json", {"x_layers": 3}, r"lacks \d+ weights of a LxmertModel"),
    ("cross", "bert", "config.json", {}, "of the type 'bert', and lxmert is needed"),
    ("cross", "lxmert", "config.json", {"num_attention_heads": "two"}, "cannot be loaded"),
]


@pytest.mark.parametrize(("parameter", "name", "file", "changes", "message"), CASES)
def test_bodies_that_do_not_fit(
    fit: Callable[..., Any],
    bodies: Any,
    tmp_path: Path,
    parameter: str,
    name: str,
    file: str,
    changes: Any,
    message: str,
) -> None:
    """Checkpoints that contradict their configuration, lack weights, or are of another kind; none is filled with random numbers."""
    with pytest.raises(ConfigError, match=message) as error:
        fit(**{parameter: edited(bodies, name, tmp_path / "edited", file, **changes)})
    assert str(error.value).startswith(f"{parameter}: ")


def test_texts_that_do_not_fit(fit: Callable[..., Any], bodies: Any, tmp_path: Path) -> None:
    """A tokenizer with more tokens than the body knows, and texts longer than it takes."""
    from transformers import BertTokenizerFast

    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text(
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + "\n".join(f"w{i}" for i in range(90)), encoding="utf-8"
    )
    BertTokenizerFast(vocab=str(vocabulary)).save_pretrained(tmp_path / "words")
    with pytest.raises(ConfigError, match="the tokenizer has 95 tokens, and the cross-modal encoder knows"):
        fit(text=str(tmp_path / "words"))
    with pytest.raises(ConfigError, match="text_length: is 500, and the cross-modal encoder takes 128"):
        fit(text_length=500)


def test_bodies_from_scratch_need_a_shape_and_are_trained(fit: Callable[..., Any], bodies: Any) -> None:
    """They take a BERT's configuration, and freezing them would leave random numbers."""
    with pytest.raises(ConfigError, match="has the shape of a BERT"):
        fit(model="uniter-from-scratch", cross=bodies.of("lxmert"))
    with pytest.raises(ConfigError, match="has nothing but random weights"):
        fit(model="vilbert-from-scratch", cross=bodies.of("bert"), freeze="bodies")
    with pytest.raises(ConfigError, match="and visualbert is needed"):
        fit(model="visualbert", cross=bodies.of("lxmert"))


def test_pickled_weights_are_not_read(fit: Callable[..., Any], bodies: Any, tmp_path: Path) -> None:
    """A checkpoint without safetensors is refused."""
    shutil.copytree(bodies.of("lxmert"), tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(ConfigError, match="weights must be safetensors"):
        fit(cross=str(tmp_path / "pickled"))


def test_a_loss_that_is_no_number_stops(
    fit: Callable[..., Any], context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step, the last good checkpoint and what to change; no weight is spoilt by it."""
    real, calls = losses.soft_cross_entropy, [0]

    def failing(logits: Any, targets: Any) -> Any:
        calls[0] += 1
        return real(logits, targets) * (float("nan") if calls[0] == 5 else 1.0)

    monkeypatch.setattr(losses, "soft_cross_entropy", failing)
    work, _ = context()
    with pytest.raises(DataError) as error:
        fit(work=work)
    text = str(error.value)
    assert "no finite number at step 5 of 6 (epoch 2)" in text
    assert str(work.work_directory / "checkpoints" / "epoch-0001") in text
    assert "lower learning_rate (it is 2e-05)" in text


def test_memory_that_does_not_suffice(fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch size that failed and the parameter to change; other errors are left as they are."""

    def failing(logits: Any, targets: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(losses, "soft_cross_entropy", failing)
    with pytest.raises(ConfigError, match="cpu ran out of memory with batch_size = 16") as error:
        fit()
    assert "set batch_size = 8 (and accumulate twice as many" in str(error.value)
    with pytest.raises(RuntimeError, match="something else"), memory("batch_size", 2, "cpu"):
        raise RuntimeError("something else")
    with pytest.raises(ConfigError, match="use smaller bodies"), memory("batch_size", 1, "cpu"):
        raise torch.cuda.OutOfMemoryError("out of memory")


def test_data_that_teach_nothing(fit: Callable[..., Any], shades: Any) -> None:
    """No model is right on any train sample."""
    train = shades.part(slice(0, 20))
    train = attrs.evolve(train, quality=np.zeros_like(train.quality))
    with pytest.raises(DataError, match="no model is right on any of 20 train samples"):
        fit(train=train)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"lambda_": -1.0}, {"warmup": 1.5}, {"learning_rate": 0.0}, {"images": 0}],
)
def test_impossible_parameters(wrong: dict[str, Any]) -> None:
    """Numbers out of range are refused where they are given."""
    with pytest.raises(ValueError):
        VlcParams(**wrong)
