"""Whole runs on small logs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
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
    """The run directory alone gives the accuracy and cost that the results state; it names prices and task groups too."""
    project.vlrb("run", project.experiment(ROUTERS))
    shutil.rmtree(project.folder / ".vlrb-cache")
    result = project.results()[0]
    run = next(project.folder.glob("runs/t/*/results.json")).parent
    known = {(r["split"], r["id"]): r for r in pq.read_table(run / "evaluated.parquet").to_pylist()}
    assert {s for s, _ in known} == {"train", "dev", "test"}
    assert len(known) == 120
    records = json.loads((run / "benchmark.json").read_text(encoding="utf-8"))
    assert {m["name"]: m["input_price"] for m in records["models"]} == {
        "tiny-large": 8,
        "tiny-middle": 2,
        "tiny-small": 0.5,
    }
    assert {d["name"]: d["group"] for d in records["datasets"]} == {"TinyA": "general", "TinyB": "stem"}

    for cell in result["cells"]:
        chosen = pq.read_table(run / cell["directory"] / "test.parquet").to_pylist()
        stated = cell["scores"]["test"]["overall"]
        for metric, matrix in (("accuracy", "quality"), ("average-cost", "cost")):
            values = [known["test", c["id"]][f"{matrix}:{c['model']}"] for c in chosen]
            assert sum(values) / len(values) == pytest.approx(stated[metric])


def test_a_paired_test_needs_the_run_directory_only(project: Any) -> None:
    """Choices of reference points, groups and train rows are there: a difference per group can be computed without logs."""
    project.vlrb("run", project.experiment(ROUTERS))
    shutil.rmtree(project.folder / ".vlrb-cache")
    result = project.results()[0]
    run = next(project.folder.glob("runs/t/*/results.json")).parent
    known = {r["id"]: r for r in pq.read_table(run / "evaluated.parquet").to_pylist()}
    models = [c["name"] for c in json.loads((run / "benchmark.json").read_text(encoding="utf-8"))["models"]]
    chosen = pq.read_table(run / "references.parquet").to_pylist()

    assert {r["split"] for r in chosen} == {"dev", "test"}
    for reference in result["references"]:
        right = [known[r["id"]][f"quality:{models[r[reference['name']]]}"] for r in chosen if r["split"] == "test"]
        assert sum(right) / len(right) == pytest.approx(reference["scores"]["test"]["overall"]["accuracy"])
    groups = [r["group"] for r in known.values()]
    assert len(set(groups)) == result["run"]["split"]["groups"] < len(groups)
    for one in known.values():
        assert all(r["split"] == one["split"] for r in known.values() if r["group"] == one["group"])


def test_what_a_fit_chose_itself_is_in_every_result(project: Any) -> None:
    """`Fitted.chosen` stands in cell.json, results.json, the leaderboard and its files; infinity too."""
    project.plugin.write_text(
        project.plugin.read_text(encoding="utf-8")
        .replace(
            "        return Estimated(self.params, train.cost.mean(axis=0))",
            "        fitted = Estimated(self.params, train.cost.mean(axis=0))\n"
            "        object.__setattr__(fitted, 'chosen', {'lambda': np.float64('inf'), 'rounds': np.int64(7)})\n"
            "        return fitted",
        )
        .replace("@attrs.frozen\nclass Estimated:", "@attrs.frozen(slots=False)\nclass Estimated:"),
        encoding="utf-8",
    )
    file = project.experiment('[[router]]\nuse = "estimating"\n')
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    assert "chose lambda=inf, rounds=7" in shown.out
    assert project.results()[0]["cells"][0]["chosen"] == {"lambda": "inf", "rounds": 7}
    run = next(project.folder.glob("runs/t/*/results.json")).parent
    assert "chose lambda=inf, rounds=7" in (run / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    assert "lambda=inf, rounds=7" in (run / "reports" / "leaderboard.csv").read_text(encoding="utf-8")
    swept = project.experiment(
        '[[router]]\nuse = "estimating"\nsweep = { lambda = [0, 5] }\n', '[selection]\nmetric = "accuracy"'
    )
    decided = project.vlrb("run", swept, "--json").json
    assert [c["chosen"] for c in decided["cells"]] == [{"rounds": 7}, {"rounds": 7}]


@pytest.mark.parametrize("chosen", ["[1]", "{'a': [1]}", "{1: 2}", "{'a': float('nan')}"])
def test_what_a_fit_chose_must_be_parameters(project: Any, chosen: str) -> None:
    """Anything but names and scalars is the router's fault, and a failed cell."""
    project.plugin.write_text(
        project.plugin.read_text(encoding="utf-8")
        .replace(
            "        return Always(self.params.choice)",
            "        fitted = Always(self.params.choice)\n"
            f"        object.__setattr__(fitted, 'chosen', {chosen})\n        return fitted",
        )
        .replace("@attrs.frozen\nclass Always:", "@attrs.frozen(slots=False)\nclass Always:"),
        encoding="utf-8",
    )
    shown = project.vlrb("run", project.experiment('[[router]]\nuse = "counting"\n'))

    assert shown.status == 1
    assert "counting" in shown.err
    assert "chosen" in shown.err


