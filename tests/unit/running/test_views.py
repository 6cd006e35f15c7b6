"""What a notebook sees of a finished run."""

from __future__ import annotations

import pickle
from pathlib import Path

import attrs
import pandas as pd
import pytest
from split_runs import SWEPT, SplitRun, run_splits

from vlrb.errors import ConfigError, DataError
from vlrb.running.finished import FinishedRun
from vlrb.running.leaderboard import leaderboard

ROUTERS = (
    '[[router]]\nuse = "keyed"\nsweep = { lambda = [0, 3, inf] }\n[[router]]\nuse = "peeking"\n'
    '[[router]]\nuse = "faulty"\nfault = "raise"\n'
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SplitRun:
    """Return a run of three folds with two seeds, a sweep, learning curves, logged values and a router that fails."""
    more = "[split]\nfolds = 3\ntrain_fraction = [0.5, 1]\n"
    return run_splits(tmp_path_factory.mktemp("views"), ROUTERS, more, "seeds = [1, 2]")


@pytest.fixture
def run(made: SplitRun) -> FinishedRun:
    return FinishedRun.read(made.files)


def test_the_leaderboard_has_the_rows_and_values_of_the_table(run: FinishedRun) -> None:
    """In its order, with intervals and deviations; undefined values are NaN, and columns stay numbers."""
    board, frame = leaderboard(run.result), run.leaderboard()
    column = board.headings.index("accuracy")

    assert frame["name"].tolist() == [r.name for r in board.rows]
    for row, (_, shown) in zip(board.rows, frame.iterrows(), strict=True):
        cell = row.cells[column]
        if row.name == "faulty":
            assert shown[["accuracy", "accuracy low", "accuracy over seeds"]].isna().all()
            assert "6 of 6 cells failed" in shown["note"]
        else:
            assert cell.interval is not None
            assert shown["accuracy"] == cell.value
            assert (shown["accuracy low"], shown["accuracy high"]) == (cell.interval.low, cell.interval.high)
    assert {frame[c].dtype.kind for c in frame.columns if c in board.headings} == {"f"}
    assert "accuracy over splits" not in frame


def test_choices_give_the_values_of_the_leaderboard(run: FinishedRun) -> None:
    """Means over samples, then over seeds, of what was chosen are accuracy and cost; a failed router has no rows."""
    choices, board = run.choices(), run.leaderboard().set_index("name")
    means = choices.fillna({"seed": 0}).groupby(["name", "seed"], observed=True)[["right", "cost"]].mean()

    for name, mean in means.groupby("name", observed=True).mean().iterrows():
        assert mean["right"] == pytest.approx(board.loc[str(name), "accuracy"])
        assert mean["cost"] * 10_000 == pytest.approx(board.loc[str(name), "cost-per-10k"])
    assert set(choices["name"].cat.categories) - set(choices["name"].unique()) == {"faulty"}
    one = choices.query("name == 'keyed' and split == 'fold-2' and seed == 1")
    assert sorted(one["id"]) == sorted(choices.query("name == 'oracle' and split == 'fold-2'")["id"])
    assert choices.query("kind == 'reference'")["seed"].isna().all()


def test_choices_can_be_of_some_and_on_dev(run: FinishedRun) -> None:
    """Other samples than on test; an unknown name or part is an error, a router without results an empty table."""
    dev = run.choices("keyed", "oracle", part="dev")

    assert set(dev["name"]) == {"keyed", "oracle"}
    assert len(run.choices("keyed", "oracle", "keyed", part="dev")) == len(dev)
    assert len(run.choices("faulty")) == 0
    assert list(run.choices("faulty").columns) == list(dev.columns)
    with pytest.raises(DataError, match="'keyed'"):
        run.choices("keyd")
    with pytest.raises(ConfigError, match="not on 'train'"):
        run.choices(part="train")


def test_curves_hold_sweeps_learning_and_fits(run: FinishedRun) -> None:
    """Each point with its place on the axis, as in the results."""
    curve = run.curve()
    sweep = curve.query("curve == 'sweep' and metric == 'accuracy'")
    learning = curve.query("curve == 'learning' and name == 'keyed' and metric == 'accuracy'")
    fits = curve.query("curve == 'fit'")

    assert sweep["x"].tolist() == [0.0, 3.0, float("inf")]
    assert sweep["times_chosen"].sum() == 3
    assert sweep["value"].tolist() == [p.values["accuracy"] for p in run.router("keyed").sweep]
    assert learning["x"].tolist() == [0.5, 1.0]
    assert ((learning["low"] <= learning["value"]) & (learning["value"] <= learning["high"])).all()
    assert sweep["low"].isna().all()
    assert set(fits["cell"]) == {c.cell.name for c in run.result.cells if c.cell.label == "peeking"}
    assert set(fits["metric"]) == {"dev", "draw", "names"}
    assert curve["times_chosen"].dtype == pd.Int64Dtype()


def test_html_is_escaped_and_says_what_is_missing(run: FinishedRun) -> None:
    """Names with markup and control characters are shown and head their rows; reasons, failures and the folder are there."""
    name, about = "<script>alert('x')</script>\x1b[2J\u202e", run.result.run
    routers = tuple(attrs.evolve(r, label=name) if r.label == "keyed" else r for r in run.result.routers)
    text = FinishedRun(attrs.evolve(run.result, routers=routers))._repr_html_()

    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert "\\x1b[2J\\u202e</th>" in text
    assert "SYNTHETIC DATA: made up for the tests" in text
    assert about.benchmark.fingerprint[:12] in text
    assert f"cells failed, such as {next(c.cell.name for c in run.result.cells if c.status == 'failed')}" in text
    assert str(run.directory) in text
    assert len(text) < 10_000


def test_a_damaged_run_says_which_file(made: SplitRun, tmp_path: Path) -> None:
    """The leaderboard needs results.json only; what cannot be read is an error with its name."""
    (tmp_path / "results.json").write_bytes((made.files / "results.json").read_bytes())
    run = FinishedRun.read(tmp_path)

    assert len(run.leaderboard()) == 8
    with pytest.raises(DataError, match=r"test\.parquet: cannot be read"):
        run.choices()


def test_objects_can_be_copied_and_shown(run: FinishedRun) -> None:
    """`run.plot` answers what notebooks ask of any object, without a plugin."""
    assert "none available" in repr(run.plot)
    assert not hasattr(run.plot, "_ipython_display_")
    assert dir(pickle.loads(pickle.dumps(run.plot))) == []


def test_a_comparison_is_a_frame_of_differences(made: SplitRun, tmp_path: Path) -> None:
    """Other run less this one, on the same samples; a run with other samples has values and no differences."""
    run = FinishedRun.read(made.files, registry=made.context.plan.registry)
    more = run_splits(tmp_path, SWEPT, "[split]\nfolds = 2\n")
    other = FinishedRun(more.result, registry=more.context.plan.registry)
    frame = run.compare(other)
    row = frame.query("kind == 'router' and name == 'keyed' and metric == 'accuracy'").iloc[0]

    assert row["difference"] == pytest.approx(row["other"] - row["value"])
    assert row["low"] <= row["difference"] <= row["high"]
    assert 0 <= row["differing"] <= 1
    assert not frame["difference"].isna().all()
    with pytest.raises(ConfigError, match="two runs or more"):
        run.compare()
