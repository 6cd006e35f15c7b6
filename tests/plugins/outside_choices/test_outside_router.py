"""The router `choices`: from a file to a row, and everything that may be wrong with the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlrb.errors import DataError
from vlrb_plugins.outside_choices.choices_file import read_choices
from vlrb_plugins.outside_choices.params import ChoicesParams
from vlrb_plugins.outside_choices.router import load, revision

FOLDS, SEEDS = "[split]\nfolds = 3\n", "[split]\nseeds = [1, 2]\n"
REFIT, INNER = "[selection]\nrefit = true\n", '[selection]\non = "folds"\n'
Row = dict[str, Any]


def untimed(scopes: dict[str, Any]) -> dict[str, Any]:
    """Return scope -> metric -> value, without the metrics of time."""
    timed = {"requests-per-second", "tokens-per-second", "routing-ms", "encoding-ms"}
    return {scope: {m: v for m, v in values.items() if m not in timed} for scope, values in scopes.items()}


@pytest.mark.parametrize("more", ["", FOLDS, SEEDS, REFIT, FOLDS + REFIT])
def test_the_row_is_that_of_the_same_rule(outside: Callable[..., Any], more: str) -> None:
    """For all kinds of splits, and in a refit: always choosing the cheapest model outside equals the router `cheapest`."""
    made = outside(more)
    made.write(made.chosen("tiny-small"))
    shown = made.run()

    assert shown.status == 0, shown.err
    results = made.project.results()[-1]
    scores = {r["label"]: r["test"]["scores"] for r in results["routers"]}
    intervals = {name: row["intervals"] for name, row in results["statistics"]["rows"].items()}
    assert untimed(scores["choices"]) == untimed(scores["cheapest"])
    assert untimed(intervals["choices"]) == untimed(intervals["cheapest"])
    assert scores["choices"]["overall"]["routing-ms"] == {"undefined": "no router was timed"}


def test_each_question_gets_its_own_choice(outside: Callable[..., Any], project: Any) -> None:
    """A file in any order, by CSV; ids are joined, never lines."""
    made = outside(FOLDS, router='path = "choices.csv"')
    models = ("tiny-large", "tiny-middle", "tiny-small")
    rows = made.chosen(lambda row: models[len(row["question"] + row["id"][:1]) * ord(row["id"][0]) % 3])
    lines = [f"{r['model']},{r['split']},{r['id']}" for r in reversed(rows)]
    (project.folder / "choices.csv").write_text("\n".join(["model,split,id", *lines]), encoding="utf-8")
    shown = made.run()

    assert shown.status == 0, shown.err
    counts: dict[str, int] = {}
    for cell in (c for c in shown.json["cells"] if c["cell"]["label"] == "choices"):
        for part in ("dev", "test"):
            for model, count in cell["choices"][part].items():
                counts[model] = counts.get(model, 0) + count
    assert counts == {m: sum(r["model"] == m for r in rows) for m in models}


def test_another_file_is_another_cell(outside: Callable[..., Any]) -> None:
    """The content counts in the key, not the file's place or the order of its lines."""
    made = outside()
    made.write(made.chosen("tiny-small"))
    first = made.run().json
    made.write(made.chosen("tiny-small")[::-1])
    again = made.run().json
    made.write([*made.chosen("tiny-small")[1:], {**made.chosen()[0], "model": "tiny-large"}])
    other = made.run().json
    keys = [{c["cell"]["label"]: c["cell"]["key"] for c in run["cells"]} for run in (first, again, other)]

    assert keys[0] == keys[1]
    assert keys[0]["cheapest"] == keys[2]["cheapest"]
    assert keys[0]["choices"] != keys[2]["choices"]


# --- faults ---------------------------------------------------------------------------------------------------------------


def change(rows: list[Row], at: int, **values: Any) -> list[Row]:
    """Return rows with one changed."""
    return [{**row, **values} if i == at else row for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda rows: rows[1:], ["1 dev or test question has no choice", "{0}", "add a line"]),
        (lambda rows: rows[:-2], ["2 dev or test questions have no choice", "{-1}", "test.jsonl"]),
        (
            lambda rows: change(rows, 4, model="tiny-smal"),
            ["line 5", "'tiny-smal' is not a candidate", "did you mean 'tiny-small'"],
        ),
        (
            lambda rows: [*rows, {**rows[0], "id": "x" * 32}],
            ["line {n+1}", "xxxx", "does not belong to a question of split 'fold-1'", "remove the line"],
        ),
        (
            lambda rows: change(rows, 0, split="fold-2"),
            ["line 1", "{0}", "belongs to split 'fold-1', not 'fold-2'", "write split 'fold-1'"],
        ),
    ],
)
def test_a_wrong_choice_is_a_failed_row(outside: Callable[..., Any], fault: Any, says: list[str]) -> None:
    """With file, line, value and fix; the other routers go on."""
    made = outside(FOLDS)
    good = made.chosen()
    good = [r for r in good if r["split"] != "fold-1"] + [r for r in good if r["split"] == "fold-1"]
    good = sorted(good, key=lambda r: r["split"])
    made.write(fault(good))
    shown = made.run()

    assert shown.status == 1
    words = {"{0}": good[0]["id"], "{-1}": good[-1]["id"], "line {n+1}": f"line {len(good) + 1}"}
    errors = [p.read_text(encoding="utf-8") for p in made.project.folder.glob("runs/*/*/cells/choices*/error.txt")]
    for text in ("choices.jsonl", *says):
        assert any(words.get(text, text) in error for error in errors), (text, errors)
    assert {c["status"] for c in shown.json["cells"] if c["cell"]["label"] == "cheapest"} == {"done"}


