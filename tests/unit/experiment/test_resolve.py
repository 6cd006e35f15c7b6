"""From a file to a plan: names and keys that mean nothing are problems of the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from split_runs import FOLDS, KEYED, experiment

from vlrb.errors import ConfigError, Problem
from vlrb.experiment.resolve import make_plan


def problems(folder: Path, routers: str, more: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        make_plan(experiment(folder, routers, more), ("no:mlflow",))
    return tuple(caught.value.problems)


def test_names_that_no_row_has_are_refused_with_all_other_problems(tmp_path: Path) -> None:
    """The baseline and both names of every pair, with the key and the nearest name; labels of broken routers are known."""
    names = '[statistics]\nbaseline = "best-singel"\npairs = [["keyd", "oracle"], ["random", "orcle"], ["mine", "oracle"]]\n'
    routers = KEYED + '[[router]]\nuse = "baselines/random"\n[[router]]\nuse = "knn"\nlabel = "mine"\nk = -1\n'
    *found, broken = sorted(problems(tmp_path, routers, FOLDS + names), key=lambda p: "router" in p.where)

    assert [(p.where.rpartition("statistics")[2], p.fix) for p in found] == [
        (".baseline", "did you mean 'best-single' or 'cheapest-single' or 'best-single-by-metric'?"),
        (".pairs", "did you mean 'keyed'?"),
        (".pairs", "did you mean 'oracle'?"),
    ]
    assert broken.where.endswith("router[2].k")


@pytest.mark.parametrize("on", ["", 'on = "dev"\n', 'on = "test"\n'])
def test_folds_without_folds_to_choose_on_are_refused(tmp_path: Path, on: str) -> None:
    """The key would change nothing; with `on = "folds"` it is taken."""
    found = [
        p for p in problems(tmp_path, KEYED, f"[selection]\n{on}folds = 3\n") if p.where.endswith("selection.folds")
    ]

    assert [p.message.partition(", ")[0] for p in found] == ['folds are used only with on = "folds"']
    assert "remove folds" in found[0].fix
    plan = make_plan(experiment(tmp_path, KEYED, '[selection]\non = "folds"\nfolds = 3\n'), ("no:mlflow",))
    assert plan.selection.inner_folds == 3


def test_a_misspelt_figure_is_a_problem_of_the_file(tmp_path: Path) -> None:
    """It would fail only after all cells have run."""
    report = '[[report]]\nuse = "html"\nfigures = ["calls", "paretto"]\n'
    (found,) = problems(tmp_path, KEYED, report)

    assert (found.message, found.fix) == ("unknown figure 'paretto'", "did you mean 'pareto'?")
    assert found.where.endswith("report[0].figures")
