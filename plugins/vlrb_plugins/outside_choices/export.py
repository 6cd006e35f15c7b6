"""The export ``queries``: a folder with the questions of every split, and what is known of train and dev, for any language."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from PIL import Image

from vlrb import SPLITS, Array, Benchmark, NoParams, Queries, write_text
from vlrb_plugins.outside_choices.folder_text import README
from vlrb_plugins.outside_choices.ids import question_ids, split_key
from vlrb_plugins.shared.export_folder import export_folder

if TYPE_CHECKING:
    from vlrb import BuiltBenchmark

SCHEMA_VERSION = 1
UNNAMED = "split"
"""The name of an experiment's only split."""

ENDINGS = {"JPEG": "jpg", "MPO": "jpg"}


def queries_export(_: NoParams) -> Callable[[BuiltBenchmark, Path], Sequence[Path]]:
    """Return the export of ``vlrb build --export queries``."""
    return export_queries


def export_queries(built: BuiltBenchmark, directory: Path) -> tuple[Path, ...]:
    """Write the questions into a folder, which appears when it is complete.

    :return: README.md, candidates.json and splits.json
    :raises DataError: when the folder is not empty
    """
    target, benchmark = directory.resolve(), built.benchmark
    with export_folder(target) as aside:
        images = _write_images(benchmark, aside)
        splits = []
        for split in built.splitting.each:
            name = split.name or UNNAMED
            rows = {part: split.rows(part) for part in SPLITS}
            key = split_key(*([benchmark.opaque_ids[i] for i in rows[part].tolist()] for part in ("train", "dev")))
            (aside / name).mkdir()
            for part in SPLITS:
                each = _records(benchmark, rows[part], key, images, known=part != "test")
                _write_lines(aside / name / f"{part}.jsonl", ({"split": name, **record} for record in each))
            splits.append({"name": name, **{part: int(rows[part].size) for part in SPLITS}})
        about = {"schema": SCHEMA_VERSION, "synthetic": benchmark.info().synthetic, "splits": splits}
        _write_json(aside / "splits.json", about)
        _write_json(aside / "candidates.json", [attrs.asdict(c) for c in benchmark.candidates])
        write_text(aside / "README.md", README)
    return tuple(target / name for name in ("README.md", "candidates.json", "splits.json"))


def _write_images(benchmark: Benchmark, folder: Path) -> dict[str, str]:
    """Write each image once, under the hash of its content; return hash -> path in the folder."""
    paths: dict[str, str] = {}
    (folder / "images").mkdir()
    for row, hashes in enumerate(benchmark.image_hashes):
        if all(h in paths for h in hashes):
            continue
        for name, data in zip(hashes, benchmark.images.encoded(row), strict=True):
            kind = str(Image.open(io.BytesIO(data)).format)
            paths[name] = f"images/{name}.{ENDINGS.get(kind, kind.lower())}"
            (folder / paths[name]).write_bytes(data)
    return paths


def _records(
    benchmark: Benchmark, rows: Array, key: bytes, images: Mapping[str, str], *, known: bool
) -> Iterator[dict[str, Any]]:
    """Yield a record per question in the order of their ids, which reveals nothing; with outcomes if ``known``."""
    queries = benchmark.queries(rows)
    ids = question_ids(key, queries)
    for i in np.argsort(ids).tolist():
        outcomes = {"outcomes": _outcomes(benchmark, int(rows[i]))} if known else {}
        yield {"id": ids[i], **_question(queries, i, images), **outcomes}


def _question(queries: Queries, i: int, images: Mapping[str, str]) -> dict[str, Any]:
    return {
        "question": queries.texts[i],
        "options": [{"letter": letter, "text": text} for letter, text in queries.options[i]],
        "hint": queries.hints[i],
        "images": [images[name] for name in queries.images.hashes[i]],
    }


def _outcomes(benchmark: Benchmark, row: int) -> dict[str, dict[str, Any]]:
    """Return model -> verdict, score, cost and tokens of its answer (tokens are None where the logs give costs instead)."""
    tokens = {name: getattr(benchmark, name)[row].tolist() for name in ("input_tokens", "output_tokens")}
    return {
        model.name: {
            "correct": bool(benchmark.quality[row, j]),
            "score": float(benchmark.score[row, j]),
            "cost": float(benchmark.cost[row, j]),
            **{name: counts[j] if counts[j] >= 0 else None for name, counts in tokens.items()},
        }
        for j, model in enumerate(benchmark.candidates)
    }


def _write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
