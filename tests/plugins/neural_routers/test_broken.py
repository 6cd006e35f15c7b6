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

from vlrb.api.images import Images, ImageStore, ImageWriter
from vlrb.errors import ConfigError, DataError
from vlrb_plugins.neural_routers import loop, losses
from vlrb_plugins.neural_routers.device import chosen_device, memory
from vlrb_plugins.neural_routers.params import ROUTERS, VlcParams
from vlrb_plugins.neural_routers.routers import NeuralRouter


@pytest.fixture
def fit(bodies: Any, shades: Any, context: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that fits a router on few samples."""

    def fitted(name: str = "vlc", train: Any = None, work: Any = None, **changes: Any) -> Any:
        params = ROUTERS[name][0](**{**bodies.parameters(), "epochs": 2, **changes})
        dev = shades.part(slice(240, 280))
        return NeuralRouter(name, params).fit(train or shades.part(slice(0, 48)), dev, work or context(dev=dev)[0])

    return fitted


@pytest.mark.parametrize("name", list(ROUTERS))
def test_without_torch_the_core_lists_and_refuses(project: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read: what is lacking and which extra brings it; listing the routers still works."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *more: None if n == "torch" else found(n, *more))
    checked = project.vlrb("check", project.experiment(f'[[router]]\nuse = "{name}"\n'))

    assert checked.status == 4
    assert f"router 'neural-routers/{name}' needs torch" in checked.err
    assert 'pip install "vlrb[torch]"' in checked.err
    listed = project.vlrb("list", "router")
    assert (listed.status, name in listed.out) == (0, True)


@pytest.mark.parametrize("parameter", ["vision", "cross", "text"])
def test_missing_weights_name_model_place_and_fix(
    fit: Callable[..., Any], parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is neither in the cache nor reachable: its name, the cache looked into, and how to provide it."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as error:
        fit(**{parameter: "no-such/model"})
    text = str(error.value)
    assert text.startswith(f"{parameter}: no folder, and model ")
    assert "'no-such/model'" in text
    assert str(huggingface_hub.constants.HF_HUB_CACHE) in text
    assert "hf download no-such/model" in text
    assert f"or set {parameter} = FOLDER" in text


def test_a_gpu_that_is_not_there(fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for CUDA without any is refused before any work; ``auto`` takes the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match='device: is "cuda", and torch finds no GPU') as error:
        fit(device="cuda")
    assert 'device = "auto"' in str(error.value)
    assert chosen_device(VlcParams()).kind == "cpu"
    assert not chosen_device(VlcParams()).half


def edited(bodies: Any, name: str, folder: Path, file: str = "config.json", **changes: Any) -> str:
    """Copy a checkpoint and change its configuration."""
    shutil.copytree(bodies.of(name), folder / name)
    path = folder / name / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return str(folder / name)


CASES = [
    ("vision", "vit", "config.json", {"hidden_size": 48}, "cannot be loaded|wrong shape"),
    (
        "vision",
        "vit",
        "preprocessor_config.json",
        {"size": {"height": 16, "width": 16}},
        "does not take the images of 16 x 16",
    ),
    ("vision", "vit", "preprocessor_config.json", {"size": {"longest_edge": 90}}, "in a way that is not known here"),
    ("vision", "vit", "preprocessor_config.json", {"do_resize": False}, "in a way that is not known here"),
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


@pytest.mark.parametrize(("lacking", "refused"), [("layernorm.", True), ("encoder", True), ("pooler.", False)])
def test_an_image_encoder_needs_what_its_patches_are_made_with(
    fit: Callable[..., Any], bodies: Any, tmp_path: Path, lacking: str, refused: bool
) -> None:
    """The last norm, which the states of the patches pass, as well as the layers; the pooler makes nothing that is used."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(bodies.of("vit"), tmp_path / "vit")
    file = tmp_path / "vit" / "model.safetensors"
    tensors = load_file(file)
    kept = {n: t for n, t in tensors.items() if not n.startswith(lacking) and (lacking != "encoder" or "mlp" not in n)}
    assert len(kept) < len(tensors)
    save_file(kept, file, metadata={"format": "pt"})
    if refused:
        with pytest.raises(ConfigError, match=r"lacks \d+ weights of a ViTModel"):
            fit(vision=str(tmp_path / "vit"))
    else:
        assert fit(vision=str(tmp_path / "vit"), epochs=1).made.sources.keys() == {"vision", "cross", "text"}


@pytest.mark.parametrize("variant", ["published", "reference"])
def test_an_image_encoder_may_take_other_sizes_than_its_configuration_says(
    fit: Callable[..., Any], tmp_path: Path, variant: str
) -> None:
    """DINOv2 was trained with larger images than its preprocessor makes."""
    from transformers import Dinov2Config, Dinov2Model

    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(**small, image_size=56, patch_size=8)).save_pretrained(tmp_path)
    size = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
    content = {"image_processor_type": "BitImageProcessor", **size}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")
    reading = fit(vision=str(tmp_path), variant=variant, epochs=1).made.reading

    assert reading.resizing.size == (32 if variant == "published" else 56)


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
    assert "not a finite number at step 5 of 6 (epoch 2)" in text
    assert "the loss or its gradient" in text
    assert str(work.work_directory / "checkpoints" / "epoch-0001") in text
    assert "lower learning_rate (it is 2e-05)" in text


