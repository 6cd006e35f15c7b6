"""Promises of log sources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

from vlrb.api.images import decode_image
from vlrb.api.logs import Catalog, Listing, Part
from vlrb.benchmark import checks
from vlrb.errors import ConfigError, shorten_list
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.testing.common import add_calm
from vlrb.testing.promises import NotPromised, Subject, Table, breach


@cache
def installed_catalog() -> Catalog:
    """Return the datasets and models of the installed plugins."""
    registry = load(Selection())
    datasets, models = (tuple(r.record for r in registry.all(kind)) for kind in ("dataset", "model"))
    return Catalog(datasets, models)


@attrs.define(eq=False, slots=False)
class LogSubject(Subject):
    """A log source and the datasets and models that it may find."""

    catalog: Catalog = attrs.field(factory=installed_catalog)

    @classmethod
    def of(cls, kind: str, spec: Any, parameters: Mapping[str, Any], folder: Path) -> Any:
        """Return the subject; a catalog among the parameters replaces the installed datasets and models.

        :raises ConfigError: when the catalog is none
        """
        given = dict(parameters)
        catalog = given.pop("catalog", None) or installed_catalog()
        if not isinstance(catalog, Catalog):
            what = f"catalog must be a vlrb.Catalog, not {type(catalog).__name__}"
            raise ConfigError(what, fix="give Catalog(datasets=(Dataset(...),), models=(Model(...),))")
        made = Subject.of.__func__(cls, kind, spec, given, folder)  # type: ignore[attr-defined]
        made.catalog = catalog
        return made

    @cached_property
    def source(self) -> Any:
        """Return the source, made once."""
        return self.make("list", "read")

    @cached_property
    def listing(self) -> Listing:
        """Return a checked listing."""
        return self.listed(self.catalog)

    def listed(self, catalog: Catalog) -> Listing:
        """Return what is listed with a catalog, where its parts are plain."""
        return checks.plain_listing(self.source.list(catalog), self.component)

    def read(self, part: Part, source: Any = None) -> list[pa.RecordBatch]:
        """Return the batches of a part with all columns."""
        batches = (self.source if source is None else source).read(part, self.catalog)
        return [checks.checked_batch(batch, part, self.component) for batch in batches]

    def keys(self, kind: str) -> dict[tuple[str, str], list[str]]:
        """Return (dataset, model) -> the keys of the samples (no model), or of the outcomes."""
        found: dict[tuple[str, str], list[str]] = {}
        for part in (p for p in self.listing.parts if p.kind == kind):
            for batch in self.read(part):
                models = batch.column("model").to_pylist() if kind == "outcomes" else [""] * batch.num_rows
                rows = zip(batch.column("dataset").to_pylist(), models, batch.column("key").to_pylist(), strict=True)
                for dataset, model, key in rows:
                    found.setdefault((dataset, model), []).append(key)
        return found

    def work(self) -> None:
        """List, and read every part."""
        for part in self.listing.parts:
            self.read(part)


LOGS = Table("log source", partial(LogSubject.of, "log-source"))


@LOGS.promise("list one part of samples per dataset, and parts of outcomes, with ids of their own")
def valid_listing(logs: LogSubject) -> None:
    """``list`` finds a part of samples for each dataset, and outcomes; no two parts have the same id."""
    checks.check_listing(logs.listing, logs.component)


@LOGS.promise("list the files in a fixed order, such as sorted(folder.glob(...))")
def same_listing_every_time(logs: LogSubject) -> None:
    """Two sources with the same parameters list the same parts in the same order."""
    other = logs.make("list", "read").list(logs.catalog)
    if other.parts != logs.listing.parts:
        breach(f"another source listed {shorten_list(p.id for p in other.parts)}")


@LOGS.promise("name in Part.files the files that the part is read from: when one changes, it is read again")
def files_are_there(logs: LogSubject) -> None:
    """The files of every part exist."""
    for part in logs.listing.parts:
        for file in part.files:
            if not Path(file).is_file():
                breach(f"part {part.id!r} has the file {str(file)!r}, which does not exist")


@LOGS.promise(
    "use names or aliases of registered datasets and models, or register your own (vlrb_datasets, vlrb_models)"
)
def names_are_known(logs: LogSubject) -> None:
    """Datasets and models of the parts are those of the catalog."""
    for part in logs.listing.parts:
        if part.dataset and logs.catalog.dataset(part.dataset) is None:
            breach(f"part {part.id!r} is of the unknown dataset {part.dataset!r}")
        if part.model and logs.catalog.model(part.model) is None:
            breach(f"part {part.id!r} is of the unknown model {part.model!r}")


@LOGS.promise("yield Arrow batches with the columns and types of vlrb.SAMPLES and vlrb.OUTCOMES")
def valid_rows(logs: LogSubject) -> None:
    """Every part has rows, with the columns of its kind; scores, tokens and costs are within their limits."""
    for part in logs.listing.parts:
        batches = list(logs.source.read(part, logs.catalog))
        rows = [checks.checked_batch(b, part, logs.component) for b in batches]
        if not sum(b.num_rows for b in rows):
            breach(f"part {part.id!r} has no rows")
        for given, batch in zip(batches, rows, strict=True):
            checks.checked_metadata(given.schema.metadata or {})
            if part.kind == "outcomes":
                checks.check_numbers(batch, batch.column("key"), part)


@LOGS.promise(
    "read a part from its files, independently of what was listed or read before: each process reads some of the parts"
)
def parts_are_read_alone(logs: LogSubject) -> None:
    """Another source, which has listed nothing and read nothing else, reads the same rows of a part."""
    for part in reversed(logs.listing.parts):
        expected = logs.read(part)
        now = logs.read(part, logs.make("list", "read"))
        if pa.Table.from_batches(expected) != pa.Table.from_batches(now):
            breach(f"part {part.id!r} has other rows when another source reads it")


@LOGS.promise("give each sample of a dataset its own key, and each model one answer to it")
def keys_are_unique(logs: LogSubject) -> None:
    """No dataset has two samples with one key, and no model two answers to one."""
    for kind in ("samples", "outcomes"):
        for (dataset, model), keys in logs.keys(kind).items():
            twice = sorted({k for k in keys if keys.count(k) > 1}) if len(set(keys)) < len(keys) else []
            if twice:
                breach(f"{dataset} {model}".strip() + f" has {kind} with the same key: {shorten_list(twice)}")


@LOGS.promise("use the same keys for samples and for the answers to them")
def answers_have_questions(logs: LogSubject) -> None:
    """Every answer is to a sample."""
    known = {dataset: set(keys) for (dataset, _), keys in logs.keys("samples").items()}
    for (dataset, model), keys in logs.keys("outcomes").items():
        if unknown := sorted(set(keys) - known.get(dataset, set())):
            breach(f"{model} has answers to {dataset} whose keys no sample has: {shorten_list(unknown)}")


@LOGS.promise("pass image files on as they are, encoded, not as paths or pixels")
def images_can_be_decoded(logs: LogSubject) -> None:
    """The images of the samples are image files."""
    for part in (p for p in logs.listing.parts if p.kind == "samples"):
        for batch in logs.read(part):
            for key, files in zip(batch.column("key").to_pylist(), batch.column("images").to_pylist(), strict=True):
                for file in files or ():
                    decode_image(file, f"{part.id}/{key}")


@LOGS.promise("leave out what is not in catalog.wanted_datasets and catalog.wanted_models, unless these are None")
def unwanted_is_left_out(logs: LogSubject) -> None:
    """What ``[benchmark] datasets`` and ``models`` do not name is not listed."""
    datasets = sorted({p.dataset for p in logs.listing.parts if p.dataset})
    models = sorted({p.model for p in logs.listing.parts if p.model})
    if not datasets:
        raise NotPromised("its parts hold several datasets each")
    wanted = attrs.evolve(logs.catalog, wanted_datasets=frozenset(datasets[:1]))
    if models:
        wanted = attrs.evolve(wanted, wanted_models=frozenset(models[:1]))
    for part in logs.listed(wanted).parts:
        if part.dataset not in ("", datasets[0]) or (models and part.model not in ("", models[0])):
            breach(f"part {part.id!r} is listed, though {datasets[0]!r} and {shorten_list(models[:1])!r} are wanted")


add_calm(LOGS, "listing and reading")