def test_a_metric_gets_the_estimates_of_its_rows(project: Any) -> None:
    """On dev and test, overall and per dataset, in the order of the choices; None for a router without estimates."""
    project.plugin.write_text(
        project.plugin.read_text(encoding="utf-8").replace(
            "        p = self.params.skill ** (1 + np.arange(len(self.cost)))\n"
            "        return Estimate(np.tile(p, (len(queries), 1)), np.tile(self.cost, (len(queries), 1)))",
            "        p = np.array([[int(i[:6], 16) / 16**6] * 3 for i in queries.ids])\n        return Estimate(p, p)",
        )
        + """

@hookimpl
def vlrb_metrics():
    from vlrb.api.routing import Undefined
    def mean(evaluation):
        return Undefined("no estimates") if evaluation.estimate is None else float(evaluation.estimate.p_correct.mean())
    return [MetricSpec(name="mean-estimate", summary="for tests", factory=lambda _: mean)]
""",
        encoding="utf-8",
    )
    routers = '[[router]]\nuse = "estimating"\n[[router]]\nuse = "cheapest"\n[[metric]]\nuse = "mean-estimate"\n'
    shown = project.vlrb("run", project.experiment(routers), "--json")
    assert shown.status == 0, shown.err
    run = next(project.folder.glob("runs/t/*/results.json")).parent
    split = {r["id"]: r["split"] for r in pq.read_table(run / "split.parquet").to_pylist()}
    estimates = {i: int(hashlib.sha256(i.encode()).hexdigest()[:6], 16) / 16**6 for i in split}

    estimating, cheapest = (c["scores"] for c in shown.json["cells"])
    for name in ("dev", "test"):
        for scope, start in (("overall", ""), ("dataset/tinya", "TinyA/"), ("group/stem", "TinyB/")):
            expected = [p for i, p in estimates.items() if split[i] == name and i.startswith(start)]
            assert estimating[name][scope]["mean-estimate"] == pytest.approx(sum(expected) / len(expected))
            assert cheapest[name][scope]["mean-estimate"] == {"undefined": "no estimates"}


def test_a_published_experiment_pins_its_benchmark_and_split(project: Any) -> None:
    """`expect` refuses another benchmark and another split, with the key; what the header shows is what it takes."""
    header = project.vlrb("run", project.experiment()).out
    benchmark = re.search(r"benchmark ([0-9a-f]{12})", header)[1]
    split = re.search(r"split ([0-9a-f]{12})", header)[1]
    pins = f'[benchmark]\nexpect = "{benchmark}"\n[split]\nexpect = "{split}"\n'
    assert project.vlrb("run", project.experiment(more=pins)).status == 0

    for more, key in (
        (pins.replace(benchmark, "0" * 12), "benchmark.expect"),
        (pins.replace(split, "0" * 12), "[split] expect"),
        (pins + "seed = 7\n", "[split] expect"),
        (pins.replace(split, "not hex"), "split.expect"),
    ):
        shown = project.vlrb("run", project.experiment(more=more))
        assert shown.status == 4
        assert key in shown.err


