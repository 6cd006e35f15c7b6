"""What routers, scorers and metrics return, checked and made plain: arrays of numpy's own types, texts, numbers.

Call these inside :func:`vlrb.plugins.blame.blame`: to look at an object is to call its methods.  ``who`` begins every message.
"""

from __future__ import annotations

import itertools
import math
import numbers
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.logs import Score
from vlrb.api.routing import Estimate, Queries, Undefined
from vlrb.errors import PluginError
from vlrb.faults import is_text, short_repr

FIX = "fix the plugin, or report it to its author"
INTEGERS = range(-(2**63), 2**63)
MOST_CHARACTERS = 10_000
"""Of a reason, or of a text that a fit has chosen."""


def plain_array(value: Any, what: str, who: str) -> Array:
    """Return an array, or nested lists of numbers, as an array of numpy's own class in the machine's byte order.

    float16 becomes float32; no other type changes.

    :raises PluginError: for a masked value, and for what numpy can only hold as objects
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        raise PluginError(f"{who}: {what} has masked values", fix=FIX)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise PluginError(f"{who}: {what} is not an array: {error}", fix=FIX) from None
    if array.dtype.kind == "O":
        raise PluginError(f"{who}: {what} is {type(value).__name__} instead of an array of numbers", fix=FIX)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.astype(np.float32) if native.dtype == np.float16 else native


def checked_choices(routed: Any, n: int, k: int, who: str) -> Array:
    """Return the choices as int64[n].

    :raises PluginError: when they are not n integers from 0 to k - 1
    """
    if routed is None:
        raise PluginError(f"{who}: route returned None instead of {n:,} integers", fix=FIX)
    choices = plain_array(routed, "what route returned", who)
    if choices.shape != (n,):
        raise PluginError(f"{who}: route returned shape {choices.shape} for {n:,} queries", fix=FIX)
    if choices.dtype.kind not in "iu":
        raise PluginError(f"{who}: route returned {choices.dtype} instead of integers", fix=FIX)
    if n and not (choices.min() >= 0 and choices.max() < k):
        outside = choices[(choices < 0) | (choices >= k)][0]
        raise PluginError(f"{who}: route chose model {outside}; the candidates are 0 to {k - 1}", fix=FIX)
    return choices.astype(np.int64)


def checked_scores(scores: Any, choices: Array, queries: Queries, who: str) -> Array:
    """Return what a router ranks by, float32 or float64 [n, k], whose argmax are the choices."""
    matrix = plain_array(scores, "what scores returned", who)
    shape = (len(queries), len(queries.candidates))
    if matrix.shape != shape or matrix.dtype not in (np.float32, np.float64):
        what = f"scores must be floats of shape {shape}, not {matrix.dtype} {matrix.shape}"
        raise PluginError(f"{who}: {what}", fix=FIX)
    if not np.isfinite(matrix).all():
        bad = int((~np.isfinite(matrix)).sum())
        raise PluginError(f"{who}: scores must be finite; {bad:,} are NaN or infinite", fix=FIX)
    differing = np.flatnonzero(matrix.argmax(axis=1) != choices)
    if differing.size:
        row = int(differing[0])
        raise PluginError(f"{who}: the highest score of query {row} is not that of the model it chose", fix=FIX)
    return matrix


def checked_estimate(estimate: Any, queries: Queries, who: str) -> Estimate:
    """Return an estimate as float64[n, k] each; other numbers of up to 64 bits are converted."""
    if not isinstance(estimate, Estimate):
        raise PluginError(f"{who}: estimate returned {type(estimate).__name__} instead of an Estimate", fix=FIX)
    shape = (len(queries), len(queries.candidates))
    matrices = []
    for name, high in (("p_correct", 1.0), ("cost", np.inf)):
        given = plain_array(getattr(estimate, name), f"{name} of its estimate", who)
        real = given.dtype.kind in "biuf" and given.dtype.itemsize <= 8
        values = given.astype(np.float64) if real else given
        if values.shape != shape or not (
            real and np.isfinite(values).all() and ((values >= 0) & (values <= high)).all()
        ):
            what = f"{name} of its estimate must be finite numbers, at least 0, of shape {shape}"
            raise PluginError(f"{who}: {what}, not {given.dtype} {given.shape}", fix=FIX)
        matrices.append(sealed(values.copy()))
    return Estimate(*matrices)


def checked_chosen(chosen: Any, who: str) -> dict[str, str | int | float | bool | None]:
    """Return the parameters that a fit chose itself: texts, 64-bit integers, numbers, booleans or None, by name."""
    if not isinstance(chosen, Mapping):
        raise PluginError(f"{who}: chosen must be a mapping of parameters, not {type(chosen).__name__}", fix=FIX)
    return {_name(k, v, who): _scalar(k, v, who) for k, v in chosen.items()}


def _name(name: object, value: object, who: str) -> str:
    if not is_text(name) or not 0 < len(str.__str__(name)) <= MOST_CHARACTERS:
        raise PluginError(f"{who}: chosen must be named by texts, not {short_repr(name)}: {short_repr(value)}", fix=FIX)
    return str.__str__(name)


def _scalar(name: object, value: Any, who: str) -> str | int | float | bool | None:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool):
        return value
    if is_text(value) and len(str.__str__(value)) <= MOST_CHARACTERS:
        return str.__str__(value)
    if isinstance(value, int) and int.__index__(value) in INTEGERS:
        return int.__index__(value)
    if isinstance(value, float) and not math.isnan(value):
        return float.__float__(value)
    what = "chosen must hold texts, 64-bit integers, numbers, booleans or None"
    raise PluginError(f"{who}: {what}, not {short_repr(name)}: {short_repr(value)}", fix=FIX)


def checked_seconds(seconds: Any, who: str) -> float:
    """Return the seconds of work that a router has borrowed."""
    if not isinstance(seconds, numbers.Real) or not 0 <= (value := float(seconds)) < math.inf:
        raise PluginError(
            f"{who}: borrowed_seconds must be a finite number, at least 0, not {short_repr(seconds)}", fix=FIX
        )
    return value


def check_saved(folder: Path, who: str) -> None:
    """Look whether what a router saved lies in ``router`` below a cell's folder, and is files and folders only."""
    outside = sorted(p.name for p in folder.iterdir() if p.name != "router")
    saved = folder / "router"
    if outside or saved.is_symlink() or not saved.is_dir():
        what = f"wrote {short_repr(outside[0])} outside" if outside else "removed"
        raise PluginError(f"{who}: save {what} the folder that it was given", fix=FIX)
    for path in saved.rglob("*"):
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise PluginError(f"{who}: save wrote {short_repr(path.name)}, which is neither file nor folder", fix=FIX)


