"""Where the pretrained parts of a router come from, and their revisions; without torch, so that a plan loads none."""

from __future__ import annotations

from vlrb_plugins.neural_routers.params import NeuralParams
from vlrb_plugins.shared.pretrained.weights import Weights

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "config.json")
"""A tokenizer's folder has at least one of these files."""


def weights_of(parameter: str, source: str) -> Weights:
    """Return the weights that one of the parameters ``vision``, ``cross`` and ``text`` names.

    :param source: the parameter's value or default: a folder, or an id on the hub
    """
    signs = TOKENIZER_FILES if parameter == "text" else ("config.json",)
    return Weights.at(source, owner="the router", parameter=parameter, signs=signs)


def revisions(params: NeuralParams) -> dict[str, str]:
    """Return parameter -> revision of its files: the commit on the hub, or a digest of the folder.

    :raises DataError: when a folder is missing, or the hub cannot be asked
    """
    sources = {"vision": params.vision, "cross": params.cross_id, "text": params.text}
    return {parameter: weights_of(parameter, source).revision() for parameter, source in sources.items()}


def revision(params: NeuralParams) -> str:
    """Return the revisions of all parts in one text.

    :raises DataError: as ``revisions``
    """
    return ", ".join(f"{parameter}: {found}" for parameter, found in revisions(params).items())
