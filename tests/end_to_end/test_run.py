"""Whole runs on small logs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
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
    run = next(project.folder.glob("runs/t/2*/"))
    assert shown.out.splitlines()[-2:] == [
        f"page: runs/t/{run.name}/reports/report.html",
        f"results: runs/t/{run.name}",
    ]
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
    parts = {r["id"]: r["split"] for r in pq.read_table(run / "split.parquet").to_pylist()}
    known = {(parts[r["id"]], r["id"]): r for r in pq.read_table(run / "evaluated.parquet").to_pylist()}
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
        assert sum(right) / len(right) == pytest.approx(reference["test"]["scores"]["overall"]["accuracy"])
    groups = [r["group"] for r in known.values()]
    assert len(set(groups)) == result["run"]["split"]["groups"] < len(groups)
    parts = {r["id"]: r["split"] for r in pq.read_table(run / "split.parquet").to_pylist()}
    assert len({(r["group"], parts[i]) for i, r in known.items()}) == len(set(groups))


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


def test_an_infinite_or_undefined_value_is_strict_json(project: Any) -> None:
    """results.json can be read by any JSON reader: undefined carries its reason."""
    project.vlrb("run", project.experiment())
    text = next(project.folder.glob("runs/t/*/results.json")).read_text(encoding="utf-8")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    tree = json.loads(text, parse_constant=refuse)
    oracle = next(r for r in tree["references"] if r["name"] == "oracle")
    assert oracle["test"]["scores"]["overall"]["routing-ms"] == {"undefined": "no router was timed"}


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
