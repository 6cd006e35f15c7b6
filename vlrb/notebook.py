"""The Python API, for notebooks and scripts: what the command line does, with Python objects in place of text."""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from vlrb.api.components import LogSourceSpec, RouterSpec, param
from vlrb.api.hookspecs import hookimpl
from vlrb.api.records import slugify
from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark, load
from vlrb.errors import ConfigError
from vlrb.executor import Progress, quiet
from vlrb.experiment.document import Document, read_document
from vlrb.experiment.resolve import make_plan
from vlrb.experiment.toml_text import to_toml
from vlrb.locks import locked
from vlrb.plugins import discovery
from vlrb.plugins.plugin import Selection
from vlrb.running.finished import FinishedRun
from vlrb.running.results import find_run
from vlrb.running.run import RunOutcome, execute
from vlrb.storage import Places, remove_folder
from vlrb.texts import describe_error, short_repr

if TYPE_CHECKING:
    Folder = str | os.PathLike[str]
    Experiment = Folder | Mapping[str, Any]
    Plugins = Folder | Iterable[Folder]

logger = logging.getLogger("vlrb")

DICT = Path("<dict>")
"""In place of the file's name where an experiment is a dict; relative paths are relative to the working directory."""
HERE = Path("vlrb.evaluate")
"""In place of the file's name for keys that are given to :func:`evaluate`."""
TRACKING = "mlflow"


def load_benchmark(
    source: Experiment,
    *,
    jobs: int | None = None,
    cache: Folder | None = None,
    plugins: Plugins = (),
    progress: bool = False,
) -> Benchmark:
    """Return the benchmark of an experiment, built unless the cache has it, or that of a folder of the cache.

    :param source: an experiment file, a dict as TOML would give it, or a folder
    :param jobs: processes that read and score logs; default: one per CPU
    :param cache: folder of the cache; default: ``VLRB_CACHE``, or ``.vlrb-cache``
    :param plugins: files or modules, as after ``-p``
    :param progress: show progress on stderr
    :raises VlrbError: as on the command line
    """
    if not isinstance(source, Mapping) and Path(source).is_dir():
        if not (Path(source) / "manifest.json").is_file():
            fix = "give a folder in the cache's folder benchmarks, or an experiment file"
            raise ConfigError(f"the folder {source} is not a benchmark", where="vlrb.load_benchmark", fix=fix)
        return load(Path(source).absolute())
    with _working(_places(None, cache), jobs, progress) as (places, show):
        return build(make_plan(_document(source), _options(plugins)), places, jobs, show)


def run(
    experiment: Experiment,
    *,
    jobs: int | None = None,
    fresh: bool | Sequence[str] = False,
    only: Sequence[str] = (),
    limit: int = 0,
    runs: Folder | None = None,
    cache: Folder | None = None,
    plugins: Plugins = (),
    progress: bool = False,
) -> FinishedRun:
    """Run an experiment as ``vlrb run`` does: one that was stopped is resumed, one that has finished is read.

    What failed (cells, metrics, reports, tracking) is logged by the logger ``vlrb``, and stands in the result.

    :param experiment: an experiment file, or a dict as TOML would give it
    :param jobs: processes; default: one per CPU to read logs, and one router at a time, so that their timings hold
    :param fresh: fit routers again although their results are known: all, or those with these labels
    :param only: labels of the routers to run; default: all
    :param limit: about how many samples to run on, for a first try; 0: all
    :param runs: folder of the runs; default: ``VLRB_RUNS``, or ``runs``
    :param cache: folder of the cache; default: ``VLRB_CACHE``, or ``.vlrb-cache``
    :param plugins: files or modules, as after ``-p``
    :param progress: show progress on stderr
    :raises VlrbError: as on the command line
    """
    only = [only] if isinstance(only, str) else only
    labels = [] if fresh is True else [fresh] if isinstance(fresh, str) else fresh or None
    with _working(_places(runs, cache), jobs, progress) as (places, show):
        plan = make_plan(_document(experiment), _options(plugins), weights=True, only=only, limit=limit)
        return _finished(execute(plan, places, jobs=jobs, fresh=labels, progress=show))


def load_run(
    name: Folder, *, runs: Folder | None = None, cache: Folder | None = None, plugins: Plugins = ()
) -> FinishedRun:
    """Read a finished run: its folder, or an experiment's name for its newest run.

    :param runs: folder of the runs, see :func:`run`
    :param cache: folder of the cache, where the run's benchmark may still be
    :param plugins: files or modules whose figures are to be drawn, as after ``-p``
    :raises ConfigError: when there is no such run
    :raises DataError: when its results cannot be read
    """
    places = _places(runs, cache)
    directory = find_run(places.runs, os.fspath(name))
    return FinishedRun.read(directory, places.cache, discovery.load(Selection.of(_options(plugins))))


