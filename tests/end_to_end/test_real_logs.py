"""The real MathVision logs, where they are at hand: every count equals what a correct reader gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXPERIMENT = """
name = "mathvision"
requires = []
include = ["{logs}/prices.toml"]

[logs]
use = "vlmevalkit"
path = "{logs}"

[benchmark]
datasets = {datasets}

[tokens]
counter = "cl100k"

[[dataset]]
name = "MathVision"
group = "stem"

[[router]]
use = "knn"
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that the tests of this file share: the logs are read once."""
    return tmp_path_factory.mktemp("real-logs")


@pytest.mark.parametrize("datasets", [["MathVision"], ["MathVision_MINI"], ["MathVision", "MathVision_MINI"]])
def test_the_numbers_equal_those_of_a_correct_reader(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, cache: Path, datasets: list[str]
) -> None:
    """Samples, correct answers per model, Oracle and tokens of 13 real runs."""
    logs = shared("real-logs/mathvision")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    expected = json.loads((logs / "expected.json").read_text(encoding="utf-8"))["datasets"]
    file = project.file(EXPERIMENT.format(logs=logs, datasets=json.dumps(datasets)))

    report = project.vlrb("--cache", cache, "build", file, "--json", "--no-review").json

    assert [d["name"] for d in report["datasets"]] == datasets
    for found in report["datasets"]:
        right = expected[found["name"]]
        assert found["samples"] == right["samples"]
        assert found["oracle_correct"] == right["oracle_correct"]
        assert found["correct"] == {m: v["correct"] for m, v in right["models"].items()}
        assert found["output_tokens"] == {m: v["prediction_tokens"] for m, v in right["models"].items()}
    if len(datasets) == 1:
        assert report["solved_by_no_model"] == expected[datasets[0]]["solved_by_no_model"]
        assert report["solved_by_every_model"] == expected[datasets[0]]["solved_by_every_model"]


def test_a_whole_run_on_real_logs(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """`vlrb run` goes through on them; the data are not called synthetic, and questions on one image stay together."""
    logs = shared("real-logs/mathvision")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = project.file(EXPERIMENT.format(logs=logs, datasets='["MathVision_MINI"]'))
    shown = project.vlrb("--cache", cache, "run", file)

    assert shown.status == 0
    assert "SYNTHETIC" not in shown.out
    assert project.results()[0]["run"]["split"]["each"][0]["group_also_in_train"] == {"dev": 0, "test": 0}


def test_a_vocabulary_that_cannot_be_loaded_is_an_error_with_a_way_out(
    project: Any, shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """No estimate takes its place: the message says where to put the file."""
    logs = shared("real-logs/mathvision")
    file = project.file(EXPERIMENT.format(logs=logs, datasets='["MathVision_MINI"]'))
    code = (
        "import sys, tiktoken, os\n"
        "def fail(name): raise OSError('no network')\n"
        "tiktoken.get_encoding = fail\n"
        f"os.environ['TIKTOKEN_CACHE_DIR'] = {str(tmp_path / 'empty')!r}\n"
        f"from vlrb.cli import run\nsys.exit(run(['-p', 'no:mlflow', 'build', {str(file)!r}]))"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 4
    assert "the vocabulary of cl100k_base cannot be loaded" in done.stderr
    assert f"TIKTOKEN_CACHE_DIR is {str(tmp_path / 'empty')!r}" in done.stderr
    assert "9b5ad71b2ce5302211f9c61530b329a4922fc6a4" in done.stderr
    assert done.stderr.count("error: ") == 1
