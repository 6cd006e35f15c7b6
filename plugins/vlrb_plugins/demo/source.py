"""The log source ``demo``: writes synthetic logs into the cache, once, and reads them as VLMEvalKit's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from vlrb.cache import cache_directory, locked, new_directory
from vlrb.types import Catalog, Listing, Part
from vlrb_plugins.demo import DemoParams
from vlrb_plugins.vlmevalkit import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource

if TYPE_CHECKING:
    import pyarrow as pa

GENERATOR_VERSION = 1
"""To be raised whenever the same parameters give other data, so that none are mixed with those in a cache."""

_log = logging.getLogger("vlrb")


class DemoSource:
    """Synthetic logs of 17 models on 14 datasets."""

    def __init__(self, params: DemoParams) -> None:
        self.params = params
        self.path = (
            cache_directory() / "demo" / f"{params.samples}-seed{params.seed}-v{GENERATOR_VERSION}"
        )

    def list(self, catalog: Catalog) -> Listing:
        """List the parts, after writing the logs if the cache does not hold them yet."""
        self._write()
        listing = self._delegate().list(catalog)
        about = f"{self.params.samples} samples, seed {self.params.seed}"
        return attrs.evolve(listing, synthetic=f"synthetic: drawn and answered by vlrb's demo source ({about})")

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part."""
        return self._delegate().read(part, catalog)

    def _delegate(self) -> VlmevalkitSource:
        return VlmevalkitSource(VlmevalkitParams(path=self.path))

    def _write(self) -> None:
        if self.path.is_dir():
            return
        from vlrb_plugins.demo.generate import write_tree

        with locked(self.path):
            if self.path.is_dir():  # another process wrote it meanwhile
                return
            _log.info("drawing %d synthetic samples into %s", self.params.samples, self.path)
            with new_directory(self.path) as aside:
                write_tree(aside, self.params.samples, self.params.seed)
