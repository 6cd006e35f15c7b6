"""The Python API, and what its documents say."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pyarrow.parquet as pq
import pytest
from split_runs import run_splits

import vlrb

ROOT = Path(__file__).parents[2]
OFF = ["no:mlflow"]
KEYED = Path(__file__).parents[1] / "support" / "keyed.py"
FIGURE = """
from matplotlib.figure import Figure
from vlrb import FigureSpec, NoParams, Undefined, hookimpl, param
import attrs


@attrs.frozen
class Params:
    wide: bool = param(default=False)


@hookimpl
def vlrb_figures():
    def draw(params):
        return lambda run: Figure(figsize=(6 if params.wide else 3, 2))

    empty = lambda _: lambda run: Undefined("there is no sweep")
    return [
        FigureSpec(name="two-words", title="T", summary="what it shows", factory=draw, params=Params),
        FigureSpec(name="no-sweep", title="S", summary="s", factory=empty, params=NoParams),
    ]
"""


@pytest.fixture
def experiment(project: Any) -> dict[str, Any]:
    """Return an experiment on the tiny logs as a dict; the project's folder is the working directory."""
    return {
        "name": "t",
        "requires": [],
        "plugins": ["tiny.py"],
        "logs": {"use": "tiny", "samples": 40},
        "router": [{"use": "cheapest"}, {"use": "knn", "k": 3}],
    }


@attrs.define
class Strongest:
    """Routes all to the model that is most accurate on train; keeps what it has seen."""

    fits: int = 0
    choice: int = -1

    def fit(self, train: Any, dev: Any, context: Any) -> None:
        self.fits += 1
        assert self.fits == 1
        self.choice = int(train.quality.mean(axis=0).argmax())

    def route(self, queries: Any) -> Any:
        return np.full(len(queries), self.choice)


# --- run, load_run, load_benchmark --------------------------------------------------------------------------------------


def test_a_dict_is_the_experiment_of_a_file(experiment: dict[str, Any], project: Any) -> None:
    """The same run, to the key: a file with the same content finds it finished."""
    run = vlrb.run(experiment, plugins=OFF)
    text = (run.directory / "experiment.toml").read_text(encoding="utf-8")
    again = vlrb.run(project.file(text), plugins=OFF)

    assert again.directory == run.directory
    assert [r.label for r in run.result.routers] == ["cheapest", "knn"]
    assert vlrb.load_run("t").result == vlrb.load_run(run.directory).result
    assert repr(run) == f"<FinishedRun t/{run.directory.name}: cheapest, knn>"


def test_fresh_fits_again(experiment: dict[str, Any]) -> None:
    """All routers, those of some labels, or none."""
    first = vlrb.run(experiment, plugins=OFF)
    some = vlrb.run(experiment, plugins=OFF, fresh=["knn"])
    every = vlrb.run(experiment, plugins=OFF, fresh=True)

    assert len({first.directory, some.directory, every.directory}) == 3
    assert {c.cell.label: c.reused for c in some.result.cells} == {"cheapest": True, "knn": False}
    assert not any(c.reused for c in every.result.cells)
    with pytest.raises(vlrb.ConfigError, match="no router 'kn'"):
        vlrb.run(experiment, plugins=OFF, fresh="kn")


