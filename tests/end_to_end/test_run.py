"""Whole runs on small logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

ROUTERS = """
[[router]]
use = "knn"
[[router]]
use = "random"
[[router]]
use = "strongest"
[[router]]
use = "cheapest"
"""


def test_a_run_ends_with_a_leaderboard_and_a_run_directory(project: Any) -> None:
    """The main job: every router and every reference point stands in the table, and the data are called synthetic."""
    shown = project.vlrb("run", project.experiment(ROUTERS))

    assert shown.status == 0
    for name in (
        "knn",
        "random",
        "strongest",
        "cheapest",
        "oracle",
        "strongest-per-dataset",
        "best-single",
        "cheapest-single",
    ):
        assert f" {name} " in shown.out
    assert "SYNTHETIC DATA: made up for the tests" in shown.out
    run = next(project.folder.glob("runs/t/*/"))
    for file in (
        "experiment.toml",
        "experiment.json",
        "plan.json",
        "environment.json",
        "split.parquet",
        "results.json",
    ):
        assert (run / file).is_file()
    assert "SYNTHETIC" in (run / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    assert "synthetic" in (run / "reports" / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[0]


def test_metrics_can_be_recomputed_from_what_is_on_disk(project: Any) -> None:
    """Choices and matrices on disk give the accuracy and cost that the results state."""
    project.vlrb("run", project.experiment(ROUTERS))
    result = project.results()[0]
    built = next(project.folder.glob(".vlrb-cache/benchmarks/*/manifest.json")).parent
    tables = {m: pq.read_table(built / f"{m}.parquet") for m in ("quality", "cost")}
    position = {i: n for n, i in enumerate(tables["quality"].column("id").to_pylist())}
    run = next(project.folder.glob("runs/t/*/results.json")).parent

    for cell in result["cells"]:
        chosen = pq.read_table(run / cell["directory"] / "test.parquet").to_pylist()
        stated = cell["scores"]["test"]["overall"]
        for metric, matrix in (("accuracy", "quality"), ("average-cost", "cost")):
            values = [tables[matrix].column(c["model"])[position[c["id"]]].as_py() for c in chosen]
            assert sum(values) / len(values) == pytest.approx(stated[metric])


def test_an_identical_finished_run_prints_its_result(project: Any) -> None:
    """Running again does nothing anew and makes no second run directory."""
    count = project.folder / "fits"
    file = project.experiment(f'[[router]]\nuse = "counting"\nfile = "{count}"\n')
    first = project.vlrb("run", file)
    again = project.vlrb("run", file)

    assert again.status == 0
    assert "finished before" in again.out
    assert again.out.splitlines()[0:8] == first.out.splitlines()[0:8]
    assert count.read_text(encoding="utf-8") == "42\n"
    assert len(project.results()) == 1


def test_two_fresh_runs_give_identical_choices(project: Any) -> None:
    """The same experiment, fitted again from nothing, chooses the same, whatever routers stand beside it."""
    project.vlrb(
        "--cache", "one", "--runs", "first", "run", project.experiment(ROUTERS + '[[router]]\nuse = "peeking"\n')
    )
    project.vlrb(
        "--cache", "two", "--runs", "second", "run", project.experiment('[[router]]\nuse = "peeking"\n' + ROUTERS)
    )

    for file in sorted(project.folder.glob("first/t/*/cells/*/test.parquet")):
        other = next(project.folder.glob(f"second/t/*/cells/{file.parent.name}/test.parquet"))
        assert pq.read_table(file) == pq.read_table(other)


def test_adding_a_router_computes_only_that_router(project: Any) -> None:
    """Results that are known are reused, and said to be."""
    count = project.folder / "fits"
    router = f'[[router]]\nuse = "counting"\nfile = "{count}"\n'
    project.vlrb("run", project.experiment(router))
    shown = project.vlrb("run", project.experiment(router + '[[router]]\nuse = "cheapest"\n'), "--json").json

    assert count.read_text(encoding="utf-8") == "42\n"
    assert {c["cell"]["label"]: c["reused"] for c in shown["cells"]} == {"counting": True, "cheapest": False}


def test_fresh_fits_again_what_it_names(project: Any) -> None:
    """--fresh redoes all cells, --fresh LABEL that router's; the earlier run directory keeps its own copy."""
    one, two = project.folder / "one", project.folder / "two"
    file = project.experiment(
        f'[[router]]\nuse = "counting"\nlabel = "one"\nfile = "{one}"\n'
        f'[[router]]\nuse = "counting"\nlabel = "two"\nfile = "{two}"\n'
    )
    project.vlrb("run", file)
    assert project.vlrb("run", file, "--fresh", "one").status == 0
    assert (len(one.read_text().split()), len(two.read_text().split())) == (2, 1)
    assert project.vlrb("run", file, "--fresh").status == 0
    assert (len(one.read_text().split()), len(two.read_text().split())) == (3, 2)

    assert len(project.results()) == 3
    assert len(list(project.folder.glob("runs/t/*/cells/*/test.parquet"))) == 6
    wrong = project.vlrb("run", file, "--fresh", "ones")
    assert wrong.status == 4
    assert "did you mean 'one'" in wrong.err