def test_logs_with_costs_and_without_tokens_can_be_run_again(project: Any) -> None:
    """Tokens are unknown then, in every result; the finished run is read again and reported."""
    project.plugin.write_text(
        project.plugin.read_text(encoding="utf-8").replace(
            '"input_tokens": 100 + int(key),\n            "output_tokens": 10,\n            "cost": None,',
            '"input_tokens": None,\n            "output_tokens": None,\n            "cost": 0.001 * len(part.model),',
        ),
        encoding="utf-8",
    )
    file = project.experiment('[[router]]\nuse = "cheapest"\n')
    first, again, told = project.vlrb("run", file), project.vlrb("run", file), project.vlrb("report", "t")

    assert (first.status, again.status, told.status) == (0, 0, 0), first.err + again.err + told.err
    assert "finished before" in again.out
    assert project.results()[0]["run"]["benchmark"]["total_tokens"] is None


def test_what_routers_see_of_a_candidate_is_in_the_key(project: Any) -> None:
    """A model of another size is another cell, although its answers and costs are the same."""
    count = project.folder / "fits"
    router = f'[[router]]\nuse = "counting"\nfile = "{count}"\n'
    for size in ("7.0", "70.0", "7.0"):
        model = f'[[model]]\nname = "tiny-small"\nparameters = {size}\n'
        assert project.vlrb("run", project.experiment(router, more=model)).status == 0

    assert count.read_text(encoding="utf-8") == "42\n42\n"


def test_groups_that_change_no_split_change_the_run(project: Any) -> None:
    """A split sample by sample stays the same, but how many test samples have a relative in train does not."""
    split = '[split]\ngroup_by = "sample"\n'
    alone = project.vlrb("run", project.experiment(more=split, logs="images = false"))
    text = project.plugin.read_text(encoding="utf-8")
    text = text.replace("schema=SAMPLES)", "schema=pa.schema([*SAMPLES, SAMPLES_OPTIONAL.field('groups')]))")
    text = text.replace(
        '            "question": f"', '            "groups": [str(number // 4)],\n            "question": f"'
    )
    text = text.replace("import OUTCOMES, SAMPLES", "import OUTCOMES, SAMPLES, SAMPLES_OPTIONAL")
    project.plugin.write_text(text, encoding="utf-8")
    grouped = project.vlrb("run", project.experiment(more=split, logs="images = false"))

    assert (alone.status, grouped.status) == (0, 0), alone.err + grouped.err
    splits = sorted((r["run"]["split"] for r in project.results()), key=lambda split: -split["groups"])
    assert splits[0]["group_also_in_train"]["test"] < splits[1]["group_also_in_train"]["test"]
    assert f"{splits[1]['group_also_in_train']['test']} test samples share" in grouped.out
    assert splits[0]["digest"] == splits[1]["digest"]
    assert splits[0]["groups"] > splits[1]["groups"]


@pytest.mark.parametrize("kind", ["metric", "reporter"])
def test_an_error_about_data_from_a_metric_or_a_report_is_the_plugins(project: Any, kind: str) -> None:
    """It does not end the run: the results are there, the exit status is that of a plugin's fault."""
    body = {
        "metric": "MetricSpec(name='odd', summary='s', factory=lambda _: fail)",
        "reporter": "ReporterSpec(name='odd', summary='s', factory=lambda _: fail)",
    }[kind]
    project.file(
        "from vlrb import hookimpl\nfrom vlrb.errors import DataError\nfrom vlrb.api.components import MetricSpec, ReporterSpec\n"
        "def fail(*_):\n    raise DataError('no such column')\n"
        f"@hookimpl\ndef vlrb_{kind}s():\n    return [{body}]\n",
        "odd.py",
    )
    table = {"metric": "metric", "reporter": "report"}[kind]
    text = project.experiment(f'[[router]]\nuse = "cheapest"\n[[{table}]]\nuse = "odd"\n').read_text(encoding="utf-8")
    shown = project.vlrb("run", project.file(text.replace('["tiny.py"]', '["tiny.py", "odd.py"]')))

    assert shown.status == 5
    assert "no such column" in shown.err
    assert len(project.results()) == 1


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
        "from vlrb.api.components import RouterSpec\n"
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
    assert [len(c) for c in chosen] == [3, 3]  # models that nobody chose count 0


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
    assert len(files) == 11  # choices on dev and test, and a curve
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
        ("no-route", "no method route()"),
        ("shape", "shape"),
        ("float", "float64 instead of integers"),
        ("range", "chose model 3; the candidates are 0 to 2"),
        ("negative", "chose model -1"),
        ("scores-shape", "scores must be floats of shape"),
        ("scores-nan", "scores must be finite; 36 are NaN or infinite"),
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
    assert "plugin 'tiny'" in shown.err


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
    """Hooks are called in order; one that raises is told at the end (exit status 5), and the results are complete."""
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

    assert shown.status == 5
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
        "from vlrb.api.components import param\n"
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


