"""The files of a benchmark for its page: paths relative to their common folder, files passed over by reason."""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import attrs

from vlrb_plugins.data_report.figures import DataReport


@attrs.frozen
class Listed:
    """A line that stands for several entries: what they have in common, how many there are, and each of them."""

    what: str
    count: int
    entries: tuple[str, ...]


def common_folder(report: DataReport) -> str:
    """Return the folder in which all files are that were read or passed over; an empty text if there is none."""
    paths = [*report.ignored_files, *(file for part in report.parts for file in part.files)]
    folders = {str(Path(path).parent) for path in paths if path.startswith(os.path.sep)}
    common = os.path.commonpath(folders) if folders else ""
    return "" if common == os.path.sep else common


def relative_to(folder: str, text: str) -> str:
    """Return a text in which paths are relative to a folder."""
    return text.replace(folder + os.path.sep, "") if folder else text


def passed_over_by_reason(report: DataReport, folder: str) -> list[Listed]:
    """Return each reason for which files were passed over, with the files."""
    reasons: dict[str, list[str]] = {}
    for path, reason in report.ignored_files.items():
        reasons.setdefault(relative_to(folder, reason), []).append(relative_to(folder, path))
    return [Listed(reason, len(paths), tuple(paths)) for reason, paths in reasons.items()]


def findings_in_files(report: DataReport, folder: str) -> list[Listed]:
    """Return each thing worth knowing of the files, with the parts in which it was found."""
    found: dict[str, Counter[str]] = {}
    for part in report.parts:
        for what, count in part.counts.items():
            found.setdefault(relative_to(folder, what), Counter())[part.part] += count
    return [_listed(what, parts) for what, parts in found.items()]


def _listed(what: str, parts: Mapping[str, int]) -> Listed:
    return Listed(what, sum(parts.values()), tuple(f"{part}: {count:,}" for part, count in parts.items()))