def evaluate(
    router: Any,
    benchmark: Benchmark | Experiment,
    /,
    *,
    label: str = "",
    features: Sequence[Any] | Mapping[str, Any] | str | None = None,
    runs: Folder | None = None,
    cache: Folder | None = None,
    plugins: Plugins = (),
    mlflow: bool = False,
    progress: bool = False,
    **sections: Any,
) -> FinishedRun:
    """Evaluate an object with ``fit(train, dev, context)`` and ``route(queries)`` as a router that no plugin registers.

    ``fit`` returns the object that routes, or None where it is the object itself.  Each seed and split fits a copy of the object
    as it was given, in this process.  Nothing of it is reused by a later call, as nobody can tell whether it is the same.

    :param benchmark: as :func:`load_benchmark` returns it, or an experiment, without its routers and what compares them
    :param label: in the leaderboard; default: the name of the class
    :param features: encoders (names or tables), a table with ``encoders`` and ``fusion``, or a feature set of the experiment
    :param runs: folder of the runs; default: a new temporary folder, see :attr:`FinishedRun.directory`
    :param cache: folder of the cache; default: that of the benchmark
    :param plugins: files or modules, as after ``-p``
    :param mlflow: track the run
    :param progress: show progress on stderr
    :param sections: keys of an experiment file in place of the experiment's, such as ``seeds``, ``split``, ``selection``,
        ``statistics`` and ``metric``; ``router``: tables of other routers to compare with
    :raises VlrbError: as on the command line; an object that fails is logged by the logger ``vlrb``
    """
    given = _Given.of(router, label, needs_features=features is not None)
    options = (*_options(plugins), *(() if mlflow else (f"no:{TRACKING}",)))
    built = benchmark if isinstance(benchmark, Benchmark) else None
    cache = built.directory.parents[1] if built is not None and cache is None else cache
    document = _setting(given.experiment(benchmark), sections)
    document = document if mlflow else _untracked(document)
    with _working(_places(runs or tempfile.mkdtemp(prefix="vlrb-"), cache), None, progress) as (places, show):
        if built is None:
            built = build(make_plan(_without(document, "router", "statistics"), options), places, None, show)
        document = given.joined(_without(document, "executor"), features)
        plan = make_plan(document, options, weights=True, objects={_Given.NAME: given})
        logger.info("the results of %s will be in %s", given.label, places.runs)
        finished = _finished(execute(plan, places, progress=show, benchmark=built))
        _forget(finished, given.label, places)
    return finished


@attrs.frozen
class _CallParams:
    call: str = param(help="tells the call of vlrb.evaluate from all others, so that no result is reused")


@attrs.frozen
class _FolderParams:
    folder: str = param(help="folder of the benchmark")


@attrs.frozen(eq=False)
class _Given:
    """A plugin with a router that is an object of this process, and with the benchmark as a source of logs."""

    NAME = "evaluate"
    SOURCE = "benchmark"

    object: Any
    label: str
    name: str
    needs_features: bool

    @classmethod
    def of(cls, router: Any, label: str, needs_features: bool) -> _Given:
        """Return the plugin of an object, which is copied.

        :raises ConfigError: when the object is not a router
        """
        fix = "give an object with fit(train, dev, context) and route(queries); docs/notebook.md has an example"
        if isinstance(router, type):
            raise ConfigError(f"{router.__name__} is a class", where="vlrb.evaluate", fix=f"{fix}: {router.__name__}()")
        if not callable(getattr(router, "fit", None)):
            raise ConfigError(f"{short_repr(router)} has no method fit()", where="vlrb.evaluate", fix=fix)
        try:
            kept = copy.deepcopy(router)
        except Exception as error:
            what = f"the router cannot be copied ({describe_error(error)}), and each seed and split fits a copy"
            raise ConfigError(what, where="vlrb.evaluate", fix="give it a method __deepcopy__") from error
        name = type(router).__name__
        return cls(kept, label or name, f"object-{slugify(name)}".strip("-"), needs_features)

    @hookimpl
    def vlrb_routers(self) -> list[RouterSpec]:
        """Return the router."""
        what = "an object that was given to vlrb.evaluate"
        return [
            RouterSpec(
                name=self.name,
                summary=what,
                factory=lambda _: _Copied(copy.deepcopy(self.object)),
                params=_CallParams,
                needs_features=self.needs_features,
            )
        ]

    @hookimpl
    def vlrb_log_sources(self) -> list[LogSourceSpec]:
        """Return the source that stands for a benchmark which is there already."""
        what = "a benchmark that was given to vlrb.evaluate"
        return [LogSourceSpec(name=self.SOURCE, summary=what, factory=lambda _: self, params=_FolderParams)]

    def experiment(self, benchmark: Benchmark | Experiment) -> Document:
        """Return an experiment without its routers, or one on a benchmark that is there already, with how that was built."""
        if not isinstance(benchmark, Benchmark):
            return _alone(_document(benchmark, name=self.label))
        table = {"use": f"{self.NAME}/{self.SOURCE}", "folder": str(benchmark.directory)}
        policies = attrs.asdict(benchmark.manifest.policies)
        return Document(DICT, {"name": self.label, "logs": table, "benchmark": policies}, {})

    def joined(self, document: Document, features: Sequence[Any] | Mapping[str, Any] | str | None) -> Document:
        """Return an experiment with the router in its first place."""
        table = {"use": f"{self.NAME}/{self.name}", "label": self.label, "call": uuid.uuid4().hex}
        if isinstance(features, str):
            table["features"] = features
        elif features is not None:
            made = features if isinstance(features, Mapping) else {"encoders": features}
            own = _setting(document, {"features": {self.NAME: made}})
            tree = {**document.tree, "features": {**document.tree.get("features", {}), **own.tree["features"]}}
            origins = {**document.origins, ("features", self.NAME): HERE}
            document, table["features"] = attrs.evolve(document, tree=tree, origins=origins), self.NAME
        return _setting(document, {"router": [table, *document.tree.get("router", [])]})