def checked_verdicts(returned: Any, ids: Sequence[str], who: str, where: str = "") -> list[Score]:
    """Return a score per case, with a value in [0, 1] or None, a text and a boolean each.

    :param ids: of the cases
    :param where: the part that was scored, for messages
    """
    if not isinstance(returned, Iterable):
        raise PluginError(
            f"{who} returned {type(returned).__name__} instead of {len(ids):,} scores", where=where, fix=FIX
        )
    scores = list(itertools.islice(returned, len(ids) + 1))
    if len(scores) != len(ids):
        count = len(scores) if len(scores) < len(ids) else f"more than {len(ids):,}"
        raise PluginError(f"{who} returned {count} scores for {len(ids):,} cases", where=where, fix=FIX)
    return [_verdict(s, i, who, where) for s, i in zip(scores, ids, strict=True)]


def _verdict(score: Any, sample: str, who: str, where: str) -> Score:
    if not isinstance(score, Score):
        raise PluginError(
            f"{who} returned {type(score).__name__} instead of a Score for {sample}", where=where, fix=FIX
        )
    value: Any = score.value
    reason: Any = score.reason
    unscorable: Any = score.unscorable
    if value is not None and not (_is_score(value)):
        raise PluginError(
            f"{who} returned a score outside [0, 1] for {sample}: {short_repr(value)}", where=where, fix=FIX
        )
    if reason is not None and (not is_text(reason) or len(reason) > MOST_CHARACTERS):
        raise PluginError(
            f"{who} returned a reason that is not a text for {sample}: {short_repr(reason)}", where=where, fix=FIX
        )
    if not isinstance(unscorable, bool | np.bool_):
        raise PluginError(
            f"{who} returned unscorable = {short_repr(unscorable)} for {sample}, not a boolean", where=where, fix=FIX
        )
    return Score(
        None if value is None else float(value), "" if reason is None else str.__str__(reason), bool(unscorable)
    )


def _is_score(value: Any) -> bool:
    real: bool = isinstance(value, numbers.Real | np.bool_)
    return real and bool(0 <= value <= 1)


def checked_metric(value: Any, who: str) -> float | Undefined:
    """Return a metric's value: a real number of whatever type that float takes, but NaN, or Undefined with a text."""
    if isinstance(value, Undefined):
        if not is_text(value.reason) or len(value.reason) > MOST_CHARACTERS:
            raise PluginError(
                f"{who} is undefined for a reason that is not a text: {short_repr(value.reason)}", fix=FIX
            )
        return Undefined(str.__str__(value.reason))
    fix = "return a number, or Undefined with a reason"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise PluginError(f"{who} returned {short_repr(value)}", fix=fix)
    try:
        number = float(value)
    except OverflowError:
        number = math.nan
    if math.isnan(number):
        raise PluginError(f"{who} returned {short_repr(value)}", fix=fix)
    return number
