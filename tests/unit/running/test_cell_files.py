"""What is kept of a cell, and read back: its choices, and the curve of its fit, whatever ends the fit."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import handmade
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cell_work import DEV, TEST, Fitted, Work, by_text, estimated

from vlrb.api.routing import Queries
from vlrb.errors import DataError, StorageError
from vlrb.running.cell_files import journaling_log, read_curve, read_routed, write_curve
from vlrb.running.cells import hardware
from vlrb.storage import read_json, read_parquet, write_json


def test_choices_are_kept_beside_the_samples_that_they_were_made_for(work: Work) -> None:
    """In the order of the benchmark's rows, though a router sees them in another; scores and estimates with them."""

    def scores(queries: Queries) -> Any:
        found = np.zeros((len(queries), 3))
        found[np.arange(len(queries)), by_text(queries)] = [1 + len(t) for t in queries.texts]
        return found

    folder = work.run(Fitted(more={"scores": scores, "estimate": estimated}))
    for name, ids in (("dev", DEV), ("test", TEST)):
        table = read_parquet(folder / f"{name}.parquet")
        numbers = [int(i[-1]) for i in ids]
        lengths = [len(f"question {i[-1]} of {i[:-2]}") for i in ids]
        p = [0.9 - (n + length / 100) / 10 for n, length in zip(numbers, lengths, strict=True)]
        assert table.column("id").to_pylist() == ids
        assert table.column("choice").to_pylist() == [n % 3 for n in numbers]
        assert table.column("model").to_pylist() == [handmade.MODELS[n % 3] for n in numbers]
        for j, model in enumerate(handmade.MODELS):
            expected = [1 + length if n % 3 == j else 0 for n, length in zip(numbers, lengths, strict=True)]
            assert table.column(f"score:{model}").to_pylist() == expected
            assert table.column(f"p_correct:{model}").to_pylist() == pytest.approx([x - j / 10 for x in p])
            cost = [1e-3 * (n + length / 100 + 3 - j) for n, length in zip(numbers, lengths, strict=True)]
            assert table.column(f"cost:{model}").to_pylist() == pytest.approx(cost)


def test_what_was_kept_is_read_back(work: Work) -> None:
    """Choices and estimates of dev and test; nothing is read as if it were of other samples."""
    folder = work.run(Fitted(more={"estimate": estimated}))
    routed = {name: read_routed(folder, name, ids, handmade.MODELS) for name, ids in (("dev", DEV), ("test", TEST))}

    assert read_json(folder / "cell.json")["cell"]["label"] == "counting"
    assert routed["test"].choices.tolist() == [1, 2, 1, 2, 1, 2]
    assert routed["dev"].choices.tolist() == [0, 0, 0]
    kept = routed["test"].estimate
    assert kept is not None
    texts = [f"question {i[-1]} of {i[:-2]}" for i in TEST]
    expected = estimated(SimpleNamespace(texts=texts))  # type: ignore[arg-type]
    np.testing.assert_allclose(kept.p_correct, expected.p_correct)
    np.testing.assert_allclose(kept.cost, expected.cost)

    with pytest.raises(DataError) as caught:
        read_routed(folder, "test", TEST[::-1], handmade.MODELS)
    assert caught.value.problems[0].where == str(folder / "test.parquet")
    for lacking in ("id", "choice"):
        table = read_parquet(folder / "dev.parquet").drop_columns([lacking])
        pq.write_table(table, folder / "dev.parquet.aside")
        whole = (folder / "dev.parquet").rename(folder / "whole")
        (folder / "dev.parquet.aside").rename(folder / "dev.parquet")
        with pytest.raises(DataError, match=f"'{lacking}'"):
            read_routed(folder, "dev", DEV, handmade.MODELS)
        whole.rename(folder / "dev.parquet")
    (folder / "dev.parquet").write_bytes(b"cut off")
    with pytest.raises(DataError, match=r"dev\.parquet"):
        read_routed(folder, "dev", DEV, handmade.MODELS)


def test_a_router_without_estimates_has_none(work: Work) -> None:
    """Nothing stands in for them."""
    folder = work.run(Fitted())
    assert read_routed(folder, "dev", DEV, handmade.MODELS).estimate is None
    assert read_routed(folder, "test", TEST, handmade.MODELS).estimate is None


def test_estimates_are_read_when_they_are_asked_for(work: Work) -> None:
    """Whether there are any is known before; a file that was damaged meanwhile ends the run, whichever metric asked."""
    folder = work.run(Fitted(more={"estimate": estimated}))
    first, second = (read_routed(folder, "test", TEST, handmade.MODELS) for _ in range(2))
    assert first.read_estimate is not None
    assert not first.read_estimate.is_made
    assert first.estimate is first.estimate

    (folder / "test.parquet").write_bytes(b"cut off")
    with pytest.raises(StorageError, match=r"test\.parquet") as caught:
        _ = second.estimate
    assert caught.value.problems[0].fix == "run again with --fresh"


def test_an_estimate_is_read_from_its_own_columns(tmp_path: Path) -> None:
    """By the models' names, whatever the order of the columns."""
    columns: dict[str, Any] = {"id": DEV, "choice": [0, 1, 2]}
    for first, kind in ((0, "cost"), (9, "p_correct")):
        for j, model in enumerate(handmade.MODELS):
            columns[f"{kind}:{model}"] = [1.0 + first + j, 2.0 + first + j, 3.0 + first + j]
    pq.write_table(pa.table(columns), tmp_path / "dev.parquet")
    kept = read_routed(tmp_path, "dev", DEV, handmade.MODELS[::-1]).estimate

    assert kept is not None
    assert kept.cost.tolist() == [[3, 2, 1], [4, 3, 2], [5, 4, 3]]
    assert kept.p_correct[0].tolist() == [12, 11, 10]


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        (None, "cpu"),
        ("", "cpu"),
        ("cuda:0", "cuda:0"),
        ({"device": "cuda", "name": "H100", "note": None}, "cuda, H100"),
        (np.array([object(), 1]), "1]"),
    ],
)
def test_where_a_router_ran_stands_in_its_result(device: object, shown: str) -> None:
    """The CPU by default; an array, which has no truth value, does not fail the cell."""
    assert hardware(device).endswith(shown)


