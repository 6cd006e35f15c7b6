"""Several splits on the command line: tables, processes, kills, and what cannot be split."""

from __future__ import annotations

import csv
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

KEYED = Path(__file__).parents[1] / "support" / "keyed.py"
SWEPT = '[[router]]\nuse = "keyed"\nsweep = { lambda = [0, 3, inf] }\n'
FOLDS = '[split]\nfolds = 3\n[selection]\non = "folds"\nfolds = 2\n'


def experiment(project: Any, routers: str, more: str, **given: str) -> Path:
    """Write an experiment with the routers of both plugins."""
    shutil.copy(KEYED, project.folder / "keyed.py")
    file: Path = project.experiment(routers, more=more, **given)
    file.write_text(
        file.read_text(encoding="utf-8").replace('["tiny.py"]', '["tiny.py", "keyed.py"]'), encoding="utf-8"
    )
    return file


def choices(run: Path) -> dict[str, list[Any]]:
    """Return cell and file -> what was chosen, from a run directory."""
    files = sorted(run.glob("cells/*/*.parquet"))
    return {f"{f.parent.name}/{f.name}": pq.read_table(f).to_pylist() for f in files}


def test_folds_stand_in_one_table_with_intervals_and_choices(project: Any) -> None:
    """One row per router; how often each point was chosen, intervals and deviations, in the terminal and in the files."""
    file = experiment(project, SWEPT + '[[router]]\nuse = "random"\n', FOLDS, top="seeds = [1, 2]")
    shown = project.vlrb("run", file)
    assert shown.status == 0, shown.err
    (result,) = project.results()
    run = next(project.folder.glob("runs/t/2*/"))

    assert "t: test, 3 folds pooled" in shown.out
    assert "they leave out the variance of training" in " ".join(shown.out.split())
    assert "not a standard error" not in shown.out
    assert sum(p["times_chosen"] for p in result["routers"][0]["sweep"]) == 3
    with (run / "reports" / "leaderboard.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    row = next(
        r
        for r in rows
        if (r["kind"], r["name"], r["scope"], r["metric"]) == ("router", "random", "overall", "accuracy")
    )
    assert float(row["ci_low"]) < float(row["value"]) < float(row["ci_high"])
    assert (row["over_seeds"] != "", row["over_splits"]) == (True, "")
    assert row["difference"] != ""
    inner = [
        c["cell"]["name"] if "name" in c["cell"] else c["directory"] for c in result["cells"] if c["cell"]["inner"]
    ]
    assert len(inner) == 3 * 2 * 3 * 2
    again = project.vlrb("report", "t")
    assert again.out.splitlines()[0].strip() == shown.out.splitlines()[0].strip()


def test_repeated_splits_show_two_deviations(project: Any) -> None:
    """Over seeds and over splits, said apart, and that the second is not a standard error."""
    file = experiment(project, '[[router]]\nuse = "random"\n', "[split]\nseeds = [1, 2]\n", top="seeds = [1, 2]")
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    assert "t: test, mean of 2 splits" in shown.out
    said = " ".join(shown.out.split())
    assert (
        "± a / b: standard deviation over seeds of the training / over splits (not a standard error: they share test samples)"
        in said
    )
    assert " / " in next(line for line in shown.out.splitlines() if " random " in line)


def test_learning_curves_have_a_table_of_their_own(project: Any) -> None:
    """Their cells are in no row and no title."""
    file = experiment(project, '[[router]]\nuse = "random"\n', "[split]\nfolds = 2\ntrain_fraction = [0.5, 1]\n")
    shown = project.vlrb("run", file)

    assert shown.status == 0, shown.err
    assert "t: test, 2 folds pooled" in shown.out
    assert "learning curve of random: test" in shown.out
    assert shown.out.count("train = 0.5") == 1


