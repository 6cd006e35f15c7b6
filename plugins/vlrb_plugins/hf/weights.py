"""Where weights are, and what identifies them; without torch, so that a plan can be made without loading any."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from vlrb.cache import cache_directory, locked, new_directory, read_json, write_json
from vlrb.errors import DataError
from vlrb_plugins.hf import WeightsParams

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = "pytorch_model.bin"
NOT_WANTED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*")
TIMEOUT = 10.0
"""Seconds after which the hub counts as unreachable when it is asked for a commit."""


@attrs.frozen
class Weights:
    """The weights of an encoder: in a folder, or on the hub under an id and a revision."""

    encoder: str
    folder: Path | None
    id: str
    name: str
    convert: bool

    @classmethod
    def of(cls, encoder: str, hub_id: str, params: WeightsParams) -> Weights:
        """Return the weights that parameters ask for."""
        path = params.path or hub_id
        folder = Path(path) if Path(path).is_absolute() or Path(path).is_dir() else None
        return cls(encoder, folder, "" if folder else path, params.revision, params.convert)

    def revision(self) -> str:
        """Return what identifies the weights: the commit on the hub, or a digest of the folder's files.

        :raises DataError: when the folder is missing, or the hub cannot tell
        """
        return f"{self.id}@{self._commit()}" if self.folder is None else f"folder {_digest(self._existing())}"

    def local(self) -> Path:
        """Return a folder with the weights as safetensors, fetching them from the hub if need be.

        :raises DataError: naming the model, where it was looked for, and how to provide it
        """
        folder = self._snapshot() if self.folder is None else self._existing()
        for part in _parts(folder):
            if (part / PICKLED).is_file() and not any(part.glob("*.safetensors")):
                if not self.convert or part != folder:
                    fix = "set convert = true to read them with torch's loader that runs no code, or convert them"
                    raise DataError(f"has pickled weights only ({PICKLED})", where=str(part), fix=fix)
                return _converted(folder, _digest(folder))
        return folder

    def _existing(self) -> Path:
        if self.folder is None or not (self.folder / "config.json").is_file():
            if self.folder is not None and (self.folder / "modules.json").is_file():
                return self.folder
            what = "has no config.json" if self.folder and self.folder.is_dir() else "does not exist"
            fix = "name a folder that save_pretrained or `hf download ID --local-dir FOLDER` made, or an id on the hub"
            raise DataError(f"the folder of encoder {self.encoder!r} {what}", where=f"path = {self.folder}", fix=fix)
        return self.folder

    def _commit(self) -> str:
        if re.fullmatch("[0-9a-f]{40}", self.name):
            return self.name
        return _commit_of(self.id, self.name, self._unreachable)

    def _snapshot(self) -> Path:
        commit = self._commit()
        folder = _hub_cache() / f"models--{self.id.replace('/', '--')}" / "snapshots" / commit
        if _complete(folder, self.convert):
            return folder
        import huggingface_hub

        wanted = [*WANTED, *([PICKLED] if self.convert else [])]
        fetch = functools.partial(
            huggingface_hub.snapshot_download,
            self.id,
            cache_dir=_hub_cache(),
            allow_patterns=wanted,
            ignore_patterns=list(NOT_WANTED),
        )
        try:
            found = Path(fetch(revision=self.name))
            folder = found if found.name == commit else Path(fetch(revision=commit))
        except Exception as error:  # the hub's, its HTTP client's, or the system's
            raise self._unreachable(error) from None
        if not _complete(folder, self.convert):
            pickled = "" if self.convert else f"; where there is {PICKLED} only, set convert = true"
            raise DataError(
                f"model {self.id!r} of encoder {self.encoder!r} is not complete, or has no safetensors weights",
                where=str(folder),
                fix=f"run `hf download {self.id}` where there is a network, or set path = FOLDER{pickled}",
            )
        return folder

    def _unreachable(self, error: Exception) -> DataError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return DataError(
            f"the weights of encoder {self.encoder!r} are not on disk and cannot be fetched: {reason}",
            where=f"model {self.id!r}, revision {self.name!r}, looked for in {_hub_cache()}",
            fix=f"run `hf download {self.id}` where there is a network (and copy that folder, or point HF_HOME at it), "
            "or set path = FOLDER to one with the model's files",
        )


_commits: dict[tuple[Path, str, str], str] = {}
"""Hub's cache, id and name -> commit: a name stands for the same commit throughout a process."""


