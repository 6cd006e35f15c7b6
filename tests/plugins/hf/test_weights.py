"""Where weights come from, what identifies them, and what is never read or run."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.errors import ConfigError, DataError
from vlrb.experiment.resolve import make_plan
from vlrb_plugins.hf import IMAGE, TEXT, vlrb_encoders
from vlrb_plugins.hf.image import ImageEncoder
from vlrb_plugins.hf.params import AnyImageParams, AnyTextParams, BgeParams, TextParams
from vlrb_plugins.hf.text import TextEncoder
from vlrb_plugins.hf.weights import weights_of
from vlrb_plugins.shared.pretrained import weights


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache of the hub, which cannot be reached."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(weights, "_commits", {})
    return tmp_path / "hub"


def revision(path: Path | str, **more: Any) -> str:
    """Return what identifies the weights of a path."""
    return weights_of("x", "", AnyTextParams(path=str(path), **more)).revision()


def test_registering_and_identifying_import_nothing_heavy(tiny: Any, tmp_path: Path) -> None:
    """`vlrb list` shows the encoders, and a plan tells weights apart, without torch."""
    folder = tiny.bert()
    code = (
        "import sys\nfrom vlrb_plugins.hf import vlrb_encoders\nspecs = {s.name: s for s in vlrb_encoders()}\n"
        f"s = specs['sentence-transformer']\nprint(s.revision(s.params(path={str(folder)!r})))\n"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'numpy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout.splitlines()[1:] == ["[]"], done.stderr
    assert done.stdout.startswith("folder ")


def test_every_encoder_says_what_it_needs() -> None:
    """Modality for the fusions, the extra for the message, a revision for the cache."""
    specs = {s.name: s for s in vlrb_encoders()}

    assert specs.keys() == TEXT.keys() | IMAGE.keys()
    assert all(s.extra == "hf" and s.revision is not None and "torch" in s.requires for s in specs.values())
    assert {n for n, s in specs.items() if s.modality == "image"} == IMAGE.keys()


def test_without_torch_the_plan_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a))
    file = tmp_path / "e.toml"
    file.write_text('name = "e"\nrequires = []\n[logs]\nuse = "demo"\n[features.f]\nencoders = ["bge-m3"]\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        make_plan(file)

    assert "encoder 'hf/bge-m3' needs torch" in str(caught.value)
    assert 'pip install "vlrb[hf]"' in str(caught.value)


def test_a_generic_encoder_needs_a_path(tmp_path: Path) -> None:
    """Nobody can guess which model is meant."""
    file = tmp_path / "e.toml"
    text = 'name = "e"\nrequires = []\n[logs]\nuse = "demo"\n[features.f]\nencoders = ["vision-transformer"]\n'
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="path: is missing"):
        make_plan(file)


# --- folders --------------------------------------------------------------------------------------------------------------


def test_a_folder_is_known_by_its_files(tiny: Any, tmp_path: Path) -> None:
    """A copy elsewhere is the same, whatever its times and README; other weights or another configuration are not."""
    folder = tiny.bert()
    first = revision(folder)
    copied = tmp_path / "elsewhere"
    shutil.copytree(folder, copied)
    (copied / "README.md").write_text("hello", encoding="utf-8")
    assert revision(copied) == first
    (copied / "config.json").write_text((folder / "config.json").read_text("utf-8") + " ", "utf-8")
    assert revision(copied) != first
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))

    assert revision(folder) != first


def test_a_large_file_is_read_once(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its digest is remembered under its size and time of change; a broken memory is no harm."""
    folder = tiny.bert()
    first = revision(folder)
    read: list[Path] = []
    monkeypatch.setattr(weights, "_file_digest", lambda file: read.append(file) or "changed")
    assert revision(folder) == first
    assert read == []
    (folder / "config.json").touch()
    assert revision(folder) != first
    assert [f.name for f in read] == ["config.json"]
    for memory in weights.cache_directory().glob("weights/*.json"):
        memory.write_text("[", encoding="utf-8")
    revision(folder)

    assert len(read) > 2


@pytest.mark.parametrize(("make", "said"), [(False, "does not exist"), (True, "has no config.json")])
def test_a_folder_that_is_none_is_named(tmp_path: Path, make: bool, said: str) -> None:
    """With what to do about it."""
    if make:
        (tmp_path / "w").mkdir()
    with pytest.raises(DataError, match=said) as caught:
        revision(tmp_path / "w")

    assert caught.value.problems[0].where == f"path = {tmp_path / 'w'}"
    assert "hf download" in caught.value.problems[0].fix


