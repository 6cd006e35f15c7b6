"""The record of what a benchmark is made of: read back as it was written, and refused where it is of something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import handmade
import pytest
from written_logs import SMALL, Work, answer, answers, questions

from vlrb.benchmark.manifest import SCHEMA_VERSION, Manifest, Stages, read_manifest
from vlrb.errors import DataError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the folder of a benchmark."""
    return handmade.make(tmp_path).directory


def change(directory: Path, **values: Any) -> None:
    """Write other values into the manifest; None removes one."""
    file = directory / "manifest.json"
    tree = {**json.loads(file.read_text(encoding="utf-8")), **values}
    file.write_text(json.dumps({k: v for k, v in tree.items() if v is not None}), encoding="utf-8")


def test_a_manifest_comes_back_as_it_was_written(work: Work) -> None:
    """Every count and name of a build is what later commands read, those of what was left out too."""
    rows = [answer("a"), answer("b", None), answer("c")]
    made = work.build(
        questions("TinyA", "abc"), answers(rows), answers(rows[1:], SMALL),
        section='missing = "drop-sample"\nunknown = "drop"',
    )  # fmt: skip
    found = read_manifest(made.directory)

    assert found == made.manifest
    assert (found.policies.missing, found.policies.unknown) == ("drop-sample", "drop")
    assert [m.name for m in found.models] == [c.name for c in made.candidates]
    assert {(p.model, p.found, p.missing) for p in found.pairs} >= {(SMALL, 2, 1)}
    assert {p.part for p in found.parts} >= {"samples/TinyA"}
    assert sum(e.count for e in found.excluded) > 0
    assert found.stages.seconds


def test_what_was_read_cannot_be_changed(directory: Path) -> None:
    """A plugin that reports on a benchmark gets the manifest itself."""
    manifest = read_manifest(directory)

    with pytest.raises(TypeError):
        manifest.task_groups["general"] = "x"  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        manifest.synthetic = ""  # type: ignore[misc]


@pytest.mark.parametrize("schema", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, None])
def test_a_manifest_of_another_version_is_refused(directory: Path, schema: int | None) -> None:
    """Its numbers may mean something else: the error names the folder, which has to be built again."""
    change(directory, schema=schema)
    with pytest.raises(DataError, match=f"has schema version {schema}, this vlrb reads {SCHEMA_VERSION}") as caught:
        read_manifest(directory)

    (problem,) = caught.value.problems
    assert (problem.where, problem.fix) == (str(directory), "delete the folder and build again")


@pytest.mark.parametrize("values", [{"policies": None}, {"models": 3}, {"parts": [{"part": "p"}]}])
def test_a_damaged_manifest_is_refused(directory: Path, values: dict[str, Any]) -> None:
    """Without a field, or with one of another type: the error names the file and the field."""
    change(directory, **values)
    with pytest.raises(DataError, match=rf"manifest\.json: is damaged: .*{next(iter(values))}"):
        read_manifest(directory)


def test_a_missing_manifest_is_named(directory: Path) -> None:
    """A folder without one is not a benchmark."""
    (directory / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(directory)


def test_how_long_a_build_took_may_be_unknown(directory: Path) -> None:
    """A manifest without stages is one of a benchmark that was not built from logs."""
    change(directory, stages=None)
    assert read_manifest(directory).stages == Stages()
    assert attrs.fields(Manifest).stages.default == Stages()
