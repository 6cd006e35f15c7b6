"""The pytest plugin: its fixtures, and what it costs those who do not use them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import vlrb.testing
from vlrb import Benchmark


def test_small_benchmark_has_images(small_benchmark: Benchmark) -> None:
    """Two datasets, three models, and an image of every question."""
    assert small_benchmark.quality.shape == (120, 3)
    assert {images[0].size for images in small_benchmark.images} == {(16, 12)}
    assert len(set(small_benchmark.datasets.tolist())) == 2


def test_made_data_are_as_in_a_run(
    make_queries: Callable[..., Any], make_labelled: Callable[..., Any], make_context: Callable[..., Any]
) -> None:
    """Tuples, matrices that cannot be written, real images; a context whose dev score is a number."""
    queries, labelled = make_queries(["what is it?"], images=[[]]), make_labelled(12, features=True)
    context = make_context(labelled, seed=3)

    assert queries.texts == ("what is it?",)
    assert not labelled.quality.flags.writeable
    assert labelled.queries.features.matrix.shape == (12, 6)
    assert isinstance(context.dev_score(np.zeros(12, dtype=int)), float)
    assert context.work_directory.is_dir()
    assert not vlrb.testing.make_labelled(0).queries.ids


def test_an_experiment_runs_in_its_own_folder(vlrb_run: Callable[..., Any]) -> None:
    """Status and results of a run on the small logs; a mistake is told by the status and the message."""
    ran = vlrb_run('[[router]]\nuse = "cheapest"\n[statistics]\ndraws = 100\n')
    wrong = vlrb_run('[[router]]\nuse = "cheapst"\n')

    assert ran.status == 0, ran.err
    assert ran.results["cells"][0]["status"] == "done"
    assert list(ran.folder.rglob("leaderboard.md"))
    assert (wrong.status, wrong.results) == (4, {})
    assert "did you mean 'cheapest'" in wrong.err


def test_the_plugin_imports_nothing_before_it_is_used() -> None:
    """pytest loads it in every session of an environment with vlrb: neither numpy nor the core may come along."""
    code = (
        "import sys, pytest\nimport vlrb.testing.fixtures\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('vlrb', 'numpy', 'pyarrow', 'attrs', 'vlrb_plugins')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(["vlrb", "vlrb.testing", "vlrb.testing.fixtures"])


def test_vlrb_does_not_import_it() -> None:
    """Neither `import vlrb` nor a run brings the kit, or pytest."""
    code = (
        "import sys, vlrb\nfrom vlrb.cli import run\nrun(['list'])\nimport vlrb.notebook\n"
        "print([m for m in sys.modules if m.startswith(('vlrb.testing', 'pytest', '_pytest'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_every_public_name_is_there() -> None:
    """Each name of the stub can be imported; the module says so."""
    for name in dir(vlrb.testing):
        assert callable(getattr(vlrb.testing, name)), name
