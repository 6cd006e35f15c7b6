"""Data that cannot be changed: mappings, tuples, and arrays whose memory cannot be made writable again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    Array = Any


class FrozenDict(dict[Any, Any]):
    """A dictionary that cannot be changed."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this is the run's own record: it cannot be changed")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


def frozen(value: Any) -> Any:
    """Return a mapping, and the mappings and lists in it, in a form that cannot be changed."""
    if type(value) is FrozenDict:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({k: frozen(v) for k, v in value.items()})
    return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return values as a tuple; mypy does not take the class as a converter."""
    return tuple(values)


def sealed(array: Array) -> Array:
    """Return an array with the same content whose memory cannot be made writable again; large arrays are not copied.

    ``flags.writeable = False`` alone can be undone; on a view of an Arrow buffer, which is immutable, it cannot.

    :param array: becomes read-only, and must not be changed through another view
    """
    import numpy as np
    import pyarrow as pa

    if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous:
        return sealed(array.T).T
    flat = np.ascontiguousarray(array).reshape(-1)
    flat.flags.writeable = False
    if flat.size:
        flat = np.frombuffer(pa.py_buffer(flat.view(np.uint8)), dtype=flat.dtype)
    return flat.reshape(array.shape)
