"""From an experiment file to a plan: every name resolved against the plugins, every parameter checked, all problems at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from vlrb.api.components import Kind, toml_name
from vlrb.api.logs import Catalog
from vlrb.api.records import GROUPS, Dataset, Model
from vlrb.errors import ConfigError, DataError, Problem, VlrbError, did_you_mean
from vlrb.experiment.document import Document, KeyPath, read_document, redacted_repr
from vlrb.experiment.plan import DECISIONS, Chosen, FeatureSet, Plan, PlannedRouter, Point
from vlrb.experiment.sections import (
    ARRAYS,
    TABLES,
    BenchmarkSection,
    DatasetSection,
    FeatureSection,
    General,
    ModelSection,
    SplitSection,
    is_file_name,
)
from vlrb.experiment.strict import structure, unstructure
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.plugins.registry import Registered, Registry, missing_requirements
from vlrb.plugins.sources import KEY_OF, KEYS, core_sources

DEFAULT_METRICS = (
    "metrics/accuracy",
    "metrics/mean-score",
    "metrics/average-cost",
    "metrics/cost-per-10k",
    "metrics/rank-score",
    "metrics/oracle-gap-closed",
    "metrics/requests-per-second",
    "metrics/tokens-per-second",
    "metrics/routing-ms",
    "metrics/encoding-ms",
)
DEFAULT_ENCODERS = ("encoders/hashed-text", "encoders/image-statistics")
DEFAULT_REPORTS = ("reports/leaderboard", "data-report/data-report")
ROUTER_KEYS = ("use", "label", "features", "sweep")
MOST_POINTS = 1000

PAPER: Mapping[KeyPath, Any] = {
    ("cost_bounds",): "all",
    ("select_on",): "test",
    ("split", "method"): "paper",
    ("split", "seed"): 42,
}
"""What ``protocol = "paper"`` stands for, besides ``variant = "reference"`` of every router that has variants."""


def make_plan(path: Path, options: Iterable[str] = (), *, weights: bool = False) -> Plan:
    """Read an experiment file, load the plugins it needs, and resolve it.

    :param options: what ``-p`` said
    :param weights: look whether the weights that encoders and routers name can be had
    :raises ConfigError: with all problems of the file
    :raises PluginError: when a plugin is broken
    """
    return plan_document(read_document(path), tuple(options), weights=weights)


def plan_document(document: Document, options: tuple[str, ...], *, weights: bool = False) -> Plan:
    """Load the plugins that a document needs and resolve it; a worker process does so from the same document.

    All sources that count in keys are looked at here, as code is loaded, not when a key is first asked for.
    """
    for kind in KEYS:
        core_sources(kind)
    registry = load(Selection.of(options, document.plugin_files()))
    registry.check()
    for scorer in registry.all("scorer"):  # which ones are used turns out when the logs are read
        scorer.plugin.sources(KEY_OF["scorer"])
    return Resolver(document, registry, options, weights=weights).plan()


class Resolver:
    """Resolves a document; collects problems instead of stopping at the first."""

    def __init__(
        self, document: Document, registry: Registry, options: tuple[str, ...] = (), *, weights: bool = False
    ) -> None:
        self.document = document
        self.registry = registry
        self.options = options
        self.weights = weights
        self.places: dict[int, KeyPath] = {}
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        """Return the plan.

        :raises ConfigError: with all problems
        """
        tree = dict(self.document.tree)
        sections = {key: tree.pop(key, {}) for key in TABLES}
        arrays = {key: self._array(key, tree.pop(key, [])) for key in ARRAYS}
        if tree.get("protocol") == "paper":
            sections["split"] = self._paper(tree, sections["split"])
        general = self._general(tree)
        catalog = self._catalog(arrays["dataset"], arrays["model"])
        benchmark = self._benchmark(sections["benchmark"])
        catalog = self._wanted(catalog, sections["benchmark"])
        split = self._split(sections["split"])
        logs = self._component("log-source", sections["logs"], ("logs",))
        counter = self._component(
            "token-counter", sections["tokens"], ("tokens",), key="counter", default="tokens/usage"
        )
        features = self._feature_sets(sections["features"])
        routers = self._routers(arrays["router"], features, tree.get("protocol"))
        metrics = self._with_defaults("metric", arrays["metric"], DEFAULT_METRICS)
        reports = self._with_defaults("reporter", arrays["report"], DEFAULT_REPORTS)
        settings = self._settings(sections["plugin"])
        self._check_general(tree, metrics)
        if self.weights:
            self._check_weights(routers, features)
        if self.problems or None in (general, benchmark, split, logs, counter):
            raise ConfigError(self.problems)
        return Plan(
            self.document,
            self.options,
            self.registry,
            general,  # type: ignore[arg-type]
            benchmark,  # type: ignore[arg-type]
            split,  # type: ignore[arg-type]
            catalog,
            logs,  # type: ignore[arg-type]
            counter,  # type: ignore[arg-type]
            features,
            routers,
            metrics,
            reports,
            settings,
        )

    def _benchmark(self, table: Any) -> BenchmarkSection | None:
        section = structure(table, BenchmarkSection, self.document, ("benchmark",), self.problems)
        if section is not None and section.unknown == section.verdicts == "stored":
            fix = 'set verdicts = "scored" too, or choose "wrong" or "drop"'
            self._problem(("benchmark", "unknown"), "the logs' verdicts are what is used in any case", fix)
        return section

    def _split(self, table: Any) -> SplitSection | None:
        section = structure(table, SplitSection, self.document, ("split",), self.problems)
        if section is not None and abs(section.train + section.dev + section.test - 1) > 1e-9:
            total = section.train + section.dev + section.test
            shares = f"{section.train:g} + {section.dev:g} + {section.test:g} = {total:g}"
            self._problem(("split",), f"train, dev and test must add up to 1, not {shares}")
        if section is not None and section.method != "stratified" and section.group_by == "image":
            what = {"paper": "the paper's split is made sample by sample", "given": "the split is as the logs say"}
            self._problem(("split", "group_by"), what[section.method], "remove group_by or method")
        return section

    def _problem(self, path: KeyPath, message: str, fix: str = "") -> None:
        self.problems.append(Problem(message, self.document.where(path), fix))

    def _paper(self, tree: dict[str, Any], split: Any) -> Any:
        """Fill in what the paper's protocol stands for; a key that says otherwise is a problem."""
        tables = {"": tree, "split": dict(split) if isinstance(split, dict) else {}}
        for path, value in PAPER.items():
            table = tables[str(path[0]) if len(path) > 1 else ""]
            given = table.setdefault(str(path[-1]), value)
            if given != value:
                self._problem(
                    path, f'protocol = "paper" stands for {value!r}, not {redacted_repr(given)}', "remove the key"
                )
        return tables["split"] if isinstance(split, dict) else split

    def _array(self, key: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            self._problem((key,), f"must be an array of tables, written [[{key}]]")
            return []
        return value

    def _general(self, tree: dict[str, Any]) -> General | None:
        known = {toml_name(f.name) for f in attrs.fields(General)}
        for key in [k for k in tree if k not in known]:
            del tree[key]
            self._problem((key,), "unknown key", did_you_mean(key, known | set(TABLES) | set(ARRAYS)))
        return structure(tree, General, self.document, (), self.problems)

    def _check_general(self, tree: Mapping[str, Any], metrics: tuple[Chosen, ...]) -> None:
        """Check the general keys against what is loaded; each that has the right type, whatever is wrong with the others."""
        fields = attrs.fields_dict(General)
        requires, on, by = (tree.get(k, fields[k].default) for k in ("requires", "select_on", "select_by"))
        for i, name in enumerate(requires if isinstance(requires, list | tuple) else ()):
            if isinstance(name, str) and self.registry.plugin(name) is None:
                known = {p.name for p in self.registry.plugins if p.object is not None}
                fix = f"install or unblock it, or remove it from requires; {did_you_mean(name, known)}"
                self._problem(("requires", i), f"plugin {name!r} is required and is not loaded", fix)
        if on == "test" and tree.get("protocol") != "paper":
            fix = 'remove the key, or set protocol = "paper", which is named in every table'
            self._problem(("select_on",), "the winner of a sweep is never chosen on test", fix)
        bare = [m.spec.name for m in metrics]
        for name in sorted({n for n in bare if bare.count(n) > 1}):
            self._problem(
                ("metric",), f"two metrics are named {name!r}", "keep one: results are known by the metric's name"
            )
        names = {*bare, *(m.registered.id for m in metrics)}
        if isinstance(by, str) and by not in names:
            self._problem(("select_by",), f"unknown metric {by!r}", did_you_mean(by, names))

    # --- components ---------------------------------------------------------------------------------------------------

    def _component(
        self,
        kind: Kind,
        table: Any,
        path: KeyPath,
        *,
        key: str = "use",
        default: str | None = None,
        beside: Iterable[str] = (),
    ) -> Chosen | None:
        """Resolve a table ``{use = NAME, parameter = value, ...}``; keys in ``beside`` belong to the core."""
        if not isinstance(table, dict):
            self._problem(path, f"must be a table, not {redacted_repr(table)}")
            return None
        name = table.get(key, default)
        if name is None:
            names = ", ".join(r.name for r in self.registry.all(kind))
            self._problem((*path, key), "is missing", f"add {key} = NAME, one of: {names}")
            return None
        registered = self._find(kind, name, (*path, key))
        if registered is None:
            return None
        lacking = missing_requirements(registered.record)
        if lacking:
            extra = f'pip install "vlrb[{registered.record.extra}]"' if registered.record.extra else "install it"
            self._problem((*path, key), f"{kind} {registered.id!r} needs {', '.join(lacking)}", extra)
        own = {k: v for k, v in table.items() if k != key and k not in beside}
        params = structure(own, registered.record.params, self.document, path, self.problems)
        return None if params is None else Chosen(kind, registered, self._anchored(params, path))

    def _find(self, kind: Kind, name: Any, path: KeyPath) -> Registered | None:
        if not isinstance(name, str):
            self._problem(path, f"must be a string, not {redacted_repr(name)}")
            return None
        try:
            return self.registry.find(kind, name)
        except ConfigError as error:
            self._problem(path, error.problems[0].message, error.problems[0].fix)
            return None

    def _with_defaults(self, kind: Kind, tables: list[Any], defaults: tuple[str, ...]) -> tuple[Chosen, ...]:
        """Return the default components, each replaced by the file's table of the same component, then the others."""
        key = {"metric": "metric", "reporter": "report"}[kind]
        chosen = {name: self._default(kind, name) for name in defaults}
        configured: set[str] = set()
        for i, table in enumerate(tables):
            made = self._component(kind, table, (key, i))
            if made is None:
                continue
            if made.registered.id in configured:
                self._problem((key, i), f"{made.registered.id!r} is configured twice", "keep one of the tables")
            configured.add(made.registered.id)
            chosen[made.registered.id] = made
        return tuple(chosen.values())

    def _default(self, kind: Kind, name: str) -> Chosen:
        registered = self.registry.find(kind, name)
        return Chosen(kind, registered, registered.record.params())

    def _feature_sets(self, table: Any) -> dict[str, FeatureSet]:
        if not isinstance(table, dict):
            self._problem(
                ("features",), f"must be a table of tables such as [features.default], not {redacted_repr(table)}"
            )
            return {}
        sets = {}
        for name, section in {"default": {"encoders": list(DEFAULT_ENCODERS)}, **table}.items():
            path: KeyPath = ("features", name)
            if not isinstance(section, dict):
                self._problem(path, f"must be a table, not {redacted_repr(section)}", f"write [features.{name}]")
                continue
            encoders = self._encoders(section.get("encoders"), (*path, "encoders"))
            rest = {k: v for k, v in section.items() if k != "encoders"}
            settings = structure(rest, FeatureSection, self.document, path, self.problems)
            if settings is None:
                sets[name] = FeatureSet(name, encoders, "concat")  # so that routers that name it are not blamed
                continue
            sets[name] = FeatureSet(name, encoders, settings.fusion, settings.text_weight)
            message, fix = sets[name].problem() if encoders and not self._left_out(section, encoders) else ("", "")
            if message:
                self._problem((*path, "fusion"), message, fix)
            if "text_weight" in section and settings.fusion != "weighted-average":
                fix = 'remove it, or set fusion = "weighted-average"'
                self._problem((*path, "text_weight"), f"fusion {settings.fusion!r} has no weights", fix)
        return sets

    @staticmethod
    def _left_out(section: Mapping[str, Any], encoders: tuple[Chosen, ...]) -> bool:
        """Tell whether some encoder of a set has problems of its own, so that more about the set would be guesses."""
        return len(section["encoders"]) != len(encoders)

    def _encoders(self, listed: Any, path: KeyPath) -> tuple[Chosen, ...]:
        if not isinstance(listed, list) or not listed:
            self._problem(path, f"must be a list of encoders, names or tables with use, not {redacted_repr(listed)}")
            return ()
        made: list[Chosen] = []
        for i, item in enumerate(listed):
            chosen = self._component("encoder", {"use": item} if isinstance(item, str) else item, (*path, i))
            if chosen is None:
                continue
            self.places[id(chosen)] = (*path, i)
            if any(c.registered.id == chosen.registered.id and c.params == chosen.params for c in made):
                self._problem((*path, i), f"encoder {chosen.registered.id!r} is listed twice", "remove one")
            made.append(chosen)
        return tuple(made)

    def _anchored(self, params: Any, path: KeyPath) -> Any:
        """Return parameters in which relative folders are those beside the file.

        A field with ``folder_or_name`` in its metadata holds a folder or the name of something elsewhere; it is a folder when it
        is there, or is written like one.
        """
        base = self.document.origin(path).parent
        changes = {}
        for field in attrs.fields(type(params)):
            value = getattr(params, field.name)
            if field.metadata.get("folder_or_name") and value:
                folder = base / Path(value).expanduser()
                if folder.is_dir() or value.startswith((".", "/", "~")):
                    changes[field.name] = str(folder.resolve())
        return attrs.evolve(params, **changes)

    def _routers(
        self, tables: list[Any], feature_sets: Mapping[str, FeatureSet], protocol: object
    ) -> tuple[PlannedRouter, ...]:
        routers: dict[str, PlannedRouter] = {}
        for i, table in enumerate(tables):
            path: KeyPath = ("router", i)
            if protocol == "paper":
                table = self._reference(table, path)
            before = len(self.problems)
            sweep = self._sweep(table, path)
            points = [self._point(table, swept, path) for swept in _grid(sweep)]
            label = self._label(table, path, points[0], routers)
            features = self._features_of(table, path, feature_sets)
            chosen = [p for p in points if p is not None]
            if label is not None and len(self.problems) == before:
                routers[label] = PlannedRouter(label, features, tuple(chosen), sweep)
        return tuple(routers.values())

    def _label(self, table: Any, path: KeyPath, point: Point | None, taken: Container[str]) -> str | None:
        """Return the label of a router, its name by default; None where there is none that can be used."""
        given = table.get("label") if isinstance(table, dict) else None
        label = point.chosen.spec.name if given is None and point is not None else given
        if label is None:
            return None  # what is wrong with the router itself is known
        if not isinstance(label, str) or not is_file_name(label):
            self._problem((*path, "label"), f"must be usable as the name of a folder, not {redacted_repr(label)}")
        elif label in taken:
            self._problem((*path, "label"), f"{label!r} is taken by another router", "give one of them a label")
        else:
            return label
        return None

    def _reference(self, table: Any, path: KeyPath) -> Any:
        """Give a router of the paper's protocol the variant of the reference implementation, if it has variants."""
        name = table.get("use") if isinstance(table, dict) else None
        found = [r for r in self.registry.all("router") if name in (r.name, r.id)]
        if len(found) != 1 or "variant" not in attrs.fields_dict(found[0].record.params):
            return table
        if table.get("variant", "reference") != "reference":
            what = f'protocol = "paper" stands for "reference", not {redacted_repr(table["variant"])}'
            self._problem((*path, "variant"), what, "remove the key")
        return {**table, "variant": "reference"}

    def _sweep(self, table: Any, path: KeyPath) -> dict[str, list[Any]]:
        """Return parameter -> values of a sweep; empty without one."""
        sweep = table.get("sweep", {}) if isinstance(table, dict) else {}
        if not isinstance(sweep, dict):
            self._problem(
                (*path, "sweep"), f"must be a table such as {{ lambda = [0, 10] }}, not {redacted_repr(sweep)}"
            )
            return {}
        count = 1
        usable: dict[str, list[Any]] = {}
        for name, values in sweep.items():
            if not isinstance(values, list) or not values or any(values.count(v) > 1 for v in values):
                self._problem(
                    (*path, "sweep", name), f"must be a list of different values, not {redacted_repr(values)}"
                )
                usable |= {name: values[:1] if isinstance(values, list) else [values]} if values != [] else {}
            else:
                usable[name], count = values, count * len(values)
            if name in table:
                self._problem((*path, "sweep", name), "is set in the table too", "remove one of the two")
        if count > MOST_POINTS:
            self._problem((*path, "sweep"), f"has {count:,} points, more than {MOST_POINTS:,}", "shorten a list")
            usable = {name: values[:1] for name, values in usable.items()}
        return usable

    def _point(self, table: Any, swept: Mapping[str, Any], path: KeyPath) -> Point | None:
        """Resolve one point of a sweep; problems of all points come once."""
        before = set(self.problems)
        own = {**table, **swept} if isinstance(table, dict) else table
        chosen = self._component("router", own, path, beside=ROUTER_KEYS)
        places = {self.document.where((*path, name)): self.document.where((*path, "sweep", name)) for name in swept}
        self.problems = [attrs.evolve(p, where=places.get(p.where, p.where)) for p in self.problems]
        self.problems = [p for i, p in enumerate(self.problems) if p not in self.problems[:i]]
        if chosen is None or set(self.problems) - before:
            return None
        fields = {toml_name(f.name): f for f in attrs.fields(chosen.spec.params)}
        self.places[id(chosen)] = path
        decides = swept.keys() <= DECISIONS and all(fields[n].metadata.get("when") == "route" for n in swept)
        base = self._component("router", table, path, beside=ROUTER_KEYS) if swept and decides else None
        return Point(chosen, {n: unstructure(getattr(chosen.params, fields[n].name)) for n in swept}, base or chosen)

    def _check_weights(self, routers: Iterable[PlannedRouter], feature_sets: Mapping[str, FeatureSet]) -> None:
        """Note folders of weights that routers need, themselves or for their features, and that cannot be used.

        Weights that are named, not in a folder, are looked for when a run needs them: a check asks no network.  Where a plugin
        itself fails to tell, the cells that need it fail, and the others go on.
        """
        routers = tuple(routers)
        needed = [p.chosen for r in routers for p in r.points]
        names = dict.fromkeys(r.features for r in routers if r.features in feature_sets)
        needed += [e for name in names if name is not None for e in feature_sets[name].used]
        for chosen in needed:
            if not _names_folder(chosen):
                continue
            try:
                chosen.revision()
            except (ConfigError, DataError) as error:
                for problem in error.problems:
                    message = f"{problem.message} ({problem.where})" if problem.where else problem.message
                    found = Problem(message, self.document.where(self.places[id(chosen)]), problem.fix)
                    self.problems += (
                        [found] if found not in self.problems else []
                    )  # all points of a sweep have the same
            except VlrbError:
                continue

    def _features_of(self, table: Any, path: KeyPath, sets: Mapping[str, FeatureSet]) -> str | None:
        """Return the feature set of a router; what it names is checked whatever is wrong with the router's parameters."""
        if not isinstance(table, dict):
            return None
        found = [r for r in self.registry.all("router") if table.get("use") in (r.name, r.id)]
        needs = len(found) == 1 and found[0].record.needs_features
        name = table.get("features", "default" if needs else None)
        if name is None:
            return None
        if not isinstance(name, str) or name not in sets:
            self._problem((*path, "features"), f"unknown feature set {name!r}", did_you_mean(str(name), sets))
        elif found and not needs:
            self._problem((*path, "features"), f"router {found[0].name!r} uses no features", "remove the key")
        return str(name)

    def _settings(self, table: Any) -> dict[str, Any]:
        classes = self.registry.settings_classes()
        if not isinstance(table, dict):
            self._problem(("plugin",), f"must be a table of tables such as [plugin.mlflow], not {redacted_repr(table)}")
            return {}
        for name in table.keys() - classes.keys():
            self._problem(("plugin", name), f"no loaded plugin {name!r} has settings", did_you_mean(name, classes))
        made = {
            name: structure(table.get(name, {}), cls, self.document, ("plugin", name), self.problems)
            for name, cls in sorted(classes.items())
        }
        return {name: settings for name, settings in made.items() if settings is not None}

    # --- datasets and models ------------------------------------------------------------------------------------------

    def _catalog(self, datasets: list[Any], models: list[Any]) -> Catalog:
        """Return what plugins register and the file declares; of a known record the file changes the keys it gives."""
        return Catalog(
            self._merged("dataset", datasets, DatasetSection, _dataset),
            self._merged("model", models, ModelSection, _model),
        )

    def _merged(
        self, kind: Literal["dataset", "model"], tables: list[Any], section: type, changes: Callable[[Any, Any], Any]
    ) -> tuple[Any, ...]:
        known = {r.name: r.record for r in self.registry.all(kind)}
        declared: set[str] = set()
        for i, table in enumerate(tables):
            checked: Any = structure(table, section, self.document, (kind, i), self.problems)
            if checked is None:
                continue
            if checked.name in declared:
                self._problem((kind, i, "name"), f"{kind} {checked.name!r} is declared twice", "remove one")
            declared.add(checked.name)
            given = {f.name: getattr(checked, f.name) for f in attrs.fields(section) if toml_name(f.name) in table}
            try:
                known[checked.name] = changes(known.get(checked.name), given)
            except ValueError as error:
                self._problem((kind, i), str(error))
        self._check_handles(kind, tuple(known.values()))
        return tuple(known.values())

    def _check_handles(self, kind: str, records: tuple[Any, ...]) -> None:
        """Refuse names, aliases and slugs that two records claim: whatever is found by them would be one of the two."""
        for what, handles_of in (
            ("name or alias", lambda r: {r.name, *r.aliases}),
            ("slug", lambda r: {r.slug} if isinstance(r, Dataset) else set()),
        ):
            owners: dict[str, str] = {}
            for record in records:
                for handle in sorted(handles_of(record)):
                    first = owners.setdefault(handle, record.name)
                    if first != record.name:
                        fix = f"to change {first!r}, write name = {first!r}; else give {record.name!r} another {what}"
                        self._problem((kind,), f"{handle!r} is a {what} of both {first!r} and {record.name!r}", fix)

    def _wanted(self, catalog: Catalog, table: Any) -> Catalog:
        """Return the catalog with what ``[benchmark]`` asks for; names are looked up even where other keys are wrong."""
        names = table if isinstance(table, dict) else {}
        return attrs.evolve(
            catalog,
            wanted_datasets=self._expand(names.get("datasets"), catalog.datasets, ("benchmark", "datasets")),
            wanted_models=self._expand(names.get("models"), catalog.models, ("benchmark", "models")),
        )

    def _expand(self, names: Any, records: tuple[Dataset | Model, ...], path: KeyPath) -> frozenset[str] | None:
        """Return the records' names that names, aliases, groups and sets stand for."""
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            return None  # nothing asked for, or a value that structuring refuses
        wanted: set[str] = set()
        handles = [
            (r.name, {r.name, *r.aliases, *r.sets, getattr(r, "group", r.name), getattr(r, "slug", r.name)})
            for r in records
        ]
        for i, name in enumerate(names):
            found = {record for record, known in handles if name in known}
            if not found:
                known = {h for _, hs in handles for h in hs}
                self._problem((*path, i), f"unknown {path[-1].rstrip('s')} {name!r}", did_you_mean(name, known))  # type: ignore[union-attr]
            wanted |= found
        return frozenset(wanted)


def _names_folder(chosen: Chosen) -> bool:
    """Tell whether all weights of a component are in folders that the file names; :meth:`Resolver._anchored` made them absolute."""
    fields = [f for f in attrs.fields(type(chosen.params)) if f.metadata.get("folder_or_name")]
    given = [str(value) for f in fields if (value := getattr(chosen.params, f.name))]
    return bool(given) and all(Path(value).is_absolute() for value in given)


def _grid(sweep: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the points of a sweep, the last parameter changing first."""
    return [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]


def _dataset(known: Dataset | None, given: Mapping[str, Any]) -> Dataset:
    """Return a dataset record as the file declares or changes it."""
    group = given.get("group", "own")
    values = {**given, "group": next((slug for slug, title in GROUPS.items() if group == title), group)}
    if known is not None:
        return attrs.evolve(known, **{k: v for k, v in values.items() if k in given})
    return Dataset(**values)


def _model(known: Model | None, given: Mapping[str, Any]) -> Model:
    """Return a model record as the file declares or changes it."""
    values = dict(given)
    if values.get("parameters") == "api":
        values |= {"parameters": None, "open": False}
    return attrs.evolve(known, **values) if known is not None else Model(**values)
