"""Small valid projects for ``fuzz.py``: an experiment file and logs in each form that is read."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from PIL import Image

MODELS = ("large", "small")
KEYS = tuple(map(str, range(1, 17)))
NAMES = {"dataset": "Charts", "large": "large", "small": "small"}


def png(number: int = 0) -> bytes:
    """Return a small image."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (number * 40 % 256, 10, 20)).save(file, "PNG")
    return file.getvalue()


def experiment(source: str, more: str = "", names: Mapping[str, str] = NAMES) -> str:
    """Return an experiment file."""
    models = "".join(
        f"[[model]]\nname = {json.dumps(names[m])}\ninput_price_per_million = {p}\noutput_price_per_million = {2 * p}\n"
        for m, p in zip(MODELS, (2.0, 0.5), strict=True)
    )
    dataset = f'[[dataset]]\nname = {json.dumps(names["dataset"])}\ngroup = "charts-ocr"\nscorer = "mcq"\n'
    split = "[split]\ntrain = 0.5\ndev = 0.25\ntest = 0.25\n"
    logs = f'[logs]\nuse = "{source}"\npath = "logs"\n{more}'
    tokens = '[tokens]\ncounter = "usage"\n'
    return f'name = "fuzz"\nrequires = []\n{logs}{split}{tokens}{models}{dataset}[[router]]\nuse = "cheapest"\n'


def _results(model: str) -> list[dict[str, Any]]:
    return [
        {"index": int(k), "question": f"Question {k}?", "A": "yes", "B": "no", "answer": "A", "prediction": "A" if i % 2 else model}
        | {"hit": i % 2, "log": "Succeed", "input_tokens": 30, "output_tokens": 12}
        for i, k in enumerate(KEYS)
    ]  # fmt: skip


