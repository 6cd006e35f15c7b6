"""Promises of encoders and fusions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import attrs
import numpy as np
from PIL import Image

from vlrb.api.frozen import Array
from vlrb.api.routing import Column, EncodedFeatures, Features, Queries
from vlrb.errors import VlrbError
from vlrb.evaluation.checked_features import check_values, plain_features
from vlrb.evaluation.encoding import looked_at
from vlrb.evaluation.feature_store import columns_text
from vlrb.testing.common import ODD_TEXTS, add_calm, add_rowwise, refuse_other
from vlrb.testing.promises import NotPromised, Subject, Table, breach
from vlrb.testing.samples import make_features, make_queries, writable
from vlrb.testing.surroundings import raised, untouched

TOLERANCE = 1e-4
"""Of features: pretrained encoders give slightly other numbers in other batches."""


@attrs.define(eq=False, slots=False)
class EncoderSubject(Subject):
    """An encoder, and queries with what it looks at."""

    count = 20

    def seen(self, queries: Queries) -> Queries:
        """Return queries as the encoder sees them in a run: without what its modality leaves out."""
        return looked_at(queries, self.spec.modality)

    @cached_property
    def encoder(self) -> Any:
        """Return the encoder, made once."""
        return self.make("encode")

    @cached_property
    def queries(self) -> Queries:
        """Return ordinary queries."""
        return self.seen(make_queries(self.count, seed=3))

    def checked(self, queries: Queries) -> Features:
        """Return features that are valid."""
        features = plain_features(self.encoder.encode(queries), len(queries), self.who)
        check_values(features, queries.ids, self.who)
        return features

    def of_rows(self, rows: Array) -> dict[str, Any]:
        """Return the features of some queries."""
        return {"features": np.asarray(self.encoder.encode(self.queries.take(rows)).matrix)}

    def work(self) -> None:
        """Encode."""
        self.encoder.encode(self.queries)


ENCODER = Table("encoder", partial(EncoderSubject.of, "encoder"))


@ENCODER.promise("return Features: a float32 matrix with a row per query, and a Column for each of its columns")
def valid_features(encoder: EncoderSubject) -> None:
    """``encode`` returns a row per query, float32 and finite; NaN only in columns that may be missing."""
    encoder.checked(encoder.queries)


@ENCODER.promise("seed what is drawn by a parameter, and leave nothing to chance, time, or the process")
def same_every_time(encoder: EncoderSubject) -> None:
    """Two encoders with the same parameters give the same features."""
    first, second = (encoder.make("encode").encode(encoder.queries).matrix for _ in range(2))
    refuse_other({"features": first}, {"features": second}, "from another encoder", TOLERANCE)


@ENCODER.promise("decide the columns by the parameters alone")
def same_columns(encoder: EncoderSubject) -> None:
    """The columns are the same for any queries."""
    expected = columns_text(encoder.encoder.encode(encoder.queries))
    for rows in (np.arange(1), np.arange(5, 20)):
        now = columns_text(encoder.encoder.encode(encoder.queries.take(rows)))
        if now != expected:
            breach(f"the columns are {now} for {len(rows)} queries, and {expected} for {encoder.count}")


add_rowwise(ENCODER, "query", "encode each query by itself; what must be fitted belongs to a router", TOLERANCE)


@ENCODER.promise("look at texts, options, hints and images only: features are kept in the cache by these")
def content_only(encoder: EncoderSubject) -> None:
    """Queries with the same content and other ids have the same features."""
    other = [f"other-{i}" for i in range(encoder.count)]
    renamed = attrs.evolve(encoder.queries, ids=other, images=attrs.evolve(encoder.queries.images, ids=other))
    now = {"features": encoder.encoder.encode(renamed).matrix}
    refuse_other({"features": encoder.encoder.encode(encoder.queries).matrix}, now, "with other ids", TOLERANCE)


@ENCODER.promise("expect empty texts, and queries without options, hints or images")
def missing_values(encoder: EncoderSubject) -> None:
    """Queries without text, options, hints or images raise no error."""
    n = encoder.count
    lacking = make_queries([""] * n, images=[()] * n)
    some = [t if i % 2 else "" for i, t in enumerate(encoder.queries.texts)]
    encoder.checked(encoder.seen(lacking))
    encoder.checked(attrs.evolve(encoder.queries, texts=some))


@ENCODER.promise("expect any text that UTF-8 can write, of any length: cut it where the model needs that")
def any_text(encoder: EncoderSubject) -> None:
    """Long texts, other scripts, control characters and markup raise no error."""
    if encoder.spec.modality == "image":
        raise NotPromised("it looks at images only")
    encoder.checked(
        encoder.seen(make_queries(ODD_TEXTS, hints=ODD_TEXTS[::-1], options=[(("A", t),) for t in ODD_TEXTS]))
    )


@ENCODER.promise('convert images first, image.convert("RGB"), and expect one pixel, long strips and several per query')
def any_image(encoder: EncoderSubject) -> None:
    """Images of every mode and shape, and several of one query, raise no error."""
    if encoder.spec.modality == "text":
        raise NotPromised("it looks at texts only")
    files = odd_images()
    queries = make_queries(["What is shown?"] * (len(files) + 1), images=[*([f] for f in files), files[:3]])
    encoder.checked(encoder.seen(queries))


def odd_images() -> list[Image.Image | bytes]:
    """Return image files of every mode, one of a single pixel, and a long strip."""
    base = Image.effect_mandelbrot((31, 17), (-2, -1, 1, 1), 20)
    files: list[Image.Image | bytes] = []
    deep = Image.fromarray(np.asarray(base, dtype=np.uint16) * 256)
    for image in (deep, *(base.convert("RGB").convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA"))):
        file = io.BytesIO()
        image.save(file, "PNG")
        files.append(file.getvalue())
    cmyk = io.BytesIO()
    base.convert("CMYK").save(cmyk, "JPEG")
    shapes = [Image.new("RGB", size, "white") for size in ((1, 1), (300, 2), (2, 300))]
    return [*files, cmyk.getvalue(), *shapes]


@ENCODER.promise("yield from stream(chunks) what encode() returns for each chunk, in order")
def stream_agrees(encoder: EncoderSubject) -> None:
    """``stream`` gives for each chunk what ``encode`` does."""
    if not callable(getattr(encoder.encoder, "stream", None)):
        raise NotPromised("it has no method stream()")
    chunks = [encoder.queries.take(rows) for rows in (np.arange(8), np.arange(8, 20))]
    blocks = list(encoder.encoder.stream(iter(chunks)))
    if len(blocks) != len(chunks):
        breach(f"stream gave {len(blocks)} blocks for {len(chunks)} chunks")
    for block, chunk in zip(blocks, chunks, strict=True):
        expected = encoder.make("encode").encode(chunk).matrix
        refuse_other({"features": expected}, {"features": block.matrix}, "from stream()", TOLERANCE)


add_calm(ENCODER, "encoding")


@attrs.define(eq=False, slots=False)
class FusionSubject(Subject):
    """A fusion, and what encoders of the modalities that it takes have made."""

    count = 20

    @cached_property
    def fuse(self) -> Any:
        """Return the fusion, made once."""
        return self.make("__call__")

    @property
    def modalities(self) -> tuple[Any, ...]:
        """Return the modalities of the encoders that a run gives it: those it needs or keeps, else all."""
        kept = (self.spec.keeps,) if self.spec.keeps else ()
        return tuple(self.spec.needs) or kept or ("text", "image", "both")

    def parts(self, gaps: float = 0.0, scale: float = 1.0, modalities: Sequence[Any] = ()) -> list[EncodedFeatures]:
        """Return features of each modality, four columns each, of which a share of the last column is missing."""
        rng = np.random.default_rng(4)
        found = []
        for modality in modalities or self.modalities:
            matrix = scale * rng.normal(size=(self.count, 4))
            matrix[rng.random(self.count) < gaps, 3] = np.nan
            columns = [Column(f"{modality}/{i}", may_be_missing=gaps > 0 and i == 3) for i in range(4)]
            found.append(EncodedFeatures(make_features(matrix, columns), modality))
        return found

    def checked(self, parts: Sequence[EncodedFeatures]) -> Features:
        """Return fused features that are valid."""
        features = plain_features(self.fuse(parts), self.count, self.who)
        check_values(features, [str(i) for i in range(self.count)], self.who)
        return features

    def of_rows(self, rows: Array) -> dict[str, Any]:
        """Return the fused features of some rows."""
        parts = [attrs.evolve(p, features=p.features.take(rows)) for p in self.parts()]
        return {"features": np.asarray(self.fuse(parts).matrix)}

    def work(self) -> None:
        """Fuse."""
        self.fuse(self.parts())


FUSION = Table("fusion", partial(FusionSubject.of, "fusion"))


@FUSION.promise(
    "return Features: a float32 matrix with a row per sample, and a Column, distinctly named, for each column"
)
def valid_fused_features(fusion: FusionSubject) -> None:
    """The fused features have a row per sample, float32 and finite."""
    fusion.checked(fusion.parts())


add_rowwise(FUSION, "sample", "fuse each sample's features by themselves: test samples are among them", 1e-6)


@FUSION.promise("divide by a norm or a spread only if it is not zero")
def zero_rows(fusion: FusionSubject) -> None:
    """Features that are all zero, as of a question without text or images, stay finite."""
    fusion.checked(fusion.parts(scale=0.0))


@FUSION.promise("carry may_be_missing over to each column that is computed from one that may be missing")
def missing_features(fusion: FusionSubject) -> None:
    """Where features are missing, the fused ones are NaN only in columns that may be missing."""
    fusion.checked(fusion.parts(gaps=0.5))


@FUSION.promise("take any number of encoders of the modalities that needs and keeps allow, one included")
def one_encoder_each(fusion: FusionSubject) -> None:
    """One encoder is enough unless two are needed; a modality may have several encoders, or be the only one."""
    needed = fusion.modalities if fusion.spec.needs or fusion.spec.keeps else ("text",)
    fusion.checked(fusion.parts(modalities=needed))


@FUSION.promise("raise vlrb.DataError with what is missing")
def nothing_to_fuse(fusion: FusionSubject) -> None:
    """Without encoders, it raises a DataError."""
    error = raised(lambda: fusion.fuse([]))
    if not isinstance(error, VlrbError):
        breach("it returned features of nothing" if error is None else f"it raised {type(error).__name__}: {error}")


@FUSION.promise("copy what you want to change: features.matrix.copy()")
def inputs_untouched(fusion: FusionSubject) -> None:
    """The fusion changes no encoder's features."""
    parts = [attrs.evolve(p, features=writable(p.features)) for p in fusion.parts()]
    with untouched(features=parts):
        fusion.fuse(parts)


add_calm(FUSION, "fusing")
