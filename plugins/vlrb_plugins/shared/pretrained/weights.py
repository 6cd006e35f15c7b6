"""Pretrained weights: where they are, their revision, and a local folder with them as safetensors.

Torch is imported only where pickled weights are converted, so that a plan loads none.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb import DataError, cache_directory, locked, new_directory, read_json, write_json
from vlrb_plugins.shared.messages import first_line

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = "pytorch_model.bin"
NOT_WANTED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*")
NOT_COPIED = ("*.bin", "*.pt", "*.onnx*", "onnx", "openvino", ".*", "*.h5", "*.msgpack")
TIMEOUT = 10.0
"""Seconds to wait for the hub when it is asked for a commit."""


@attrs.frozen(kw_only=True)
class Weights:
    """The weights of a component: in a folder, or on the hub under an id and a branch, tag or commit (``revision_name``).

    ``owner`` and ``parameter`` are for messages: whose weights they are, and which parameter names them.  A model's folder has at
    least one of the files ``signs``.  The files ``beside`` are fetched too if a snapshot lacks them.
    """

    owner: str
    parameter: str
    folder: Path | None
    id: str = ""
    revision_name: str = "main"
    convert: bool = False
    signs: Sequence[str] = ("config.json", "modules.json")
    beside: Sequence[str] = ()

    @classmethod
    def at(cls, source: str, **more: Any) -> Weights:
        """Return the weights of a source, which is a folder or an id on the hub.

        :param more: the other fields
        """
        if Path(source).is_absolute() or Path(source).is_dir():
            return cls(folder=Path(source), **more)
        return cls(folder=None, id=source, **more)

    def revision(self) -> str:
        """Return what identifies the weights: the commit on the hub, or a digest of the folder's files.

        :raises DataError: when the folder is missing, or the hub cannot be asked
        """
        return f"{self.id}@{self.commit()}" if self.folder is None else f"folder {_digest(self._existing(self.folder))}"

    def commit(self) -> str | None:
        """Return the commit on the hub, None for a folder.

        :raises DataError: when the folder is missing, or the hub cannot be asked
        """
        if self.folder is not None:
            self._existing(self.folder)
            return None
        if re.fullmatch("[0-9a-f]{40}", self.revision_name):
            return self.revision_name
        return _commit_of(self.id, self.revision_name, self._unreachable)

    def local(self) -> Path:
        """Return a folder with the weights as safetensors; they are fetched from the hub if necessary.

        :raises DataError: naming the model, where it was searched for, and how to provide it
        """
        folder = self._snapshot() if self.folder is None else self._existing(self.folder)
        for part in _parts(folder):
            if _pickled_only(part):
                if not self.convert or part != folder or not (part / PICKLED).is_file():
                    fix = "set convert = true to read them with torch's weights_only loader, which runs no code, or convert them"
                    raise DataError(f"has pickled weights only ({PICKLED})", where=str(part), fix=fix)
                return _converted(folder, _digest(folder))
        return folder

    def _existing(self, folder: Path) -> Path:
        if any((folder / name).is_file() for name in self.signs):
            return folder
        what = f"has no {' and no '.join(self.signs)}" if folder.is_dir() else "does not exist"
        fix = "name a folder that save_pretrained or `hf download ID --local-dir FOLDER` made, or an id on the hub"
        raise DataError(f"the folder of {self.owner} {what}", where=f"{self.parameter} = {folder}", fix=fix)

    def _snapshot(self) -> Path:
        commit = str(self.commit())
        folder = _hub_cache() / f"models--{self.id.replace('/', '--')}" / "snapshots" / commit
        if _complete(folder, self.convert) and all((folder / name).is_file() for name in self.beside):
            return folder
        folder = self._fetched(commit)
        if not _complete(folder, self.convert):
            pickled = "" if self.convert else f"; if it has {PICKLED} only, set convert = true"
            raise DataError(
                f"model {self.id!r} of {self.owner} is not complete, or has no safetensors weights",
                where=str(folder),
                fix=f"run `hf download {self.id}` with a network connection, or set {self.parameter} = FOLDER{pickled}",
            )
        return folder

    def _fetched(self, commit: str) -> Path:
        """Fetch the missing files of a commit and return its folder."""
        import huggingface_hub

        fetch = functools.partial(
            huggingface_hub.snapshot_download,
            self.id,
            cache_dir=_hub_cache(),
            allow_patterns=[*WANTED, *([PICKLED] if self.convert else [])],
            ignore_patterns=list(NOT_WANTED),
        )
        try:
            # by name first, so that the hub's cache records which commit the name stands for
            found = Path(fetch(revision=self.revision_name))
            return found if found.name == commit else Path(fetch(revision=commit))
        except Exception as error:  # of the hub's client, its HTTP client or the system
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> DataError:
        model = f"model {self.id!r}, revision {self.revision_name!r}"
        return DataError(
            f"the weights of {self.owner} are not on disk and cannot be fetched: {first_line(error)}",
            where=f"{self.parameter}: no folder, and {model} was looked for in {_hub_cache()} and on the hub",
            fix=f"run `hf download {self.id}` with a network connection (then copy its cache, or set HF_HOME to it), "
            f"or set {self.parameter} = FOLDER to one with the model's files",
        )


_commits: dict[tuple[Path, str, str], str] = {}
"""(hub's cache, id, revision name) -> commit, so that a name means one commit throughout a process."""


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
            except Exception as error:  # of the hub's client, its HTTP client or the system
                raise unreachable(error) from None
            _commits[key] = str(found.sha)
    return _commits[key]


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _complete(folder: Path, convert: bool) -> bool:
    """Tell whether a folder has a configuration and all weight files."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return all((folder / f).is_file() for f in set(read_json(index)["weight_map"].values()))
    return any(folder.glob("*.safetensors")) or (convert and (folder / PICKLED).is_file())


def _pickled_only(folder: Path) -> bool:
    """Tell whether a folder has pickled weights, whole or in parts, but no safetensors under transformers' names."""
    named = any(any(folder.glob(f"model*.safetensors{suffix}")) for suffix in ("", ".index.json"))
    return not named and any(folder.glob("pytorch_model*.bin*"))


def _parts(folder: Path) -> Iterator[Path]:
    """Yield the folders that weights are loaded from: the model's, and those that its modules.json names."""
    yield folder
    modules = folder / "modules.json"
    if modules.is_file():
        for module in read_json(modules):
            if not str(module["type"]).startswith("sentence_transformers."):
                what = f"needs code of its own ({module['type']}), which is not run"
                raise DataError(what, where=str(modules), fix="name a model of sentence-transformers' own modules")
            if module["path"]:
                yield folder / module["path"]


def _digest(folder: Path) -> str:
    """Return a digest of a folder's files.

    Each file's digest is remembered with its size and modification time, so that a large file is read once.
    """
    files = sorted(f for p in (*WANTED, PICKLED) for f in folder.rglob(p) if not _hidden(f.relative_to(folder)))
    memory = cache_directory() / "weights" / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.json"
    states = {f.relative_to(folder).as_posix(): [f.stat().st_size, f.stat().st_mtime_ns] for f in files}
    known = _remembered(memory)
    if {name: state for name, (state, _) in known.items()} != states:
        with locked(memory, to_read=True):  # one process reads the files, also where nothing can be remembered
            before = _remembered(memory)
            for name, state in states.items():
                old = before.get(name, [None, None])
                known[name] = [state, old[1] if old[0] == state else _file_digest(folder / name)]
            known = {name: known[name] for name in states}
            if known != before and os.access(memory.parent, os.W_OK):
                write_json(memory, known)
    content = json.dumps({name: digest for name, (_, digest) in known.items()}, sort_keys=True)
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
    """Return a folder with the same model and its weights as safetensors, made once.

    :raises DataError: when the file contains anything but tensors
    """
    import torch
    from safetensors.torch import save_file

    target = cache_directory() / "weights" / digest
    if target.is_dir():
        return target
    with locked(target):
        if not target.is_dir():
            with new_directory(target) as aside:
                shutil.copytree(folder, aside, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
                try:
                    tensors = torch.load(folder / PICKLED, map_location="cpu", weights_only=True)
                    content = {name: t.detach().clone().contiguous() for name, t in tensors.items()}
                except Exception as error:  # of the loader, or because the content is not a dict of tensors
                    what, fix = f"cannot be read as weights: {type(error).__name__}", "provide them as safetensors"
                    raise DataError(what, where=str(folder / PICKLED), fix=fix) from None
                save_file(content, aside / "model.safetensors", metadata={"format": "pt"})
    return target