def test_a_changed_record_is_another_run(project: Any) -> None:
    """Task groups and prices decide what a table says, so that changing them must not bring back the old result."""
    first = project.vlrb("run", project.experiment(), "--json").json
    moved = '[[dataset]]\nname = "TinyB"\ngroup = "charts-ocr"\n'
    second = project.vlrb("run", project.experiment(more=moved), "--json").json

    scopes = [set(r["references"][0]["scores"]["test"]) for r in (first, second)]
    assert "group/stem" in scopes[0]
    assert scopes[1] >= {"group/charts-ocr", "dataset/tinyb"}
    assert "group/stem" not in scopes[1]


def test_a_declaration_changes_only_the_keys_it_gives(project: Any) -> None:
    """Repricing a known model keeps its aliases and sets; a name that two records claim is an error."""
    one = '[[model]]\nname = "GPT4o"\ninput_price_per_million = 99\n'
    models = project.vlrb("check", project.experiment(more=one + '[benchmark]\nmodels = ["tiny-large"]'), "--json")
    assert models.status == 0
    two = '[[model]]\nname = "GPT-4o"\ninput_price_per_million = 99\noutput_price_per_million = 1\n'
    shown = project.vlrb("check", project.experiment(more=two))
    assert shown.status == 4
    assert "'GPT-4o' is a name or alias of both 'GPT4o' and 'GPT-4o'" in shown.err
    assert "write name = 'GPT4o'" in shown.err
    slugs = '[[dataset]]\nname = "Tiny A"\nslug = "tinya"\n'
    assert "'tinya' is a slug of both 'TinyA' and 'Tiny A'" in project.vlrb("check", project.experiment(more=slugs)).err
    unnamed = '[[dataset]]\nname = "数据集"\n'
    assert (
        "must be kebab-case such as 'my-name', not ''; set slug"
        in project.vlrb("check", project.experiment(more=unnamed)).err
    )


def test_an_observer_cannot_change_a_number(project: Any) -> None:
    """What observers see is what is written: a change is an error of the observer."""
    project.file(
        "from vlrb import hookimpl\n"
        "@hookimpl\n"
        "def vlrb_cell_end(result): result.scores['test']['overall']['accuracy'] = 0.999\n",
        "cheat.py",
    )
    file = project.experiment()
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "cheat.py"]'))
    shown = project.vlrb("run", file)

    assert shown.status == 5
    assert "plugin 'cheat'" in shown.err
    assert project.results()[0]["cells"][0]["scores"]["test"]["overall"]["accuracy"] != 0.999


@pytest.mark.parametrize("hook", ["vlrb_run_start(run)", "vlrb_models()"])
def test_a_plugin_cannot_end_vlrb_silently(project: Any, hook: str) -> None:
    """sys.exit(0) in a plugin is a failure of the plugin, not a success of the run."""
    project.file(f"import sys\nfrom vlrb import hookimpl\n@hookimpl\ndef {hook}: sys.exit(0)\n", "leave.py")
    file = project.experiment()
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "leave.py"]'))
    shown = project.vlrb("run", file)

    assert shown.status == 5
    assert "leave" in shown.err
    assert "SystemExit" in shown.err