def test_editing_a_router_file_recomputes_exactly_its_cells(project: Any) -> None:
    """An edited plugin file must not get an old result, and nobody else is fitted again."""
    count = project.folder / "fits"
    mine = project.file(
        "import numpy as np\n"
        "from vlrb import hookimpl\n"
        "from vlrb.specs import RouterSpec\n"
        "class Mine:\n"
        "    def fit(self, train, dev, context): return self\n"
        "    def route(self, queries): return np.zeros(len(queries), dtype=int)\n"
        "@hookimpl\n"
        "def vlrb_routers(): return [RouterSpec(name='mine', summary='s', factory=lambda p: Mine())]\n",
        "mine.py",
    )
    file = project.experiment(f'[[router]]\nuse = "mine"\n[[router]]\nuse = "counting"\nfile = "{count}"\n')
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "./mine.py"]'))
    before = project.vlrb("run", file, "--json").json
    mine.write_text(mine.read_text().replace("np.zeros(len(queries), dtype=int)", "np.full(len(queries), 2)"))
    after = project.vlrb("run", file, "--json").json

    assert {c["cell"]["label"]: c["reused"] for c in after["cells"]} == {"mine": False, "counting": True}
    assert count.read_text(encoding="utf-8") == "42\n"
    chosen = [{c["cell"]["label"]: c["choices"]["test"] for c in r["cells"]}["mine"] for r in (before, after)]
    assert [sum(c.values()) for c in chosen] == [chosen[0]["tiny-large"], chosen[1]["tiny-small"]]


def test_several_seeds_are_shown_as_mean_and_deviation(project: Any) -> None:
    """One row per router, one cell per seed."""
    shown = project.vlrb("run", project.experiment('[[router]]\nuse = "random"\n', top="seeds = [1, 2, 3]"))

    assert len(project.results()[0]["cells"]) == 3
    assert sum(" random " in line for line in shown.out.splitlines()) == 1
    assert " ± " in shown.out


def test_cells_in_processes_of_their_own_give_the_same_choices(project: Any) -> None:
    """--jobs changes how long a run takes, not what comes out; values that routers log reach the parent."""
    file = project.experiment(ROUTERS + '[[router]]\nuse = "peeking"\n')
    alone = project.process("--cache", "one", "--runs", "first", "run", file)
    out, err = alone.communicate(timeout=120)
    assert alone.returncode == 0, err
    beside = project.process("--cache", "two", "--runs", "second", "run", file, "--jobs", "2")
    out, err = beside.communicate(timeout=120)
    assert beside.returncode == 0, out + err

    files = sorted(project.folder.glob("first/t/*/cells/*/*.parquet"))
    assert len(files) == 10
    for one in files:
        other = next(project.folder.glob(f"second/t/*/cells/{one.parent.name}/{one.name}"))
        assert pq.read_table(one) == pq.read_table(other)


def test_a_router_process_that_dies_is_a_failed_cell(project: Any) -> None:
    """A crash of a cell's process is told with its signal; the other cells go on."""
    file = project.experiment('[[router]]\nuse = "faulty"\nfault = "die"\n[[router]]\nuse = "cheapest"\n')
    process = project.process("run", file, "--jobs", "2", "--json")
    out, err = process.communicate(timeout=120)

    assert process.returncode == 1, err
    states = {c["cell"]["label"]: (c["status"], c["error"]) for c in json.loads(out)["cells"]}
    assert states["cheapest"][0] == "done"
    assert states["faulty"][0] == "failed"
    assert "SIGKILL" in states["faulty"][1]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise", "ValueError: cannot learn this"),
        ("exit", "SystemExit"),
        ("write", "read-only"),
        ("log-nan", "must be finite"),
        ("no-route", "no method route()"),
        ("shape", "shape"),
        ("float", "float64 instead of integers"),
        ("range", "chose model 3; the candidates are 0 to 2"),
        ("negative", "chose model -1"),
        ("scores-shape", "scores must be finite floats"),
        ("scores-nan", "scores must be finite floats"),
        ("scores-argmax", "is not that of the model it chose"),
    ],
)
def test_a_failed_cell_is_a_row_with_an_error(project: Any, fault: str, said: str) -> None:
    """Whatever a router does wrong becomes its own row's error, names the plugin, and costs no other cell."""
    file = project.experiment(f'[[router]]\nuse = "cheapest"\n[[router]]\nuse = "faulty"\nfault = "{fault}"\n')
    shown = project.vlrb("run", file)

    assert shown.status == 1
    assert said in shown.err
    result = project.results()[0]
    failed = next(c for c in result["cells"] if c["status"] == "failed")
    assert failed["scores"] == {}
    assert next(c for c in result["cells"] if c["status"] == "done")["scores"]["test"]["overall"]["accuracy"] > 0
    if fault != "exit":
        assert "faulty" in shown.err