def test_cells_in_other_processes_choose_the_same_on_folds(project: Any) -> None:
    """Inner folds and refits included: --jobs changes nothing that comes out."""
    routers = SWEPT + '[[router]]\nuse = "knn"\nsweep = { k = [1, 5] }\n'
    file = experiment(project, routers, FOLDS + "refit = true\n")
    for jobs in ("1", "2"):
        shown = project.vlrb("--cache", f"cache{jobs}", "--runs", f"runs{jobs}", "run", file, "--jobs", jobs)
        assert shown.status == 0, shown.err
    one, two = (next(project.folder.glob(f"runs{jobs}/t/2*/")) for jobs in "12")

    assert choices(one) == choices(two)
    assert pq.read_table(one / "references.parquet").equals(pq.read_table(two / "references.parquet"))


def test_a_killed_run_of_folds_goes_on(project: Any) -> None:
    """No fold is fitted twice, and the result is that of a run that was not killed."""
    fits = project.folder / "fits"
    router = f'[[router]]\nuse = "counting"\nfile = "{fits}"\nwait = 0.3\nsweep = {{ choice = [0, 1] }}\n'
    file = experiment(project, router, FOLDS)
    process = project.process("run", file)
    limit = time.monotonic() + 90
    while not fits.exists() or len(fits.read_text().split()) < 4:
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    shown = project.vlrb("run", file, "--json")

    assert shown.status == 0, shown.err
    cells = shown.json["cells"]
    assert len(cells) == 3 * 2 * 3
    assert sum(c["reused"] for c in cells) >= 3
    assert len(cells) <= len(fits.read_text().split()) <= len(cells) + 1
    fresh = project.vlrb("--cache", "other", "--runs", "elsewhere", "run", file, "--json").json
    assert [c["choices"] for c in fresh["cells"]] == [c["choices"] for c in cells]
    points = [[r["points"], r["test"]["scores"]["overall"]["rank-score"]] for r in fresh["routers"]]
    assert points == [[r["points"], r["test"]["scores"]["overall"]["rank-score"]] for r in shown.json["routers"]]


ENCODER = """
from pathlib import Path

import attrs
import numpy as np

from vlrb import Column, EncoderSpec, Features, hookimpl, param


@attrs.frozen
class Params:
    file: str = param()


@attrs.frozen
class Encoder:
    params: Params

    def encode(self, queries):
        with Path(self.params.file).open("a", encoding="utf-8") as file:
            file.write("".join(f"{text}|{hashes}\\n" for text, hashes in zip(queries.texts, queries.images.hashes)))
        return Features(np.array([[len(text), ord(text[-1])] for text in queries.texts], np.float32), (Column("a"), Column("b")))


@hookimpl
def vlrb_encoders():
    return [EncoderSpec(name="noting", summary="for tests", factory=Encoder, params=Params)]
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_features_are_encoded_once_whatever_the_folds(project: Any, jobs: str) -> None:
    """Splits, inner folds, points, routers and processes share them: an encoder sees each distinct content once in all."""
    asked = project.folder / "asked"
    encoders = f'[features.default]\nencoders = [{{ use = "noting", file = "{asked}" }}]\n'
    routers = '[[router]]\nuse = "knn"\nsweep = { k = [1, 5] }\n[[router]]\nuse = "kmeans"\n'
    file = experiment(project, routers, FOLDS + encoders)
    project.file(ENCODER, "noting.py")
    text = file.read_text(encoding="utf-8").replace('"keyed.py"]', '"keyed.py", "noting.py"]')
    shown = project.vlrb("run", project.file(text), "--jobs", jobs, "--json")
    assert shown.status == 0, shown.err
    seen = asked.read_text(encoding="utf-8").splitlines()
    assert len(shown.json["cells"]) == 3 * (2 + 1) * 2 + 3
    assert len(seen) == len(set(seen)) == 60, "the two datasets have the same questions and images"


SPLITTER = """
from pathlib import Path

import numpy as np

from vlrb import SplitRows, Splits, SplitterSpec, hookimpl


def splitter(params):
    def split(samples):
        with Path("FILE").open("a", encoding="utf-8") as file:
            file.write("split\\n")
        rows = np.arange(len(samples.ids))
        return Splits((SplitRows(rows[rows % 5 < 3], rows[rows % 5 == 3], rows[rows % 5 == 4]),), "by hand")

    return split


@hookimpl
def vlrb_splitters():
    return [SplitterSpec(name="noting", summary="for tests", factory=splitter)]
