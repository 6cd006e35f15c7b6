"""Where weights are, and what identifies them: of encoders, and of other plugins' models.

Without torch, so that a plan can be made without loading any.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from vlrb import DataError, cache_directory, locked, new_directory, read_json, write_json
from vlrb_plugins.hf import WeightsParams

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = "pytorch_model.bin"
NOT_WANTED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*")
TIMEOUT = 10.0
"""Seconds after which the hub counts as unreachable when it is asked for a commit."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@attrs.frozen(kw_only=True)
class Weights:
    """The weights that a component works with: in a folder, or on the hub under an id and a revision's name.

    ``owner`` and ``parameter`` are for messages: whose weights they are, and which parameter names them.  ``signs`` are files of
    which a model's folder has at least one.  ``beside`` are files that are fetched with the weights where a snapshot lacks them.
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
        """Return the weights of a source, a folder or an id on the hub.

        :param more: the other fields
        """
        if Path(source).is_absolute() or Path(source).is_dir():
            return cls(folder=Path(source), **more)
        return cls(folder=None, id=source, **more)

    @classmethod
    def of(cls, encoder: str, hub_id: str, params: WeightsParams, beside: Sequence[str] = ()) -> Weights:
        """Return the weights that an encoder's parameters ask for."""
        return cls.at(
            params.path or hub_id,
            owner=f"encoder {encoder!r}",
            parameter="path",
            revision_name=params.revision,
            convert=params.convert,
            beside=beside,
        )

    def revision(self) -> str:
        """Return what identifies the weights: the commit on the hub, or a digest of the folder's files.

        :raises DataError: when the folder is missing, or the hub cannot tell
        """
        return f"{self.id}@{self.commit()}" if self.folder is None else f"folder {_digest(self._existing(self.folder))}"

    def commit(self) -> str | None:
        """Return the commit on the hub that the revision's name stands for, None for a folder.

        :raises DataError: when the folder is missing, or the hub cannot tell
        """
        if self.folder is not None:
            self._existing(self.folder)
            return None
        if re.fullmatch("[0-9a-f]{40}", self.revision_name):
            return self.revision_name
        return _commit_of(self.id, self.revision_name, self._unreachable)

    def local(self) -> Path:
        """Return a folder with the weights as safetensors, fetching them from the hub if need be.

        :raises DataError: naming the model, where it was looked for, and how to provide it
        """
        folder = self._snapshot() if self.folder is None else self._existing(self.folder)
        for part in _parts(folder):
            if _pickled_only(part):
                if not self.convert or part != folder or not (part / PICKLED).is_file():
                    fix = "set convert = true to read them with torch's loader that runs no code, or convert them"
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
            pickled = "" if self.convert else f"; where there is {PICKLED} only, set convert = true"
            raise DataError(
                f"model {self.id!r} of {self.owner} is not complete, or has no safetensors weights",
                where=str(folder),
                fix=f"run `hf download {self.id}` where there is a network, or set {self.parameter} = FOLDER{pickled}",
            )
        return folder

    def _fetched(self, commit: str) -> Path:
        """Fetch what is lacking of a commit's files and return their folder."""
        import huggingface_hub

        fetch = functools.partial(
            huggingface_hub.snapshot_download,
            self.id,
            cache_dir=_hub_cache(),
            allow_patterns=[*WANTED, *([PICKLED] if self.convert else [])],
            ignore_patterns=list(NOT_WANTED),
        )
        try:
            found = Path(
                fetch(revision=self.revision_name)
            )  # under its name, so that the hub's cache keeps what it stands for
            return found if found.name == commit else Path(fetch(revision=commit))
        except Exception as error:  # the hub's, its HTTP client's, or the system's
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> DataError:
        model = f"model {self.id!r}, revision {self.revision_name!r}"
        return DataError(
            f"the weights of {self.owner} are not on disk and cannot be fetched: {first_line(error)}",
            where=f"{self.parameter}: no folder, and {model} was looked for in {_hub_cache()} and on the hub",
            fix=f"run `hf download {self.id}` where there is a network (and copy that folder, or point HF_HOME at it), "
            f"or set {self.parameter} = FOLDER to one with the model's files",
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


def _pickled_only(folder: Path) -> bool:
    """Tell whether weights are in a folder as pickles, whole or in parts, and not as safetensors under transformers' names."""
    named = [
        f.name for pattern in ("model*.safetensors", "model*.safetensors.index.json") for f in folder.glob(pattern)
    ]
    return not named and any(folder.glob("pytorch_model*.bin*"))


def _parts(folder: Path) -> Iterator[Path]:
    """Return the folders that weights are loaded from: that of the model, and those that its modules.json names."""
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
                    raise DataError(
                        what, where=str(folder / PICKLED), fix="provide the weights as safetensors"
                    ) from None
                save_file(content, aside / "model.safetensors", metadata={"format": "pt"})
    return target
