"""What a second run computes again, and what it takes from the first."""

from __future__ import annotations

import json
import os
import sys
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


def test_a_new_title_of_a_task_group_is_shown(project: Any) -> None:
    """Another dataset may bring the title of a group: an old table would be shown as that of the new experiment."""
    first = project.vlrb("run", project.experiment())
    other = '[[dataset]]\nname = "Other"\ngroup = "general"\ngroup_title = "My Own Title"\n'
    second = project.vlrb("run", project.experiment(more=other))

    assert (first.status, second.status) == (0, 0), first.err + second.err
    titles = [r["run"]["benchmark"]["task_groups"].get("general") for r in project.results()]
    assert sorted(titles) == ["General", "My Own Title"]


def test_an_executor_may_do_all_work_elsewhere(project: Any) -> None:
    """Also with one job, where the main process could do it: what tasks share can be made again."""
    (project.folder / "elsewhere.py").write_text(
        "from vlrb import ExecutorSpec, hookimpl\n"
        "from vlrb.executor import LocalExecutor\n"
        "class Elsewhere:\n"
        "    def __init__(self, params): pass\n"
        "    def run(self, job, tasks, listener, here, *, limits):\n"
        "        return LocalExecutor().run(job, tasks, listener, None, limits=limits)\n"
        "@hookimpl\n"
        "def vlrb_executors(): return [ExecutorSpec(name='elsewhere', summary='s', factory=Elsewhere)]\n",
        encoding="utf-8",
    )
    file = project.experiment(more='[executor]\nuse = "elsewhere"\n')
    shown = project.vlrb("-p", str(project.folder / "elsewhere.py"), "run", file)

    assert shown.status == 0, shown.err


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
    assert splits[0]["each"][0]["group_also_in_train"]["test"] < splits[1]["each"][0]["group_also_in_train"]["test"]
    assert f"{splits[1]['each'][0]['group_also_in_train']['test']} test samples share" in grouped.out
    assert splits[0]["digest"] == splits[1]["digest"]
    assert splits[0]["groups"] > splits[1]["groups"]


def test_an_identical_finished_run_prints_its_result(project: Any) -> None:
    """A second run repeats no work and makes no second run directory."""
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


def test_a_changed_record_is_another_run(project: Any) -> None:
    """Task groups and prices decide what a table says, so that changing them must not bring back the old result."""
    first = project.vlrb("run", project.experiment(), "--json").json
    moved = '[[dataset]]\nname = "TinyB"\ngroup = "charts-ocr"\n'
    second = project.vlrb("run", project.experiment(more=moved), "--json").json

    scopes = [set(r["references"][0]["test"]["scores"]) for r in (first, second)]
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


def test_a_router_in_a_package_is_redone_when_any_of_its_modules_changes(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that decides may stand in another module than the one with the hooks; each process imports it again."""
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "plugin.py").write_text(
        "import numpy as np\n"
        "from vlrb import RouterSpec, hookimpl\n"
        "from mypackage import inner\n"
        "class R:\n"
        "    def fit(self, train, dev, context): return self\n"
        "    def route(self, queries): return np.full(len(queries), inner.CHOICE)\n"
        "@hookimpl\n"
        "def vlrb_routers(): return [RouterSpec(name='inner', summary='s', factory=lambda p: R())]\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # the edit keeps size and second
    file = project.experiment('[[router]]\nuse = "inner"\n')
    cells = []
    for choice in (0, 2, 0):
        (package / "inner.py").write_text(f"CHOICE = {choice}\n", encoding="utf-8")
        out, err = project.process("-p", package / "plugin.py", "run", file, "--json").communicate()
        cells.append(json.loads(out)["cells"][0])
        assert list(cells[-1]["choices"]["test"].values())[choice] > 0, err

    assert not cells[1]["reused"]
    assert cells[0]["cell"]["sources"] != cells[1]["cell"]["sources"]
    assert cells[0] == cells[2]  # the finished run, found again


def test_fresh_may_stand_before_the_file(project: Any) -> None:
    """`vlrb run --fresh FILE` is what one types first."""
    file = project.experiment()
    assert project.vlrb("run", "--fresh", file).status == 0
    assert project.vlrb("run", "--fresh", "cheapest", file).status == 0
