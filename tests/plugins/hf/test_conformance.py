"""Encoders with pretrained weights keep the promises of encoders."""

from __future__ import annotations

from typing import Any

import pytest

from vlrb.testing import check_encoder
from vlrb_plugins.hf import vlrb_encoders

SPECS = {spec.name: spec for spec in vlrb_encoders()}


@pytest.mark.slow
def test_sentence_transformer(tiny: Any) -> None:
    """A text model of sentence-transformers, on the CPU."""
    check_encoder(SPECS["sentence-transformer"], path=str(tiny.sentence()), device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vit", "clip"])
def test_vision_transformer(tiny: Any, kind: str) -> None:
    """An image model of transformers, on the CPU."""
    check_encoder(SPECS["vision-transformer"], path=str(tiny.vision(kind)), device="cpu")
