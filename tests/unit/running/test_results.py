"""Run directories: what is written of a run comes back, and which directory a name means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pyarrow.parquet as pq
import pytest
from cell_work import Work

from vlrb.api.results import (
    AggregatedScores,
    BenchmarkInfo,
    CellInfo,
    CellResult,
    CurvePoint,
    MetricInfo,
    ReferenceResult,
    RouterResult,
    RunInfo,
    RunResult,
    SplitInfo,
    SplitsInfo,
    SweepPoint,
)
from vlrb.api.routing import CostBounds, MetricValue, Timing, Undefined
from vlrb.api.statistics import Difference, Interval, RowStatistics, Statistics
from vlrb.errors import ConfigError, DataError
from vlrb.running import results
from vlrb.running.results import (
    SCHEMA_VERSION,
    adopt_cell,
    find_run,
    read_result,
    result_to_json,
    run_directory,
    write_plan,
    write_result,
)


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    """Return a run with a finished cell, a failed one and values of every kind."""
    directory = tmp_path / "runs" / "r" / "1"
    directory.mkdir(parents=True)
    info = CellInfo("key", "a", "p/a", {"x": 1}, 7, None, "p", "d 1", "", {"x": 1})
    values: dict[str, MetricValue] = {"m": 0.5, "n": Undefined("no rows"), "o": math.inf, "p": -math.inf, "q": 0.0}
    scores = {"dev": {"overall": values}, "test": {"overall": values, "group/stem": {"m": 1.0}}}
    done = CellResult(
        info,
        "done",
        True,
        directory / "cells" / "a-seed7",
        scores,
        fit_seconds=1.5,
        timing=Timing(3, 0.5, 0.25),
        choices={"test": {"large": 2, "small": 1}},
        hardware="cpu",
        chosen={"lambda": 30.0},
    )
    failed = attrs.evolve(done, status="failed", scores={}, error="it broke", timing=None, chosen={})
    one = SplitInfo("fold-1", {"train": 7}, "e" * 64, {"test": 1}, 0.5)
    run = RunInfo(
        "r",
        "k" * 64,
        directory,
        "strict",
        {"seeds": [7]},
        BenchmarkInfo("f" * 64, 10, ("a", "b"), {"D": 10}, "", {"dropped": 3}, 100),
        SplitsInfo("splits/grouped", {"folds": 2}, "2 folds", True, "d" * 64, 5, {"image": 10}, (one,)),
        CostBounds(1e-4, 1e-2, "train", ("gratis",)),
        (MetricInfo("m", "USD", False, "a metric"),),
        (info,),
        {"mlflow": {"uri": "http://user:word@host"}},
        {"python": "3"},
    )
    test = AggregatedScores({"overall": values}, {"overall": {"m": 0.1}}, {"overall": {"m": 0.2}})
    sweep = (SweepPoint("x=1", values, 1),)
    router = RouterResult("a", {"fold-1": "x=1"}, {"fold-1": "m"}, "best", (done.cell.name,), test, sweep)
    curved = attrs.evolve(router, label="b", test=None, curve=(CurvePoint(0.5, test),))
    oracle = ReferenceResult("oracle", "the best", AggregatedScores({"overall": {"m": 1.0}}))
    found = statistics()
    return RunResult(run, (done, failed), (router, curved), (oracle,), found, "2026-01-01", "2026-01-02")


def statistics() -> Statistics:
    """Return statistics with values of every kind."""
    none = Undefined("the value is the same in every draw")
    intervals = {"overall": {"m": Interval(0.25, math.inf, 1999), "n": none}}
    against = {
        "m": Difference(0.5, Interval(-1.0, 1.0, 2000), 0.25, 0.5, "mcnemar"),
        "n": Difference(none, none, none, none),
    }
    row = RowStatistics(intervals, {"oracle": against}, {"m": (1, 2)})
    return Statistics(2000, 0.95, 0, 5, "oracle", "a", {"a": row}, ("few groups",))


def test_a_result_comes_back_as_it_was(result: RunResult) -> None:
    """Undefined, infinite and zero values included; settings, which may hold passwords, are not written."""
    write_result(result)
    back = read_result(result.run.directory)

    assert back == attrs.evolve(result, run=attrs.evolve(result.run, settings={}))
    text = (result.run.directory / "results.json").read_text(encoding="utf-8")
    assert "word" not in text
    assert "settings" not in json.loads(text)["run"]


def test_a_run_directory_can_be_moved(result: RunResult, tmp_path: Path) -> None:
    """No path of the machine stands in it: cells are found where the directory is now."""
    write_result(result)
    moved = result.run.directory.rename(tmp_path / "elsewhere")
    back = read_result(moved)

    assert str(tmp_path) not in (moved / "results.json").read_text(encoding="utf-8")
    assert back.run.directory == moved
    assert [c.directory for c in back.cells] == [moved / "cells" / "a-seed7"] * 2


def test_undefined_and_infinite_values_are_json(result: RunResult) -> None:
    """Any JSON reader takes the file: a reason in the place of a value, and text for what JSON has no number for."""
    tree = result_to_json(result)
    text = json.dumps(tree, allow_nan=False)

    assert tree["schema"] == SCHEMA_VERSION
    values = json.loads(text)["cells"][0]["scores"]["dev"]["overall"]
    assert values == {"m": 0.5, "n": {"undefined": "no rows"}, "o": "inf", "p": "-inf", "q": 0.0}


def _without(name: str) -> Callable[[Any], Any]:
    return lambda tree: {k: v for k, v in tree.items() if k != name}


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: {**tree, "schema": SCHEMA_VERSION + 1},
        lambda tree: [tree],
        lambda tree: {**tree, "run": "r"},
        lambda tree: {**tree, "references": 3},
        _without("schema"),
        _without("run"),
        _without("cells"),
        _without("references"),
        _without("routers"),
        _without("statistics"),
    ],
)
def test_what_is_no_result_is_refused(result: RunResult, change: Callable[[Any], Any]) -> None:
    """The folder or its file is named."""
    write_result(result)
    file = result.run.directory / "results.json"
    file.write_text(json.dumps(change(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_result(result.run.directory)

    assert str(result.run.directory) in str(caught.value.problems[0].where)


def test_a_run_goes_on_in_the_newest_directory_of_its_key(tmp_path: Path) -> None:
    """Another key, another name or a wish for a fresh one makes another directory; files in between are passed over."""
    first = run_directory(tmp_path, "r", "aaaaaaaa11", fresh=False)
    assert first.is_dir()
    assert re.fullmatch(r"\d{8}-\d{6}-aaaaaaaa", first.name)
    assert run_directory(tmp_path, "r", "aaaaaaaa22", fresh=False) == first

    other = run_directory(tmp_path, "r", "bbbbbbbb11", fresh=False)
    elsewhere = run_directory(tmp_path, "s", "aaaaaaaa11", fresh=False)
    assert other.parent == first.parent != elsewhere.parent
    assert "bbbbbbbb" in other.name

    newest = tmp_path / "r" / "99990101-000000-aaaaaaaa"
    newest.mkdir()
    (tmp_path / "r" / "99990102-000000-aaaaaaaa").touch()
    assert run_directory(tmp_path, "r", "aaaaaaaa11", fresh=False) == newest


def test_fresh_directories_never_share_a_name(tmp_path: Path) -> None:
    """Several in one second are numbered from 2."""
    made = [run_directory(tmp_path, "r", "aaaaaaaa11", fresh=True) for _ in range(4)]

    assert len(set(made)) == 4
    assert all(d.is_dir() for d in made)
    numbers = {n for d in made if (n := d.name.partition("aaaaaaaa")[2])}
    assert numbers <= {"-2", "-3", "-4"}
    assert numbers


def test_a_run_is_found_by_path_by_directory_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name the newest that is finished; one that is not finished, or not there, is said to be so."""
    runs = tmp_path / "runs"
    for name in ("1", "2", "3"):
        (runs / "r" / name).mkdir(parents=True)
        (runs / "r" / name / ("plan.json" if name == "3" else "results.json")).touch()
    monkeypatch.chdir(tmp_path)

    assert find_run(runs, "r") == find_run(runs, "r/2") == find_run(runs, "runs/r/2") == runs / "r" / "2"
    assert find_run(runs, str(runs / "r" / "1")) == runs / "r" / "1"
    assert find_run(Path("runs"), "r/1").is_absolute()
    with pytest.raises(ConfigError, match="not finished"):
        find_run(runs, "r/3")
    with pytest.raises(ConfigError, match="no finished run"):
        find_run(runs, "other")