def write_book(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a workbook."""
    with xlsxwriter.Workbook(path, {"strings_to_urls": False, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, list(rows[0]))
        for i, row in enumerate(rows, start=1):
            sheet.write_row(i, 0, list(row.values()))


def write_delimited(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str) -> None:
    """Write a CSV or TSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(list(rows[0]))
        writer.writerows(list(r.values()) for r in rows)


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")


# --- kinds --------------------------------------------------------------------------------------------------------------


def _vlmevalkit(folder: Path, suffix: str) -> None:
    """Write a tree of results in one format, and the TSV file of the samples."""
    for model in MODELS:
        home = folder / "logs" / model
        home.mkdir(parents=True)
        path = home / f"{model}_Charts{suffix}"
        rows = _results(model)
        if suffix == ".xlsx":
            write_book(path, rows)
        elif suffix == ".tsv":
            write_delimited(path, rows, "\t")
        else:
            path.write_text(json.dumps(rows), encoding="utf-8")
    data = folder / "logs" / "TSV_images"
    data.mkdir()
    image = base64.b64encode(png()).decode()
    rows = [{"index": k, "question": f"Question {k}?", "A": "yes", "B": "no", "answer": "A"} for k in KEYS]
    write_delimited(
        data / "Charts.tsv", [r | {"image": image if i % 2 == 0 else "1"} for i, r in enumerate(rows)], "\t"
    )
    (folder / "e.toml").write_text(experiment("vlmevalkit"), encoding="utf-8")


def samples(images: Sequence[Any] = ("a.png",)) -> list[dict[str, Any]]:
    """Return samples as ``records`` holds them."""
    return [
        {"dataset": "Charts", "key": k, "question": f"Question {k}?", "answer": "A", "options": [{"letter": "A", "text": "yes"}]}
        | {"images": list(images) if k in "12" else [], "fields": {"level": "hard"}}
        for k in KEYS
    ]  # fmt: skip


def outcomes() -> list[dict[str, Any]]:
    """Return outcomes as ``records`` holds them."""
    return [
        {"dataset": "Charts", "key": k, "model": m, "score": float(i % 2), "prediction": "A", "cost": 0.5 + i, "output_tokens": 12}
        | {"input_tokens": 34}
        for i, k in enumerate(KEYS)
        for m in MODELS
    ]  # fmt: skip


def _jsonl(folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir(parents=True)
    (logs / "a.png").write_bytes(png())
    write_lines(logs / "samples.jsonl", samples())
    write_lines(logs / "outcomes.jsonl", outcomes())
    (folder / "e.toml").write_text(experiment("records"), encoding="utf-8")


def _parquet(folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(samples([png()])), logs / "samples.parquet")
    pq.write_table(pa.Table.from_pylist(outcomes()), logs / "outcomes.parquet")
    (folder / "e.toml").write_text(experiment("records"), encoding="utf-8")


def _csv(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(png())
    rows = [
        {"sample_id": k, "dataset_idx": "Charts", "question": f"Question {k}?", "answer": "A", "image_paths": "['a.png']"}
        | {f"{m}_{s}": v for m in MODELS for s, v in (("prediction", "A"), ("correct", "1"), ("token", "12"), ("cost", "0.5"))}
        for k in KEYS
    ]  # fmt: skip
    write_delimited(folder / "logs", rows, ",")
    (folder / "e.toml").write_text(experiment("mmr-bench", 'images = "images"\n'), encoding="utf-8")


def _npz(folder: Path) -> None:
    logs = folder / "logs"
    matrices, registry, tasks = logs / "data/matrices", logs / "data/registry", logs / "BENCHMARKS/vqa"
    for each in (matrices, registry, tasks):
        each.mkdir(parents=True)
    ids = [f"Charts/{k}" for k in KEYS]
    np.savez(matrices / "Y.npz", Y=np.array([[1, i % 2] for i in range(len(ids))], dtype=np.int8))
    np.save(matrices / "C.npy", np.array([[0.5 + i, 0.25] for i in range(len(ids))], dtype=np.float32))
    (matrices / "sample_ids.json").write_text(json.dumps(ids), encoding="utf-8")
    (matrices / "model_names.txt").write_text("\n".join(MODELS), encoding="utf-8")
    pq.write_table(pa.table({"sample_id": ids, "dataset": ["Charts"] * len(ids)}), registry / "meta.parquet")
    (logs / "images").mkdir()
    (logs / "images" / "a.png").write_bytes(png())
    asset = {"type": "image", "uri": "a.png"}
    lines = [
        {"sample_id": i, "dataset": "Charts", "prompt": f"Question {i}?", "assets": [asset], "gold_answer": "A"}
        for i in ids
    ]
    write_lines(tasks / "dataset_samples.jsonl", lines)
    (folder / "e.toml").write_text(experiment("prepared", 'assets = "logs/images"\n'), encoding="utf-8")


WRITERS: Mapping[str, Callable[[Path], None]] = {
    "workbook": lambda folder: _vlmevalkit(folder, ".xlsx"),
    "tsv": lambda folder: _vlmevalkit(folder, ".tsv"),
    "json": lambda folder: _vlmevalkit(folder, ".json"),
    "jsonl": _jsonl,
    "parquet": _parquet,
    "csv": _csv,
    "npz": _npz,
    "toml": _jsonl,
    "names": _jsonl,
    "image": _jsonl,
}
KINDS = tuple(WRITERS)


def write_project(folder: Path, kind: str, rng: Random) -> list[str]:
    """Write the project of a kind into a new folder; return the command to run in it."""
    folder.mkdir(parents=True)
    WRITERS[kind](folder)
    often = {"toml": 0.1, "names": 0.9}.get(kind, 0.1)
    if rng.random() < often:
        return ["-p", "no:mlflow", "run", "e.toml"]
    return [
        "-p",
        "no:mlflow",
        "check" if kind == "toml" else "build",
        "e.toml",
        *(["--jobs", "1"] if kind != "toml" else []),
    ]