def test_a_saved_router_is_kept_with_its_cell(work: Work) -> None:
    """What it writes stands in a folder of its own."""
    saved = {"save": lambda folder: write_json(folder / "weights.json", [1])}
    assert read_json(work.run(Fitted(more=saved)) / "router" / "weights.json") == [1]


def test_a_cell_says_where_it_ran(work: Work) -> None:
    """The device that the router names, or the one that all have."""
    assert read_json(work.run(Fitted()) / "cell.json")["hardware"].endswith(", cpu")
    for device in ("cuda:0", {"name": "cuda:0", "memory": ""}):
        context = work.context()
        context.forget(context.cells()[0])
        about = read_json(work.run(Fitted(more={"device": device}), context) / "cell.json")
        assert about["hardware"].endswith(", cuda:0")
        assert about["threads"] == 1


def ignored(_step: int, _values: Any) -> None:
    """Take what a journal passes on."""


def test_points_come_back_sorted_and_the_last_value_counts(tmp_path: Path) -> None:
    """Protects a curve whose fit was killed and done again in part: each step and name once, with the newest value."""
    journal = tmp_path / "curve.jsonl"
    passed: list[Any] = []
    log = journaling_log(journal, "cell", lambda step, values: passed.append((step, values)))
    log(2, {"loss": 0.1, "accuracy": 70})
    log(1, {"loss": 0.30000000000000004, "b\u2028\n": 1e-300})
    journaling_log(journal, "cell", ignored)(2, {"loss": 0.2})
    write_curve(journal, tmp_path)
    expected = ((1, "b\u2028\n", 1e-300), (1, "loss", 0.30000000000000004), (2, "accuracy", 70.0), (2, "loss", 0.2))
    assert read_curve(tmp_path) == expected
    assert passed == [(2, {"loss": 0.1, "accuracy": 70.0}), (1, {"loss": 0.30000000000000004, "b\u2028\n": 1e-300})]


@pytest.mark.parametrize("cut", range(1, 22))
def test_a_line_that_a_kill_cut_off_spoils_no_other(tmp_path: Path, cut: int) -> None:
    """Protects the values logged before and after a kill in the middle of writing one."""
    journal = tmp_path / "curve.jsonl"
    log = journaling_log(journal, "cell", ignored)
    log(1, {"loss": 0.5})
    log(2, {"lössig": 0.25})
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-cut])
    log(3, {"loss": 0.125})
    write_curve(journal, tmp_path)
    assert read_curve(tmp_path) == ((1, "loss", 0.5), (3, "loss", 0.125))


def test_nothing_logged_is_no_file(tmp_path: Path) -> None:
    """Protects cells of routers that log nothing: no empty file, an empty curve."""
    write_curve(tmp_path / "curve.jsonl", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_curve(tmp_path) == ()


def test_what_is_not_finite_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Protects the rule that a failure is never a number, and the other values of the step."""
    journal = tmp_path / "curve.jsonl"
    journaling_log(journal, "the cell", ignored)(7, {"loss": math.nan, "gap": math.inf, "rate": 0.5})
    write_curve(journal, tmp_path)
    assert read_curve(tmp_path) == ((7, "rate", 0.5),)
    (record,) = caplog.records
    assert "the cell" in record.getMessage()
    assert "step 7" in record.getMessage()


@pytest.mark.parametrize(("step", "name"), [(2**63, "loss"), (0, "\ud800")], ids=["step", "name"])
def test_what_no_file_can_hold_is_refused_when_it_is_logged(tmp_path: Path, step: int, name: str) -> None:
    """Protects a long fit against a value that would make writing its curve fail in the end."""
    with pytest.raises(ValueError, match="curve|encode"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(step, {name: 1.0})
    assert not (tmp_path / "curve.jsonl").exists()


def test_a_broken_curve_is_named(tmp_path: Path) -> None:
    """Protects a reader of a damaged run: the error names the file."""
    (tmp_path / "curve.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"curve\.parquet"):
        read_curve(tmp_path)


def test_a_journal_that_cannot_be_written_is_no_fault_of_the_router(tmp_path: Path) -> None:
    """Protects a router from the blame for what the system refuses."""
    (tmp_path / "curve.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"curve\.jsonl"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(1, {"loss": 1.0})


def test_what_is_logged_after_the_end_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Protects a run from a thread that a router has left behind."""
    journaling_log(tmp_path / "gone" / "curve.jsonl", "cell", ignored)(1, {"loss": 1.0})

    assert "after the fit had ended" in caplog.text


@pytest.mark.parametrize(("step", "value"), [(1.5, 1.0), (1, "3"), (float("nan"), 1.0)])
def test_no_step_or_value_is_changed_silently(tmp_path: Path, step: Any, value: Any) -> None:
    """Protects a curve against steps that are cut off and texts that look like numbers."""
    with pytest.raises(ValueError, match="curve|NaN"):
        journaling_log(tmp_path / "curve.jsonl", "cell", ignored)(step, {"loss": value})
