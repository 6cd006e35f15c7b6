"""Which weights a router begins with is part of what its fit is known by."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlrb.errors import DataError
from vlrb_plugins.neural_routers import backbones, vlrb_routers
from vlrb_plugins.neural_routers.params import ROUTERS, VlcParams
from vlrb_plugins.neural_routers.routers import NeuralRouter
from vlrb_plugins.neural_routers.sources import revisions
from vlrb_plugins.shared.pretrained import weights

OLD, NEW = "a" * 40, "b" * 40


def other_weights(folder: Path) -> None:
    """Change one number of a checkpoint; names, shapes and sizes stay."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values())).view(-1)[0] += 0.5
    save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture
def copied(bodies: Any, tmp_path: Path) -> Path:
    """Return a copy of the tiny checkpoints, to be changed."""
    return Path(shutil.copytree(bodies.folder, tmp_path / "bodies"))


@pytest.fixture
def hub(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of the hub with the tiny image encoder at two commits, ``main`` being the old one; there is no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(weights, "_commits", {})
    root = tmp_path / "hub" / "models--org--vit"
    shutil.copytree(copied / "vit", root / "snapshots" / OLD)
    other_weights(Path(shutil.copytree(copied / "vit", root / "snapshots" / NEW)))
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(OLD, encoding="utf-8")
    return root


def test_changed_weights_are_another_fit(project: Any, copied: Path) -> None:
    """The same experiment: fitted once, reused, fitted again when a file of weights has changed, and reused when it is back."""
    lines = "".join(f'{k} = "{copied / n}"\n' for k, n in (("vision", "vit"), ("cross", "lxmert"), ("text", "bert")))
    file = project.experiment(f'[[router]]\nuse = "cosinecls"\nepochs = 1\ndevice = "cpu"\n{lines}')
    cells = project.folder / ".vlrb-cache" / "cells"
    kept = (copied / "vit" / "model.safetensors").read_bytes()

    def fits() -> int:
        ran = project.vlrb("run", file)
        assert ran.status == 0, ran.err
        return len(list(cells.glob("*/cell.json")))

    assert fits() == 1
    assert fits() == 1
    other_weights(copied / "vit")
    assert fits() == 2
    (copied / "vit" / "model.safetensors").write_bytes(kept)
    assert fits() == 2


def test_weights_that_cannot_be_told_leave_no_fit(project: Any, bodies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if they could be loaded by then: the fit would be taken for one from any weights."""

    def unreachable(*_: Any) -> str:
        raise DataError("the hub does not answer")

    monkeypatch.setattr("vlrb_plugins.neural_routers.sources.revisions", unreachable)
    lines = "".join(f'{k} = "{v}"\n' for k, v in bodies.parameters().items())
    ran = project.vlrb("run", project.experiment(f'[[router]]\nuse = "cosinecls"\nepochs = 1\n{lines}'))

    assert ran.status == 4
    assert "the hub does not answer" in ran.err
    assert not list((project.folder / ".vlrb-cache" / "cells").glob("*/cell.json"))


@pytest.mark.parametrize("name", list(ROUTERS))
def test_every_router_tells_its_weights_without_torch(name: str, bodies: Any, tmp_path: Path) -> None:
    """A plan is made in no time: image encoder, cross-modal encoder and tokenizer are told by their files' content."""
    parameters = {**bodies.parameters(), "device": "cpu"}
    code = (
        "import sys\nfrom vlrb_plugins.neural_routers import vlrb_routers\n"
        f"s = next(s for s in vlrb_routers() if s.name == {name!r})\nprint(s.revision(s.params(**{parameters!r})))\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    told, heavy = done.stdout.splitlines()
    assert [part.split(": folder ")[0] for part in told.split(", ")] == ["vision", "cross", "text"]
    assert heavy == "[]"


def test_each_part_counts(copied: Path) -> None:
    """A word of the tokenizer, a number of either encoder, a step of the preprocessor; a README does not."""
    params = VlcParams(vision=str(copied / "vit"), cross=str(copied / "lxmert"), text=str(copied / "bert"))
    before = revisions(params)
    (copied / "vit" / "README.md").write_text("hello", encoding="utf-8")
    assert revisions(params) == before
    for parameter, file in (
        ("vision", "vit/preprocessor_config.json"),
        ("cross", "lxmert/config.json"),
        ("text", "bert/tokenizer.json"),
    ):
        (copied / file).write_text((copied / file).read_text(encoding="utf-8") + " ", encoding="utf-8")
        after = revisions(params)
        assert {p for p in before if before[p] != after[p]} == {parameter}
        before = after


def test_the_commit_in_the_key_is_the_one_that_is_loaded(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an id on the hub: what ``main`` stood for when the plan was made, whatever it stands for by now."""
    params = VlcParams(vision="org/vit", cross="org/vit", text="org/vit")
    assert set(revisions(params).values()) == {f"org/vit@{OLD}"}
    (hub / "refs" / "main").write_text(NEW, encoding="utf-8")
    sources = ["org/vit", *(str(hub / "snapshots" / commit) for commit in (OLD, NEW))]
    loaded, old, new = (backbones.vision_model(s).state_dict() for s in sources)
    assert all(torch.equal(loaded[n], old[n]) for n in old)
    assert not all(torch.equal(loaded[n], new[n]) for n in new)
    assert backbones.config("org/vit", "vision").model_type == "vit"
    assert backbones.preprocessing("org/vit")[0].size == 32

    monkeypatch.setattr(weights, "_commits", {})  # as in the next process
    assert set(revisions(params).values()) == {f"org/vit@{NEW}"}


def test_weights_that_are_pickled_only_are_looked_for_as_converted(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers finds the hub's converted copy under the name ``main`` only; a folder is not asked for twice."""
    import transformers

    asked: list[Any] = []
    real = transformers.AutoModel.from_pretrained

    def from_pretrained(source: str, **more: Any) -> Any:
        asked.append(more.get("revision"))
        if more.get("revision") or source != "org/vit":
            raise OSError("does not appear to have a file named model.safetensors")
        return real(str(hub / "snapshots" / OLD), **more)

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", from_pretrained)
    assert backbones.vision_model("org/vit").config.hidden_size == 32
    assert asked == [OLD, None]
    with pytest.raises(Exception, match="model.safetensors"):
        backbones.vision_model(str(hub / "snapshots" / OLD))
    assert asked == [OLD, None, None]


@pytest.mark.parametrize("parameter", ["vision", "cross", "text"])
def test_a_folder_that_is_missing_is_named(bodies: Any, tmp_path: Path, parameter: str) -> None:
    """Parameter, folder and fix, by the plan and by the fit alike."""
    params = VlcParams(**{**bodies.parameters(), parameter: str(tmp_path / "gone")})
    spec = next(s for s in vlrb_routers() if s.name == "vlc")
    assert spec.revision is not None
    with pytest.raises(DataError, match="does not exist") as error:
        spec.revision(params)

    assert error.value.problems[0].where == f"{parameter} = {tmp_path / 'gone'}"
    assert "hf download" in error.value.problems[0].fix


def test_a_checkpoint_from_other_weights_is_not_gone_on_from(
    copied: Path, shades: Any, context: Callable[..., Any]
) -> None:
    """In one work folder: frozen parts are not in checkpoints, so that those of two encoders would be mixed."""
    params = VlcParams(
        vision=str(copied / "vit"), cross=str(copied / "lxmert"), text=str(copied / "bert"), device="cpu", epochs=1,
        freeze="vision",
    )  # fmt: skip
    dev = shades.part(slice(240, 260))

    def epochs() -> int:
        work, told = context(dev=dev)
        NeuralRouter("vlc", params).fit(shades.part(slice(0, 32)), dev, work)
        return len(told.curve("epoch_loss"))

    assert epochs() == 1
    assert epochs() == 0
    other_weights(copied / "vit")
    assert epochs() == 1