"""


def test_processes_that_run_cells_do_not_split_again(project: Any) -> None:
    """They get the split: to make it may take long, as where texts are compared with each other."""
    calls = project.folder / "calls"
    file = experiment(project, SWEPT + '[[router]]\nuse = "random"\n', '[split]\nuse = "noting"\n')
    project.file(SPLITTER.replace("FILE", str(calls)), "noting.py")
    text = file.read_text(encoding="utf-8").replace('"keyed.py"]', '"keyed.py", "noting.py"]')
    shown = project.vlrb("run", project.file(text), "--jobs", "2")

    assert shown.status == 0, shown.err
    assert calls.read_text(encoding="utf-8") == "split\n"


BAD = [
    ("[split]\nfolds = 40\n", "", 4, "40 folds need at least 40 groups", "at most 30 folds"),
    ("[split]\nfolds = 3\ntest = 0.2\n", "", 4, "test and folds exclude each other", ""),
    ("[split]\nseeds = [1, 2]\nseed = 1\n", "", 4, "seed and seeds exclude each other", ""),
    ("[split]\nfolds = 1\n", "", 4, "split.folds", ""),
    ('[split]\nuse = "hold-out"\ndatasets = ["TinyC"]\n', "", 4, "'TinyC'", "did you mean"),
    ('[selection]\non = "folds"\nfolds = 25\n', "", 4, "25 folds need at least 25 groups", "at most 24 folds"),
    ('[selection]\non = "test"\n', "", 4, "selection", "protocol"),
    ('[selection]\non = "folds"\nfolds = 1\n', "", 4, "selection.folds", ""),
    ("[selection]\nfolds = 3\n", "", 4, 'used only with on = "folds"', "remove folds"),
    ('[split]\nuse = "hold-out"\n', "", 4, "give exactly one of datasets and task_groups", ""),
    ("[split]\ntrain_fraction = [0.001, 1]\n", "", 4, "the split 'train' of 'train=0.001' is empty", ""),
    ("[split]\ntrain_fraction = [0.5]\n", "", 4, "must contain 1", ""),
    ('[statistics]\nby = ["datset"]\n', "", 4, "'datset'", "did you mean 'dataset'"),
    ('[statistics]\nbaseline = "randm"\n', "", 4, "statistics.baseline", ""),
    ('[statistics]\npairs = [["keyed", "keyed"]]\n', "", 4, "two different names", ""),
    ("[statistics]\ndraws = 5\n", "", 4, "statistics.draws", ""),
]


@pytest.mark.parametrize(("more", "logs", "status", "said", "fix"), BAD)
def test_what_cannot_be_split_or_compared_is_an_error_without_a_run(
    project: Any, more: str, logs: str, status: int, said: str, fix: str
) -> None:
    """It names the key, the value and a way out; nothing is fitted."""
    shown = project.vlrb("run", experiment(project, SWEPT, more, logs=logs))

    assert shown.status == status
    assert said in shown.err
    assert fix in shown.err
    assert "Traceback" not in shown.err
    assert shown.err.count("error: ") == 1, shown.err
    assert not list(project.folder.glob("runs/t/*"))


@pytest.mark.parametrize("wrong", ["all", "TinyB"])
def test_answers_that_are_all_wrong_are_no_crash(project: Any, wrong: str) -> None:
    """A run on them ends in order, choosing on folds by estimates included; what has no value is shown as a dash."""
    more = '[split]\nuse = "leave-one-out"\n[selection]\non = "folds"\nfolds = 2\nrule = "predicted"\n'
    routers = SWEPT + '[[router]]\nuse = "knn"\nsweep = { k = [1, 5] }\n'
    shown = project.vlrb("run", experiment(project, routers, more, logs=f'wrong = "{wrong}"'))

    assert "Traceback" not in shown.err + shown.out
    assert shown.status in (0, 1), shown.err
    assert " keyed " in shown.out
    (result,) = project.results()
    failed = [c["error"] for c in result["cells"] if c["status"] == "failed"]
    assert all("no model is right on any of" in error for error in failed), failed
