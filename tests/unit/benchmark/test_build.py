"""Building a benchmark: what is read again, and by how many processes."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from vlrb.benchmark import logs
from vlrb.benchmark.join import spans_of


def fingerprint(project: Any, *arguments: str) -> str:
    shown = project.vlrb(*arguments, "build", project.folder / "experiment.toml", "--json", "--jobs", "2")
    assert shown.status == 0, shown.err
    return str(shown.json["fingerprint"])


def test_several_processes_read_the_same(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts may be read side by side; the benchmark is the same."""
    project.experiment()
    alone = fingerprint(project, "--cache", "one")
    monkeypatch.setattr(logs, "PARALLEL_BYTES", -1)

    assert fingerprint(project, "--cache", "two") == alone


def test_problems_of_all_parts_come_in_one_report(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user mends a log tree once, whether one process read it or several."""
    text = project.plugin.read_text(encoding="utf-8").replace(
        'part.model == "tiny-small" and part.dataset == "TinyB"', "True"
    )
    project.plugin.write_text(text, encoding="utf-8")
    file = project.experiment(logs='fault = "score-2"')
    for bound in (logs.PARALLEL_BYTES, -1):
        monkeypatch.setattr(logs, "PARALLEL_BYTES", bound)
        shown = project.vlrb("build", file, "--jobs", "2")
        assert shown.status == 4
        assert shown.err.count("error: ") == 6


def test_a_plugins_error_in_a_reading_process_is_still_blamed_on_it(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 5 and the plugin's name, from another process too."""
    monkeypatch.setattr(logs, "PARALLEL_BYTES", -1)
    shown = project.vlrb("build", project.experiment(logs='fault = "raise"'), "--jobs", "2")

    assert shown.status == 5
    assert "plugin 'tiny' failed while reading outcomes/" in shown.err


def test_only_what_changed_is_read_again(project: Any) -> None:
    """Other prices or policies join again, but read nothing; another reader reads all."""
    folder = project.folder / ".vlrb-cache" / "parts"

    def times() -> dict[str, int]:
        return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("*/part.json")}

    project.experiment()
    first = fingerprint(project)
    before = times()
    project.experiment(
        more='[[model]]\nname = "tiny-large"\ninput_price_per_million = 1\noutput_price_per_million = 1\n'
    )
    assert fingerprint(project) != first
    assert times() == before
    project.plugin.write_text(project.plugin.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    project.experiment()
    assert fingerprint(project) == first
    assert len(times()) == 2 * len(before)


def test_routers_cannot_see_datasets_answers_or_scores(project: Any) -> None:
    """Nothing that a router is given names a dataset or holds a label; sample ids would."""
    from pathlib import Path

    from vlrb.benchmark import matrices as benchmark

    project.experiment()
    fingerprint(project)
    built = benchmark.load(next(Path(project.folder).glob(".vlrb-cache/benchmarks/*/manifest.json")).parent)
    queries = built.queries(np.arange(len(built)))

    fields = [f.name for f in attrs.fields(type(queries))]
    assert fields == ["ids", "texts", "options", "hints", "images", "candidates", "features"]
    assert len(set(queries.ids)) == len(built)
    assert not any("Tiny" in i for i in queries.ids)
    labelled = built.labelled(np.arange(3))
    for matrix in (labelled.quality, labelled.score, labelled.cost):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1


def test_spans_of_datasets_hold_all_their_rows() -> None:
    """Ids are sorted as texts, so that the rows of one dataset may stand among those of another."""
    assert spans_of(np.array(["A", "A", "A-B", "A", "C"])) == {"A": (0, 4), "A-B": (2, 3), "C": (4, 5)}
