"""The weights of the encoders."""

from __future__ import annotations

from collections.abc import Sequence

from vlrb_plugins.hf.params import WeightsParams
from vlrb_plugins.shared.pretrained.weights import Weights


def weights_of(encoder: str, hub_id: str, params: WeightsParams, beside: Sequence[str] = ()) -> Weights:
    """Return the weights that an encoder's parameters ask for.

    :param hub_id: the id on the hub unless ``path`` names another source
    :param beside: files that are fetched with the weights
    """
    return Weights.at(
        params.path or hub_id,
        owner=f"encoder {encoder!r}",
        parameter="path",
        revision_name=params.revision,
        convert=params.convert,
        beside=beside,
    )


def revision_of(encoder: str, hub_id: str, params: WeightsParams) -> str:
    """Return the revision of an encoder's weights.

    :raises DataError: when the folder is missing, or the hub cannot be asked
    """
    return weights_of(encoder, hub_id, params).revision()
