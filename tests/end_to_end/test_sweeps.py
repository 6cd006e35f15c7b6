"""Sweeps, their winners, and the paper's protocol."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from vlrb.experiment.resolve import make_plan


def run(project: Any, routers: str, top: str = "", *arguments: str) -> dict[str, Any]:
    """Run, and return the result."""
    shown = project.vlrb("run", project.experiment(routers, top), "--json", *arguments)
    assert shown.status == 0, shown.err
    found: dict[str, Any] = shown.json
    return found


def winners(result: dict[str, Any]) -> dict[str, Any]:
    """Return label -> the point that was chosen on the only split."""
    return {r["label"]: r["points"].get("") for r in result["routers"]}


def test_every_point_is_a_cell_and_the_best_on_dev_stands_for_the_router(project: Any) -> None:
    """Points times seeds; the winner has the best mean of the selection metric on dev, whatever test says."""
    router = '[[router]]\nuse = "counting"\nsweep = { choice = [0, 1, 2] }\n'
    result = run(project, router, "seeds = [1, 2]")

    names = [c["cell"]["name"] if "name" in c["cell"] else c["directory"] for c in result["cells"]]
    assert len(names) == 6
    assert {c["cell"]["point"]["choice"] for c in result["cells"]} == {0, 1, 2}
    dev = {
        c["cell"]["point"]["choice"]: c["scores"]["dev"]["overall"]["rank-score"]
        for c in result["cells"]
        if c["cell"]["seed"] == 1
    }
    best = max(dev, key=lambda p: dev[p])
    assert winners(result) == {"counting": f"choice={best}"}


def test_the_leaderboard_shows_the_winner_on_test_and_the_points_on_dev(project: Any) -> None:
    """One row for the router, and a table of its points that holds nothing of test."""
    router = '[[router]]\nuse = "counting"\nsweep = { choice = [0, 1, 2] }\n[[router]]\nuse = "cheapest"\n'
    result = run(project, router)
    shown = project.vlrb("report", "t").out
    folder = Path(result["run_directory"])
    markdown = (folder / "reports" / "leaderboard.md").read_text(encoding="utf-8")

    won = winners(result)["counting"]
    for text in (shown, markdown):
        assert text.count(f"{won}, best of 3 on dev") == 1
        assert "sweep of counting: dev, by rank-score" in text
        assert sum(" chosen " in line and won in line for line in text.splitlines()) == 1
    with (folder / "reports" / "leaderboard.csv").open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["name"] == "counting" and r["scope"] == "overall"]
    assert {r["kind"] for r in rows} == {"router", "cell"}
    assert {r["point"] for r in rows if r["selected"] == "True"} == {won}
    assert len({r["point"] for r in rows if r["kind"] == "cell"}) == 3


def test_a_sweep_over_decisions_fits_once(project: Any) -> None:
    """Lambda and budget of a router that estimates only change what is made of its estimates."""
    fits = project.folder / "fits"
    router = (
        f'[[router]]\nuse = "estimating"\nfile = "{fits}"\nsweep = {{ lambda = [0, 0.5, inf] }}\n'
        f'[[router]]\nuse = "estimating"\nlabel = "budget"\nfile = "{fits}"\nsweep = {{ budget = [1e-9, 1] }}\n'
        '[[router]]\nuse = "estimating"\nlabel = "one"\nlambda = inf\n'
    )
    result = run(project, router, "seeds = [3, 4]")

    assert sorted(fits.read_text(encoding="utf-8").split()) == ["3", "3", "4", "4"]
    chosen = {
        (c["cell"]["label"], c["cell"]["point"].get("lambda"), c["cell"]["seed"]): c["choices"]["test"]
        for c in result["cells"]
    }
    assert chosen["estimating", "inf", 3] == chosen["one", None, 3]
    assert chosen["estimating", 0.0, 3]["tiny-large"] > 0
    assert chosen["estimating", "inf", 3]["tiny-large"] == 0
    assert [c["cell"]["parameters"]["lambda"] for c in result["cells"][:6:2]] == [0.0, 0.5, "inf"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_sweep_goes_on_and_another_router_changes_nothing(project: Any, jobs: str) -> None:
    """Adding a router, or a point, computes only that; the other numbers stay."""
    fits = project.folder / "fits"
    router = f'[[router]]\nuse = "counting"\nfile = "{fits}"\nsweep = {{ choice = {{points}} }}\n'
    first = run(project, router.replace("{points}", "[0, 1]"), "", "--jobs", jobs)
    more = router.replace("{points}", "[0, 1, 2]") + '[[router]]\nuse = "random"\n'
    second = run(project, more, "", "--jobs", jobs)

    assert len(fits.read_text(encoding="utf-8").split()) == 3
    assert [c["scores"] for c in second["cells"][:2]] == [c["scores"] for c in first["cells"]]


def test_a_failed_point_cannot_win(project: Any) -> None:
    """Its row says that it failed; the others are compared."""
    router = '[[router]]\nuse = "faulty"\nsweep = { fault = ["raise", "fine", "range"] }\n'
    shown = project.vlrb("run", project.experiment(router), "--json")

    assert shown.status == 1
    assert winners(shown.json) == {"faulty": "fault=fine"}
    assert [c["status"] for c in shown.json["cells"]] == ["failed", "done", "failed"]


def test_where_every_point_failed_there_is_no_winner(project: Any) -> None:
    """The router's row has no numbers and says why."""
    router = '[[router]]\nuse = "faulty"\nsweep = { fault = ["raise", "range"] }\n'
    shown = project.vlrb("run", project.experiment(router))

    assert shown.status == 1
    assert "every point has a failed cell" in shown.out


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ("sweep = 3", "router[0].sweep: must be a table"),
        ("sweep = { choice = 3 }", "sweep.choice: must be a list of different values"),
        ("sweep = { choice = [] }", "sweep.choice: must be a list of different values"),
        ("sweep = { choice = [1, 1] }", "sweep.choice: must be a list of different values"),
        ("sweep = { chioce = [1, 2] }", "did you mean 'choice'"),
        ('sweep = { choice = [1, "2"] }', "must be an integer, not '2'"),
        ("choice = 1\nsweep = { choice = [1, 2] }", "is set in the table too"),
        ("sweep = { choice = [0, 1], wait = [" + ",".join(f"{i}.0" for i in range(600)) + "] }", "has 1,200 points"),
    ],
)
def test_what_is_no_sweep(project: Any, router: str, message: str) -> None:
    """Problems have the key's path; one that all points share comes once."""
    shown = project.vlrb("check", project.experiment(f'[[router]]\nuse = "counting"\n{router}\n'))

    assert shown.status == 4
    assert message in shown.err
    assert shown.err.count("error: ") == 1, shown.err


