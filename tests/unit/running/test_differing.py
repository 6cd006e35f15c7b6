"""What differs between runs apart from their choices."""

from __future__ import annotations

from typing import Any

import attrs
from finished import finished_run, split_info

from vlrb.api.results import CellInfo, RunInfo
from vlrb.api.routing import CostBounds
from vlrb.running.differing import differing_settings

INFO = finished_run().run


def differing(*runs: RunInfo) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {(d.section, d.key): d.values for d in differing_settings(runs)}


def with_experiment(**tables: Any) -> RunInfo:
    return attrs.evolve(INFO, experiment={**INFO.experiment, **tables})


def test_settings_of_many_runs_stand_side_by_side() -> None:
    """A value per run; keys with dots are quoted, and tables of the same name are numbered."""
    tables = [{"use": "p/a", "label": "a.b", "x": n} for n in (1, 2, 3)]
    runs = [with_experiment(router=[t], report=[{"use": "r/x", "n": t["x"]}] * 2) for t in tables]

    assert differing(*runs) == {
        ("experiment", 'router."a.b".x'): (1, 2, 3),
        ("experiment", "report.x.n"): (1, 2, 3),
        ("experiment", 'report."x 2".n'): (1, 2, 3),
    }


def test_equal_runs_differ_in_nothing() -> None:
    """The name of the experiment and the run's folder do not count as settings."""
    other = attrs.evolve(INFO, name="other", key="other", experiment={**INFO.experiment, "name": "other"})

    assert differing(INFO, other) == {}


def test_the_order_of_tables_is_no_setting() -> None:
    """Routers are known by their labels, else by what they use."""
    one, two = {"use": "p/a", "label": "one"}, {"use": "p/two"}

    assert differing(with_experiment(router=[one, two]), with_experiment(router=[two, one])) == {}


def test_a_table_that_a_run_lacks_is_shown_by_what_it_uses() -> None:
    """One line instead of one for each of its parameters; deeper tables are values like any other."""
    table = {"use": "p/a", "k": 1, "sweep": {"x": [1, 2]}}
    without = {k: v for k, v in table.items() if k != "sweep"}

    assert differing(with_experiment(router=[table]), with_experiment(router=[{"use": "p/b"}])) == {
        ("experiment", "router.a"): ("p/a", None),
        ("experiment", "router.b"): (None, "p/b"),
    }
    assert differing(with_experiment(router=[table]), with_experiment(router=[without])) == {
        ("experiment", "router.a.sweep"): ({"x": (1, 2)}, None)
    }


def test_a_section_that_a_run_lacks_is_shown_by_its_keys() -> None:
    """A run of a version that did not know it."""
    assert differing(with_experiment(tokens={"use": "t/x", "n": 1}), INFO) == {
        ("experiment", "tokens.use"): ("t/x", None),
        ("experiment", "tokens.n"): (1, None),
    }


def test_every_fact_of_a_benchmark_counts() -> None:
    """Which models and datasets there are, how many samples, and what was left out."""
    about = attrs.evolve(
        INFO.benchmark, fingerprint="e" * 64, samples=9, models=("b", "c"), datasets={"D": 9}, synthetic="made up",
        excluded={}, total_tokens=7,
    )  # fmt: skip

    assert differing(INFO, attrs.evolve(INFO, benchmark=about)) == {
        ("benchmark", "fingerprint"): ("f" * 64, "e" * 64),
        ("benchmark", "samples"): (10, 9),
        ("benchmark", "models.a"): ("present", None),
        ("benchmark", "models.c"): (None, "present"),
        ("benchmark", "order-of-models"): (("a", "b"), ("b", "c")),
        ("benchmark", "datasets.D"): (10, 9),
        ("benchmark", "synthetic"): (None, "made up"),
        ("benchmark", 'excluded."answers without a verdict"'): (3, None),
        ("benchmark", "total-tokens"): (100, 7),
    }


def test_every_fact_of_a_split_counts() -> None:
    """Its digest and sizes, those of each of several splits, and the cost bounds of their rows."""
    split = split_info("5 folds", pooled=True)
    one = attrs.evolve(split.each[0], digest="0" * 64, samples={"train": 6, "dev": 2, "test": 2})
    single = attrs.evolve(split, groups=5, each=(one,))
    several = attrs.evolve(split, each=(attrs.evolve(one, name="a"), attrs.evolve(one, name="a", train_fraction=0.5)))
    first = attrs.evolve(INFO, split=split_info())

    assert differing(first, attrs.evolve(INFO, split=single, bounds=CostBounds(1e-4, 1.0))) == {
        ("split", "digest"): ("3f2a" * 16, "0" * 64),
        ("split", "made"): ("as the logs give it", "5 folds"),
        ("split", "pooled"): (False, True),
        ("split", "groups"): (6, 5),
        ("split", "train"): (7, 6),
        ("split", "dev"): (1, 2),
        ("split", "cost-bounds"): ((1e-4, 1e-2), (1e-4, 1.0)),
    }
    found = differing(
        attrs.evolve(INFO, split=several), attrs.evolve(INFO, split=attrs.evolve(several, each=several.each[::-1]))
    )
    assert found == {}
    changed = attrs.evolve(several, each=(several.each[0], attrs.evolve(several.each[1], digest="2" * 64)))
    assert differing(attrs.evolve(INFO, split=several), attrs.evolve(INFO, split=changed)) == {
        ("split", 'each."a,train=0.5".digest'): ("0" * 64, "2" * 64)
    }


def test_versions_and_edited_plugins_count() -> None:
    """Packages, Python, and the sources of the plugins whose routers ran, whose version an edit does not change."""
    cell = CellInfo("k", "r", "p/r", {}, 1, None, "p", "d 1", "0123456789abcdef")
    one = attrs.evolve(INFO, environment={"python": "3.11", "numpy": "2"}, cells=(cell,))
    two = attrs.evolve(
        INFO, environment={"python": "3.12", "numpy": "2"}, cells=(attrs.evolve(cell, sources="f" * 16),)
    )

    assert differing(one, two) == {
        ("versions", "python"): ("3.11", "3.12"),
        ("versions", '"sources of plugin p"'): ("0123456789ab", "f" * 12),
    }
