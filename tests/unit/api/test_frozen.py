"""What crosses to plugins cannot be changed by them."""

from __future__ import annotations

import pickle
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vlrb.api.frozen import FrozenDict, frozen, sealed
from vlrb.api.images import Images, ImageStore
from vlrb.api.logs import Case, Listing
from vlrb.api.routing import Candidate, Features, Queries

ARRAYS = hnp.arrays(
    st.sampled_from([np.bool_, np.int64, np.float64, np.float32, np.dtype("U3")]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
)


@given(array=ARRAYS, order=st.sampled_from("CF"))
def test_a_sealed_array_says_the_same_and_cannot_be_reopened(array: Any, order: str) -> None:
    """Neither the array nor any array that it is a view of can be made writable; values, type and shape stay."""
    given_ = np.array(array, order=order)  # type: ignore[call-overload]
    result = sealed(given_)

    assert result.dtype == array.dtype
    assert result.shape == array.shape
    assert result.tobytes() == array.tobytes()
    if array.size:
        view = result
        while isinstance(view, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                view.flags.writeable = True
            view = view.base


def test_sealing_does_not_copy() -> None:
    """A large matrix is not in memory twice."""
    array = np.zeros((4, 3), np.float32)
    transposed = np.zeros((3, 4)).T

    assert np.shares_memory(sealed(array), array)
    assert np.shares_memory(sealed(transposed), transposed)


def test_mappings_are_frozen_at_every_depth() -> None:
    """Lists become tuples, dictionaries refuse changes, and both survive pickling for other processes."""
    value = frozen({"a": [1, {"b": 2}], "c": {"d": ({},)}})

    assert value == {"a": (1, {"b": 2}), "c": {"d": ({},)}}
    assert pickle.loads(pickle.dumps(value)) == value
    for change in (
        lambda: value.update(x=1),
        lambda: value["a"][1].pop("b"),
        lambda: value["c"].__setitem__("d", 0),
        lambda: value["c"]["d"][0].setdefault("e", 1),
    ):
        with pytest.raises(TypeError):
            change()
    assert isinstance(pickle.loads(pickle.dumps(value))["a"][1], FrozenDict)


def queries() -> Queries:
    """Return two queries, made from lists."""
    features = Features(sealed(np.zeros((2, 1), np.float32)), ())
    images = Images(ImageStore(()), [(), ()], ["i", "j"])
    return Queries(["i", "j"], ["t", "u"], [(), ()], ["", ""], images, (Candidate("m"),), features)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ids", "texts", "options", "hints"])
def test_queries_hold_tuples(name: str) -> None:
    """Also what was made from lists, and what `take` returns."""
    for each in (queries(), queries().take(np.array([1]))):
        assert type(getattr(each, name)) is tuple


def test_images_hold_tuples_and_refuse_attributes() -> None:
    """A router cannot put other images in the place of those that the next router sees."""
    images = queries().images

    assert type(images.hashes) is tuple
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        images.hashes = ()  # type: ignore[misc]


def test_what_scorers_and_sources_exchange_is_frozen() -> None:
    """A case's columns are shared by all models' answers; a listing is read long after it was made."""
    case = Case("i", "q", (), "", "", {"category": "x"}, {"res": "1"})
    with pytest.raises(TypeError):
        case.fields["category"] = "y"  # type: ignore[index]
    with pytest.raises(TypeError):
        case.judged["res"] = "2"  # type: ignore[index]

    ignored = {"f": "why"}
    listing = Listing([], ignored)  # type: ignore[arg-type]
    ignored["g"] = "later"
    assert listing.parts == ()
    assert dict(listing.ignored) == {"f": "why"}