# --- the hub --------------------------------------------------------------------------------------------------------------


def test_what_is_on_disk_is_used_without_a_network(tiny: Any, hub: Path) -> None:
    """Named encoders find their models in the hub's cache, and are known by the commit."""
    tiny.hub("BAAI/bge-m3", tiny.sentence("cls"), hub)
    tiny.hub("facebook/dinov2-base", tiny.vision("dinov2"), hub)
    specs = {s.name: s for s in vlrb_encoders()}
    text, image = specs["bge-m3"], specs["dinov2-base"]
    rows = [
        text.factory(text.params()).encode(tiny.queries(["what is the height"])),
        image.factory(image.params()).encode(tiny.queries([], [(tiny.image(),)])),
    ]

    assert [r.matrix.shape for r in rows] == [(1, 16), (1, 17)]
    assert [c.name for c in rows[1].columns[-2:]] == ["dinov2-base/15", "dinov2-base/has-image"]
    assert text.revision is not None
    assert text.revision(text.params()) == f"BAAI/bge-m3@{'c' * 40}"


@pytest.mark.parametrize("name", ["bge-m3", "dinov2-base", "vision-transformer"])
def test_weights_that_cannot_be_had_are_named(name: str, hub: Path) -> None:
    """The encoder, the model, where it was looked for, and both ways to provide it."""
    spec = next(s for s in vlrb_encoders() if s.name == name)
    params = spec.params(path="org/model") if name == "vision-transformer" else spec.params()
    model = {**TEXT, **IMAGE}[name][0] or "org/model"
    with pytest.raises(DataError) as caught:
        spec.revision(params)  # type: ignore[misc]

    (problem,) = caught.value.problems
    assert name in problem.message
    assert model in problem.where
    assert str(hub) in problem.where
    assert f"hf download {model}" in problem.fix
    assert "path = FOLDER" in problem.fix


def test_a_commit_needs_no_network_to_be_known(hub: Path) -> None:
    """Features that are in the cache can be used where there are neither weights nor a network; encoding cannot."""
    commit = "a" * 40

    assert revision("org/model", revision=commit) == f"org/model@{commit}"
    with pytest.raises(DataError, match="are not on disk and cannot be fetched"):
        TextEncoder("x", "", AnyTextParams(path="org/model", revision=commit))


def test_half_a_download_is_not_taken(tiny: Any, hub: Path) -> None:
    """Another tool may have fetched the configuration only."""
    snapshot = tiny.hub("org/model", tiny.bert(), hub)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(DataError, match="is not complete"):
        TextEncoder("x", "", AnyTextParams(path="org/model", pooling="cls"))
    (snapshot / "model.safetensors").write_bytes(b"")
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(DataError, match="is not complete"):
        TextEncoder("x", "", AnyTextParams(path="org/model", pooling="cls"))


