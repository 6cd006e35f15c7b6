"""Fitted routers on disk: an npz file of plain arrays, and JSON with the schema version and the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import attrs
import numpy as np

from vlrb import Array, DataError, new_file, restructure, unstructure
from vlrb_plugins.shared.fitted import read_saved, write_saved

SCHEMA_VERSION = 2

P = TypeVar("P", bound=attrs.AttrsInstance)


@attrs.frozen(eq=False)
class Stored:
    """What a folder holds: arrays by name, and the content of ``router.json``."""

    arrays: Mapping[str, Array]
    content: Mapping[str, Any]

    def parameters(self, cls: type[P]) -> P:
        """Return the parameters as they were."""
        return restructure(self.content["parameters"], cls)


def store(directory: Path, router: str, parameters: object, arrays: Mapping[str, Array], **more: Any) -> None:
    """Write a fitted router.

    :param more: further plain values for ``router.json``
    """
    with new_file(directory / "arrays.npz") as aside, aside.open("wb") as file:
        np.savez(file, **dict[str, Any](arrays))
    write_saved(directory, SCHEMA_VERSION, {"router": router, "parameters": unstructure(parameters), **more})


def stored(directory: Path, router: str) -> Stored:
    """Read what ``store`` wrote.

    :raises DataError: when it is of another router or another schema version, or cannot be read
    """
    content = read_saved(directory, SCHEMA_VERSION, router)
    try:
        with (directory / "arrays.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Stored({k: arrays[k] for k in arrays.files}, content)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        where = str(directory / "arrays.npz")
        raise DataError(f"cannot be read: {error}", where=where, fix="fit the router again") from None
