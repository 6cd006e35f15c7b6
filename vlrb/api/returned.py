"""What routers, scorers, metrics and reports return, checked and made plain: arrays of numpy's own types, texts, numbers.

Call these inside :func:`vlrb.plugins.blame.blame`, since they call methods of the objects.  ``who`` begins every message.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

import numpy as np

from vlrb.api.frozen import Array, sealed
from vlrb.api.logs import Score
from vlrb.api.routing import Estimate, Queries, Undefined
from vlrb.errors import PluginError
from vlrb.texts import is_text, short_repr

FIX = "fix the plugin, or report it to its author"
INTEGERS = range(-(2**63), 2**63)
MOST_CHARACTERS = 10_000
"""Of a reason, a caution, or a text that a fit has chosen."""


def _refuse(what: str, where: str = "") -> NoReturn:
    raise PluginError(what, where=where, fix=FIX)


def plain_array(value: Any, what: str, who: str) -> Array:
    """Return an array, or nested lists of numbers, as an array of numpy's own class in the machine's byte order.

    float16 becomes float32; no other type changes.

    :raises PluginError: for a masked value, and for what numpy can only hold as objects
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
        _refuse(f"{who}: {what} has masked values")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise PluginError(f"{who}: {what} is not an array: {error}", fix=FIX) from None
    if array.dtype.kind == "O":
        _refuse(f"{who}: {what} is {type(value).__name__} instead of an array of numbers")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native.astype(np.float32) if native.dtype == np.float16 else native


def checked_choices(routed: Any, n: int, k: int, who: str) -> Array:
    """Return the choices as int64[n].

    :raises PluginError: when they are not n integers from 0 to k - 1
    """
    if routed is None:
        _refuse(f"{who}: route returned None instead of {n:,} integers")
    choices = plain_array(routed, "what route returned", who)
    if choices.shape != (n,):
        _refuse(f"{who}: route returned shape {choices.shape} for {n:,} queries")
    if choices.dtype.kind not in "iu":
        _refuse(f"{who}: route returned {choices.dtype} instead of integers")
    outside = choices[(choices < 0) | (choices >= k)]
    if outside.size:
        _refuse(f"{who}: route chose model {outside[0]}; the candidates are 0 to {k - 1}")
    return choices.astype(np.int64)


def checked_scores(scores: Any, choices: Array, queries: Queries, who: str) -> Array:
    """Return what a router ranks by, float32 or float64 [n, k], whose argmax are the choices."""
    matrix = plain_array(scores, "what scores returned", who)
    shape = (len(queries), len(queries.candidates))
    if matrix.shape != shape or matrix.dtype not in (np.float32, np.float64):
        _refuse(f"{who}: scores must be floats of shape {shape}, not {matrix.dtype} {matrix.shape}")
    bad = np.count_nonzero(~np.isfinite(matrix))
    if bad:
        _refuse(f"{who}: scores must be finite; {bad:,} are NaN or infinite")
    differing = np.flatnonzero(matrix.argmax(axis=1) != choices)
    if differing.size:
        _refuse(f"{who}: the highest score of query {differing[0]} is not that of the model it chose")
    return matrix


def checked_estimate(estimate: Any, queries: Queries, who: str) -> Estimate:
    """Return an estimate as float64[n, k] each; other numbers of up to 64 bits are converted."""
    if not isinstance(estimate, Estimate):
        _refuse(f"{who}: estimate returned {type(estimate).__name__} instead of an Estimate")
    shape = (len(queries), len(queries.candidates))
    matrices = []
    for name, high in (("p_correct", 1.0), ("cost", np.finfo(np.float64).max)):
        given = plain_array(getattr(estimate, name), f"{name} of its estimate", who)
        real = given.dtype.kind in "biuf" and given.dtype.itemsize <= 8
        values = given.astype(np.float64) if real else given
        if not real or values.shape != shape or not ((values >= 0) & (values <= high)).all():
            what = f"{name} of its estimate must be finite numbers, at least 0, of shape {shape}"
            _refuse(f"{who}: {what}, not {given.dtype} {given.shape}")
        matrices.append(sealed(values.copy()))
    return Estimate(*matrices)


def checked_chosen(chosen: Any, who: str) -> dict[str, str | int | float | bool | None]:
    """Return the parameters that a fit chose itself: texts, 64-bit integers, numbers, booleans or None, by name."""
    if not isinstance(chosen, Mapping):
        _refuse(f"{who}: chosen must be a mapping of parameters, not {type(chosen).__name__}")
    plain = {}
    for name, value in chosen.items():
        if not _is_short(name) or not str.__len__(name):
            _refuse(f"{who}: chosen must be named by texts, not {short_repr(name)}: {short_repr(value)}")
        plain[str.__str__(name)] = _scalar(name, value, who)
    return plain


def _is_short(value: Any) -> TypeGuard[str]:
    return is_text(value) and str.__len__(value) <= MOST_CHARACTERS


