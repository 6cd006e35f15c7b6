"""Values that few metrics look at: they are made when one does."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen(eq=False, slots=False)
class OnDemand(Generic[T]):
    """A value that is made when it is first asked for, and kept; another process gets the value itself."""

    make: Callable[[], T]

    @cached_property
    def value(self) -> T:
        """Return the value."""
        return self.make()

    @property
    def is_made(self) -> bool:
        """Tell whether the value was asked for."""
        return "value" in vars(self)

    def __call__(self) -> T:
        return self.value

    def __reduce__(self) -> tuple[Any, ...]:
        return _given, (self.value,)


def _given(value: T) -> OnDemand[T]:
    return OnDemand(partial(_same, value))


def _same(value: T) -> T:
    return value