def test_a_router_in_a_package_is_redone_when_any_of_its_modules_changes(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that decides may stand in another module than the one with the hooks."""
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "inner.py").write_text("CHOICE = 0\n", encoding="utf-8")
    (package / "plugin.py").write_text(
        "import importlib, numpy as np\n"
        "from vlrb import hookimpl\n"
        "from vlrb.api.components import RouterSpec\n"
        "from mypackage import inner\n"
        "importlib.reload(inner)\n"
        "class R:\n"
        "    def fit(self, train, dev, context): return self\n"
        "    def route(self, queries): return np.full(len(queries), inner.CHOICE)\n"
        "@hookimpl\n"
        "def vlrb_routers(): return [RouterSpec(name='inner', summary='s', factory=lambda p: R())]\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    file = project.experiment('[[router]]\nuse = "inner"\n')
    before = project.vlrb("-p", str(package / "plugin.py"), "run", file, "--json").json
    (package / "inner.py").write_text("CHOICE = 2\n", encoding="utf-8")
    after = project.vlrb("-p", str(package / "plugin.py"), "run", file, "--json").json

    assert before["cells"][0]["cell"]["sources"] != after["cells"][0]["cell"]["sources"]
    assert not after["cells"][0]["reused"]


def test_routers_see_rows_in_no_telling_order(project: Any) -> None:
    """Neither ids nor images nor the order of a batch tell the dataset; what is written is in the order of the ids."""
    project.file(
        "import json, numpy as np\n"
        "from vlrb import hookimpl\n"
        "from vlrb.api.components import RouterSpec\n"
        "class R:\n"
        "    def fit(self, train, dev, context): return self\n"
        "    def route(self, queries):\n"
        "        return np.array([int(t.split()[-1]) % 3 for t in queries.texts])\n"
        "@hookimpl\n"
        "def vlrb_routers(): return [RouterSpec(name='texts', summary='s', factory=lambda p: R())]\n",
        "texts.py",
    )
    file = project.experiment('[[router]]\nuse = "texts"\n')
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "texts.py"]'))
    assert project.vlrb("run", file).status == 0

    rows = pq.read_table(next(project.folder.glob("runs/t/*/cells/*/test.parquet"))).to_pylist()
    assert [r["id"] for r in rows] == sorted(r["id"] for r in rows)
    assert all(r["choice"] == int(r["id"].split("/")[1]) % 3 for r in rows)


def test_a_damaged_cell_or_result_is_named(project: Any) -> None:
    """A damaged file is an error of that file, with a way out, and not a fault of vlrb."""
    file = project.experiment()
    project.vlrb("run", file)
    result = next(project.folder.glob("runs/t/*/results.json"))
    whole = result.read_text(encoding="utf-8")
    for text in ("[]", '{"schema": 1}', whole[:200]):
        result.write_text(text, encoding="utf-8")
        shown = project.vlrb("report", "t")
        assert (shown.status, str(result) in shown.err) == (4, True)
    result.unlink()
    cell = next(project.folder.glob(".vlrb-cache/cells/*/test.parquet"))
    cell.write_bytes(b"PAR1")
    shown = project.vlrb("run", file)
    assert (shown.status, "test.parquet: cannot be read" in shown.err, "--fresh" in shown.err) == (4, True, True)
    assert project.vlrb("run", file, "--fresh").status == 0


def test_fresh_may_stand_before_the_file(project: Any) -> None:
    """`vlrb run --fresh FILE` is what one types first."""
    file = project.experiment()
    assert project.vlrb("run", "--fresh", file).status == 0
    assert project.vlrb("run", "--fresh", "cheapest", file).status == 0


def test_a_failed_metric_costs_no_run(project: Any) -> None:
    """The metric is undefined with its error, the others are there, and the next run computes it again."""
    file = project.experiment(more='[[metric]]\nuse = "nan"')
    for _ in range(2):
        shown = project.vlrb("run", file)
        assert shown.status == 5
        assert "metric 'tiny/nan' of plugin 'tiny' returned nan" in shown.err
    scores = project.results()[0]["cells"][0]["scores"]["test"]["overall"]
    assert scores["accuracy"] > 0
    assert scores["nan"]["undefined"].startswith("the metric failed")


def test_secrets_stay_out_of_results_by_name_too(project: Any) -> None:
    """A key named api_key in a plugin's table is written nowhere."""
    project.file(
        "import attrs\n"
        "from vlrb import hookimpl\n"
        "from vlrb.api.components import param\n"
        "@attrs.frozen\n"
        "class S:\n"
        "    api_key: str = param(default='')\n"
        "@hookimpl\n"
        "def vlrb_settings(): return S\n",
        "watch.py",
    )
    file = project.experiment(more='[plugin.watch]\napi_key = "sk-verysecret"\n')
    file.write_text(file.read_text().replace('["tiny.py"]', '["tiny.py", "watch.py"]'))
    assert project.vlrb("run", file).status == 0

    for written in (p for p in project.folder.glob("runs/**/*") if p.is_file()):
        assert b"verysecret" not in written.read_bytes(), written