def _commit_of(hub_id: str, name: str, unreachable: Callable[[Exception], DataError]) -> str:
    key = (_hub_cache(), hub_id, name)
    if key not in _commits:
        reference = key[0] / f"models--{hub_id.replace('/', '--')}" / "refs" / name
        if reference.is_file():
            _commits[key] = reference.read_text(encoding="utf-8").strip()
        else:
            import huggingface_hub

            try:
                found = huggingface_hub.HfApi().model_info(hub_id, revision=name, timeout=TIMEOUT)
            except Exception as error:  # the hub's, its HTTP client's, or the system's
                raise unreachable(error) from None
            _commits[key] = str(found.sha)
    return _commits[key]


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _complete(folder: Path, convert: bool) -> bool:
    """Tell whether a folder has a configuration and all files of the weights."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return all((folder / f).is_file() for f in set(read_json(index)["weight_map"].values()))
    return any(folder.glob("*.safetensors")) or (convert and (folder / PICKLED).is_file())


def _parts(folder: Path) -> Iterator[Path]:
    """Return the folders that weights are loaded from: that of the model, and those that its modules.json names."""
    yield folder
    modules = folder / "modules.json"
    if modules.is_file():
        for module in read_json(modules):
            if not str(module["type"]).startswith("sentence_transformers."):
                raise DataError(f"needs code of its own ({module['type']}), which is not run", where=str(modules))
            if module["path"]:
                yield folder / module["path"]


def _digest(folder: Path) -> str:
    """Return a digest of a folder's files.

    The digest of a large file is kept under its size and time of change, so that it is read once.
    """
    files = sorted(f for p in (*WANTED, PICKLED) for f in folder.rglob(p) if not _hidden(f.relative_to(folder)))
    memory = cache_directory() / "weights" / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.json"
    with locked(memory):
        before = _remembered(memory)
        now = {}
        for file in files:
            state = [file.stat().st_size, file.stat().st_mtime_ns]
            name = file.relative_to(folder).as_posix()
            old = before.get(name, [None, None])
            now[name] = [state, old[1] if old[0] == state else _file_digest(file)]
        if now != before:
            write_json(memory, now)
    content = json.dumps({name: digest for name, (_, digest) in now.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        return dict(read_json(memory))
    except (DataError, TypeError, ValueError):
        return {}


def _hidden(path: Path) -> bool:
    return any(p.startswith(".") or p in ("onnx", "openvino") for p in path.parts)


def _file_digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _converted(folder: Path, digest: str) -> Path:
    """Return a folder with the same model whose weights are safetensors; it is made once.

    :raises DataError: when the file holds anything but tensors
    """
    import torch
    from safetensors.torch import save_file

    target = cache_directory() / "weights" / digest
    with locked(target):
        if not target.is_dir():
            with new_directory(target) as aside:
                ignore = shutil.ignore_patterns(
                    "*.bin", "*.pt", "*.onnx*", "onnx", "openvino", ".*", "*.h5", "*.msgpack"
                )
                shutil.copytree(folder, aside, dirs_exist_ok=True, ignore=ignore)
                try:
                    tensors = torch.load(folder / PICKLED, map_location="cpu", weights_only=True)
                    content = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
                except Exception as error:  # the loader's own, or that of what is no table of tensors
                    what = f"cannot be read as weights: {type(error).__name__}"
                    raise DataError(what, where=str(folder / PICKLED)) from None
                save_file(content, aside / "model.safetensors", metadata={"format": "pt"})
    return target