@attrs.frozen(eq=False)
class _Copied:
    """A copy of the object that was given, for one fit."""

    router: Any

    def fit(self, train: Any, dev: Any, context: Any) -> Any:
        """Fit it; where that returns nothing, it routes itself."""
        fitted = self.router.fit(train, dev, context)
        return self.router if fitted is None else fitted


def _document(given: Experiment, **more: Any) -> Document:
    """Return an experiment file, or a dict as if it were one.

    :param more: keys for where the dict lacks them
    """
    if not isinstance(given, Mapping):
        return read_document(Path(given))
    return read_document(DICT, to_toml({**more, **given}, str(DICT)))


def _setting(document: Document, keys: Mapping[str, Any]) -> Document:
    """Return an experiment with keys in place of its own."""
    added = read_document(HERE, to_toml(keys, str(HERE)))
    kept = {path: file for path, file in document.origins.items() if path[0] not in keys}
    tree = {**document.tree, **added.tree}
    return attrs.evolve(document, tree=tree, origins=kept | dict.fromkeys(added.origins, HERE), text=to_toml(tree))


def _alone(document: Document) -> Document:
    """Return an experiment without its routers, and without the rows of statistics that may name them."""
    document, table = _without(document, "router"), document.tree.get("statistics")
    if not isinstance(table, dict):
        return document
    kept = {k: v for k, v in table.items() if k not in ("baseline", "pairs")}
    return attrs.evolve(document, tree={**document.tree, "statistics": kept})


def _without(document: Document, *keys: str) -> Document:
    return attrs.evolve(document, tree={k: v for k, v in document.tree.items() if k not in keys})


def _untracked(document: Document) -> Document:
    """Return an experiment that needs no tracking and has no settings for it."""
    tree = dict(document.tree)
    needed = tree.get("requires", [])
    tree["requires"] = [name for name in needed if name != TRACKING] if isinstance(needed, list) else needed
    if isinstance(tree.get("plugin"), dict):
        tree["plugin"] = {name: table for name, table in tree["plugin"].items() if name != TRACKING}
    return attrs.evolve(document, tree=tree)


def _forget(finished: FinishedRun, label: str, places: Places) -> None:
    """Remove the cells of a router from the cache: no later run has their keys, and the run's folder has their files."""
    for cell in (c.cell for c in finished.result.cells if c.cell.label == label):
        for folder in (places.cache / kind / cell.key[:20] for kind in ("cells", "work")):
            with locked(folder):
                remove_folder(folder)


def _options(plugins: Plugins) -> tuple[str, ...]:
    if isinstance(plugins, str | os.PathLike):
        plugins = [plugins]
    return tuple(os.fspath(p) for p in plugins)


def _places(runs: Folder | None, cache: Folder | None) -> Places:
    return Places.of(*(None if folder is None else os.fspath(folder) for folder in (runs, cache)))


@contextlib.contextmanager
def _working(places: Places, jobs: int | None, progress: bool) -> Iterator[tuple[Places, Progress]]:
    """Check the places, make them known to plugins meanwhile, and give a function that shows progress, if asked for."""
    from vlrb.cli.output import progress_bars

    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs must be at least 1, not {jobs!r}", fix="leave it out for the default")
    places.check()
    before = {name: os.environ.get(name) for name in ("VLRB_RUNS", "VLRB_CACHE")}
    places.use()
    try:
        with progress_bars() if progress else contextlib.nullcontext(quiet) as show:
            yield places, show
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _finished(outcome: RunOutcome) -> FinishedRun:
    """Return the run; log what failed."""
    for result in outcome.result.cells:
        if result.status == "failed":
            file = result.directory / "error.txt"
            logger.error("%s failed: %s\n    see %s", result.cell.name, result.error, file)
    for error in outcome.errors:
        logger.error("%s", error)
    return outcome.finished