# --- the paper's protocol -------------------------------------------------------------------------------------------------


def test_the_papers_protocol_is_a_preset_that_the_resolved_file_shows(project: Any) -> None:
    """Bounds from all rows, a sample-level split, selection on test, the reference's variants; every table says so."""
    router = '[[router]]\nuse = "estimating"\nsweep = { lambda = [0, inf] }\n[[router]]\nuse = "cheapest"\n'
    file = project.experiment(router, 'protocol = "paper"')
    resolved = project.vlrb("check", file, "--json").json["experiment"]

    assert (resolved["cost_bounds"], resolved["selection"]["on"]) == ("all", "test")
    assert (resolved["split"]["use"], resolved["split"]["seed"]) == ("splits/samples", 42)
    assert resolved["router"][0]["variant"] == "reference"
    assert resolved["router"][0]["sweep"] == {"lambda": [0, "inf"]}
    shown = project.vlrb("run", file)
    assert shown.status == 0, shown.err
    assert "protocol paper" in shown.out
    assert "best of 2 on test" in shown.out


@pytest.mark.parametrize(
    ("top", "router", "message"),
    [
        ('protocol = "paper"\ncost_bounds = "train"', "", "cost_bounds: protocol = \"paper\" stands for 'all'"),
        ('protocol = "paper"\n[selection]\non = "dev"', "", "selection.on: protocol = \"paper\" stands for 'test'"),
        ('protocol = "paper"\nsplit = { use = "grouped" }', "", "split.use: protocol = \"paper\" stands for 'samples'"),
        ('protocol = "paper"', 'variant = "published"', 'router[0].variant: protocol = "paper" stands for'),
        ('[selection]\non = "test"', "", "a point of a sweep must not be chosen on test"),
    ],
)
def test_what_contradicts_the_protocol(project: Any, top: str, router: str, message: str) -> None:
    """A key that says otherwise is an error, not a mixture that no table would name."""
    shown = project.vlrb("check", project.experiment(f'[[router]]\nuse = "estimating"\n{router}\n', top))

    assert shown.status == 4
    assert message in shown.err


def test_points_keep_the_problems_of_their_router(project: Any) -> None:
    """A plan of a file without sweeps has one point per router, whose fit is its own."""
    plan = make_plan(project.experiment('[[router]]\nuse = "counting"\n'), ("no:mlflow",))

    (router,) = plan.routers
    assert [p.swept for p in router.points] == [{}]
    assert router.points[0].base is router.points[0].chosen
