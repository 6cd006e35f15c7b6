"""The log sources ``records`` and ``mmr-bench`` keep the promises of log sources."""

from __future__ import annotations

import csv
from typing import Any

from vlrb.testing import check_log_source
from vlrb_plugins.records import vlrb_log_sources

SPECS = {spec.name: spec for spec in vlrb_log_sources()}


def test_records(folder: Any) -> None:
    """Tables in both forms, with an image."""
    folder.image("images/1.png")
    folder.jsonl("samples", [folder.sample("1", images=["images/1.png"]), folder.sample("2", dataset="Maths")])
    answers = [folder.outcome("1", m) for m in ("large", "small")]
    folder.jsonl("outcomes", [*answers, *({**a, "dataset": "Maths", "key": "2"} for a in answers)])

    check_log_source(SPECS["records"], catalog=folder.catalog, path=folder.path)


def test_mmr_bench(folder: Any) -> None:
    """A CSV file with four columns per model."""
    rows = []
    for key in ("1", "2"):
        cells = {"sample_id": key, "dataset_idx": "Charts", "question": "?", "answer": "A", "image_paths": ""}
        for model in ("large-2024", "small"):
            more = {"prediction": "A", "correct": "1", "token": "12", "cost": "0.5"}
            cells |= {f"{model}_{name}": value for name, value in more.items()}
        rows.append(cells)
    path = folder.path / "mmr.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    check_log_source(SPECS["mmr-bench"], catalog=folder.catalog, path=path)
