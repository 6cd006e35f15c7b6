"""Work for an executor: all tasks are done, or it is blamed; a plan that goes to other processes, which load plugins again."""

from __future__ import annotations

import io
import pickle
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import attrs

from vlrb import __version__
from vlrb.api.components import toml_name
from vlrb.errors import ConfigError, PluginError, Problem, shorten_list
from vlrb.executor import Job, Limits, Listener, Task
from vlrb.experiment.plan import ConfiguredComponent, Plan, versions
from vlrb.plugins.blame import blame
from vlrb.plugins.discovery import load
from vlrb.plugins.registry import Registry
from vlrb.plugins.sources import KEY_OF, KEYS, core_digest
from vlrb.texts import describe_error

ONE = "do all the work in one process, with the executor local and --jobs 1, or report it to the plugin's author"
NUMERICAL = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "pillow", "tiktoken", "rapidfuzz")
"""Packages that may change a number in any experiment."""


def do_tasks(
    chosen: ConfiguredComponent, job: Job, tasks: Sequence[Task], listener: Listener, here: Any, limits: Limits
) -> None:
    """Have an executor do tasks, see :meth:`vlrb.executor.Executor.run`.

    :raises PluginError: when the executor itself fails, or returns before the listener was told the end of every task
    """
    if not tasks:
        return
    left, raised = {t.name for t in tasks}, list[BaseException]()

    def noting(call: Callable[..., None]) -> Callable[..., None]:
        def noted(*arguments: Any) -> None:
            try:
                call(*arguments)
            except BaseException as error:  # of the work, not of the executor, however this passes it on
                raised.append(error)
                raise

        return noted

    def ended(task: Task, result: Any) -> None:
        left.discard(task.name)
        listener.ended(task, result)

    told = Listener(noting(ended), noting(listener.progress), noting(listener.started), noting(listener.log))
    with blame(chosen.plugin, f"doing the work as executor {chosen.spec.name!r}"):
        try:
            chosen.make("run").run(job, tasks, told, here, limits=limits)
            if left and not raised:
                raise RuntimeError(f"run() returned before these tasks had ended: {shorten_list(sorted(left))}")
        except BaseException:
            if not raised:
                raise
    if raised:
        raise raised[0]


@attrs.frozen(eq=False)
class PortablePlan:
    """A plan for other processes, packed when it is sent to one: work in this process needs no parameters that can be packed.

    ``_versions`` are those of the process that made the plan, see :func:`plan_versions`.
    """

    _plan: Plan | bytes
    _versions: Mapping[str, str] | None = None

    def __reduce__(self) -> tuple[type[PortablePlan], tuple[bytes, Mapping[str, str] | None]]:
        return PortablePlan, self._packed

    @cached_property
    def _packed(self) -> tuple[bytes, Mapping[str, str] | None]:
        if isinstance(self._plan, bytes):
            return self._plan, self._versions
        return pack_plan(self._plan), plan_versions(self)

    def unpacked(self) -> Plan:
        """Return the plan where it was sent to, see :func:`unpack_plan`.

        :raises ConfigError: when the code here is not that with which the plan was made
        """
        plan = self._unpacked
        here = plan_versions(self) if self._versions is not None else {}
        differing = sorted(
            name for name, version in here.items() if self._versions and self._versions.get(name) != version
        )
        if differing:
            what = f"{shorten_list(differing)} changed after the plan was made"
            raise ConfigError(what, where=str(plan.document.path), fix="run again")
        return plan

    @cached_property
    def _unpacked(self) -> Plan:
        return unpack_plan(self._plan) if isinstance(self._plan, bytes) else self._plan


def plan_versions(sent: PortablePlan, *_: Any) -> dict[str, str]:
    """Return name -> version, or digest of sources, of all that may change a number of a plan, in this process."""
    plan = sent._unpacked
    found = {"Python": platform.python_version(), "vlrb": __version__, **versions(NUMERICAL)}
    found |= {f"what counts of vlrb's sources in a key of kind {kind!r}": core_digest(kind) for kind in KEYS}
    for chosen in _used(plan):
        found |= {f"the version of {chosen.plugin.dist}": chosen.plugin.version, **versions(chosen.spec.requires)}
        what = f"what counts of the sources of plugin {chosen.plugin.name!r} as {chosen.kind}"
        found[what] = chosen.plugin.sources_digest(KEY_OF[chosen.kind])
    for scorer in plan.registry.all("scorer"):  # which ones are used turns out when the logs are read
        what = f"what counts of the sources of plugin {scorer.plugin.name!r} as scorer"
        found[what] = scorer.plugin.sources_digest(KEY_OF["scorer"])
    return found


def pack_plan(plan: Plan) -> bytes:
    """Return a plan for :func:`unpack_plan`, without what only the main process uses: reports and settings of plugins.

    :raises PluginError: naming the parameters that cannot be packed
    """
    names = {id(thing): name for name, thing in _by_name(plan.registry).items()}
    plan = attrs.evolve(plan, reports=(), settings={})
    try:
        return pickle.dumps(plan.registry.selection) + _packed(plan, names)
    except Exception as error:
        raise PluginError(list(_unportable(plan, names)) or [Problem(describe_error(error), fix=ONE)]) from error


def _packed(thing: Any, names: Mapping[int, tuple[str, ...]]) -> bytes:
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.persistent_id = lambda thing: names.get(id(thing))  # type: ignore[method-assign]
    pickler.dump(thing)
    return file.getvalue()


def _unportable(plan: Plan, names: Mapping[int, tuple[str, ...]]) -> Iterator[Problem]:
    """Yield a problem for each parameter that cannot be packed."""
    for chosen in (*_used(plan), plan.executor):
        for field in attrs.fields(type(chosen.params)):
            try:
                _packed(getattr(chosen.params, field.name), names)
            except Exception as error:
                what = f"{chosen.kind} {chosen.registered.id!r} has a parameter {toml_name(field.name)!r}"
                message = f"{what} that cannot be sent to another process: {describe_error(error)}"
                yield Problem(message, plan.document.where(chosen.path), ONE)


def _used(plan: Plan) -> Iterator[ConfiguredComponent]:
    """Yield the components of a plan that compute."""
    yield from (plan.logs, plan.counter, plan.splitter, *plan.metrics)
    for features in plan.feature_sets.values():
        yield from (*features.encoders, features.fusion)
    yield from (p.chosen for r in plan.routers for p in r.points)


def unpack_plan(packed: bytes) -> Plan:
    """Load the plugins of a packed plan and return the plan with their components.

    :raises PluginError: when a plugin is broken
    :raises ConfigError: when a plugin no longer has a component
    """
    file = io.BytesIO(packed)
    registry = load(pickle.load(file))  # noqa: S301  (the main process has packed it)
    registry.check()
    things = _by_name(registry)

    def find(name: tuple[str, ...]) -> Any:
        if name not in things:
            what = f"plugins no longer have {' '.join(name)!r}: one of them changed since the plan was made"
            raise ConfigError(what, fix="run again")
        return things[name]

    unpickler = pickle.Unpickler(file)  # noqa: S301
    unpickler.persistent_load = find  # type: ignore[method-assign]
    plan: Plan = unpickler.load()
    return plan


def _by_name(registry: Registry) -> dict[tuple[str, ...], Any]:
    """Return the registry, its components, and the classes of their parameters, whose modules may not be found by name."""
    found: dict[tuple[str, ...], Any] = {("registry",): registry}
    for kind, records in registry.records.items():
        for registered in records:
            found[kind, registered.id] = registered
            if hasattr(registered.record, "params"):
                found[kind, registered.id, "parameters"] = registered.record.params
    return found
