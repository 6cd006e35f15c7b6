"""A benchmark on disk and in the hands of routers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import handmade
import numpy as np
import pyarrow as pa
import pytest

from vlrb.benchmark import matrices as benchmark
from vlrb.benchmark.manifest import SCHEMA_VERSION
from vlrb.errors import DataError, Problem
from vlrb.storage import read_json, write_json


def test_rows_are_shuffled_by_what_tells_nothing(tmp_path: Path) -> None:
    """The order is that of hashed ids: the same for any order of the rows, and datasets do not stand in blocks."""
    made = handmade.make(tmp_path)
    rows = made.unordered(np.arange(18))

    opaque = [made.opaque_ids[i] for i in rows.tolist()]
    assert opaque == sorted(opaque)
    assert sorted(rows.tolist()) == list(range(18))
    assert made.unordered(np.arange(18)[::-1]).tolist() == rows.tolist()
    blocks = [name for name, _ in itertools.groupby(made.datasets[rows].tolist())]
    assert len(blocks) > len(handmade.DATASETS)


def test_hashed_ids_tell_nothing_and_belong_to_one_sample_each(tmp_path: Path) -> None:
    """No id, number or dataset's name shows through."""
    made = handmade.make(tmp_path)

    assert len(set(made.opaque_ids)) == 18
    assert all(len(i) == 24 and set(i) <= set("0123456789abcdef") for i in made.opaque_ids)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every matrix comes back as it was, unknown tokens included, and cannot be written to."""
    tokens = np.arange(54).reshape(18, 3)
    tokens[3, 1] = -1
    made = handmade.make(tmp_path, input_tokens=tokens)

    assert made.input_tokens.tolist() == tokens.tolist()
    assert made.quality.dtype == np.bool_
    assert made.quality[:3].tolist() == [[False, True, True], [False, True, False], [True, True, True]]
    assert made.score[0].tolist() == [0.5, 0.625, 0.625]
    assert made.cost[17].tolist() == pytest.approx([8e-3 + 17e-5, 1e-3 + 17e-5, 2e-3 + 17e-5])
    for matrix in benchmark.MATRICES:
        with pytest.raises(ValueError, match="read-only"):
            getattr(made, matrix)[0, 0] = 1


def test_scopes_are_task_groups_and_datasets_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    """Each holds its own samples: the group is what its datasets hold together."""
    scopes = handmade.make(tmp_path).subsets()

    rows = {"group/general": [*range(6), *range(12, 18)], "group/stem": list(range(6, 12))}
    rows |= {"dataset/apples": list(range(6)), "dataset/books": list(range(6, 12)), "dataset/cats": list(range(12, 18))}
    assert {scope: np.flatnonzero(member).tolist() for scope, member in scopes.items()} == rows
    assert list(scopes) == list(rows)


def test_rows_of_a_dataset(tmp_path: Path) -> None:
    """By name, ascending."""
    made = handmade.make(tmp_path)
    assert {name: rows.tolist() for name, rows in made.rows_of.items()} == {
        "Apples": list(range(6)),
        "Books": list(range(6, 12)),
        "Cats": list(range(12, 18)),
    }


def test_questions_go_with_their_samples(tmp_path: Path) -> None:
    """Texts, options and hints of the rows asked for, in their order; an absent hint is an empty text."""
    made = handmade.make(tmp_path)
    queries = made.queries(np.array([7, 0]))

    assert list(queries.ids) == [made.opaque_ids[7], made.opaque_ids[0]]
    assert list(queries.texts) == ["question 1 of Books", "question 0 of Apples"]
    assert list(queries.options) == [(("A", "yes 1"), ("B", "no")), ()]
    assert list(queries.hints) == ["", "look closely"]
    assert [c.name for c in queries.candidates] == list(handmade.MODELS)


def _changed(name: str) -> dict[str, Any]:
    """Return a matrix that differs in its last entry."""
    original = {
        "quality": np.zeros((18, 3), dtype=bool),
        "score": np.zeros((18, 3)),
        "cost": np.ones((18, 3)),
        "input_tokens": np.ones((18, 3), dtype=np.int64),
        "output_tokens": np.ones((18, 3), dtype=np.int64),
    }[name]
    changed = original.copy()
    changed[17, 2] = 5
    return {"one": {name: original}, "other": {name: changed}}


@pytest.mark.parametrize("name", benchmark.MATRICES)
def test_the_fingerprint_covers_every_entry_of_every_matrix(tmp_path: Path, name: str) -> None:
    """One other number is another benchmark; the same numbers are the same one."""
    changes = _changed(name)
    one, again, other = (handmade.make(tmp_path, **changes[k]).fingerprint for k in ("one", "one", "other"))

    assert one == again
    assert one != other


@pytest.mark.parametrize("column", ["id", "dataset", "question", "hint", "options", "images"])
def test_the_fingerprint_covers_every_column_that_a_router_may_see(tmp_path: Path, column: str) -> None:
    """A changed text of the last sample is another benchmark."""
    made = handmade.make(tmp_path)
    values = made.samples.column(column).to_pylist()
    values[-1] = {"options": [{"letter": "A", "text": "other"}], "images": ["0" * 64]}.get(column, "other")
    place = made.samples.schema.get_field_index(column)
    samples = made.samples.set_column(place, column, pa.array(values, made.samples.schema.field(column).type))
    matrices = {m: getattr(made, m) for m in benchmark.MATRICES}
    target = tmp_path / "cache" / "benchmarks" / "other"
    target.mkdir()
    benchmark.write(target, made.manifest, samples, matrices)

    assert benchmark.load(target).fingerprint != made.fingerprint


def test_models_are_part_of_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers of other models are another benchmark."""
    one = handmade.make(tmp_path).fingerprint
    monkeypatch.setattr(handmade, "MODELS", ("huge", "middle", "small"))
    assert handmade.make(tmp_path).fingerprint != one


