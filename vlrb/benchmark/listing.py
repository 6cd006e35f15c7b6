"""Checks of what log sources list, and how parts are named in messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from vlrb.api.logs import Listing, Part
from vlrb.api.returned import FIX
from vlrb.errors import DataError, PluginError, Problem, shorten_list
from vlrb.experiment.plan import Plan
from vlrb.texts import is_text, short_repr


def counter_of(plan: Plan) -> str:
    """Return the token counter and its plugin, as messages name them."""
    return f"token counter {plan.counter.registered.id!r} of {plan.counter.plugin.label}"


def files_of(part: Part) -> str:
    """Return the files of a part, as messages name them."""
    return shorten_list(part.files) or part.id


def plain_listing(listing: Any, plan: Plan) -> Listing:
    """Return a listing with plain fields.

    :raises PluginError: naming a part, or a field, that is none
    """
    label = f"log source {plan.logs.registered.id!r} of {plan.logs.plugin.label}"
    if not isinstance(listing, Listing):
        raise PluginError(f"{label} returned {type(listing).__name__} instead of a Listing", fix=FIX)
    parts = tuple(listing.parts)
    odd = next((p for p in parts if not _is_part(p)), None)
    if odd is not None:
        fix = 'give each part a text as id, kind "samples" or "outcomes", a tuple of paths, and names that are texts'
        raise PluginError(f"{label} listed {short_repr(odd)}, which is not a Part", fix=fix)
    ids = Counter(p.id for p in parts)
    twice = next((name for name, count in ids.items() if count > 1), None)
    if twice is not None:
        raise PluginError(f"{label} listed two parts with the id {twice!r}", fix="give each part its own id")
    ignored = {str(file): why for file, why in listing.ignored.items()}
    if not all(map(is_text, [listing.synthetic, *ignored, *ignored.values()])):
        raise PluginError(f"{label} returned a Listing whose ignored or synthetic are not texts", fix=FIX)
    return Listing(parts, ignored, listing.synthetic)


def _is_part(part: object) -> bool:
    return (
        isinstance(part, Part)
        and all(map(is_text, (part.id, part.kind, part.dataset, part.model)))
        and bool(part.id)
        and part.kind in ("samples", "outcomes")
        and isinstance(part.files, tuple | list)
        and all(isinstance(f, Path) and "\0" not in str(f) for f in part.files)
    )


def check_listing(listing: Listing, plan: Plan) -> None:
    label = f"log source {plan.logs.registered.id!r}"
    if not any(p.kind == "outcomes" for p in listing.parts):
        fix = "check [logs] path and [benchmark] models; `vlrb check` lists the files that are not read"
        raise DataError("the logs hold no outcomes of any known model", where=label, fix=fix)
    asked = [p.dataset for p in listing.parts if p.kind == "samples"]
    answered = {p.dataset for p in listing.parts if p.kind == "outcomes"}
    problems = [
        Problem(f"dataset {d!r} has samples in two parts", label, "keep the questions of a dataset in one place")
        for d in sorted({d for d in asked if d and asked.count(d) > 1})
    ]
    leave = "or leave the dataset out of [benchmark] datasets"
    if "" not in asked and "" not in answered:
        problems += [
            Problem(f"dataset {d!r} has outcomes but no samples", label, f"add its questions, {leave}")
            for d in sorted(answered - set(asked))
        ]
        problems += [
            Problem(f"dataset {d!r} has samples but no outcomes", label, f"add the models' answers, {leave}")
            for d in sorted(set(asked) - answered)
        ]
    if problems:
        raise DataError(problems)


def refuse_duplicates(ids: pa.Array | pa.ChunkedArray, where: Sequence[str]) -> None:
    """Refuse ids that stand there twice.

    :raises DataError: naming some of them
    """
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        raise DataError(
            f"holds samples twice: {shorten_list(twice)}", where=shorten_list(where), fix="keep one row of each"
        )