def test_nothing_of_the_process_changes(
    experiment: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No output, no signal handler, no variable of the environment is left; folders may be given, or stand in variables."""
    monkeypatch.delenv("VLRB_CACHE")
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {k: v for k, v in os.environ.items() if k.startswith("VLRB")}, [*map(signal.getsignal, signals)]
    run = vlrb.run(experiment, plugins=OFF, runs=tmp_path / "here", cache=tmp_path / "there")

    assert ({k: v for k, v in os.environ.items() if k.startswith("VLRB")}, [*map(signal.getsignal, signals)]) == before
    assert capsys.readouterr() == ("", "")
    assert run.directory.is_relative_to(tmp_path / "here")
    assert (tmp_path / "there" / "benchmarks").is_dir()
    assert not (tmp_path / ".vlrb-cache").exists()
    assert vlrb.load_run("t", runs=tmp_path / "here", cache=tmp_path / "there").benchmark is not None
    vlrb.run(experiment, plugins=OFF, fresh=True, progress=True)
    assert "cells: 2/2" in capsys.readouterr().err


def test_a_benchmark_is_built_once_and_read_from_its_folder(experiment: dict[str, Any], project: Any) -> None:
    """By a dict, a file or a folder; it says in one line what it is."""
    built = vlrb.load_benchmark(experiment)
    again = vlrb.load_benchmark(os.path.relpath(built.directory))

    assert again.fingerprint == vlrb.load_benchmark(str(project.experiment(logs="samples = 40"))).fingerprint
    assert again.images[0] is not None
    assert repr(built) == f"<Benchmark {built.fingerprint[:12]}: 80 samples, 3 models>"
    with pytest.raises(vlrb.ConfigError, match="is not a benchmark"):
        vlrb.load_benchmark(project.folder)


def test_errors_are_those_of_the_command_line(experiment: dict[str, Any]) -> None:
    """All problems at once, with their places; nothing is a SystemExit."""
    with pytest.raises(vlrb.ConfigError) as caught:
        vlrb.run({**experiment, "sed": [1], "split": {"fold": 3}}, plugins=OFF)
    assert {p.where for p in caught.value.problems} == {"<dict>: sed", "<dict>: split.fold"}
    with pytest.raises(vlrb.ConfigError, match="there is no file nothing.toml"):
        vlrb.run("nothing.toml")
    with pytest.raises(vlrb.ConfigError, match="no finished run 'tt'"):
        vlrb.load_run("tt")
    with pytest.raises(vlrb.ConfigError, match="jobs must be at least 1"):
        vlrb.run(experiment, jobs=0)
    with pytest.raises(vlrb.PluginError, match=r"(?s)no such file.*lacking.py"):
        vlrb.run(experiment, plugins="lacking.py")


def test_what_fails_is_logged(experiment: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A failed cell is part of the result, and said."""
    experiment["router"].append({"use": "faulty", "fault": "raise"})
    with caplog.at_level(logging.ERROR, "vlrb"):
        run = vlrb.run(experiment, plugins=OFF)

    assert "cannot learn this" in caplog.text
    assert "error.txt" in caplog.text
    assert "1 of 3 cells failed" in run._repr_html_()


def test_a_script_needs_no_guard_for_processes(experiment: dict[str, Any], project: Any) -> None:
    """A new process does not import the main module: without `if __name__ == "__main__"` it would run it again."""
    script = project.file(
        f"import vlrb\nprint('began', flush=True)\nprint(vlrb.run({experiment!r}, plugins={OFF!r}, jobs=2))\n", "s.py"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)

    assert done.stdout.count("began") == 1
    assert "<FinishedRun t/" in done.stdout


def test_import_is_cheap() -> None:
    """`import vlrb` imports nothing heavy, and a name only what it needs."""
    code = "import vlrb, sys; print([m for m in ('numpy', 'attrs', 'click', 'pandas') if m in sys.modules], dir(vlrb))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("[]")
    assert {"run", "load_run", "load_benchmark", "evaluate"} <= set(dir(vlrb))


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_an_object_is_evaluated_like_a_router(experiment: dict[str, Any]) -> None:
    """On the same splits and with the same statistics: it equals the bundled router that does the same."""
    benchmark, router = vlrb.load_benchmark(experiment), Strongest()
    run = vlrb.evaluate(
        router, benchmark, label="mine", seeds=[1, 2], split={"folds": 3}, router=[{"use": "strongest"}]
    )
    board = run.leaderboard().set_index("name")

    assert router == Strongest()
    assert len(run.result.cells) == 12
    assert board.loc["mine", "accuracy"] == board.loc["strongest", "accuracy"]
    assert {"mine", "strongest", "oracle", "best-single"} <= set(board.index)
    assert run.result.run.benchmark.fingerprint == benchmark.fingerprint
    assert run.benchmark is not None
    assert vlrb.load_run(run.directory).result == run.result


def test_a_run_on_a_benchmark_says_how_it_was_built(experiment: dict[str, Any]) -> None:
    """Protects readers of experiment.json: it has the benchmark's own policies, not the defaults."""
    policies = {"missing": "drop-sample", "correct_at": 0.5}
    benchmark = vlrb.load_benchmark({**experiment, "benchmark": policies})
    run = vlrb.evaluate(Strongest(), benchmark)
    stored = json.loads((run.directory / "experiment.json").read_text(encoding="utf-8"))["benchmark"]

    assert policies.items() <= stored.items()
    assert run.result.run.benchmark.fingerprint == benchmark.fingerprint


def test_an_experiment_gives_an_object_everything_but_its_routers(experiment: dict[str, Any], project: Any) -> None:
    """Of a file or a dict: logs, split, features; paths stay relative to the file, and its routers and tracking are left out."""
    (project.folder / "sub").mkdir()
    project.file(project.plugin.read_text(encoding="utf-8"), "sub/tiny.py")
    head = 'name = "n"\nplugins = ["tiny.py"]\n[logs]\nuse = "tiny"\n[split]\nfolds = 2\n[plugin.mlflow]\nexperiment = "e"\n'
    file = project.file(
        head + '[statistics]\nbaseline = "knn"\ndraws = 100\n[features.mine]\nencoders = ["hashed-text"]\n'
        '[[router]]\nuse = "knn"\n',
        "sub/e.toml",
    )
    run = vlrb.evaluate(Strongest(), file, features="mine", runs="own")

    assert run.directory.is_relative_to(project.folder / "own" / "n")
    assert [r.label for r in run.result.routers] == ["Strongest"]
    assert len(run.result.run.split.whole) == 2
    assert (run.result.statistics.baseline, run.result.statistics.draws) == ("best-single", 100)
    assert "mlflow" not in (run.directory / "experiment.toml").read_text(encoding="utf-8")
    assert (
        vlrb.evaluate(Strongest(), {"logs": experiment["logs"], "plugins": ["tiny.py"]}).result.run.name == "Strongest"
    )


def test_features_are_encoded_for_an_object(experiment: dict[str, Any]) -> None:
    """Encoders by name, or a table; an object without them sees none."""
    seen: list[Any] = []

    class Looking(Strongest):
        def fit(self, train: Any, dev: Any, context: Any) -> Any:
            seen.append(None if train.queries.features is None else train.queries.features.matrix.shape[1])
            super().fit(train, dev, context)
            return self

    benchmark = vlrb.load_benchmark(experiment)
    vlrb.evaluate(Looking(), benchmark)
    vlrb.evaluate(Looking(), benchmark, features=["hashed-text"])
    vlrb.evaluate(
        Looking(), benchmark, features={"encoders": ["hashed-text", "image-statistics"], "fusion": "only-image"}
    )

    assert seen[0] is None
    assert seen[1] > seen[2] > 0


def test_an_object_is_never_taken_for_another(experiment: dict[str, Any]) -> None:
    """Two calls share no cell; none stays in the cache, while those of registered routers do."""
    benchmark = vlrb.load_benchmark(experiment)
    first, second = (vlrb.evaluate(Strongest(), benchmark, router=[{"use": "knn"}]) for _ in range(2))
    cells = benchmark.directory.parents[1] / "cells"

    assert first.directory != second.directory
    assert {c.cell.label: c.reused for c in second.result.cells} == {"Strongest": False, "knn": True}
    assert len([p for p in cells.iterdir() if p.suffix != ".lock"]) == 1
    assert len(second.choices("Strongest")) > 0


def test_what_is_no_router_is_refused(experiment: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A class, a thing without fit, one that cannot be copied; one that fails is a failed cell."""
    benchmark = vlrb.load_benchmark(experiment)

    class Failing(Strongest):
        def fit(self, train: Any, dev: Any, context: Any) -> None:
            raise ValueError("not today")

    @attrs.define
    class Stuck(Strongest):
        stream: Any = (i for i in ())

    for thing, message in ((Strongest, "is a class"), (3, r"no method fit\(\)"), (Stuck(), "cannot be copied")):
        with pytest.raises(vlrb.ConfigError, match=message):
            vlrb.evaluate(thing, benchmark)
    with pytest.raises(vlrb.ConfigError, match=r"vlrb.evaluate: split.fold"):
        vlrb.evaluate(Strongest(), benchmark, split={"fold": 3})
    assert vlrb.evaluate(Failing(), benchmark).result.cells[0].status == "failed"
    assert "ValueError: not today (fix: correct the object that was given)" in caplog.text


# --- figures and documents --------------------------------------------------------------------------------------------


def test_figures_are_methods(experiment: dict[str, Any], project: Any) -> None:
    """Named with underscores, listed, drawn with parameters; a reason, or what may be meant, otherwise."""
    project.file(FIGURE, "drawn.py")
    run = vlrb.load_run(vlrb.run(experiment, plugins=OFF).directory, plugins=["drawn.py"])

    assert {"two_words", "no_sweep", "pareto"} <= set(dir(run.plot))
    assert run.plot.two_words(wide=True).get_size_inches()[0] == 6
    assert run.plot.two_words()._repr_png_().startswith(b"\x89PNG")
    assert run.plot.two_words.__doc__ == "what it shows"
    with pytest.raises(vlrb.DataError, match="there is no sweep"):
        run.plot.no_sweep()
    with pytest.raises(vlrb.ConfigError, match="wrong parameters"):
        run.plot.two_words(wid=True)
    with pytest.raises(AttributeError, match="did you mean 'two_words'"):
        _ = run.plot.two_word
    with pytest.raises(AttributeError, match=r"vlrb\.load_run"):
        _ = vlrb.FinishedRun.read(run.directory).plot.sweeps


def blocks_of_document() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8"), re.DOTALL)


def cells_of_example() -> list[str]:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not c["outputs"] for c in notebook["cells"] if c["cell_type"] == "code")
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("texts", [blocks_of_document, cells_of_example])
def test_what_is_shown_runs(project: Any, texts: Callable[[], list[str]]) -> None:
    """Every block of docs/notebook.md, and every cell of the example notebook, in order."""
    names: dict[str, Any] = {}
    for number, text in enumerate(texts()):
        exec(compile(text, f"{texts.__name__}[{number}]", "exec"), names)

    assert number >= 5
    assert isinstance(names["run"], vlrb.FinishedRun)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that has every kind of file."""
    routers = '[[router]]\nuse = "keyed"\nsweep = { lambda = [0, 3] }\n[[router]]\nuse = "peeking"\n'
    routers += '[[router]]\nuse = "faulty"\nfault = "raise"\n[[router]]\nuse = "knn"\n'
    more = '[split]\nfolds = 2\n[selection]\non = "folds"\nfolds = 2\nrefit = true\n[statistics]\nby = ["hint"]\n'
    return run_splits(tmp_path_factory.mktemp("results"), routers, more).files


def named(section: str) -> set[str]:
    """Return the names in a section of docs/results.md, "" for what comes before the first heading."""
    sections = re.split(
        r"^## (.*)$", "\n## \n" + (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    texts = {heading.strip("`"): text for heading, text in zip(sections[1::2], sections[2::2], strict=True)}
    return set(re.findall(r"`([^`\n]+)`", texts[section]))


def test_every_file_and_column_is_described(directory: Path) -> None:
    """docs/results.md names all files of a run, and all columns of its tables in the section on them."""
    known = named("") | named("Cells")
    files = {f.relative_to(directory) for f in directory.rglob("*") if f.is_file()}
    assert {f"figures/NAME{f.suffix}" if "figures" in f.parts else f.name for f in files} <= known
    assert {f"{f.parts[0]}/" if f.parts[0] != "cells" else "cells/CELL/" for f in files if len(f.parts) > 1} <= known
    for file in (f for f in files if f.suffix == ".parquet"):
        columns = pq.read_schema(directory / file).names
        if file.name == "inner_splits.parquet":
            assert all(re.fullmatch(r"id|fold-\d,inner-\d", c) for c in columns)
            continue
        found = {re.sub(r":.*", ":COLUMN" if c.startswith("by:") else ":MODEL", c) for c in columns}
        assert found <= named("Cells" if "cells" in file.parts else "Samples and splits"), file
    header = (directory / "reports" / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[0]
    assert set(header.split(",")) <= named("reports/leaderboard.csv")


def test_every_key_is_described(directory: Path) -> None:
    """The keys of cell.json, plan.json, benchmark.json and results.json, and those of its lists, each in its section."""
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    tables = [results, results["run"], *results["cells"], *results["routers"], *results["references"]]
    tables += [results["statistics"], next(iter(results["statistics"]["rows"].values())), results["routers"][0]["test"]]
    assert {key for table in tables for key in table} <= named("results.json") | named("Cells")
    for file in (directory / "plan.json", directory / "benchmark.json", *directory.glob("cells/*/cell.json")):
        table = json.loads(file.read_text(encoding="utf-8"))
        own = file.name == "cell.json"
        assert {*table, *(table["cell"] if own else ())} <= named("Cells" if own else file.name), file
