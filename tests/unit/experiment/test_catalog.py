"""What an experiment file says of datasets and models that plugins know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vlrb.api.records import Dataset, ImageTokens, Model
from vlrb.experiment.catalog import catalog_of
from vlrb.experiment.document import Document
from vlrb.experiment.lookup import Lookup
from vlrb.plugins.plugin import Plugin, Selection
from vlrb.plugins.registry import Registered, Registry

DATASET = Dataset(name="数学", slug="maths", aliases=("maths-zh",))
TOKENS = ImageTokens(rule="constant", source="paper", tokens=7)
MODEL = Model(name="Big", input_price_per_million=1.0, parameters=72.0, open=True, image_tokens=TOKENS, sets=("s",))


@pytest.fixture
def lookup() -> Lookup:
    plugin = Plugin("p", "d", "1", "o")
    records = {"dataset": (Registered(DATASET, plugin),), "model": (Registered(MODEL, plugin),)}
    return Lookup(Document(Path("x.toml"), {}, {}), Registry((plugin,), records, Selection()))


def test_a_known_record_keeps_what_the_file_does_not_say(lookup: Lookup) -> None:
    """Also its slug, which could not be made of the name; "api" says that no size is published, whatever was known."""
    tables: list[Any] = [{"name": "数学", "samples": 5}]
    found = catalog_of(lookup, tables, [{"name": "Big", "parameters": "api", "output_price_per_million": 3}], {})

    assert not lookup.problems
    assert found.datasets == (Dataset(name="数学", slug="maths", aliases=("maths-zh",), samples=5),)
    assert found.models == (
        Model("Big", 1.0, 3.0, parameters=None, open=False, image_tokens=TOKENS, sets=("s",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "model", "said"),
    [
        ({"name": "中文"}, {"name": "m"}, "dataset[0]: the slug of '中文' must be kebab-case"),
        (
            {"name": "d"},
            {"name": "Big", "parameters": "Api"},
            "model[0].parameters: must be a number or 'api', not 'Api'",
        ),
        ({"name": "d"}, {"name": "m", "parameters": True}, "model[0].parameters: must be a number, not True"),
        ({"name": "d", "parameters": "api"}, {"name": "m"}, "dataset[0].parameters: unknown key"),
        ({"name": 3}, {"name": "m"}, "dataset[0].name: must be a string, not 3"),
        (3, {"name": "m"}, "dataset[0]: must be a table, not 3"),
    ],
)
def test_a_wrong_value_is_told_at_its_key(lookup: Lookup, dataset: Any, model: Any, said: str) -> None:
    """One problem for one mistake."""
    catalog_of(lookup, [dataset], [model], {})

    (problem,) = lookup.problems
    assert said in str(problem)
