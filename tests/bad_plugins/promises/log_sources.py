"""A log source for each promise that it breaks, and which keeps all others: small logs with a fault."""

import itertools
from pathlib import Path

import attrs
import numpy as np
import pyarrow as pa

from vlrb import Catalog, LogSourceSpec, NoParams
from vlrb.testing.small import DATASETS, MODELS, SmallLogs, SmallParams

BAD = []
PARAMS = {"catalog": Catalog(DATASETS, MODELS)}


class Good(SmallLogs):
    def __init__(self):
        super().__init__(SmallParams(samples=12))


def breaks(promise):
    """Register the class as the log source that breaks a promise."""

    def add(cls):
        BAD.append((promise, LogSourceSpec(name="bad", summary=cls.__name__, factory=lambda _: cls()), PARAMS))
        return cls

    return add


def changed(batch, name, change):
    """Return a batch with another column."""
    values = change(batch.column(name).to_pylist())
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, batch.schema.field(place), pa.array(values, batch.schema.field(place).type))


@breaks("valid-listing")
class Answerless(Good):
    """Samples, and no outcomes."""

    def list(self, catalog):
        found = super().list(catalog)
        return attrs.evolve(found, parts=tuple(p for p in found.parts if p.kind == "samples"))


@breaks("same-listing-every-time")
class Shuffled(Good):
    count = itertools.count()

    def __init__(self):
        super().__init__()
        self.__dict__["turn"] = next(self.count) % 2

    def list(self, catalog):
        found = super().list(catalog)
        return attrs.evolve(found, parts=found.parts[::-1] if self.turn else found.parts)


@breaks("files-are-there")
class Gone(Good):
    def list(self, catalog):
        found = super().list(catalog)
        return attrs.evolve(found, parts=tuple(attrs.evolve(p, files=(Path("/nowhere/at/all"),)) for p in found.parts))


@breaks("names-are-known")
class Unregistered(Good):
    def list(self, catalog):
        wanted = None if catalog.wanted_models is None else {m.removesuffix("-x") for m in catalog.wanted_models}
        found = super().list(attrs.evolve(catalog, wanted_models=wanted))
        parts = [attrs.evolve(p, model=f"{p.model}-x" if p.model else "") for p in found.parts]
        return attrs.evolve(found, parts=tuple(parts))

    def read(self, part, catalog):
        return super().read(attrs.evolve(part, model=part.model.removesuffix("-x")), catalog)


@breaks("valid-rows")
class Percent(Good):
    def read(self, part, catalog):
        for batch in super().read(part, catalog):
            yield batch if part.kind == "samples" else changed(batch, "score", lambda v: [100 * s for s in v])


@breaks("parts-are-read-alone")
class Listed(Good):
    def list(self, catalog):
        self.__dict__["listed"] = True
        return super().list(catalog)

    def read(self, part, catalog):
        for batch in super().read(part, catalog):
            alone = part.kind == "outcomes" and not self.__dict__.get("listed")
            yield changed(batch, "prediction", lambda v: ["?" for _ in v]) if alone else batch


@breaks("keys-are-unique")
class Twice(Good):
    def read(self, part, catalog):
        for batch in super().read(part, catalog):
            yield changed(batch, "key", lambda v: [*v[:-1], v[0]])


@breaks("answers-have-questions")
class Other(Good):
    def read(self, part, catalog):
        for batch in super().read(part, catalog):
            yield changed(batch, "key", lambda v: [f"q{k}" for k in v]) if part.kind == "outcomes" else batch


@breaks("images-can-be-decoded")
class Paths(Good):
    def read(self, part, catalog):
        for batch in super().read(part, catalog):
            yield changed(batch, "images", lambda v: [[b"image.png"] for _ in v]) if part.kind == "samples" else batch


@breaks("unwanted-is-left-out")
class All(Good):
    def list(self, catalog):
        return super().list(attrs.evolve(catalog, wanted_models=None))


@breaks("random-state-untouched")
class Global(Good):
    def read(self, part, catalog):
        np.random.seed(0)
        yield from super().read(part, catalog)


@breaks("prints-nothing")
class Talking(Good):
    def read(self, part, catalog):
        print(part.id)
        yield from super().read(part, catalog)


GOOD = [(LogSourceSpec(name="good", summary="", factory=lambda _: Good(), params=NoParams), PARAMS)]
