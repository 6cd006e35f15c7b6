"""The commands besides `run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.api.hookspecs import LIFECYCLE, REGISTRATION
from vlrb.benchmark.manifest import SCHEMA_VERSION


def test_check_reads_and_writes_nothing(project: Any) -> None:
    """`check` resolves the file and lists the logs; the resolved experiment carries every default."""
    file = project.experiment('[[router]]\nuse = "knn"\n')
    shown = project.vlrb("check", file)
    tree = project.vlrb("check", file, "--json").json

    assert shown.status == 0
    assert "2 datasets, 3 models, 1 cell on each split, 1 router" in shown.out
    assert tree["experiment"]["router"] == [
        {
            "use": "feature-routers/knn",
            "variant": "published",
            "k": 5,
            "weights": "distance",
            "metric": "cosine",
            "lambda": "inf",
            "label": "knn",
            "features": "default",
        }
    ]
    assert tree["experiment"]["split"]["train"] == 0.7
    assert tree["synthetic"] == "made up for the tests"
    # Python itself keeps what it compiled beside a plugin file
    assert {p.name for p in project.folder.iterdir()} - {"__pycache__"} == {"experiment.toml", "tiny.py"}


def test_check_counts_no_names_that_only_reading_tells(project: Any) -> None:
    """Files of several datasets or models are counted as files, not as one dataset and no model."""
    (project.folder / "logs").mkdir()
    for name in ("samples", "outcomes"):
        project.file('{"dataset": "D", "key": "1"}\n', f"logs/{name}.jsonl")
    file = project.file(
        'name = "t"\nrequires = []\n[logs]\nuse = "records"\npath = "logs"\n[[router]]\nuse = "cheapest"\n'
    )
    shown, tree = project.vlrb("check", file), project.vlrb("check", file, "--json").json

    assert shown.status == 0, shown.err
    assert "2 files of several datasets or models, 1 cell on each split, 1 router" in shown.out
    assert "0 models" not in shown.out
    assert (tree["datasets"], tree["models"], tree["parts_of_several"]) == ([], [], 2)


def test_build_reports_what_the_benchmark_holds(project: Any) -> None:
    """Counts, accuracies, tokens and costs per dataset and model, for people and for programs."""
    file = project.experiment()
    report = project.vlrb("build", file, "--json").json
    shown = project.vlrb("build", file).out

    assert report["samples"] == 120
    assert report["pairs"] == 360
    assert report["total_tokens"] == 2 * sum(100 + i for i in range(60)) + 360 * 10
    assert [d["name"] for d in report["datasets"]] == ["TinyA", "TinyB"]
    assert all(d["images"] == 30 for d in report["datasets"])
    large = next(m for m in report["models"] if m["name"] == "tiny-large")
    assert large["cost_per_10k"] == pytest.approx(1e4 * (129.5 * 8 + 10 * 16) / 1e6)
    for text in ("SYNTHETIC DATA", "TinyA", "tiny-large", report["fingerprint"][:12]):
        assert text in shown


def test_the_fingerprint_is_that_of_the_content(project: Any) -> None:
    """Equal data, wherever and however often they are built, have one fingerprint; other data another."""
    fingerprints = [
        project.vlrb("--cache", cache, "build", project.experiment(logs=logs), "--json").json["fingerprint"]
        for cache, logs in (("a", ""), ("b", ""), ("c", 'fault = "cost"'), ("d", "images = false"))
    ]

    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 3


def test_a_benchmark_of_another_schema_or_a_broken_one_is_refused(project: Any) -> None:
    """A cache that was written by another version, or damaged, is named; nothing is guessed."""
    file = project.experiment()
    project.vlrb("build", file)
    manifest = next(project.folder.glob(".vlrb-cache/benchmarks/*/manifest.json"))
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace(f'"schema": {SCHEMA_VERSION}', '"schema": 7000'), encoding="utf-8")
    shown = project.vlrb("build", file)
    assert (shown.status, "has schema version 7000" in shown.err, str(manifest.parent) in shown.err) == (4, True, True)
    manifest.write_text(text[:100], encoding="utf-8")
    assert "manifest.json: cannot be read" in project.vlrb("build", file).err
    manifest.write_text(text, encoding="utf-8")
    table = manifest.parent / "quality.npy"
    table.write_bytes(table.read_bytes()[:50])
    shown = project.vlrb("build", file)
    assert (shown.status, "cannot be read" in shown.err) == (4, True)


def test_report_finds_a_run_by_name_or_path_without_the_cache(project: Any) -> None:
    """A run directory stands on its own: its leaderboard can be shown after the cache is gone."""
    ran = project.vlrb("run", project.experiment('[[router]]\nuse = "random"\n'))
    import shutil

    shutil.rmtree(project.folder / ".vlrb-cache")
    directory = next(project.folder.glob("runs/t/2*"))
    by_name, by_path = project.vlrb("report", "t"), project.vlrb("report", directory)

    assert by_name.status == by_path.status == 0
    assert by_name.out == by_path.out
    assert by_name.out.splitlines()[:10] == ran.out.splitlines()[:10]
    assert project.vlrb("report", "t", "--json").json["run"]["name"] == "t"


def test_list_shows_everything_with_its_parameters(project: Any) -> None:
    """14 datasets, 17 models; one component by its name has its parameters with types, defaults and help."""
    listed = project.vlrb("list", "--json").json
    routers, knn = project.vlrb("list", "routers").out, project.vlrb("list", "router", "knn").out

    assert len([d for d in listed["dataset"] if d["plugin"] == "datasets"]) == 14
    assert len([m for m in listed["model"] if m["plugin"] == "models"]) == 17
    assert {r["name"] for r in listed["router"]} >= {"random", "strongest", "cheapest", "knn"}
    assert "feature-routers/knn" in routers
    assert "k: int = 5" not in routers
    assert "k: int = 5\n      neighbours that vote" in knn
    assert "feature-routers/mlp" not in knn
    assert project.vlrb("list", "ruter").status == 4


def test_plugins_shows_dist_version_and_what_is_broken(project: Any) -> None:
    """A broken plugin is listed with its error, and `run` refuses with the option that skips it."""
    bad = Path(__file__).parents[1] / "bad_plugins" / "raises.py"
    entries = json.loads(project.vlrb("-p", bad, "plugins", "--json").out)
    states = {e["name"]: e for e in entries}

    assert states["raises"]["state"] == "broken"
    assert "not today" in states["raises"]["detail"]
    assert states["mlflow"]["state"] == "blocked"
    provided = states["datasets"].pop("provides")["dataset"]
    assert (len(provided), "MMStar" in provided) == (14, True)
    assert states["datasets"] == {
        "name": "datasets", "dist": "vlrb", "version": states["models"]["version"], "state": "loaded",
        "detail": "14 datasets", "observes": [], "settings": False,
    }  # fmt: skip
    shown = project.vlrb("-p", bad, "run", project.experiment())
    assert shown.status == 5
    assert "-p no:raises" in shown.err
    assert project.vlrb("-p", bad, "-p", "no:raises", "check", project.experiment()).status == 0


def test_hooks_lists_all_hooks(project: Any) -> None:
    """Name, arguments and a line each."""
    rows = {h["name"]: h for h in project.vlrb("hooks", "--json").json}

    assert rows.keys() == REGISTRATION | LIFECYCLE
    assert rows["vlrb_cell_log"]["arguments"].startswith("(run: RunInfo, cell: CellInfo, step: int")
    assert all(h["summary"] for h in rows.values())
    assert "vlrb_run_end" in project.vlrb("hooks").out


def test_a_wrong_command_line_is_status_4_with_a_hint(project: Any) -> None:
    """A misspelt command or option is a usage error, not an internal one."""
    shown = project.vlrb("rnu")
    assert (shown.status, "did you mean 'run'" in shown.err) == (4, True)
    assert project.vlrb("run", "x.toml", "--job", "0").status == 4
    assert project.vlrb("run").status == 4
    assert project.vlrb("--help").status == 0


def test_a_fault_of_vlrb_is_status_3(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is told as vlrb's own fault, with a traceback, and not as the user's."""
    import vlrb.running.results

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(vlrb.running.results, "find_run", broken)
    assert project.vlrb("report", "t").status == 3


def test_the_same_metric_may_be_configured_and_others_added(project: Any) -> None:
    """[[metric]] replaces the default of its name: beta changes the rank score, and the reference points with it."""
    plain = project.vlrb("run", project.experiment(), "--json").json
    other = project.vlrb("run", project.experiment(more='[[metric]]\nuse = "rank-score"\nbeta = 2.0\n'), "--json").json

    def score(result: Any) -> float:
        oracle = next(r for r in result["references"] if r["name"] == "oracle")
        value: float = oracle["test"]["scores"]["overall"]["rank-score"]
        return value

    assert score(plain) != score(other)
    twice = '[[metric]]\nuse = "rank-score"\nbeta = 2.0\n[[metric]]\nuse = "rank-score"\nbeta = 3.0\n'
    assert "is configured twice" in project.vlrb("check", project.experiment(more=twice)).err


def test_a_folder_that_cannot_be_used_is_named(project: Any) -> None:
    """No traceback for a disk or a folder that will not do; a file stands where the cache would be."""
    project.file("", "occupied")
    shown = project.vlrb("--cache", "occupied", "run", project.experiment())

    assert shown.status == 4
    assert str(project.folder / "occupied") in shown.err
    assert "--cache" in shown.err
    assert "Traceback" not in shown.err
