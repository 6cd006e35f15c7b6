"""Benchmarks of logs whose rows stand in the test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pytest

from vlrb.api.logs import Listing, Part
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.errors import DataError, PluginError
from vlrb.experiment.plan import ConfiguredComponent
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places

TINY = Path(__file__).parent / "tiny.py"
LARGE, SMALL = "tiny-large", "tiny-small"
SCORED = """
[[dataset]]
name = "TinyA"
group = "general"
scorer = "judge"
[[dataset]]
name = "TinyB"
group = "stem"
scorer = "judge"
"""
"""Tables that have the scorer ``judge`` score the datasets of the tiny plugin."""


Rows = Sequence[Mapping[str, Any]]


def batch(rows: Rows, schema: pa.Schema, optional: pa.Schema, **metadata: Any) -> pa.RecordBatch:
    """Return rows with the optional columns that any of them has."""
    used = [f for f in optional if any(f.name in row for row in rows)]
    found = pa.RecordBatch.from_pylist([dict(r) for r in rows], schema=pa.schema([*schema, *used]))
    return found.replace_schema_metadata({k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()})


def questions(dataset: str, keys: str, **metadata: Any) -> tuple[Part, list[pa.RecordBatch]]:
    """Return a part of samples, one for each letter."""
    rows = [{"dataset": dataset, "key": k, "question": f"what is {k}?", "answer": "A"} for k in keys]
    part = Part(f"samples/{dataset}", "samples", (), dataset)
    return part, [batch(rows, SAMPLES, SAMPLES_OPTIONAL, **metadata)]


def answer(key: str, score: float | None = 1.0, dataset: str = "TinyA", **more: Any) -> dict[str, Any]:
    """Return an answer with a verdict and tokens."""
    row = {"prediction": "A", "score": score, "input_tokens": 100, "output_tokens": 10, "cost": None}
    return {"dataset": dataset, "key": key, **row, **more}


def answers(
    rows: Rows, model: str = LARGE, dataset: str = "TinyA", **metadata: Any
) -> tuple[Part, list[pa.RecordBatch]]:
    """Return a part of outcomes."""
    part = Part(f"outcomes/{dataset}/{model}", "outcomes", (), dataset, model)
    return part, [batch(rows, OUTCOMES, OUTCOMES_OPTIONAL, **metadata)]


@attrs.frozen
class Source:
    """A log source of rows of the test."""

    parts: Mapping[Part, Any]

    def list(self, _: Any) -> Listing:
        return Listing(tuple(self.parts))

    def read(self, part: Part, _: Any) -> Iterator[Any]:
        yield from self.parts[part]


@attrs.frozen
class Counter:
    """A token counter that takes what the logs say, and adds tokens per model where it has any."""

    more: Mapping[str, Any] = attrs.field(factory=dict)
    shared: Any = None

    @property
    def per_model(self) -> bool:
        return bool(self.more)

    def sample_tokens(self, rows: pa.RecordBatch, _: Any) -> Any:
        return self.shared(rows.num_rows) if self.shared is not None else None

    def outcome_tokens(self, rows: pa.RecordBatch) -> Any:
        inputs = rows.column("input_tokens") if self.shared is None else None
        return inputs, rows.column("output_tokens")

    def model_tokens(self, name: str, _model: Any, _sizes: Any) -> Any:
        return self.more[name]


@attrs.frozen
class Work:
    """Builds benchmarks, each in a cache of its own."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def builder(self, parts: Any, section: str = "", counter: Any = None, scorer: Any = None) -> tuple[Any, Places]:
        """Return the plan of an experiment on these parts, and where its cache is."""
        made: dict[str, Any] = {"list": Source(dict(parts)), "sample_tokens": counter or Counter()}
        made |= {"score": scorer} if scorer is not None else {}
        make = ConfiguredComponent.make
        self.monkeypatch.setattr(
            ConfiguredComponent, "make", lambda s, *m: made[m[0]] if m and m[0] in made else make(s, *m)
        )
        path = self.folder / "experiment.toml"
        path.write_text(
            f'name = "t"\nplugins = ["{TINY}"]\nrequires = []\n[logs]\nuse = "tiny"\n[benchmark]\n{section}\n'
            '[[router]]\nuse = "cheapest"\n',
            encoding="utf-8",
        )
        here = self.folder / str(len(list(self.folder.iterdir())))
        here.mkdir()
        return make_plan(path), Places(here / "runs", here / "cache")

    def build(self, *parts: Any, section: str = "", **components: Any) -> Benchmark:
        """Return the benchmark."""
        plan, places = self.builder(parts, section, **components)
        self.monkeypatch.chdir(self.folder)
        made = build(plan, places, jobs=1)
        self.monkeypatch.undo()
        return made

    def refused(self, *parts: Any, section: str = "", **components: Any) -> list[Any]:
        """Return the problems of logs that no benchmark is made of."""
        with pytest.raises((DataError, PluginError)) as caught:
            self.build(*parts, section=section, **components)
        self.monkeypatch.undo()
        return list(caught.value.problems)
