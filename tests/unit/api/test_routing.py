"""Features whose rows and columns are copied only when they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.frozen import sealed
from vlrb.api.routing import Column, Features

WIDTH, ROWS = 4, 9
WHOLE = Features(
    sealed(np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)), tuple(Column(f"c{i}") for i in range(WIDTH))
)
STEP = st.one_of(
    st.tuples(st.just("take"), st.lists(st.integers(0, 2**16), max_size=6)),
    st.tuples(st.just("select"), st.lists(st.integers(0, 2**16), min_size=1, max_size=5)),
)


@given(st.lists(STEP, max_size=5))
def test_rows_and_columns_of_rows_and_columns(steps: list[tuple[str, list[int]]]) -> None:
    """Any chain of take and select gives what indexing the matrix at once gives, read-only, with its columns."""
    features, expected = WHOLE, WHOLE.matrix
    names = [c.name for c in WHOLE.columns]
    for step, asked in steps:
        if step == "take":
            places = np.array([a % len(expected) for a in asked] if len(expected) else [], dtype=np.intp)
            features, expected = features.take(places), expected[places]
        else:
            places = np.array([a % len(names) for a in asked], dtype=np.intp)
            features, expected, names = (
                features.select(places.tolist()),
                expected[:, places],
                [names[p] for p in places],
            )

    assert features.matrix.tolist() == expected.tolist()
    assert features.matrix.shape == expected.shape
    assert [c.name for c in features.columns] == names
    if expected.size:
        with pytest.raises(ValueError, match="WRITEABLE"):
            features.matrix.flags.writeable = True


def test_another_matrix_is_taken_as_it_is() -> None:
    """A plugin may evolve features that it was given: its rows are not taken for rows of the whole matrix."""
    import attrs

    taken = WHOLE.take(np.array([5, 2])).select([3, 0])
    changed = attrs.evolve(taken, matrix=taken.matrix * 2)

    assert changed.matrix.tolist() == (2 * taken.matrix).tolist()
    assert changed.columns == taken.columns


def test_nothing_is_copied_before_it_is_asked_for() -> None:
    """A router that works on a few samples at a time needs memory for these only; asked twice, it is the same array."""
    import tracemalloc

    whole = Features(sealed(np.zeros((200_000, 16), np.float32)), tuple(Column(f"c{i}") for i in range(16)))
    rows = np.arange(0, 200_000, 2)
    tracemalloc.start()
    taken = whole.take(rows)
    few = taken.take(np.arange(10)).matrix
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert few.shape == (10, 16)
    assert peak < 4_000_000  # the rows' numbers, and not 6.4 MB of values
    assert taken.matrix is taken.matrix
