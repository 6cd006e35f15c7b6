"""Finished runs compared with the first of them."""

from __future__ import annotations

from pathlib import Path

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_runs import copy_of, make_run

from vlrb.api.comparison import ComparedRow, Comparison
from vlrb.api.routing import Undefined
from vlrb.api.statistics import Interval
from vlrb.errors import ConfigError, DataError
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.running.comparison import compare_runs
from vlrb.running.finished import FinishedRun


def row(found: Comparison, name: str, pair: int = 0) -> ComparedRow:
    return next(r for r in found.pairs[pair].rows if r.name == name and r.kind != "leaders")


def test_rows_of_one_run_only_are_named(found: Comparison, first: FinishedRun, other: FinishedRun) -> None:
    """They have nothing to be compared with; in the other order they are on the other side."""
    assert (found.pairs[0].only_first, found.pairs[0].only_other) == ((), ("cheapest",))
    assert compare_runs([other, first]).pairs[0].only_first == ("cheapest",)


def test_what_differs_in_settings_has_key_paths(found: Comparison) -> None:
    """Tables of an array by their labels; a whole table that a run lacks by what it uses; nothing else."""
    differing = {(d.section, d.key): d.values for d in found.differing}

    assert differing[("experiment", "router.keyed.spread")] == (0.8, 0.3)
    assert differing[("experiment", "router.cheapest")] == (None, "baselines/cheapest")
    assert {section for section, _ in differing} <= {"experiment", "versions"}
    assert not any(key.startswith("router.cheapest.") for _, key in differing)


def test_a_copy_under_another_name_differs_in_nothing(first: FinishedRun, tmp_path: Path) -> None:
    """The same choices: every difference is 0, and the two are named by their folders."""
    copy = copy_of(first, tmp_path)
    found = compare_runs([first, copy])

    assert found.names == (str(first.directory.resolve()), str(copy.directory.resolve()))
    assert found.differing == ()
    assert all(r.choices is not None and r.choices.differing == 0 for r in found.pairs[0].rows)
    assert row(found, "keyed").differences["rank-score"].value == 0.0
    assert row(found, "oracle").differences["rank-score"].p == 1.0


def test_best_routers_of_other_names_are_compared(first: FinishedRun, other: FinishedRun) -> None:
    """A row of its own holds the two leaders, whose labels differ."""
    changed = attrs.evolve(other.result.statistics, leader="cheapest")
    other = attrs.evolve(other, result=attrs.evolve(other.result, statistics=changed))
    leaders = [r for r in compare_runs([first, other]).pairs[0].rows if r.kind == "leaders"]

    assert [(r.name, r.other_name) for r in leaders] == [("keyed", "cheapest")]
    assert leaders[0].differences["accuracy"].value == pytest.approx(
        leaders[0].values["accuracy"][1] - leaders[0].values["accuracy"][0], abs=1e-12  # type: ignore[operator]
    )  # fmt: skip


def test_other_folds_of_the_same_samples_are_paired(first: FinishedRun, tmp_path: Path) -> None:
    """Each sample is tested once in both; what train holds differs, which is said, as is the difference in bounds."""
    pair = compare_runs([first, make_run(tmp_path, more="[split]\nfolds = 4\n")]).pairs[0]

    assert (pair.paired, pair.samples) == (True, 120)
    assert "the same samples are tested, but train or dev differ" in pair.notes
    assert any("cost bounds" in note for note in pair.notes)


def test_other_test_samples_are_not_paired(first: FinishedRun, tmp_path: Path) -> None:
    """Values stand with their own intervals; no difference, no choices, and the reason with numbers."""
    pair = compare_runs([first, make_run(tmp_path, more="[split]\nseed = 1\n")]).pairs[0]
    keyed = next(r for r in pair.rows if r.name == "keyed")

    assert (pair.paired, pair.samples, pair.groups) == (False, 0, 0)
    assert "the test samples differ (120 and 24 samples are tested, 24 of them in both)" in pair.notes[0]
    assert (keyed.differences, keyed.choices) == ({}, None)
    assert all(isinstance(i, Interval) for i in keyed.intervals["accuracy"])


def test_other_benchmarks_are_not_paired(first: FinishedRun, tmp_path: Path) -> None:
    """Fewer samples: another fingerprint, which is among the settings, and no paired comparison."""
    found = compare_runs([first, make_run(tmp_path, logs="samples = 40")])

    assert not found.pairs[0].paired
    assert "the benchmarks differ (80 of 120 and 80 samples and 3 models are in both)" in found.pairs[0].notes[0]
    assert "fingerprint" in {d.key for d in found.differing if d.section == "benchmark"}