def test_a_gradient_that_is_no_number_stops(
    fit: Callable[..., Any], context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a finite loss, at the last step of an epoch: no checkpoint is made of weights that it would have spoilt."""
    real, calls = losses.soft_cross_entropy, [0]

    def failing(logits: Any, targets: Any) -> Any:
        calls[0] += 1
        if calls[0] == 6:  # the root of 0 is 0, and its slope is infinite
            return real(logits, targets) + (logits - logits).sum().sqrt()
        return real(logits, targets)

    monkeypatch.setattr(losses, "soft_cross_entropy", failing)
    work, _ = context()
    with pytest.raises(DataError, match=r"at step 6 of 6 \(epoch 2\)") as error:
        fit(work=work)
    folder = work.work_directory / "checkpoints"
    assert str(folder / "epoch-0001") in str(error.value)
    assert [f.name for f in folder.iterdir()] == ["epoch-0001"]


def test_an_image_that_cannot_be_decoded_stops_fit_and_route(
    fit: Callable[..., Any], shades: Any, tmp_path: Path
) -> None:
    """The sample is named; no black image stands in for it."""
    part = shades.part(slice(0, 32))
    images = part.queries.images
    with ImageWriter(tmp_path / "broken.arrow") as writer:
        cut = writer.add(images.encoded(0)[0][:-200], "broken").hash
        for row in range(len(images)):
            writer.add(images.encoded(row)[0], "whole")
    files = [tmp_path / "broken.arrow"]
    hashes = [(cut,) if row == 3 else h for row, h in enumerate(images.hashes)]
    queries = attrs.evolve(part.queries, images=Images(ImageStore(files), hashes, part.queries.ids))
    with pytest.raises(DataError, match=f"^{queries.ids[3]}: an image cannot be read"):
        fit(train=attrs.evolve(part, queries=queries))
    fitted = fit(train=part, epochs=1)
    with pytest.raises(DataError, match=f"^{queries.ids[3]}: an image cannot be read"):
        fitted.route(queries)


def test_memory_that_does_not_suffice(fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch size that failed and the parameter to change; other errors are left as they are."""

    def failing_forward(*_: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory")

    def failing(logits: Any, targets: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(losses, "soft_cross_entropy", failing)
    with pytest.raises(ConfigError, match="cpu ran out of memory with batch_size = 16") as error:
        fit()
    assert "set batch_size = 8 (and accumulate twice as many" in str(error.value)
    monkeypatch.undo()
    monkeypatch.setattr(loop, "forward", failing_forward)
    with pytest.raises(
        ConfigError, match="cpu ran out of memory with route_batch_size = 12: .*not enough memory"
    ) as error:
        fit(route_batch_size=12)
    assert error.value.problems[0].fix == "set route_batch_size = 6"
    with pytest.raises(RuntimeError, match="something else"), memory("batch_size", 2, "cpu"):
        raise RuntimeError("something else")
    with pytest.raises(ConfigError, match="use smaller bodies"), memory("batch_size", 1, "cpu"):
        raise torch.cuda.OutOfMemoryError("out of memory")


def test_an_operation_that_is_not_deterministic_names_the_parameter(
    fit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of an image encoder on a GPU that stretches its positions; allowed, it goes on."""
    real = losses.soft_cross_entropy

    def putting(logits: Any, targets: Any) -> Any:
        torch.zeros(4).put_(torch.tensor([1]), torch.tensor([1.0]))  # torch has it in no deterministic form
        return real(logits, targets)

    monkeypatch.setattr(losses, "soft_cross_entropy", putting)
    with pytest.raises(ConfigError, match="^deterministic: put_ does not have a deterministic implementation") as error:
        fit(epochs=1)
    assert "set deterministic = false" in error.value.problems[0].fix
    assert fit(epochs=1, deterministic=False).history["best_epoch"] == 1


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