def test_a_plan_holds_what_the_run_needs_of_the_cache(result: RunResult) -> None:
    """With the experiment as resolved and as written; secrets of either are not in the directory."""
    source = 'name = "r"\n[plugin.mlflow]\nuri = "http://user:word@host"\n'
    write_plan(result.run, source, {"cells": ["k1", "k2"], "work": []})
    files = {f.name: f.read_text(encoding="utf-8") for f in result.run.directory.iterdir()}
    plan = json.loads(files["plan.json"])

    assert plan["cache"] == {"cells": ["k1", "k2"], "work": []}
    assert (plan["schema"], plan["name"], plan["protocol"]) == (SCHEMA_VERSION, "r", "strict")
    assert [c["label"] for c in plan["cells"]] == ["a"]
    assert json.loads(files["experiment.json"]) == {"seeds": [7]}
    assert json.loads(files["environment.json"]) == {"python": "3"}
    assert files["experiment.toml"].startswith('name = "r"\n')
    assert not any("word" in text for text in files.values())


def test_a_cells_files_stand_in_the_run(tmp_path: Path) -> None:
    """Those of a cell that was fitted again replace the old ones; folders, such as a saved router, stay in the cache."""
    cell, target = tmp_path / "cell", tmp_path / "run" / "cells" / "a"
    (cell / "router").mkdir(parents=True)
    for number in (1, 2):
        for name in ("cell.json", "test.parquet"):
            (cell / name).unlink(missing_ok=True)
            (cell / name).write_text(f"{name} {number}", encoding="utf-8")
        adopt_cell(cell, target)
        adopt_cell(cell, target)
        found = {p.name: p.read_text(encoding="utf-8") for p in target.iterdir()}
        assert found == {n: f"{n} {number}" for n in ("cell.json", "test.parquet")}
    assert (target / "cell.json").samefile(cell / "cell.json")


def test_what_is_known_of_samples_is_written_in_blocks(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many rows are written together changes no row; a benchmark may end in the middle of a block."""
    context, tables = work.context(), []
    for rows in (7, 1000):
        monkeypatch.setattr(results, "ROWS_AT_ONCE", rows)
        folder = tmp_path / str(rows)
        folder.mkdir()
        results.write_benchmark(context, folder)
        file = pq.ParquetFile(folder / "evaluated.parquet")
        tables.append(file.read())
        assert file.num_row_groups == -(-18 // rows)

    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 18
