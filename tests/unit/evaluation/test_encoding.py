"""Encoders that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from encoding_case import Case

from vlrb.benchmark.build import build
from vlrb.errors import DataError, PluginError
from vlrb.evaluation import encoding
from vlrb.evaluation.features import encode
from vlrb.executor import Job, Task, quiet


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("shape", r"a matrix \(7, 3\) with 3 columns for 8 queries"),
        ("wide", r"a matrix \(8, 6\)"),
        ("dtype", r"a matrix of float64 instead of float32\n.*return matrix.astype\(np.float32\)"),
        ("nan", "nan in column 'x/0' of sample 'Tiny[AB]/[0-9]+'"),
        ("codes", "3.0 in column 'c' of sample 'Tiny[AB]/[0-9]+', whose codes are 0 to 2"),
        ("inf", "inf in column 'x/0' of sample 'Tiny[AB]/[0-9]+'"),
        ("type", "ndarray instead of Features"),
        ("list", "a matrix of float64"),
        ("no-columns", "with 0 columns"),
        ("column-type", "columns that are not a Column"),
        ("twice", "3 columns named 'a'"),
        ("later", r"other columns than before \(2 instead of 3\)"),
        ("renamed", r"other columns than before \(\['y2/0', 'dense', False\] instead of \['y1/0'"),
        ("raise", "RuntimeError: no memory"),
        ("make", "RuntimeError: no such weights"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_blamed(case: Case, fault: str, said: str) -> None:
    """The plugin is named, and the sample by its own id; nothing wrong is kept."""
    with pytest.raises(PluginError, match=said) as caught:
        case.encode(more=f'fault = "{fault}"')

    assert "plugin 'enc'" in str(caught.value)
    assert len(case.chunks()) == (fault in ("later", "renamed"))


def test_changed_columns_are_found_against_the_cache_too(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that depends on something it does not say must not add rows of another meaning."""
    with pytest.raises(PluginError, match="other columns"):
        case.encode(more='fault = "renamed"')
    kept = case.chunks()
    with pytest.raises(PluginError, match="other columns than before"):
        case.encode(more='fault = "renamed", speed = 2', samples=48)
        case.encode(more='fault = "renamed", speed = 2', samples=48)

    assert set(kept) <= set(case.chunks())


def test_gaps_are_fine_where_a_column_may_have_them(case: Case) -> None:
    """NaN in a column that may be missing is kept as it is."""
    encoded, _ = case.encode(more='fault = "gap-allowed"')

    assert np.isnan(encoded.features.matrix).any()


def test_samples_that_cannot_be_encoded_are_named_at_once_and_the_others_kept(case: Case) -> None:
    """One report with sample ids; when they are mended, only they are encoded."""
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')
    first = str(caught.value)
    case.lines()
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')

    assert {p.where for p in caught.value.problems} <= {f"Tiny{d}/{n}" for d in "AB" for n in (5, 7)}
    assert len(caught.value.problems) == 2
    assert str(caught.value) == first
    assert all(line.split("|")[0].endswith((" 5", " 7")) for line in case.lines())


def test_an_endless_list_of_bad_samples_ends(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be read, the first few are enough."""
    monkeypatch.setattr(encoding, "MOST_PROBLEMS", 1)
    with pytest.raises(DataError) as caught:
        case.encode(more='fault = "bad"')

    assert len(caught.value.problems) == 1


def test_an_error_that_names_no_sample_ends_the_encoding(case: Case) -> None:
    """Weights that are gone are gone for every sample."""
    with pytest.raises(DataError, match="the weights are gone"):
        case.encode(more='fault = "data"')

    assert len(case.lines()) == 8


def test_a_streaming_encoder_gives_the_same(case: Case) -> None:
    """An encoder that prepares the next chunk ahead: the same rows, the same care with bad samples, blame if it ends early."""
    plain, _ = case.encode()
    streamed, _ = case.encode("e-stream")
    with pytest.raises(DataError) as caught:
        case.encode("e-stream", more='fault = "bad"')
    with pytest.raises(PluginError, match="NoneType instead of Features"):
        case.encode("e-stream", more='fault = "ends"')

    assert np.array_equal(plain.features.matrix, streamed.features.matrix)
    assert len(caught.value.problems) == 2


def test_tasks_ask_for_what_the_features_need(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor with several machines encodes where the resources are; they decide neither the features nor their key."""
    asked = []
    do_tasks = encoding.do_tasks

    def noted(executor: object, job: Job, tasks: Sequence[Task], *more: Any) -> None:
        asked.extend(task.resources for task in tasks)
        do_tasks(executor, job, tasks, *more)

    monkeypatch.setattr(encoding, "do_tasks", noted)
    table = 'encoders = ["e-text"]\nfusion = "concat"\n'
    plan = case.plan(table + "resources = { GPU = 1 }\n")
    built = build(plan, case.places)
    encoded = encode(plan, "f", built, case.places, quiet, jobs=1)

    assert {frozenset(r.items()) for r in asked} == {frozenset({("GPU", 1)})}
    kept = case.chunks()
    again = encode(case.plan(table), "f", built, case.places, quiet, jobs=1)
    assert np.array_equal(again.features.matrix, encoded.features.matrix)
    assert case.chunks() == kept
