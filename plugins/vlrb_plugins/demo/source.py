"""The log source ``demo``: writes its logs into the cache once and reads them as any others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from vlrb import Catalog, Listing, Part, cache_directory, locked, new_directory
from vlrb_plugins.demo.params import GENERATOR_VERSION, DemoParams
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams
from vlrb_plugins.vlmevalkit.source import VlmevalkitSource

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger("vlrb")


class DemoSource:
    """Reads synthetic logs, which it writes first if they are not in the cache."""

    def __init__(self, params: DemoParams) -> None:
        self.params = params

    def list(self, catalog: Catalog) -> Listing:
        """List the parts of the synthetic logs."""
        self._write()
        what = f"{self.params.samples} samples, seed {self.params.seed}"
        if self.params.form != "archive":
            what += f", in the form of {self.params.form}"
        listing = self._reader().list(catalog)
        return attrs.evolve(listing, synthetic=f"drawn and answered by vlrb's demo source ({what})")

    def read(self, part: Part, catalog: Catalog) -> Iterator[pa.RecordBatch]:
        """Stream a part."""
        return self._reader().read(part, catalog)

    def _reader(self) -> VlmevalkitSource:
        return VlmevalkitSource(VlmevalkitParams(path=self._tree()))

    def _tree(self) -> Path:
        form = "" if self.params.form == "archive" else f"-{self.params.form}"
        name = f"{self.params.samples}-seed{self.params.seed}{form}-v{GENERATOR_VERSION}"
        return cache_directory() / "demo" / name

    def _write(self) -> None:
        target = self._tree()
        if target.is_dir():
            return
        with locked(target):
            if target.is_dir():
                return
            _log.info("drawing and answering %d samples into %s", self.params.samples, target)
            from vlrb_plugins.demo.generate import write_tree
            from vlrb_plugins.demo.vlmevalkit_output import write_output

            with new_directory(target) as directory:
                write = write_tree if self.params.form == "archive" else write_output
                write(directory, self.params.samples, self.params.seed)
