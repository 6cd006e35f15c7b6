"""Writing a whole log tree as VLMEvalKit itself leaves it: run directories, links, left-overs, several ages and formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import attrs

from vlrb_plugins.demo.answer_texts import AnswerText, answer_texts, with_real_golds
from vlrb_plugins.demo.generate import Simulated, simulate, write_note
from vlrb_plugins.demo.profiles import PROFILES
from vlrb_plugins.demo.run_settings import (
    CURRENT,
    IN_SUPERSEDED,
    IN_UNFINISHED,
    RUN,
    SETTINGS,
    SUPERSEDED,
    SUPERSEDED_RUN,
    UNFINISHED,
    UNFINISHED_RUN,
    RunSettings,
    scored_suffix,
    settings_of,
    summary_suffix,
)
from vlrb_plugins.demo.scoring import accuracy, extracts, predictions, scored
from vlrb_plugins.demo.sheets import write_table, write_tsv
from vlrb_plugins.shared.paper_datasets import DATASETS

NO_PICKLE = b"\x80\x04vlrb: a stand-in, which no program can load"


def write_output(directory: Path, samples: int, seed: int) -> None:
    """Write TSV files and results, one dataset after the other; then VLMEvalKit's left-over files."""
    for simulated in simulate(samples, seed):
        plain = with_real_golds(simulated)
        write_tsv(directory / "LMUData" / f"{plain.dataset.name}.tsv", plain.rows)
        for k, profile in enumerate(PROFILES):
            settings = settings_of(profile.name, plain.scorer)
            _write(directory / profile.name, settings, plain, answer_texts(plain, k, seed))
            _write_other_runs(directory / profile.name, plain, k, seed)
    _write_leftovers(directory)
    write_note(directory, samples, seed)


def _write_other_runs(folder: Path, simulated: Simulated, k: int, seed: int) -> None:
    """Write runs whose answers are not to be read: an earlier one, and a later one that was never evaluated."""
    name = simulated.dataset.name
    if folder.name == SUPERSEDED and name in IN_SUPERSEDED:
        old = attrs.evolve(CURRENT, run=SUPERSEDED_RUN, links=False)
        _write(folder, old, simulated, answer_texts(simulated, k, seed, contrary=True))
    if folder.name == UNFINISHED and name in IN_UNFINISHED:
        new = attrs.evolve(CURRENT, run=UNFINISHED_RUN, links=False, scored=False)
        _write(folder, new, simulated, answer_texts(simulated, k, seed, contrary=True))


def _write(folder: Path, settings: RunSettings, simulated: Simulated, said: Sequence[AnswerText]) -> None:
    """Write the files of one model on one dataset."""
    stem = folder / settings.run / f"{folder.name}_{simulated.dataset.name}"
    table = predictions(simulated, said, split=settings.thinking == "split")
    written = [_named(stem, settings.extension)]
    write_table(written[0], table)
    if suffix := scored_suffix(simulated.scorer, settings):
        verdicts = scored(simulated, said, table)
        written.append(_named(stem, suffix))
        write_table(written[-1], verdicts)
        if simulated.scorer == "mathverse":
            written.append(_named(stem, suffix.replace("_score", "_extract")))
            write_table(written[-1], extracts(verdicts))
    if suffix := summary_suffix(simulated.scorer, settings):
        written.append(_named(stem, suffix))
        _write_summary(written[-1], simulated, said)
    for path in written if settings.links else ():
        (folder / path.name).symlink_to(Path(settings.run) / path.name)


def _named(stem: Path, suffix: str) -> Path:
    """Return a path with a suffix; names of models have dots, so ``with_suffix`` would cut them."""
    return stem.with_name(stem.name + suffix)


def _write_summary(path: Path, simulated: Simulated, said: Sequence[AnswerText]) -> None:
    overall = accuracy(simulated, said)
    if path.suffix == ".json":
        path.write_text(json.dumps({"Final Score": overall, "Final Score Norm": overall}, indent=4), encoding="utf-8")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows([["split", "Overall"], ["none", overall]])


# --- left-overs ---------------------------------------------------------------------------------------------------------


LEFT_OVERS = (
    f"GPT4o/{RUN}/~$GPT4o_MMStar.xlsx",
    f"GPT4o/{RUN}/GPT4o_MMStar_gpt-4o-mini_result.pkl",
    f"GeminiFlash2-5/{UNFINISHED_RUN}/GeminiFlash2-5_DocVQA_VAL_checkpoint.pkl",
    f"Gemma3-27B/{RUN}/Gemma3-27B_MMStar_PREV.pkl",
    "Janus-Pro-1B/Janus-Pro-1B_MMStar_openai_result.pkl",
    "Janus-Pro-1B/Janus-Pro-1B_OCRBench_checkpoint.pkl",
)
"""Lock files of spreadsheet programs, caches of judges, and what a run writes meanwhile."""


def _write_leftovers(directory: Path) -> None:
    for name in LEFT_OVERS:
        (directory / name).write_bytes(NO_PICKLE)
    for profile in PROFILES:
        for run in sorted((directory / profile.name).glob("T*-*")):
            status = json.dumps(_status(run, profile.name), indent=2)
            (run / "status.json").write_text(status, encoding="utf-8")
            (run / "status.json.lock").touch()


def _status(run: Path, model: str) -> dict[str, object]:
    """Return what newer versions note of a run."""
    files = {d.name: next(run.glob(f"{model}_{d.name}.*"), None) for d in DATASETS}
    status = "infer" if run.name == UNFINISHED_RUN else "done"
    settings = SETTINGS.get(model, CURRENT)
    return {
        "schema_version": 1,
        "eval_id": run.name,
        "pred_format": settings.extension[1:],
        "eval_format": "csv",
        "mode": "api" if settings.remote else "local",
        "model_name": model,
        "datasets": {d: {"status": status, "prediction_file": file.name} for d, file in files.items() if file},
    }