def test_a_failed_cell_is_tried_again(project: Any) -> None:
    """The same command, after the cause is gone, redoes the failed cell only, in the same run directory."""
    count = project.folder / "fits"
    folder = project.folder / "not-there"
    file = project.experiment(
        f'[[router]]\nuse = "counting"\nfile = "{folder}/x"\n[[router]]\nuse = "counting"\nlabel = "other"\nfile = "{count}"\n'
    )
    assert project.vlrb("run", file).status == 1
    folder.mkdir()
    assert project.vlrb("run", file).status == 0

    assert count.read_text(encoding="utf-8") == "42\n"
    assert len(list(project.folder.glob("runs/t/*/results.json"))) == 1
    assert not list(project.folder.glob("runs/t/*/cells/*/error.txt"))


@pytest.mark.parametrize("fault", ["raise", "shape", "dtype", "nan", "type"])
def test_a_broken_encoder_fails_its_cells_only(project: Any, fault: str) -> None:
    """Features that cannot be made fail the cells that need them, with the encoder's name."""
    more = f'[features.default]\nencoders = [{{ use = "odd", fault = "{fault}" }}]\n'
    shown = project.vlrb(
        "run", project.experiment('[[router]]\nuse = "knn"\n[[router]]\nuse = "cheapest"\n', more=more)
    )

    assert shown.status == 1
    assert "'odd'" in shown.err or "tiny/odd" in shown.err
    assert [c["status"] for c in project.results()[0]["cells"]] == ["failed", "done"]


def test_observers_see_everything_and_cannot_stop_a_run(project: Any) -> None:
    """Hooks are called in order; one that raises is told at the end (exit status 6), and the results are complete."""
    project.file(
        "from pathlib import Path\n"
        "from vlrb import hookimpl\n"
        "def note(text):\n"
        "    with Path('seen').open('a') as f: f.write(text + '\\n')\n"
        "@hookimpl\n"
        "def vlrb_run_start(run): note('start')\n"
        "@hookimpl\n"
        "def vlrb_cell_start(run, cell): note('cell ' + cell.label)\n"
        "@hookimpl\n"
        "def vlrb_cell_log(cell, step, values): note(f'log {step}')\n"
        "@hookimpl\n"
        "def vlrb_cell_end(result): note('done ' + result.status)\n"
        "@hookimpl\n"
        "def vlrb_run_end(result): raise RuntimeError('no more space')\n",
        "watch.py",
    )
    file = project.experiment('[[router]]\nuse = "peeking"\n')
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "watch.py"]'))
    shown = project.vlrb("run", file)

    assert shown.status == 6
    assert "plugin 'watch'" in shown.err
    assert "no more space" in shown.err
    assert (project.folder / "seen").read_text().split("\n")[:-1] == [
        "start",
        "cell peeking",
        "log 1",
        "log 2",
        "done done",
    ]
    assert len(project.results()) == 1


def test_an_infinite_or_undefined_value_is_strict_json(project: Any) -> None:
    """results.json can be read by any JSON reader: undefined carries its reason."""
    project.vlrb("run", project.experiment())
    text = next(project.folder.glob("runs/t/*/results.json")).read_text(encoding="utf-8")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    tree = json.loads(text, parse_constant=refuse)
    oracle = next(r for r in tree["references"] if r["name"] == "oracle")
    assert oracle["scores"]["test"]["overall"]["routing-ms"] == {"undefined": "no router was timed"}


def test_passwords_stay_out_of_results(project: Any, tmp_path: Path) -> None:
    """An address with a password is used, and written nowhere."""
    project.file(
        "import attrs\n"
        "from vlrb import hookimpl\n"
        "from vlrb.specs import param\n"
        "@attrs.frozen\n"
        "class S:\n"
        "    uri: str = param(default='')\n"
        "@hookimpl\n"
        "def vlrb_settings(): return S\n"
        "@hookimpl\n"
        "def vlrb_run_start(run): assert run.settings['watch'].uri == 'http://me:secret@host/'\n",
        "watch.py",
    )
    file = project.experiment(more='[plugin.watch]\nuri = "http://me:secret@host/"\n')
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "watch.py"]'))
    assert project.vlrb("run", file).status == 0

    for written in (p for p in tmp_path.glob("runs/**/*") if p.is_file()):
        assert b"secret" not in written.read_bytes(), written
