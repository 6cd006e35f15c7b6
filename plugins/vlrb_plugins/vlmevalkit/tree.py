"""Which files of a log tree belong to which model and dataset, by their names and folders alone."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from vlrb import Catalog, DataError, Problem, did_you_mean, shorten_list
from vlrb_plugins.vlmevalkit.naming import SUMMARIES, Kind, judge_name, judge_order, parse
from vlrb_plugins.vlmevalkit.params import VlmevalkitParams

RUN_DIRECTORY = re.compile(r"T\d{8}(-\d{6}|_G.*)")
"""VLMEvalKit's run directories: T20260901-120000, and the older T20251025_G1a2b3c4d."""

FORMATS = (".json", ".tsv", ".xlsx")
"""Formats of results, those that lose least first."""

_LAYOUT = "it is the folder that holds a folder per model, or VLMEvalKit_evaluation and VLMEvalKit_inference"
_LONGEST_PATH = 4096
_LEFTOVERS = (".lock", ".tmp", ".partial")
_NO_MODELS = frozenset({"LMUData", "TSV_images", "logs", "images", "__pycache__"})
_TREES = ("VLMEvalKit_evaluation", "VLMEvalKit_inference")


@attrs.frozen
class Candidate:
    """A file that may hold predictions or verdicts of a model on a dataset.

    ``run`` is the name of its run directory, or empty; ``linked`` says that a link in the model's folder names it, as
    VLMEvalKit links the files of the last run whose evaluation finished.
    """

    path: Path
    kind: Kind
    judge: str
    run: str
    tree: str
    linked: bool = False


@attrs.frozen
class Files:
    """The files of one model on one dataset that are read."""

    prediction: Path | None = None
    scored: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files, predictions first."""
        return tuple(p for p in (self.prediction, self.scored) if p is not None)


@attrs.frozen
class Tree:
    """The files of a log tree, by dataset and model, and why others are ignored."""

    files: Mapping[tuple[str, str], Files]
    ignored: Mapping[str, str]


@attrs.define
class _Found:
    candidates: dict[tuple[str, str], list[Candidate]] = attrs.Factory(dict)
    ignored: dict[str, str] = attrs.Factory(dict)
    problems: list[Problem] = attrs.Factory(list)
    strangers: set[str] = attrs.Factory(set)


def read_tree(params: VlmevalkitParams, catalog: Catalog) -> Tree:
    """Find the files of a log tree.

    :raises DataError: when it is missing or empty, or holds what belongs to no known model or dataset
    """
    root = params.path
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", where="[logs] path", fix=f"check [logs] path: {_LAYOUT}")
    found = _Found()
    try:
        for folder, tree in _model_folders(root, found):
            _read_model(folder, tree, catalog, found)
    except OSError as error:
        place = str(error.filename or root)
        raise DataError(f"cannot be read: {error.strerror}", where=place, fix="check its permissions") from None
    if not found.problems:
        found.problems += _absent(found, catalog, root)
    files = {pair: _choose(pair, each, params, found) for pair, each in sorted(found.candidates.items())}
    if found.problems:
        raise DataError(found.problems)
    return Tree(files, found.ignored)


def tsv_folder(params: VlmevalkitParams) -> Path:
    """Return the folder that holds the datasets' TSV files.

    :raises DataError: when there is none
    """
    choices = [params.data] if params.data else [params.path / "TSV_images", params.path / "LMUData"]
    for choice in choices:
        if choice.is_dir():
            return choice
    raise DataError(
        f"there is no folder with the datasets' TSV files: looked for {shorten_list(choices)}",
        where="[logs]",
        fix='set data = "FOLDER", or images = "none" to go without images',
    )


# --- what is there ----------------------------------------------------------------------------------------------------


def _model_folders(root: Path, found: _Found) -> Iterator[tuple[Path, str]]:
    roots = [root / name for name in _TREES if (root / name).is_dir()]
    for one in roots or [root]:
        for folder in _folders(one):
            yield folder, one.name if roots else ""
    if roots:
        for folder in _folders(root):
            if folder not in roots:
                found.ignored[str(folder)] = f"stands beside {roots[0].name}: only what is inside it is read"


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and p.name not in _NO_MODELS and p.name[0] not in "._")


def _read_model(folder: Path, tree: str, catalog: Catalog, found: _Found) -> None:
    model = catalog.model(folder.name)
    wanted = catalog.wanted_models
    if wanted is not None and (model is None or model.name not in wanted):
        found.ignored[str(folder)] = "a model that [benchmark] does not ask for"
    elif model is None:
        hint = did_you_mean(folder.name, {m.name for m in catalog.models})
        fix = f"declare it with [[model]], or name the models to use in [benchmark]; {hint}"
        if folder.name not in found.strangers:  # reported once for two trees
            found.problems.append(Problem(f"{folder.name!r} is not a known model", str(folder), fix))
        found.strangers.add(folder.name)
    else:
        entries = sorted(folder.iterdir())
        links = {e: _target(e, folder) for e in entries if e.is_symlink() and not e.is_dir()}
        links |= _stand_ins(entries, folder)
        linked = {str(target) for target in links.values()}
        for file, run in _files(entries, found):
            target = links.get(file)
            if target is None or not _in_a_run(target, folder):
                named = bool(linked) and os.path.realpath(file) in linked
                _read_file(file, tree, run, named, folder.name, model.name, catalog, found)
            elif not file.is_symlink():
                place = f"{target.parent.name}/{target.name}"
                found.ignored[str(file)] = f"in the place of a link to {place}, which is looked at instead"
            elif not file.exists():
                place = f"{target.parent.name}/{target.name}"
                found.ignored[str(file)] = (
                    f"a link to {file.readlink()}, which is not there; {place} is looked at instead"
                )


def _target(link: Path, folder: Path) -> Path | None:
    """Return the file that a link in a model's folder names, also where the tree was moved after the link was made."""
    real = Path(os.path.realpath(link))
    if not real.is_file():
        *_, run, name = ("", *link.readlink().parts)
        real = folder.resolve() / run / name
    return real if real.is_file() else None


