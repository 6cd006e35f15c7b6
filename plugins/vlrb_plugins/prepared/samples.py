"""The samples of a prepared folder: prompts, and images by path or by the row of a TSV file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb import SAMPLES, Array, shorten_list
from vlrb_plugins.prepared.params import PreparedParams
from vlrb_plugins.prepared.table import Rows
from vlrb_plugins.prepared.tree import Tree
from vlrb_plugins.prepared.tsv import TsvImages
from vlrb_plugins.shared.log_tables.findings import Findings
from vlrb_plugins.shared.log_tables.image_files import ImageFolder, ImageProblem
from vlrb_plugins.shared.log_tables.json_lines import json_lines
from vlrb_plugins.shared.log_tables.limits import BATCH_BYTES, BATCH_ROWS
from vlrb_plugins.shared.log_tables.names import Names
from vlrb_plugins.shared.log_tables.texts import is_unicode

_WITH_SPLIT = pa.schema([*SAMPLES, ("split", pa.string())])


@attrs.define
class Assets:
    """Loads the images of samples."""

    folder: ImageFolder
    _tables: dict[Path, TsvImages] = attrs.Factory(dict)

    def load(self, asset: object) -> list[bytes]:
        """Return the image files of an asset.

        :raises ImageProblem: when there are none
        """
        if not isinstance(asset, dict) or asset.get("type") not in ("image", "image_tsv"):
            fix = 'write {"type": "image", "uri": ...} or {"type": "image_tsv", "tsv_file": ..., "index": ...}'
            raise ImageProblem(f"{str(asset)[:80]} is not an image", fix)
        if asset["type"] == "image":
            return [self.folder.load(_text(asset, "uri"))]
        path = self.folder.find(_text(asset, "tsv_file"))
        row = asset.get("index")
        if isinstance(row, bool) or not isinstance(row, int):
            raise ImageProblem(f"index {str(row)[:60]!r} is not a row number", "write the number of the row, from 0")
        if path not in self._tables:
            self._tables[path] = TsvImages.open(path)
        return self._tables[path].images(row)


def _text(asset: Mapping[str, Any], name: str) -> str:
    value = asset.get(name)
    if not isinstance(value, str) or not value:
        raise ImageProblem(f"{name} is {str(value)[:60]!r}, which is not a path", "write a path below the folder")
    return value


@attrs.frozen(eq=False)
class SampleReader:
    """Reads the sample files of all tasks and joins them with the rows of the matrices by sample id."""

    params: PreparedParams
    tree: Tree
    rows: Rows
    names: Names
    findings: Findings

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the samples that are asked for, noting problems."""
        position = {name: i for i, name in enumerate(self.rows.ids.to_pylist())}
        datasets, keys = self.rows.datasets.to_pylist(), self.rows.keys.to_pylist()
        splits = self.rows.splits.to_pylist() if self.rows.splits is not None else None
        seen = np.zeros(len(position), dtype=np.bool_)
        assets = Assets(ImageFolder(self.params.assets or self.params.path))
        waiting: list[dict[str, Any]] = []
        size = 0
        for path, number, row in self._lines():
            where = f"{path}, line {number}"
            i = self._position(row, where, position, seen, datasets)
            if i is None:
                continue
            dataset = self.names.resolve("dataset", datasets[i])
            if not self.names.wanted("dataset", dataset):
                continue
            self.names.use("dataset", [dataset])
            sample = {"dataset": dataset, "key": keys[i], "question": row["prompt"]}
            sample["images"] = self._images(row, assets, where)
            waiting.append(sample | ({"split": splits[i]} if splits is not None else {}))
            size += sum(map(len, sample["images"])) + len(row["prompt"])
            if size > BATCH_BYTES or len(waiting) >= BATCH_ROWS:
                yield from self._batch(waiting, assets)
                waiting, size = [], 0
        yield from self._batch(waiting, assets)
        self._check_all_there(seen)

    def _lines(self) -> Iterator[tuple[Path, int, dict[str, Any]]]:
        for path in self.tree.samples:
            for number, _, row in json_lines(path, self.findings):
                yield path, number, row

    def _position(
        self, row: Mapping[str, Any], where: str, position: Mapping[str, int], seen: Array, datasets: list[str]
    ) -> int | None:
        """Return the row of the matrices that a sample belongs to, or None after noting what is wrong."""
        name, prompt = row.get("sample_id"), row.get("prompt")
        if not isinstance(name, str):
            self.findings.add("has no text sample_id", where, 'write {"sample_id": "DATASET/key", ...}')
        elif name not in position:
            message = f"sample {name!r} is not in {self.rows.source}"
            self.findings.add(message, where, "use files that were written together")
        elif seen[position[name]]:
            self.findings.add(f"sample {name!r} is already there", where, "keep one line of each")
        elif not isinstance(prompt, str) or not is_unicode(prompt):
            seen[position[name]] = True
            self.findings.add(f"prompt of {name!r} is not a text", where, "write the question as a text")
        elif row.get("dataset", datasets[position[name]]) != datasets[position[name]]:
            message = f"dataset of {name!r} is {str(row['dataset'])[:60]!r}, in {self.tree.meta} it is another"
            self.findings.add(message, where, "use files that were written together")
        else:
            seen[position[name]] = True
            return position[name]
        return None

    def _images(self, row: Mapping[str, Any], assets: Assets, where: str) -> list[bytes]:
        listed = row.get("assets")
        if self.params.images == "none" or listed is None:
            return []
        if not isinstance(listed, list):
            self.findings.add(f"assets is {str(listed)[:60]!r}, which is not a list", where, "write a list of assets")
            return []
        images: list[bytes] = []
        for asset in listed:
            try:
                images += assets.load(asset)
            except ImageProblem as problem:
                fix = f'{problem.fix}; images = "none" in [logs] goes without images'
                self.findings.add(str(problem), f"{where}, assets", fix)
        return images

    def _batch(self, samples: list[dict[str, Any]], assets: Assets) -> Iterator[pa.RecordBatch]:
        if samples and not self.findings:
            schema = _WITH_SPLIT if self.rows.splits is not None else SAMPLES
            yield pa.RecordBatch.from_pylist(samples, schema=schema.with_metadata(assets.folder.named()))

    def _check_all_there(self, seen: Array) -> None:
        if not seen.all() and not self.findings:
            lacking = self.rows.ids.filter(pa.array(~seen)).to_pylist()
            message = f"{len(lacking):,} samples have no prompt: {shorten_list(map(repr, lacking))}"
            where = shorten_list(self.tree.samples)
            self.findings.add(message, where, f"use files that were written together; {self.rows.source} has them")
