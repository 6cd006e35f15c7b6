"""A plan: an experiment whose every name is resolved and every parameter checked (see :mod:`vlrb.experiment.resolve`)."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import attrs

from vlrb.api.components import Imported, Kind, toml_name
from vlrb.api.logs import Catalog
from vlrb.api.records import Dataset
from vlrb.api.results import MetricInfo
from vlrb.errors import PluginError, VlrbError
from vlrb.experiment.document import Document, KeyPath
from vlrb.experiment.sections import (
    LOADING,
    BenchmarkSection,
    General,
    SelectionSection,
    SplitSection,
    StatisticsSection,
)
from vlrb.experiment.strict import unstructure
from vlrb.plugins.blame import blame
from vlrb.plugins.plugin import Plugin
from vlrb.plugins.registry import Registered, Registry
from vlrb.plugins.sources import KEY_OF

DECISIONS = frozenset({"lambda", "budget"})
"""Parameters of :func:`vlrb.api.decide.decide`: where a router marks them so, a sweep over them fits once."""


@attrs.frozen(eq=False)
class ConfiguredComponent:
    """A component that the experiment uses, with its parameters, and where the file names it."""

    kind: Kind
    registered: Registered
    params: Any
    path: KeyPath = ()

    def __attrs_post_init__(self) -> None:
        """Look at the sources now: the plugin has been loaded just before, and may import more later; figures count in no key."""
        if self.kind != "figure":
            self.plugin.sources(KEY_OF[self.kind])

    @classmethod
    def default(cls, registry: Registry, kind: Kind, name: str) -> ConfiguredComponent:
        """Return a component with its default parameters."""
        registered = registry.find(kind, name)
        return cls(kind, registered, registered.record.params())

    @property
    def spec(self) -> Any:
        """Return the component's record."""
        return self.registered.record

    @property
    def plugin(self) -> Plugin:
        """Return the plugin that the component comes from."""
        return self.registered.plugin

    def identity(self) -> dict[str, Any]:
        """Return what decides the component's numbers: its name, its plugin's version and sources, its parameters.

        Parameters whose field has ``same_numbers`` in its metadata (the batch size, the device) are left out.
        """
        aside = {toml_name(f.name) for f in attrs.fields(type(self.params)) if f.metadata.get("same_numbers")}
        return {
            "id": self.registered.id,
            "version": self.plugin.version,
            "sources": self.plugin.sources_digest(KEY_OF[self.kind]),
            "parameters": {k: v for k, v in unstructure(self.params).items() if k not in aside},
            "requires": versions(self.spec.requires),
        }

    def revision(self) -> str:
        """Return what identifies the weights that the component works with; an empty text where it names none.

        :raises VlrbError: when the weights cannot be identified
        """
        if isinstance(self._revision, VlrbError):
            raise type(self._revision)(self._revision.problems)
        return self._revision

    @property
    def known_revision(self) -> str | None:
        """Return the same for a key; None where the weights cannot be identified, so that what needs them fails."""
        return None if isinstance(self._revision, VlrbError) else self._revision

    @cached_property
    def _revision(self) -> str | VlrbError:
        tell = getattr(self.spec, "revision", None)
        try:
            with blame(self.plugin, f"telling the weights of {self.kind} {self.spec.name!r}"):
                return str(tell(self.params)) if tell else ""
        except VlrbError as error:
            return error

    def make(self, *methods: str) -> Any:
        """Call the factory and check that what it returns has the methods it must have.

        :raises PluginError: naming plugin and dist
        """
        doing = f"making {self.kind} {self.spec.name!r}"
        with blame(self.plugin, doing):
            factory = self.spec.factory.found() if isinstance(self.spec.factory, Imported) else self.spec.factory
        with blame(self.plugin, f"{doing} (its factory is called with its parameters)"):
            made = factory(copy.deepcopy(self.params))  # an instance that is changed changes no other cell
            lacking = [m for m in methods if not callable(getattr(made, m, None))]
        if lacking:
            raise PluginError(
                f"{self.plugin.label} failed while {doing}: its factory returned {type(made).__name__}, "
                f"which has no method {lacking[0]}()",
                fix=f"return an object with {', '.join(methods)}",
            )
        return made


