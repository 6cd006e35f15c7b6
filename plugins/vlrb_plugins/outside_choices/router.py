"""The router ``choices``: the choices of a router outside vlrb, read from a file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from vlrb import Array, DataError, FitContext, Labelled, Queries, did_you_mean, shorten_list
from vlrb_plugins.outside_choices.choices_file import Choice, at_line, read_choices
from vlrb_plugins.outside_choices.ids import is_of_split, question_ids, split_key
from vlrb_plugins.outside_choices.params import ChoicesParams
from vlrb_plugins.shared.fitted import read_saved, refuse_other_models, write_saved
from vlrb_plugins.shared.log_tables.findings import Findings

SCHEMA_VERSION = 1
MADE_FOR = (
    "choices are valid for the complete splits of the folder that they were made from, not for inner folds "
    '([selection] on = "folds" with a sweep) or --limit; export the queries again, and choose again, if logs or [split] changed'
)


def revision(params: ChoicesParams) -> str:
    """Return a digest of the choices, after checking every line.

    :raises DataError: when the file cannot be used
    """
    choices = sorted((c.split, c.id, c.model) for c in read_choices(params.path))
    return hashlib.sha256(repr(choices).encode()).hexdigest()


@attrs.frozen
class ReadChoices:
    """The choices of one split: id -> column of the chosen model.

    They were made elsewhere, so ``borrowed_seconds`` says that their time is unknown.
    """

    key: bytes
    models: tuple[str, ...]
    columns: Mapping[str, int]
    source: str
    borrowed_seconds: None = None

    def route(self, queries: Queries) -> Array:
        """Return what was chosen.

        :raises DataError: when a question has no choice
        """
        refuse_other_models(queries, self.models, "choices")
        ids = question_ids(self.key, queries)
        if lacking := [i for i in ids if i not in self.columns]:
            raise _without_choice(lacking, self.source)
        return np.array([self.columns[i] for i in ids], dtype=np.int64)

    def save(self, directory: Path) -> None:
        """Write the choices as JSON."""
        content = {"key": self.key.hex(), "models": self.models, "columns": dict(self.columns), "source": self.source}
        write_saved(directory, SCHEMA_VERSION, {"router": "choices", **content})


@attrs.frozen
class OutsideChoices:
    """Finds the split's rows in the file, and checks that each belongs to one of its dev and test questions."""

    params: ChoicesParams

    def fit(self, train: Labelled, dev: Labelled, context: FitContext) -> ReadChoices:
        """Read the split's choices; a refit gives the same, since vlrb cannot fit a router of another program."""
        path, models = self.params.path, tuple(c.name for c in context.candidates)
        key = split_key(train.queries.ids, dev.queries.ids)
        choices = read_choices(path)
        asked = set(question_ids(key, dev.queries))
        known = set(question_ids(key, train.queries)) - asked
        own = [c for c in choices if is_of_split(key, c.id)]
        if not own:
            what = f"no choice belongs to a question of this split; the file has {_described(choices)}"
            raise DataError(what, where=str(path), fix=MADE_FOR)
        name = Counter(c.split for c in own).most_common(1)[0][0]
        findings = Findings()
        _check_splits(choices, key, name, path, findings)
        for choice in own:
            if choice.id in known:
                what = f"id {choice.id!r} of split {name!r} is a question of train"
                findings.add(what, at_line(path, choice.line), "remove the line: choices are for dev and test only")
        for choice in choices:
            if choice.model not in models:
                what = f"{choice.model!r} is not a candidate"
                findings.add(what, at_line(path, choice.line), did_you_mean(choice.model, models))
        findings.stop_if_any()
        columns = {c.id: models.index(c.model) for c in own}
        if lacking := sorted(asked - columns.keys()):
            raise _without_choice(lacking, f"{path}, split {name!r}")
        return ReadChoices(key, models, columns, f"{path}, split {name!r}")


def _check_splits(choices: Sequence[Choice], key: bytes, name: str, path: Path, findings: Findings) -> None:
    """Note rows whose split does not match their id."""
    for choice in choices:
        own = is_of_split(key, choice.id)
        if own and choice.split != name:
            what, fix = f"id {choice.id!r} belongs to split {name!r}, not {choice.split!r}", f"write split {name!r}"
        elif not own and choice.split == name:
            what = f"id {choice.id!r} does not belong to a question of split {name!r}"
            fix = "remove the line, or copy split and id from the question's row"
        else:
            continue
        findings.add(what, at_line(path, choice.line), fix)


def _described(choices: Sequence[Choice]) -> str:
    splits = dict.fromkeys(c.split for c in choices)
    return f"choices for {shorten_list(map(repr, splits))}" if splits else "no choices at all"


def _without_choice(lacking: Sequence[str], where: str) -> DataError:
    what = f"{len(lacking):,} dev or test question{'s have' if len(lacking) > 1 else ' has'} no choice"
    fix = "add a line for each question of dev.jsonl and test.jsonl in the split's folder"
    return DataError(f"{what}: id {shorten_list(lacking)}", where=where, fix=fix)


def load(directory: Path) -> ReadChoices:
    """Load what ``save`` wrote.

    :raises DataError: when it is of another schema version
    """
    content = read_saved(directory, SCHEMA_VERSION, "choices")
    models = tuple(content["models"])
    return ReadChoices(bytes.fromhex(content["key"]), models, content["columns"], content["source"])
