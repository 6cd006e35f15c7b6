"""Where the pretrained parts of a router come from, and what identifies them; without torch, so that a plan loads none."""

from __future__ import annotations

from vlrb_plugins.hf.weights import Weights
from vlrb_plugins.neural_routers.params import NeuralParams

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "config.json")
"""Files of which a tokenizer's folder has at least one."""


def weights_of(parameter: str, source: str) -> Weights:
    """Return the weights that one of the parameters ``vision``, ``cross`` and ``text`` names.

    :param source: the parameter's value, or its default: a folder, or an id on the hub
    """
    signs = TOKENIZER_FILES if parameter == "text" else ("config.json",)
    return Weights.at(source, owner="the router", parameter=parameter, signs=signs)


def revisions(params: NeuralParams) -> dict[str, str]:
    """Return what identifies the files of each part: parameter -> commit on the hub, or digest of the folder.

    :raises DataError: when a folder is missing, or the hub cannot tell
    """
    sources = {"vision": params.vision, "cross": params.cross_id, "text": params.text}
    return {parameter: weights_of(parameter, source).revision() for parameter, source in sources.items()}