def test_a_download_of_another_tool_is_completed(tiny: Any, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers fetches weights without modules.json: it is fetched then; where it cannot be, the fix is one that there is."""
    import huggingface_hub

    snapshot = tiny.hub("intfloat/e5-small-v2", tiny.sentence(), hub)
    modules = (snapshot / "modules.json").rename(hub / "modules.json")
    spec = next(s for s in vlrb_encoders() if s.name == "e5-small-v2")
    with pytest.raises(DataError, match="does not say how token vectors become one") as caught:
        spec.factory(spec.params())

    def fetch(hub_id: str, **_: Any) -> str:
        shutil.copy(modules, snapshot)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert "hf download intfloat/e5-small-v2" in caught.value.problems[0].fix
    assert spec.factory(spec.params()).encode(tiny.queries(["dogs"])).matrix.shape == (1, 16)


def test_what_is_missing_is_fetched_under_its_name(tiny: Any, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is asked for the commit once, and for the files that are needed: no pickles, no other formats."""
    import huggingface_hub

    asked: list[Any] = []

    class Api:
        def model_info(self, hub_id: str, revision: str, timeout: float) -> Any:
            asked.append((hub_id, revision))
            return attrs.make_class("Info", ["sha"])("d" * 40)

    def fetch(hub_id: str, **more: Any) -> str:
        asked.append(more["allow_patterns"])
        return str(tiny.hub(hub_id, tiny.bert("fetched"), hub, "d" * 40))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    params = AnyTextParams(path="org/model", pooling="mean")
    assert revision("org/model") == f"org/model@{'d' * 40}"
    TextEncoder("x", "", params)
    TextEncoder("x", "", params)

    assert asked == [("org/model", "main"), list(weights.WANTED)]


# --- what is not read and not run -----------------------------------------------------------------------------------------


def pickled(folder: Path) -> Path:
    """Turn a model's safetensors into a pickled file."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_pickled_weights_are_refused_unless_converted(tiny: Any) -> None:
    """By default with the way out; converted ones give the same features, and the model's folder stays as it is."""
    good = TextEncoder("x", "", AnyTextParams(path=str(tiny.sentence()))).encode(tiny.queries(["how many dogs"]))
    folder = pickled(tiny.sentence(name="pickled"))
    before = sorted(f.name for f in folder.rglob("*"))
    with pytest.raises(DataError, match="pickled weights only") as caught:
        TextEncoder("x", "", AnyTextParams(path=str(folder)))
    made = TextEncoder("x", "", AnyTextParams(path=str(folder), convert=True)).encode(tiny.queries(["how many dogs"]))

    assert "convert = true" in caught.value.problems[0].fix
    assert (made.matrix == good.matrix).all()
    assert sorted(f.name for f in folder.rglob("*")) == before
    assert BgeParams().convert
    assert not TextParams().convert


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
def test_other_safetensors_do_not_make_weights_of_a_pickle(tiny: Any, name: str) -> None:
    """An adapter beside pickled weights, whole or in parts."""
    folder = pickled(tiny.bert())
    (folder / "pytorch_model.bin").rename(folder / name)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="pickled weights only"):
        TextEncoder("x", "", AnyTextParams(path=str(folder), pooling="mean"))


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_code_in_pickled_weights_is_not_run(tiny: Any, tmp_path: Path) -> None:
    """convert = true reads tensors and nothing else."""
    folder = tiny.bert()
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil(tmp_path / "ran")}))
    with pytest.raises(DataError, match="cannot be read as weights"):
        TextEncoder("x", "", AnyTextParams(path=str(folder), pooling="cls", convert=True))

    assert not (tmp_path / "ran").exists()


def test_code_beside_weights_is_not_run(tiny: Any, tmp_path: Path) -> None:
    """Neither modules of sentence-transformers nor models of transformers that bring their own code."""
    folder = tiny.sentence()
    evil = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Module: pass\nclass Model: pass\n"
    (folder / "evil.py").write_text(evil, encoding="utf-8")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "evil.Module"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(DataError, match="needs code of its own"):
        TextEncoder("x", "", AnyTextParams(path=str(folder)))
    other = tiny.vision("vit")
    (other / "evil.py").write_text(evil, encoding="utf-8")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "evil", "auto_map": {"AutoModel": "evil.Model", "AutoConfig": "evil.Model"}}
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(DataError, match="cannot be loaded"):
        ImageEncoder("x", "", AnyImageParams(path=str(other)))

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_broken_files_are_named(tiny: Any, file: str) -> None:
    """Cut off or no JSON: the encoder and the folder, and no traceback of transformers."""
    folder = tiny.vision("vit")
    target = folder / file if (folder / file).exists() else folder / "processor_config.json"
    target.write_bytes(target.read_bytes()[:-20])
    with pytest.raises(DataError, match="the model of encoder 'x' cannot be loaded") as caught:
        ImageEncoder("x", "", AnyImageParams(path=str(folder)))

    assert str(folder) in caught.value.problems[0].where


def test_missing_weights_are_not_drawn_at_random(tiny: Any) -> None:
    """transformers would go on with a warning: a failure is never a number."""
    from safetensors.torch import load_file, save_file

    for folder, make in ((tiny.vision("vit"), ImageEncoder), (tiny.bert(), TextEncoder)):
        tensors = load_file(folder / "model.safetensors")
        name = next(n for n in tensors if "output.dense.weight" in n or "down_proj" in n or "mlp.fc2.weight" in n)
        del tensors[name]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        params = AnyImageParams if make is ImageEncoder else AnyTextParams
        with pytest.raises(DataError, match="weights are missing or have another shape"):
            make("x", "", params(path=str(folder), pooling="cls"))  # type: ignore[arg-type]


def test_several_models_in_one_are_refused(tiny: Any, tmp_path: Path) -> None:
    """A router between models of sentence-transformers: weights that are missing would go unseen."""
    import sentence_transformers

    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    parts = [[modules.Transformer(str(tiny.bert(n))), modules.Pooling(16, pooling_mode="mean")] for n in ("q", "d")]
    made = modules.Router.for_query_document(*parts)
    sentence_transformers.SentenceTransformer(modules=[made], device="cpu").save(str(tmp_path / "both"))
    with pytest.raises(DataError, match="begins with a Router"):
        TextEncoder("x", "", AnyTextParams(path=str(tmp_path / "both")))