def _stand_ins(entries: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Return the files that became of links when a tree was copied, and the files of run directories that they stand for.

    A program that follows links makes copies of them; one that knows no links makes texts that hold the path.  A copy that
    several runs have stands for the one that other files name, else for the newest.
    """
    runs = sorted((e for e in entries if e.is_dir() and RUN_DIRECTORY.fullmatch(e.name)), key=lambda e: _age(e.name))
    found: dict[Path, list[Path]] = {}
    for file in (e for e in entries if runs and e.is_file() and not e.is_symlink()):
        twins = [run / file.name for run in reversed(runs) if (run / file.name).is_file()]
        named = _named_in(file) if twins else ""
        same = [t for t in twins if f"{t.parent.name}/{t.name}" == named or filecmp.cmp(file, t, shallow=False)]
        if same:
            found[file] = same
    sure = {same[0].parent.name for same in found.values() if len(same) == 1}
    chosen = {file: min(same, key=lambda twin: twin.parent.name not in sure) for file, same in found.items()}
    return {file: folder.resolve() / twin.parent.name / twin.name for file, twin in chosen.items()}


def _named_in(file: Path) -> str:
    """Return run and name of the path that a small file of text holds, or an empty text."""
    if file.stat().st_size > _LONGEST_PATH:
        return ""
    parts = file.read_bytes().decode(errors="replace").strip().replace("\\", "/").split("/")
    return "/".join(parts[-2:])


def _in_a_run(file: Path, folder: Path) -> bool:
    """Tell whether a file stands in a run directory of a model's folder."""
    return file.parent.parent == folder.resolve() and RUN_DIRECTORY.fullmatch(file.parent.name) is not None


def _files(entries: Sequence[Path], found: _Found) -> Iterator[tuple[Path, str]]:
    """Yield the files of a model's folder and of its run directories, each with the name of its run."""
    for entry in entries:
        if not entry.is_dir():
            yield entry, ""
        elif RUN_DIRECTORY.fullmatch(entry.name):
            for file in sorted(entry.iterdir()):
                if file.is_dir():
                    found.ignored[str(file)] = "a folder"
                else:
                    yield file, entry.name
        else:
            found.ignored[str(entry)] = "a folder"


def _read_file(
    file: Path, tree: str, run: str, linked: bool, prefix: str, model: str, catalog: Catalog, found: _Found
) -> None:
    reason = _why_not_read(file)
    if reason:
        found.ignored[str(file)] = reason
        return
    named = parse(file.stem, file.suffix, prefix, catalog)
    wanted = catalog.wanted_datasets
    if wanted is not None and named.dataset not in wanted:
        found.ignored[str(file)] = "a dataset that [benchmark] does not ask for"
    elif not named.dataset:
        known = shorten_list(sorted(d.name for d in catalog.datasets))
        found.problems.append(
            Problem(
                f"belongs to no known dataset (a file is named {prefix}_DATASET, then perhaps a judge and a suffix)",
                str(file),
                f"declare the dataset with [[dataset]], or name the datasets to use in [benchmark]; known: {known}",
            )
        )
    elif named.kind == "other":
        found.ignored[str(file)] = named.reason
    else:
        candidate = Candidate(file, named.kind, named.judge, run, tree, linked)
        found.candidates.setdefault((named.dataset, model), []).append(candidate)


def _why_not_read(file: Path) -> str:
    """Return why a file inside a model's folder is ignored, or an empty text."""
    if file.name.startswith(("~$", ".")) or file.suffix in _LEFTOVERS or file.name.startswith("status.json"):
        return "a left-over of a program"
    if file.suffix == ".pkl":
        return "pickles are never loaded: convert it to xlsx"
    if file.is_symlink() and not file.exists():
        return f"a link to {file.readlink()}, which is not there"
    if file.suffix == ".csv":
        summary = file.stem.endswith((*SUMMARIES, "_score"))
        return "a summary of scores" if summary else "CSV is not read: write predictions as xlsx, TSV or JSON"
    if file.suffix not in FORMATS:
        return f"no table of results ({', '.join(FORMATS)})"
    return "" if file.is_file() else "no regular file"


def _absent(found: _Found, catalog: Catalog, root: Path) -> list[Problem]:
    links = [name for name, why in found.ignored.items() if why.startswith("a link to ")]
    if not found.candidates:
        if links:
            fix = "copy the tree with its run directories, or the files instead of links to them"
            return [Problem(f"holds links to files that are not there: {shorten_list(links)}", str(root), fix)]
        passed = shorten_list((f"{name} ({why})" for name, why in found.ignored.items()), 3)
        what = "holds no results of a known model and dataset" + (f"; passed over: {passed}" if passed else "")
        return [Problem(what, str(root), f"check [logs] path; {_LAYOUT}")]
    problems = []
    for word, wanted, there in (
        ("dataset", catalog.wanted_datasets, {d for d, _ in found.candidates}),
        ("model", catalog.wanted_models, {m for _, m in found.candidates}),
    ):
        lacking = sorted((wanted or frozenset()) - there)
        if lacking:
            names = shorten_list(map(repr, lacking))
            problems.append(
                Problem(
                    f"holds no results of {word} {names}",
                    str(root),
                    f"leave it out of [benchmark] {word}s, or add its logs",
                )
            )
    return problems


# --- which of several files -------------------------------------------------------------------------------------------


def _choose(pair: tuple[str, str], candidates: Sequence[Candidate], params: VlmevalkitParams, found: _Found) -> Files:
    """Choose the files of a pair, and note for all others why they are not read."""
    in_run: list[Candidate] = []
    for tree in dict.fromkeys(c.tree for c in candidates):
        in_run += _of_one_run([c for c in candidates if c.tree == tree], params, found)
    asked = _several(params.run)
    if asked and all(c.run not in asked for c in in_run):
        fix = "leave out [logs] run, or name one of these runs too"
        runs = shorten_list(sorted({repr(c.run) for c in candidates if c.run}) or ["none"])
        names = " or ".join(map(repr, asked))
        found.problems.append(
            Problem(f"{pair[1]} has no results on {pair[0]} in run {names}; its runs: {runs}", "[logs] run", fix)
        )
    predictions, scored = _by_kind(in_run, found)
    predictions = _best_format(predictions, found)
    scored = _of_one_judge(scored, pair, params, found)
    return Files(_only(predictions, pair, "predictions", found), _only(scored, pair, "verdicts", found))


def _of_one_run(candidates: Sequence[Candidate], params: VlmevalkitParams, found: _Found) -> list[Candidate]:
    runs = sorted({c.run for c in candidates}, key=_age)
    asked = _several(params.run)
    if asked:
        # a tree without run directories may stand beside one that has them
        wanted = next((r for r in asked if r in runs), asked[0])
        chosen, why = "" if runs == [""] else wanted, f"[logs] run asks for {wanted}"
    elif linked := sorted({c.run for c in candidates if c.linked}, key=_age):
        chosen, why = linked[-1], f"the links in the model's folder name {linked[-1]}"
    elif judged := sorted({c.run for c in candidates if c.kind == "scored"}, key=_age):
        chosen, why = judged[-1], f"{judged[-1] or 'the folder itself'} is the newest with verdicts, by its name"
    else:
        chosen, why = runs[-1], f"{runs[-1] or 'the folder itself'} is the newest, by its name"
    _pass_over([c for c in candidates if c.run != chosen], f"another run: {why}", found)
    return [c for c in candidates if c.run == chosen]


def _several(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return names in order of preference, of a parameter that takes one or several."""
    return (given,) if isinstance(given, str) else given or ()


def _age(run: str) -> str:
    """Return what runs are sorted by, the oldest first: of one day, those named the older way are the older."""
    return run.replace("_", " ")


def _by_kind(candidates: Sequence[Candidate], found: _Found) -> tuple[list[Candidate], list[Candidate]]:
    """Return predictions and verdicts.

    In the tree of evaluations a file without a suffix holds verdicts too, unless files with a suffix stand there.
    """
    scored = [c for c in candidates if c.kind == "scored"]
    plain = [c for c in candidates if c.kind == "prediction"]
    evaluated = [c for c in plain if c.tree == _TREES[0]]
    if not any(c.tree == _TREES[0] for c in scored):
        return [c for c in plain if c not in evaluated], scored + evaluated
    inferred = [c for c in plain if c not in evaluated]
    if inferred:
        _pass_over(evaluated, f"predictions are read from {_TREES[1]}", found)
    return inferred or evaluated, scored


def _of_one_judge(
    scored: Sequence[Candidate], pair: tuple[str, str], params: VlmevalkitParams, found: _Found
) -> list[Candidate]:
    judges = sorted({c.judge for c in scored}, key=judge_order)
    if not judges:
        return []
    chosen = judges[0]
    asked = [judge_name(j) for j in _several(params.judge)]
    if asked and judges != [""]:
        chosen = next((j for j in asked if j in judges), asked[0])
        if chosen not in judges:
            there = ", ".join(repr(j) for j in judges)
            what = f"{pair[1]} has no verdicts of judge {chosen!r} on {pair[0]}; there are those of {there}"
            found.problems.append(Problem(what, "[logs] judge", "leave it out, or name one of these judges"))
    _pass_over([c for c in scored if c.judge != chosen], f"another judge: the verdicts of {chosen!r} are read", found)
    return _best_format([c for c in scored if c.judge == chosen], found)


def _best_format(candidates: Sequence[Candidate], found: _Found) -> list[Candidate]:
    """Keep, of files that differ in their format only, the one whose format loses least."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (FORMATS.index(c.path.suffix), c.path)):
        same = [k for k in kept if k.path.with_suffix("") == candidate.path.with_suffix("")]
        if same:
            _pass_over([candidate], f"another format: {same[0].path.name} is read", found)
        else:
            kept.append(candidate)
    return kept


def _pass_over(candidates: Sequence[Candidate], reason: str, found: _Found) -> None:
    found.ignored.update({str(c.path): reason for c in candidates})


def _only(candidates: Sequence[Candidate], pair: tuple[str, str], word: str, found: _Found) -> Path | None:
    if len(candidates) > 1:
        paths = sorted(c.path for c in candidates)
        what = f"several files hold the {word} of {pair[1]} on {pair[0]}: {shorten_list(paths)}"
        found.problems.append(Problem(what, str(paths[0].parent), "keep one of them there"))
    return candidates[0].path if candidates else None