def _scalar(name: str, value: Any, who: str) -> str | int | float | bool | None:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool):
        return value
    if _is_short(value):
        return str.__str__(value)
    if isinstance(value, int) and int.__index__(value) in INTEGERS:
        return int.__index__(value)
    if isinstance(value, float) and not math.isnan(value):
        return float.__float__(value)
    what = "chosen must hold texts, 64-bit integers, numbers, booleans or None"
    _refuse(f"{who}: {what}, not {short_repr(name)}: {short_repr(value)}")


def checked_seconds(seconds: Any, who: str) -> float | None:
    """Return the seconds of work that a router has borrowed; None where it says that they are unknown."""
    if seconds is None:
        return None
    if not isinstance(seconds, numbers.Real) or not 0 <= (value := float(seconds)) < math.inf:
        _refuse(f"{who}: borrowed_seconds must be a finite number, at least 0, not {short_repr(seconds)}")
    return value


def check_saved(folder: Path, who: str) -> None:
    """Check that a router has saved files and folders only, in ``router`` below a cell's folder."""
    outside = sorted(p.name for p in folder.iterdir() if p.name != "router")
    saved = folder / "router"
    if outside or saved.is_symlink() or not saved.is_dir():
        what = f"wrote {short_repr(outside[0])} outside" if outside else "removed"
        _refuse(f"{who}: save {what} the folder that it was given")
    for path in saved.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            _refuse(f"{who}: save wrote {short_repr(path.name)}, which is neither file nor folder")


def checked_verdicts(returned: Any, ids: Sequence[str], who: str, where: str = "") -> list[Score]:
    """Return a score per case, with a value in [0, 1] or None, a text and a boolean each.

    :param ids: of the cases
    :param where: the part that was scored, for messages
    """
    if not isinstance(returned, Iterable):
        _refuse(f"{who} returned {type(returned).__name__} instead of {len(ids):,} scores", where)
    scores = list(itertools.islice(returned, len(ids) + 1))
    if len(scores) != len(ids):
        count = len(scores) if len(scores) < len(ids) else f"more than {len(ids):,}"
        _refuse(f"{who} returned {count} scores for {len(ids):,} cases", where)
    return [_verdict(s, i, who, where) for s, i in zip(scores, ids, strict=True)]


def _verdict(score: Any, sample: str, who: str, where: str) -> Score:
    if not isinstance(score, Score):
        _refuse(f"{who} returned {type(score).__name__} instead of a Score for {sample}", where)
    value: Any = score.value
    reason: Any = score.reason
    unscorable: Any = score.unscorable
    real: bool = isinstance(value, numbers.Real | np.bool_)
    if value is not None and not (real and 0 <= value <= 1):
        _refuse(f"{who} returned a score outside [0, 1] for {sample}: {short_repr(value)}", where)
    if reason is not None and not _is_short(reason):
        _refuse(f"{who} returned a reason that is not a text for {sample}: {short_repr(reason)}", where)
    if not isinstance(unscorable, bool | np.bool_):
        _refuse(f"{who} returned unscorable = {short_repr(unscorable)} for {sample}, not a boolean", where)
    text = "" if reason is None else str.__str__(reason)
    return Score(None if value is None else float(value), text, bool(unscorable))


def checked_metric(value: Any, who: str) -> float | Undefined:
    """Return a metric's value as a float, from any real number but NaN, or Undefined with a text."""
    if isinstance(value, Undefined):
        if not _is_short(value.reason):
            _refuse(f"{who} is undefined for a reason that is not a text: {short_repr(value.reason)}")
        return Undefined(str.__str__(value.reason))
    number = math.nan
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        with contextlib.suppress(OverflowError):
            number = float(value)
    if math.isnan(number):
        what = "an array instead of a number" if getattr(value, "shape", ()) else short_repr(value)
        raise PluginError(f"{who} returned {what}", fix="return a number, or Undefined with a reason")
    return number


def checked_cautions(returned: Any, who: str) -> list[str]:
    """Return the sentences in which a metric says where it misleads."""
    if not isinstance(returned, Iterable) or isinstance(returned, str | bytes):
        _refuse(f"{who}: cautions returned {type(returned).__name__} instead of a list of texts")
    sentences = list(returned)
    for odd in (s for s in sentences if not _is_short(s)):
        _refuse(
            f"{who}: cautions returned {short_repr(odd)} instead of a text of at most {MOST_CHARACTERS:,} characters"
        )
    return [str.__str__(s) for s in sentences]


def checked_files(returned: Any, who: str) -> list[Path]:
    """Return the files that a report has written, from any iterable of paths or texts."""
    if not isinstance(returned, Iterable) or isinstance(returned, str | bytes):
        _refuse(f"{who} returned {type(returned).__name__} instead of a list of the files that it wrote")
    files = list(returned)
    for odd in (f for f in files if not (isinstance(f, Path) or is_text(f))):
        _refuse(f"{who} returned {short_repr(odd)} among the files that it wrote")
    return [Path(f) for f in files]


def checked_text(returned: Any, who: str) -> str:
    """Return what a report shows on the terminal."""
    if not is_text(returned):
        _refuse(f"{who}: text() returned {type(returned).__name__} instead of a text that UTF-8 can write")
    return str.__str__(returned)
