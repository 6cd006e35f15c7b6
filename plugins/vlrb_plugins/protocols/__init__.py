"""Protocols: presets of an experiment's keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlrb import NoParams, ProtocolSpec, hookimpl


def strict(_: NoParams) -> Mapping[str, Any]:
    """Return no keys: the defaults are those of a strict evaluation, in which nothing is chosen on test."""
    return {}


def paper(_: NoParams) -> Mapping[str, Any]:
    """Return the keys by which VL-RouterBench's own scripts evaluate (arXiv 2512.23562)."""
    return {
        "cost_bounds": "all",
        "selection": {"on": "test"},
        "split": {"use": "samples", "seed": 42},
        "router": {"variant": "reference"},
    }


@hookimpl
def vlrb_protocols() -> list[ProtocolSpec]:
    """Return the protocols ``strict`` and ``paper``."""
    return [
        ProtocolSpec(
            name="strict", summary="groups kept together, bounds from train, selection on dev", factory=strict
        ),
        ProtocolSpec(
            name="paper",
            summary="as VL-RouterBench's scripts: split by sample, bounds from all rows, sweeps selected on test",
            factory=paper,
        ),
    ]
