"""A plan that is sent to another process is the same plan there; an executor that does not do its tasks is blamed."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import attrs
import pytest

from vlrb.api.components import ExecutorSpec, NoParams
from vlrb.errors import ConfigError, PluginError, StorageError
from vlrb.executor import Job, Limits, Listener, Task
from vlrb.experiment.plan import ConfiguredComponent, Plan
from vlrb.experiment.portable import PortablePlan, do_tasks, pack_plan, unpack_plan
from vlrb.experiment.resolve import make_plan
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered

PLUGIN = """
import attrs
from vlrb import RouterSpec, hookimpl


def params_class():
    @attrs.frozen
    class Params:
        number: int = 1
        share: float = float("inf")

    return Params


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="mine", summary="for tests", factory=print, params=params_class())]
"""
EXPERIMENT = """
name = "t"
plugins = ["mine.py"]
requires = []
[logs]
use = "demo"
[[router]]
use = "mine"
sweep = { number = [1, 2] }
[[router]]
use = "knn"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLRB_DISABLE_PLUGINS", "mlflow")
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "experiment.toml").write_text(EXPERIMENT, encoding="utf-8")
    return tmp_path / "experiment.toml"


def identities(plan: Any) -> list[Any]:
    """Return what decides the numbers of a plan, less what only the main process uses."""
    routers = [(r.label, [(p.chosen.identity(), p.swept) for p in r.points]) for r in plan.routers]
    sets = {name: features.identity() for name, features in plan.feature_sets.items()}
    chosen = [plan.logs, plan.counter, plan.selection_metric(), *plan.metrics]
    return [routers, sets, [c.identity() for c in chosen], plan.catalog, plan.general, plan.benchmark, plan.split]


def test_a_plan_is_the_same_plan_there(file: Path) -> None:
    """Also with a plugin file, and with a class of parameters that no other process finds by its name."""
    plan = make_plan(file)
    sent = unpack_plan(pack_plan(plan))

    assert identities(sent) == identities(plan)
    assert sent.registry is not plan.registry


def test_a_component_that_is_gone_is_named(file: Path) -> None:
    """Protects a run against an edit of a plugin between its plan and its cells."""
    packed = pack_plan(make_plan(file))
    (file.parent / "mine.py").write_text(PLUGIN.replace('"mine"', '"other"'), encoding="utf-8")

    with pytest.raises(ConfigError, match="router mine/mine"):
        unpack_plan(packed)


VIEW = PLUGIN.replace(
    "number: int = 1", "number: int = 1\n        table: object = attrs.field(factory=lambda: {}.keys())"
)


def test_parameters_that_cannot_be_sent_are_named(file: Path) -> None:
    """The component, the parameter and the place, once the plan is sent; work in this process does without."""
    (file.parent / "mine.py").write_text(VIEW, encoding="utf-8")
    sent = PortablePlan(make_plan(file))

    assert sent.unpacked().routers
    with pytest.raises(PluginError) as caught:
        pickle.dumps(sent)
    (problem,) = set(map(str, caught.value.problems))
    assert f"{file}: router[0]: router 'mine/mine' has a parameter 'table'" in problem
    assert "--jobs 1" in problem
    assert isinstance(
        pickle.loads(pickle.dumps(PortablePlan(attrs.evolve(sent.unpacked(), routers=())))).unpacked(), Plan
    )


class Scripted:
    """An executor that does what a test wants."""

    def __init__(self, run: Any) -> None:
        self.run = run


def done_by(run: Any, ended: Any = print) -> None:
    spec = ExecutorSpec(name="scripted", summary="", factory=lambda _: Scripted(run))
    registered = Registered(spec, Plugin("cluster", "d", "1", "o", object=object()))
    tasks = [Task("one", ()), Task("two", ())]
    do_tasks(
        ConfiguredComponent("executor", registered, NoParams()),
        Job(print, (), print), tasks, Listener(ended, print), None, Limits(),
    )  # fmt: skip


def down(*_: Any, **__: Any) -> None:
    raise OSError("the cluster is down")


def halfway(_job: Any, tasks: Any, listener: Any, _here: Any, *, limits: Any) -> None:
    listener.ended(tasks[0], None)


def dutiful(_job: Any, tasks: Any, listener: Any, _here: Any, *, limits: Any) -> None:
    for task in tasks:
        with contextlib.suppress(ArithmeticError):
            listener.ended(task, None)


@pytest.mark.parametrize(
    ("run", "said"), [(down, "the cluster is down"), (lambda job, tasks: None, "argument"), (halfway, "ended: two")]
)
def test_an_executor_that_fails_is_blamed(run: Any, said: str) -> None:
    """It raises, has another signature, or returns before all is done: its plugin is named, with the way round it."""
    with pytest.raises(PluginError, match=said) as caught:
        done_by(run)

    assert "plugin 'cluster' (d 1) failed while doing the work as executor 'scripted'" in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("in the work"), StorageError("full", fix="")])
def test_what_the_work_raises_is_not_blamed_on_the_executor(error: BaseException) -> None:
    """Failures of tasks reach the executor through its listener, and pass even if it keeps them to itself."""

    def ended(*_: Any) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        done_by(dutiful, ended)
    assert caught.value is error
    done_by(dutiful)