@attrs.frozen(eq=False)
class FeatureSet:
    """A named feature set: encoders and how they are fused (Any: None while the problems of a file are collected).

    ``resources`` are what a worker must offer to encode with it; they count in no key.
    """

    name: str
    encoders: tuple[ConfiguredComponent, ...]
    fusion: Any
    resources: Mapping[str, float] = attrs.field(factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return what decides the features; without a revision where the weights cannot be identified, so that encoding fails."""
        encoders = [e.identity() | {"revision": e.known_revision} for e in self.used]
        return {"encoders": encoders, "fusion": self.fusion.identity()}

    def encoder_identity(self, encoder: ConfiguredComponent) -> dict[str, Any]:
        """Return what decides an encoder's features: plugin, parameters and weights.

        :raises VlrbError: when the weights cannot be identified
        """
        return encoder.identity() | {"revision": encoder.revision()}

    @property
    def used(self) -> tuple[ConfiguredComponent, ...]:
        """Return the encoders whose features the fusion keeps."""
        only = self.fusion and self.fusion.spec.keeps
        return tuple(e for e in self.encoders if not only or e.spec.modality == only)


@attrs.frozen(eq=False)
class Point:
    """One set of a router's parameters: ``swept`` are those that a sweep gave it.

    ``base`` has the parameters of the fit that the point shares with others; it is ``chosen`` itself where each is fitted.
    """

    chosen: ConfiguredComponent
    swept: Mapping[str, Any]
    base: ConfiguredComponent


@attrs.frozen(eq=False)
class PlannedRouter:
    """A ``[[router]]`` table: its label, features, and the points of its sweep (one without a sweep).

    ``resources`` are what a worker must offer to fit it; they count in no key.
    """

    label: str
    features: str | None
    points: tuple[Point, ...]
    sweep: Mapping[str, Any] = attrs.field(factory=dict)
    resources: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def chosen(self) -> ConfiguredComponent:
        """Return the router with the parameters of its first point."""
        return self.points[0].chosen


@attrs.frozen(eq=False)
class Plan:
    """An experiment whose every name is resolved and every parameter checked.

    ``limit`` (0: none) and ``routers_left_out`` make it a first try on about so many samples, with some of the routers.
    """

    document: Document
    registry: Registry
    general: General
    benchmark: BenchmarkSection
    splitter: ConfiguredComponent
    split: SplitSection
    selection: SelectionSection
    statistics: StatisticsSection
    catalog: Catalog
    logs: ConfiguredComponent
    counter: ConfiguredComponent
    feature_sets: Mapping[str, FeatureSet]
    routers: tuple[PlannedRouter, ...]
    executor: ConfiguredComponent
    metrics: tuple[ConfiguredComponent, ...]
    reports: tuple[ConfiguredComponent, ...]
    settings: Mapping[str, Any]
    limit: int = 0
    routers_left_out: tuple[str, ...] = ()

    def scorer(self, dataset: Dataset) -> ConfiguredComponent | None:
        """Return the scorer of a dataset, or None when it names none or one that is not installed."""
        if not dataset.scorer or all(dataset.scorer not in (r.name, r.id) for r in self.registry.all("scorer")):
            return None
        return ConfiguredComponent.default(self.registry, "scorer", dataset.scorer)

    def selection_metric(self) -> ConfiguredComponent:
        """Return the metric by which routers select on dev."""
        name = self.selection.metric
        return next(m for m in self.metrics if name in (m.spec.name, m.registered.id))

    def metric_infos(self) -> tuple[MetricInfo, ...]:
        """Return how to show the metrics, in their order."""
        return tuple(
            MetricInfo(c.spec.name, c.spec.unit, c.spec.higher_is_better, c.spec.summary, unstructure(c.params))
            for c in self.metrics
        )

    def resolved(self) -> dict[str, Any]:
        """Return the experiment with every default filled in, as JSON data."""
        return {
            **{k: v for k, v in unstructure(self.general).items() if k not in LOADING},
            **({} if self.general.only_plugins is None else {"only_plugins": list(self.general.only_plugins)}),
            "logs": _table(self.logs),
            "benchmark": unstructure(self.benchmark),
            "tokens": _table(self.counter, key="counter"),
            "split": {**_table(self.splitter), **unstructure(self.split)},
            "selection": unstructure(self.selection),
            "statistics": unstructure(self.statistics),
            "features": {
                s.name: {"encoders": [_table(e) for e in s.encoders], "fusion": _table(s.fusion)}
                for s in self.feature_sets.values()
            },
            "router": [
                {
                    **{k: v for k, v in _table(r.chosen).items() if k not in r.sweep},
                    "label": r.label,
                    **({"features": r.features} if r.features else {}),
                    **({"sweep": unstructure(r.sweep)} if r.sweep else {}),
                }
                for r in self.routers
            ],
            "executor": {**_table(self.executor), **self._resources()},
            "metric": [_table(m) for m in self.metrics],
            "report": [_table(r) for r in self.reports],
            "plugin": {name: unstructure(s) for name, s in self.settings.items()},
            **({"limited": limited} if (limited := self._limited()) else {}),
        }

    def _resources(self) -> dict[str, Any]:
        """Return the resources of routers by label, and of feature sets by name; like the executor, they are part of no key."""
        routers = {r.label: dict(r.resources) for r in self.routers if r.resources}
        features = {s.name: dict(s.resources) for s in self.feature_sets.values() if s.resources}
        found = {"resources": routers, "features_resources": features}
        return {key: value for key, value in found.items() if value}

    def _limited(self) -> dict[str, Any]:
        found = {"samples": self.limit, "routers_left_out": list(self.routers_left_out)}
        return {key: value for key, value in found.items() if value}


def _table(chosen: ConfiguredComponent, key: str = "use") -> dict[str, Any]:
    return {key: chosen.registered.id, **unstructure(chosen.params)}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return package -> version, of those that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name.replace("_", "-"))
    return found


def digest_of(value: Any) -> str:
    """Return a digest of JSON data that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
