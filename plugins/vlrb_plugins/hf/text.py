"""Encoders of text through sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sentence_transformers
import torch
import transformers

from vlrb import Column, DataError, Features, Queries, read_json
from vlrb_plugins.hf.params import AnyTextParams, TextParams
from vlrb_plugins.hf.torch_tools import loading, missing_pooler, unit_rows, working
from vlrb_plugins.hf.weights import weights_of
from vlrb_plugins.shared.pretrained.device import device_of


class TextEncoder:
    """One vector of unit length per sample.

    Texts of a batch are padded to the longest one and the padding is masked, so that the other texts change a vector by rounding
    only (about 1e-6 in float32).
    """

    def __init__(self, name: str, hub_id: str, params: TextParams) -> None:
        """Load the model.

        :raises ConfigError: when the device is not available
        :raises DataError: when its files are missing or cannot be loaded
        """
        self.name = name
        self.params = params
        pooling = getattr(params, "pooling", "own")
        self._device = device_of(params.device)
        folder = weights_of(name, hub_id, params, beside=("modules.json",) if pooling == "own" else ()).local()
        if pooling == "own" and not (folder / "modules.json").is_file():
            fix = f"run `hf download {hub_id}` with a network connection, or name a folder that has it"
            if isinstance(params, AnyTextParams):
                fix = 'set pooling = "mean" or "cls", as the model card says'
            raise DataError("does not say how token vectors become one (no modules.json)", where=str(folder), fix=fix)
        with loading(name, folder):
            model = _load(folder, pooling, self._device)
            _check(model, folder)
            self._model = model.to(getattr(torch, params.dtype)).eval()
        if params.max_length is not None:
            self._model.max_seq_length = min(params.max_length, self._model.max_seq_length or params.max_length)

    def encode(self, queries: Queries) -> Features:
        """Return float32[n, d], rows of unit length; zeros for a text without a word that the model knows.

        :raises DataError: naming the samples whose vectors are not finite
        :raises ConfigError: when memory runs out, naming the batch size
        """
        texts = [self.params.prefix + t for t in self._texts(queries)]
        with working(self.name, self.params.batch_size, self._device):
            vectors = self._model.encode(
                texts,
                batch_size=self.params.batch_size,
                show_progress_bar=False,
                convert_to_numpy=False,
                convert_to_tensor=True,
            )
        matrix = unit_rows(vectors.float().cpu().numpy(), queries.ids, self.name)
        return Features(matrix, tuple(Column(f"{self.name}/{i}") for i in range(matrix.shape[1])))

    def _texts(self, queries: Queries) -> list[str]:
        if self.params.text == "question":
            return list(queries.texts)
        rows = zip(queries.texts, queries.options, queries.hints, strict=True)
        return ["\n".join(filter(None, [q, *(f"{x}. {o}" for x, o in options), hint])) for q, options, hint in rows]


def _load(folder: Path, pooling: str, device: str) -> Any:
    own = {"trust_remote_code": False, "local_files_only": True}
    make = sentence_transformers.SentenceTransformer
    if pooling == "own":
        return make(str(folder), device=device, model_kwargs={"use_safetensors": True}, **own)
    try:
        from sentence_transformers.sentence_transformer import modules
    except ImportError:  # before 6
        from sentence_transformers import models as modules
    body = modules.Transformer(str(folder))
    return make(
        modules=[body, modules.Pooling(body.auto_model.config.hidden_size, pooling_mode=pooling)], device=device
    )


def _check(model: Any, folder: Path) -> None:
    """Load the weights again to check that none is missing, which sentence-transformers does not report.

    :raises DataError: when some would have been drawn at random, or this cannot be checked
    """
    if not hasattr(model[0], "auto_model"):  # a table of word vectors, which is complete, or several models
        if any(isinstance(m, transformers.PreTrainedModel) for m in model.modules()):
            what = f"begins with a {type(model[0]).__name__}, whose models cannot be checked for missing weights"
            raise DataError(what, where=str(folder), fix="name a model that begins with one Transformer")
        return
    modules = folder / "modules.json"
    within = read_json(modules)[0]["path"] if modules.is_file() else ""
    _, report = type(model[0].auto_model).from_pretrained(
        str(folder / within), output_loading_info=True, use_safetensors=True, local_files_only=True
    )
    missing_pooler(report, folder)