def test_a_question_of_train_is_refused(outside: Callable[..., Any]) -> None:
    """Its id belongs to the split, but not to dev or test."""
    made = outside()
    rows = made.chosen()
    made.write([*rows, {**rows[0], "id": made.rows("split", "train")[0]["id"]}])
    error = made.run().err

    assert f"line {len(rows) + 1}" in error
    assert "is a question of train" in error


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '{"split": "a", "id": "b", "model": "c"}\n{"split": "a", "id": "b", "model": "d"}',
            ["line 2", "already has a choice in line 1", "'b'"],
        ),
        ('{"split": "a", "id": "b"}', ["line 1", "model is missing", "candidates.json"]),
        ('{"split": "a", "id": "b", "modle": "c"}', ["unknown key 'modle'", "did you mean 'model'?"]),
        ('{"split": "a", "id": "b", "model": "c", "why": "so"}', ["unknown key 'why'", "remove it"]),
        ('{"split": "a", "id": 7, "model": "c"}', ["id is 7, not a text"]),
        ('{"split": "a", "id": "", "model": "c"}', ["id is empty"]),
        ('{"split": "a", "id"', ["line 1", "is not JSON"]),
        ("[1]", ["line 1", "is not a JSON object"]),
    ],
)
def test_a_broken_file_is_refused_before_the_run(outside: Callable[..., Any], text: str, says: list[str]) -> None:
    """By `vlrb check` too, at the router's table."""
    made = outside()
    made.choices.write_text(text, encoding="utf-8")
    for command in ("check", "run"):
        shown = made.project.vlrb(command, made.file)
        assert shown.status == 4
        for part in ("router[0].path: ", "choices.jsonl", "fix: ", *says):
            assert part in shown.err, shown.err


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.csv", "split,id\na,b", ["line 1", "the header is", "split,id,model"]),
        ("c.csv", "", ["line 1", "split,id,model"]),
        ("c.csv", "split,id,model\na,b,c\na,b", ["line 3", "the row has 2 cells, the header 3"]),
        ("c.csv", "split,id,model\na,b,", ["line 2", "model is empty"]),
        ("c.csv", 'split,id,model\na,b,"c', ["line 2", "is broken or cut off"]),
        ("c.parquet", "", ["ends in '.parquet'", ".jsonl or a .csv"]),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, text: str, says: list[str]) -> None:
    """CSV with its header, and no other form."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_choices(tmp_path / name)

    for part in (name, "fix: ", *says):
        assert part in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the command that makes its questions."""
    with pytest.raises(DataError, match=r"(?s)c\.jsonl: there is no such file.*--export queries"):
        read_choices(tmp_path / "c.jsonl")


def test_choices_of_other_splits_are_refused(outside: Callable[..., Any], project: Any) -> None:
    """Made for one split, used in another experiment, with --limit, or inside train: the message says what they are valid for."""
    made = outside()
    made.write(made.chosen())
    limited = project.vlrb("run", made.file, "--limit", "60")
    other = project.vlrb("run", project.experiment('[[router]]\nuse = "choices"\npath = "choices.jsonl"\n', more=FOLDS))
    sweep = '[[router]]\nuse = "choices"\nsweep = {path = ["choices.jsonl", "other.jsonl"]}\n'
    (project.folder / "other.jsonl").write_text(made.choices.read_text(encoding="utf-8"), encoding="utf-8")
    inner = project.vlrb("run", project.experiment(sweep, more=INNER))
    for shown in (limited, other, inner):
        assert shown.status == 1
        assert "no choice belongs to a question of this split; the file has choices for 'split'" in shown.err
        assert "export the queries again" in shown.err


def test_a_sweep_compares_files_on_dev(outside: Callable[..., Any], project: Any) -> None:
    """The leaderboard shows the file that is better on dev."""
    made = outside(router='sweep = {path = ["choices.jsonl", "other.jsonl"]}')
    made.write(made.chosen("tiny-small"))
    other = "".join(json.dumps({**row, "model": "tiny-large"}) + "\n" for row in made.chosen())
    (project.folder / "other.jsonl").write_text(other, encoding="utf-8")
    shown = made.run()

    assert shown.status == 0, shown.err
    assert len([c for c in shown.json["cells"] if c["cell"]["label"] == "choices"]) == 2


def test_a_saved_router_chooses_the_same(outside: Callable[..., Any], project: Any) -> None:
    """The folder of a fitted router is enough; the file of choices may be gone."""
    made = outside()
    made.write(made.chosen())
    made.run()
    key = revision(ChoicesParams(path=made.choices))
    made.choices.unlink()
    folder = next(
        f
        for f in project.folder.glob(".vlrb-cache/cells/*/router")
        if "columns" in (f / "router.json").read_text("utf-8")
    )
    fitted = load(folder)

    assert len(key) == 64
    assert fitted.columns == {r["id"]: 2 for r in made.chosen()}
    assert fitted.borrowed_seconds is None


def test_a_finished_run_is_verified(outside: Callable[..., Any], project: Any) -> None:
    """`vlrb verify` recomputes the row, whose times are undefined."""
    made = outside()
    made.write(made.chosen())
    run = made.run().json["run_directory"]

    assert project.vlrb("verify", run).status == 0
