"""What a component's code must not change: its arguments, the global random state, the standard streams."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from vlrb.api.images import Images
from vlrb.testing.promises import breach
from vlrb.texts import short_repr


def content_of(value: Any) -> Any:
    """Return the content of a value that components get, for comparison."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, Images):
        return value.hashes
    if attrs.has(type(value)):
        return {f.name: content_of(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {k: content_of(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [content_of(v) for v in value]
    return value


@contextlib.contextmanager
def untouched(**inputs: Any) -> Iterator[None]:
    """Refuse a block that changes one of these values."""
    before = {name: content_of(value) for name, value in inputs.items()}
    yield
    for name, value in inputs.items():
        now = content_of(value)
        if now != before[name]:
            breach(f"{name} was changed{_first_difference(before[name], now)}")


def _first_difference(before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in before:
            if before[name] != now.get(name):
                return f", in {name}{_first_difference(before[name], now.get(name))}"
    return ""


def random_states() -> dict[str, Any]:
    """Return the states of the global generators of Python, numpy and, where it is loaded, torch."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    states = {"random": random.getstate(), "numpy.random": (kind, np.asarray(keys).tobytes(), *rest)}
    if (torch := sys.modules.get("torch")) is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


@contextlib.contextmanager
def same_random_state() -> Iterator[None]:
    """Refuse a block that draws from a global generator, or seeds it."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed()  # not what an earlier call may have left
        np.random.seed()  # noqa: NPY002
        before = random_states()
        yield
        now = random_states()
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
    for name in before:
        if now[name] != before[name]:
            breach(f"the global state of {name} was changed")


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Refuse a block that prints; warnings are ignored."""
    streams = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(streams["stdout"]))
        stack.enter_context(contextlib.redirect_stderr(streams["stderr"]))
        yield
    for name, stream in streams.items():
        if text := stream.getvalue():
            breach(f"it wrote {short_repr(text)} to {name}")


@contextlib.contextmanager
def without_pickle() -> Iterator[None]:
    """Refuse pickle inside a block."""
    import pickle

    def refuse(*_: Any, **__: Any) -> Any:
        breach("pickle was used")

    names = ("dump", "dumps", "load", "loads", "Pickler", "Unpickler")
    before = {name: getattr(pickle, name) for name in names}
    try:
        for name in names:
            setattr(pickle, name, refuse)
        yield
    finally:
        for name, value in before.items():
            setattr(pickle, name, value)


def raised(work: Callable[[], Any]) -> BaseException | None:
    """Return what a call raises, None where it returns."""
    try:
        work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None
