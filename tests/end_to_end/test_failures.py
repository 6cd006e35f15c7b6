"""Runs in which something fails: what is lost, and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vlrb.benchmark import logs


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


def test_a_damaged_cell_or_result_is_named(project: Any) -> None:
    """A damaged file is an error of that file, with a way out, and not a fault of vlrb."""
    file = project.experiment()
    project.vlrb("run", file)
    result = next(project.folder.glob("runs/t/*/results.json"))
    whole = result.read_text(encoding="utf-8")
    for text in ("[]", '{"schema": 2}', whole[:200]):
        result.write_text(text, encoding="utf-8")
        shown = project.vlrb("report", "t")
        assert (shown.status, str(result) in shown.err) == (4, True)
    result.unlink()
    cell = next(project.folder.glob(".vlrb-cache/cells/*/test.parquet"))
    cell.write_bytes(b"PAR1")
    shown = project.vlrb("run", file)
    assert (shown.status, "test.parquet: cannot be read" in shown.err, "--fresh" in shown.err) == (4, True, True)
    assert project.vlrb("run", file, "--fresh").status == 0


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


def test_parameters_that_cannot_be_sent_need_one_process(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A router with such a parameter runs with one job, however many read the logs; with more it is named."""
    text = project.plugin.read_text(encoding="utf-8")
    text = text.replace(
        "    choice: int = param(default=0)\n", "    choice: int = param(default=0)\n    own: Any = OWN\n"
    )
    own = "class Own(tuple):\n    def __reduce__(self): raise TypeError('no')\n    def __deepcopy__(self, _): return self\n"
    text = text.replace("# --- routers", own + "OWN = Own()\n# --- routers")
    project.plugin.write_text(text, encoding="utf-8")
    monkeypatch.setattr(logs, "PARALLEL_BYTES", -1)
    file = project.experiment('[[router]]\nuse = "counting"\n')
    shown = project.vlrb("run", file, "--jobs", "2")

    assert shown.status == 5
    assert "router[0]: router 'tiny/counting' has a parameter 'own' that cannot be sent" in shown.err
    assert project.vlrb("run", file).status == 0
