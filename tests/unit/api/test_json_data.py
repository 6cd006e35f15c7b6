"""Records in files: what is written comes back, and what is damaged is named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.api.frozen import frozen
from vlrb.api.json_data import read_record, to_json, write_record
from vlrb.api.routing import MetricValue, Undefined
from vlrb.benchmark.manifest import LeftOut, PairCounts, PartFindings, PartSummary
from vlrb.errors import DataError


@attrs.frozen
class Record:
    """A record with a field of every kind."""

    path: Path
    number: float
    values: tuple[MetricValue, ...]
    counts: Any = attrs.field(factory=dict, converter=frozen)
    parts: tuple[PartSummary, ...] = ()


WHOLE = Record(
    Path("/a/b"),
    math.inf,
    (0.5, -math.inf, Undefined("no rows"), Undefined("it broke", "failed")),
    {"a": [1, {"b": None}], "c": math.inf},
    (PartSummary("p", ("f",), 3, "v", {"odd": 1}, (LeftOut(("k",), "why", "fix", True),), ("D",)),),
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    """Infinite and undefined values, paths, tuples and mappings included; no other JSON reader is needed for the file."""
    file = tmp_path / "record.json"
    write_record(file, WHOLE)
    back = read_record(file, Record)

    assert attrs.evolve(back, counts={}) == attrs.evolve(WHOLE, counts={})
    assert back.counts == {"a": (1, {"b": None}), "c": "inf"}
    assert json.loads(file.read_text(encoding="utf-8"))["values"][2:] == [
        {"undefined": "no rows"},
        {"undefined": "it broke", "kind": "failed"},
    ]
    with pytest.raises(TypeError):
        back.parts[0].counts["odd"] = 2  # type: ignore[index]


def test_a_summary_leaves_out_what_it_has_no_field_for() -> None:
    """A manifest holds parts without the counts of their pairs."""
    summary = WHOLE.parts[0]
    findings = PartFindings(**attrs.asdict(summary, recurse=False), pairs=(PairCounts("D", "m", 3),))

    assert to_json(attrs.evolve(WHOLE, parts=(findings,))) == to_json(WHOLE)
    assert to_json(findings)["pairs"][0]["rows"] == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": None}, "$.path"),
        ({"number": "5"}, "expected float @ $.number"),
        ({"number": True}, "$.number"),
        ({"values": [{"reason": "no rows"}]}, "$.values[0]"),
        ({"parts": [{"part": 5}]}, "$.parts[0]"),
        ({"parts": 3}, "$.parts"),
    ],
)
def test_a_damaged_file_is_named_with_the_place_in_it(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """Nothing is made to fit: a text is no number."""
    file = tmp_path / "record.json"
    file.write_text(json.dumps({**to_json(WHOLE), **change}), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_record(file, Record)

    (problem,) = caught.value.problems
    assert problem.where == str(file)
    assert said in problem.message


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    """The folder is named, with both versions."""
    file = tmp_path / "record.json"
    file.write_text('{"schema": 7}', encoding="utf-8")
    with pytest.raises(DataError, match="has schema version 7, this vlrb reads 3") as caught:
        read_record(file, Record, 3, "make it again")

    assert (caught.value.problems[0].where, caught.value.problems[0].fix) == (str(tmp_path), "make it again")
