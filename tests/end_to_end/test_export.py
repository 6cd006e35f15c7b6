"""`vlrb build --export`: a benchmark in the form of a log source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DEMO = """
name = "d"
requires = []
[logs]
use = "demo"
samples = 300
form = "{form}"
[benchmark]
unknown = "wrong"
[tokens]
counter = "cl100k"
"""


@pytest.mark.parametrize("form", ["archive", "vlmevalkit"])
def test_an_exported_benchmark_is_the_same_benchmark(
    project: Any, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Exported as records and built again from these alone, every matrix and every image is what it was."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(shared("tiktoken-cache")))
    file = project.file(DEMO.format(form=form))
    first = project.vlrb("--cache", "first", "build", file, "--json", "--no-review", "--export", "records", "out").json
    assert [Path(f).name for f in first["exported"]] == ["samples.parquet", "outcomes.parquet", "models.toml"]
    again = project.file(
        'name = "again"\nrequires = []\ninclude = ["out/models.toml"]\n[logs]\nuse = "records"\npath = "out"\n',
        "again.toml",
    )
    second = project.vlrb("build", again, "--json", "--no-review")

    assert second.status == 0, second.err
    assert second.json["fingerprint"] == first["fingerprint"]
    assert project.vlrb("--cache", "first", "build", file, "--export", "records", "out").status == 4
    wrong = project.vlrb("--cache", "first", "build", file, "--export", "recrods", "new")
    assert (wrong.status, "did you mean 'records'" in wrong.err) == (4, True)
