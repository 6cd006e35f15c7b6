"""Writing a whole log tree in the layout of the published VL-RouterBench archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from vlrb import Dataset
from vlrb_plugins.demo.answers import Answer, answers, correctness
from vlrb_plugins.demo.params import GENERATOR_VERSION
from vlrb_plugins.demo.profiles import PROFILES, Profile
from vlrb_plugins.demo.rows import RECIPES, Row, dataset_rows
from vlrb_plugins.demo.sheets import Cell, write_sheet, write_tsv
from vlrb_plugins.shared.paper_datasets import DATASETS

FEWEST = 8
JUDGE = "gpt-4o-mini"
SUFFIXES: Mapping[str, str] = {
    "mcq": f"_{JUDGE}_result",
    "mmbench": f"_{JUDGE}_result",
    "mmmu": f"_{JUDGE}_result",
    "yes-no": "_auxmatch",
    "anls": "_results",
    "vqa": "_results",
    "relaxed-accuracy": "_results",
    "mathvista": f"_{JUDGE}",
    "mathvision": f"_{JUDGE}",
    "mathverse": f"_{JUDGE}_score",
    "ocrbench": "_score",
}
"""Scorer of a dataset -> how VLMEvalKit ends the names of its scored workbooks.  OCRBench has none; this is its summary's."""

LEFT_OVERS: Mapping[str, tuple[str, ...]] = {
    "mcq": ("hit", "log"),
    "mmbench": ("g_index", "hit", "log"),
    "mmmu": ("hit", "log"),
    "yes-no": ("extracted", "score"),
    "anls": ("eval_gt", "eval_pred"),
    "vqa": ("eval_gt", "eval_pred"),
    "relaxed-accuracy": ("eval_gt", "eval_pred"),
    "mathvista": ("res", "log"),
    "mathvision": ("res", "log"),
    "mathverse": ("extract", "score"),
    "ocrbench": (),
}
"""Scorer of a dataset -> the columns that scoring leaves behind, besides ``is_correct``."""

BOOLEAN = frozenset({"yes-no", "mathverse", "anls", "ocrbench"})
"""Scorers of the datasets in which ``is_correct`` is True or False instead of 1 or 0."""


def sample_counts(samples: int) -> dict[str, int]:
    """Return the number of samples of each dataset: in the paper's proportions, but at least 8."""
    full = {d.name: d.samples or 0 for d in DATASETS}
    shares = {name: samples * count / sum(full.values()) for name, count in full.items()}
    counts = {name: max(FEWEST, int(share)) for name, share in shares.items()}
    by_rest = sorted(full, key=lambda n: (int(shares[n]) - shares[n], n))
    for name in by_rest[: max(0, samples - sum(counts.values()))]:
        counts[name] += 1
    while sum(counts.values()) > samples:
        counts[max(counts, key=counts.__getitem__)] -= 1
    return counts


@attrs.frozen(eq=False)
class Simulated:
    """A dataset with all that was simulated on it.

    ``number`` is its place among the 14; ``rows`` have those without rotation first; ``right`` is bool[n, k].
    """

    dataset: Dataset
    number: int
    rows: Sequence[Row]
    right: npt.NDArray[np.bool_]

    @property
    def scorer(self) -> str:
        """Return the name, without its plugin, of the scorer whose rules the dataset is judged by."""
        return self.dataset.scorer.rpartition("/")[2]

    def answers(self, k: int, profile: Profile, seed: int) -> list[Answer]:
        """Return what model k says on each row."""
        return answers(self.rows, self.right[:, k], profile, np.random.default_rng([seed, self.number, 2, k]))


def simulate(samples: int, seed: int) -> Iterator[Simulated]:
    """Yield the 14 datasets, one after the other, with their pictures, questions and who is right on which."""
    counts = sample_counts(samples)
    for number, dataset in enumerate(DATASETS):
        rows = list(dataset_rows(dataset.name, counts[dataset.name], seed, number))
        rows.sort(key=lambda r: r.rotation)
        rng = np.random.default_rng([seed, number, 1])
        yield Simulated(dataset, number, rows, _right(rows, RECIPES[dataset.name].hard, rng))


def write_tree(directory: Path, samples: int, seed: int) -> None:
    """Write TSV files, predictions and verdicts, one dataset after the other."""
    for found in simulate(samples, seed):
        write_tsv(directory / "TSV_images" / f"{found.dataset.name}.tsv", found.rows)
        for k, profile in enumerate(PROFILES):
            said = found.answers(k, profile, seed)
            _write_model(directory, found.dataset.name, found.scorer, profile, found.rows, said)
    write_note(directory, samples, seed)


def write_note(directory: Path, samples: int, seed: int) -> None:
    """Write a note that the logs are synthetic."""
    note = (
        "These data are synthetic.  vlrb's demo source drew the images, made up the questions and simulated the answers.\n"
        "No model was asked anything: the names of models and datasets only show where real logs would have theirs.\n"
        f"Parameters: samples = {samples}, seed = {seed}; generator version {GENERATOR_VERSION}.\n"
    )
    (directory / "SYNTHETIC.txt").write_text(note, encoding="utf-8")


def _right(rows: Sequence[Row], hard: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return bool[n, k]; rotations of a question are answered as the question itself."""
    base = [r for r in rows if not r.rotation]
    right = correctness(base, hard, rng)
    position = {r.index: i for i, r in enumerate(base)}
    return right[[position[r.image_of if r.rotation else r.index] for r in rows]]


def _write_model(
    directory: Path, dataset: str, scorer: str, profile: Profile, rows: Sequence[Row], said: Sequence[Answer]
) -> None:
    stem = f"{profile.name}_{dataset}"
    header = ["index", *rows[0].cells, "prediction"]
    common = [[index_cell(r.index), *r.cells.values(), a.text] for r, a in zip(rows, said, strict=True)]
    path = directory / "VLMEvalKit_inference" / profile.name / f"{stem}.xlsx"
    usage = [[*c, a.input_tokens, a.output_tokens] for c, a in zip(common, said, strict=True)]
    write_sheet(path, [*header, "input_tokens", "output_tokens"], usage)
    path = directory / "VLMEvalKit_evaluation" / profile.name / f"{stem}{SUFFIXES[scorer]}.xlsx"
    names = [*LEFT_OVERS[scorer], "is_correct"]
    scored = [
        [*cells, *(_verdict(n, scorer, row, answer) for n in names)]
        for cells, row, answer in zip(common, rows, said, strict=True)
        if not row.rotation
    ]
    write_sheet(path, [*header, *names], scored)


def index_cell(index: str) -> Cell:
    """Return an index as it stands in a table: a number where it is one."""
    return int(index) if index.isdecimal() else index


def _verdict(column: str, scorer: str, row: Row, answer: Answer) -> Cell:
    """Return what scoring leaves in a column."""
    if column == "is_correct":
        return answer.right if scorer in BOOLEAN else int(answer.right)
    values: Mapping[str, Cell] = {
        "hit": int(answer.right),
        "score": answer.right,
        "g_index": index_cell(row.index),
        "log": "Succeed in rule-based matching.",
        "extracted": answer.said,
        "extract": answer.said,
        "res": answer.said,
        "eval_gt": row.cells["answer"],
        "eval_pred": answer.text,
    }
    return values[column]