def test_repeated_splits_are_paired_where_they_test_the_same(tmp_path: Path) -> None:
    """Splits are matched by the samples that they test, whatever they are called; the others are left out and counted."""
    runs = [
        make_run(tmp_path / name, more=f"[split]\nuse = 'samples'\nseeds = {seeds}\n")
        for name, seeds in (("a", [1, 2]), ("b", [2, 3]))
    ]
    pair = compare_runs(runs).pairs[0]

    assert pair.paired
    assert pair.notes[0] == "paired on 1 of 2 splits: the others test different samples"
    assert pair.samples == 24


def test_a_router_that_failed_has_no_values(first: FinishedRun, tmp_path: Path) -> None:
    """Its row says why, and the other rows are compared."""
    broken = make_run(tmp_path, '[[router]]\nuse = "keyed"\nfile = "/nonexistent/x"\n')
    found = compare_runs([first, broken])
    keyed = row(found, "keyed")

    assert keyed.values["accuracy"][1] == Undefined("a cell failed for every seed")
    assert keyed.choices is None
    assert row(found, "oracle").differences["accuracy"].value == 0.0


def test_a_metric_without_a_plugin_is_left_out_and_named(first: FinishedRun, other: FinishedRun) -> None:
    """Plugins may be gone; the others are compared.  Without any, the error says what to do."""
    registry = load(Selection.of(("no:mlflow",)))
    assert registry.records["metric"]
    less = {**registry.records, "metric": tuple(r for r in registry.records["metric"] if r.name != "mean-score")}
    found = compare_runs([attrs.evolve(first, registry=attrs.evolve(registry, records=less)), other])

    assert "mean-score" in found.left_out
    assert "mean-score" not in row(found, "keyed").values
    none = attrs.evolve(registry, records={**less, "metric": ()})
    with pytest.raises(ConfigError, match="no plugin is loaded that has any of its metrics"):
        compare_runs([attrs.evolve(first, registry=none), other])


def test_bad_input_is_refused(first: FinishedRun, other: FinishedRun, tmp_path: Path) -> None:
    """One run, the same twice, a missing or an exchanged file: an error that names the folder or the file."""
    with pytest.raises(ConfigError, match="two runs or more"):
        compare_runs([first])
    with pytest.raises(ConfigError, match="the same run was given twice"):
        compare_runs([first, other, first])
    for name in ("split.parquet", "benchmark.json", "references.parquet"):
        broken = copy_of(first, tmp_path / name)
        (broken.directory / name).unlink()
        with pytest.raises(DataError, match=name):
            compare_runs([broken, other])
    changed = copy_of(first, tmp_path / "changed")
    small = make_run(tmp_path / "small", logs="samples = 40")
    (changed.directory / "evaluated.parquet").write_bytes((small.directory / "evaluated.parquet").read_bytes())
    with pytest.raises(DataError, match=r"evaluated\.parquet: differs from that of"):
        compare_runs([other, changed])


def test_runs_without_anything_in_common_are_refused(first: FinishedRun, other: FinishedRun, tmp_path: Path) -> None:
    """Neither samples nor models, or no metric: nothing could be said."""
    copy = copy_of(other, tmp_path)
    run = attrs.evolve(
        copy.result.run, metrics=tuple(attrs.evolve(m, name=f"x-{m.name}") for m in copy.result.run.metrics)
    )
    with pytest.raises(DataError, match="no metric in common"):
        compare_runs([first, attrs.evolve(copy, result=attrs.evolve(copy.result, run=run))])

    file = copy.directory / "evaluated.parquet"
    table = pq.read_table(file).rename_columns([c.replace("tiny-", "x-") for c in pq.read_table(file).column_names])
    pq.write_table(table.set_column(0, "id", pa.array([f"x{i}" for i in table.column("id").to_pylist()])), file)
    about = copy.result.run.benchmark
    about = attrs.evolve(about, fingerprint="0" * 64, models=tuple(m.replace("tiny-", "x-") for m in about.models))
    strange = attrs.evolve(copy, result=attrs.evolve(copy.result, run=attrs.evolve(copy.result.run, benchmark=about)))
    with pytest.raises(DataError, match="no sample and no model in common"):
        compare_runs([first, strange])