def test_another_schema_and_broken_files_are_refused(tmp_path: Path) -> None:
    """The folder is named; nothing is guessed of what stands in it."""
    made = handmade.make(tmp_path)
    (made.directory / "cost.npy").write_bytes(b"cut off")
    with pytest.raises(DataError) as caught:
        benchmark.load(made.directory)
    assert caught.value.problems[0].where == str(made.directory)

    manifest = made.directory / "manifest.json"
    write_json(manifest, {**read_json(manifest), "schema": SCHEMA_VERSION + 1})
    with pytest.raises(DataError) as caught:
        benchmark.load(made.directory)
    assert caught.value.problems[0].where == str(made.directory)


def test_errors_name_samples_as_the_logs_do(tmp_path: Path) -> None:
    """Hashes in message and place become ids again; what only looks like a hash stays."""
    made = handmade.make(tmp_path)
    stranger = "0" * 24
    about = (made.opaque_ids[4], stranger)
    error = Problem(f"{made.opaque_ids[4]} and {stranger} are broken", made.opaque_ids[11], "look", about)
    (problem,) = made.naming(DataError(error)).problems

    assert problem.message == f"Apples/4 and {stranger} are broken"
    assert (problem.where, problem.fix) == ("Books/5", "look")


def test_a_benchmark_in_a_few_words(tmp_path: Path) -> None:
    """Counts, names and what was left out are those of the manifest."""
    made = handmade.make(tmp_path)
    info = made.info()

    assert (info.samples, len(made), info.models) == (18, 18, handmade.MODELS)
    assert dict(info.datasets) == {"Apples": 6, "Books": 6, "Cats": 6}
    assert (info.fingerprint, info.synthetic) == (made.fingerprint, "made by hand")


def test_labels_are_those_of_their_rows(tmp_path: Path) -> None:
    """Quality, score and cost, each its own matrix, in the order asked for."""
    made = handmade.make(tmp_path)
    labelled = made.labelled(np.array([17, 0, 6]))

    assert list(labelled.queries.ids) == [made.opaque_ids[i] for i in (17, 0, 6)]
    assert labelled.quality.dtype == np.bool_
    assert labelled.quality.tolist() == [[False] * 3, [False, True, True], [False, False, True]]
    assert labelled.score.tolist() == [[0.5, 0.0, 0.125], [0.5, 0.625, 0.625], [0.5, 0.0, 0.625]]
    np.testing.assert_allclose(labelled.cost[1], [4e-3, 2e-3, 1e-3])
    np.testing.assert_allclose(labelled.cost[0], [8e-3 + 17e-5, 1e-3 + 17e-5, 2e-3 + 17e-5])


def test_some_rows_are_a_benchmark_of_their_own(tmp_path: Path) -> None:
    """Samples, matrices, counts and fingerprint are of these rows, as if they had been built alone."""
    made = handmade.make(tmp_path)
    rows = np.array([0, 5, 7])
    part = made.take(rows)

    assert part.ids == tuple(made.ids[i] for i in rows)
    assert np.array_equal(part.cost, made.cost[rows])
    assert (len(part), dict(part.info().datasets)) == (3, {"Apples": 2, "Books": 1})
    assert set(part.info().task_groups) == {d.group for d in part.manifest.datasets} <= set(made.info().task_groups)
    assert part.info().total_tokens == int(made.input_tokens[rows].mean(axis=1).sum()) + made.output_tokens[rows].sum()
    assert len({part.fingerprint, made.fingerprint, made.take(rows[:2]).fingerprint}) == 3
    assert made.take(np.arange(18)).fingerprint == made.fingerprint
    assert made.take(np.arange(18)).info().datasets == made.info().datasets
