"""Compares the files of installed plugins with those that their distributions recorded.  No plugin is imported."""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Literal

import attrs

State = Literal["unchanged", "differs", "unverifiable"]
CACHED = "__pycache__"
"""Python writes the files in these folders; no RECORD has them."""


@attrs.frozen
class VerifiedDist:
    """A distribution with plugins, compared with its RECORD: paths as the RECORD has them, and why it cannot be compared.

    ``elsewhere``: files of plugins that Python would import in place of the distribution's.
    """

    dist: str
    version: str
    plugins: tuple[str, ...]
    state: State
    reason: str = ""
    files: int = 0
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


def verify_dist(dist: Distribution, modules: Mapping[str, str]) -> VerifiedDist:
    """Compare the files of a distribution with its RECORD, which pip wrote when it installed it.

    Extra files are those in its packages that no distribution has recorded.

    :param modules: name -> module of its plugins
    """
    plugins = tuple(modules)
    recorded = _recorded(dist)
    if reason := _unverifiable(dist, recorded):
        return VerifiedDist(dist.name, dist.version, plugins, "unverifiable", reason)
    found = {path: _on_disk(dist, path) for path in recorded}
    missing = tuple(sorted(p for p, file in found.items() if not file.is_file() and CACHED not in file.parts))
    changed = tuple(sorted(p for p, file in found.items() if file.is_file() and not _has_digest(file, recorded[p])))
    extra = tuple(sorted(_extra_files(dist, set(found.values()))))
    elsewhere = tuple(sorted(_imported_elsewhere(dist, modules.values(), set(found.values()))))
    state: State = "differs" if changed or missing or extra or elsewhere else "unchanged"
    return VerifiedDist(dist.name, dist.version, plugins, state, "", len(found), changed, missing, extra, elsewhere)


def _recorded(dist: Distribution) -> dict[str, str]:
    """Return path -> digest, empty where the RECORD has none; ``dist.files`` leaves out missing files in newer Pythons."""
    rows = csv.reader((dist.read_text("RECORD") or "").splitlines())
    return {row[0]: row[1] if len(row) > 1 else "" for row in rows if row}


def _unverifiable(dist: Distribution, recorded: Mapping[str, str]) -> str:
    """Return why a distribution cannot be compared; an empty text if it can."""
    editable = False
    with contextlib.suppress(ValueError, AttributeError):  # not JSON, or not an object
        editable = json.loads(dist.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable")
    if editable:
        return "an editable install: its files are those of a checkout, and none of them is recorded"
    return "" if any(recorded.values()) else "it has no RECORD with digests, which pip writes"


def _on_disk(dist: Distribution, path: str) -> Path:
    return Path(str(dist.locate_file(path)))


def _has_digest(file: Path, expected: str) -> bool:
    """Return whether a file has the digest of a RECORD, such as ``sha256=47DEQpj8...``; without a digest, any file does."""
    name, _, digest = expected.partition("=")
    if not digest:
        return True
    if name not in ("sha256", "sha384", "sha512"):  # the digests that installers may write
        return False
    with file.open("rb") as content:
        found = hashlib.file_digest(content, name).digest()
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode() == digest.rstrip("=")


def _imported_elsewhere(dist: Distribution, modules: Iterable[str], known: set[Path]) -> Iterator[str]:
    """Yield files that Python finds before a distribution's, by the first part of a module's name."""
    for top in {module.partition(".")[0] for module in modules}:
        spec = PathFinder.find_spec(top)
        if spec and spec.origin:
            file = Path(spec.origin).resolve()
            if not (_holds(known, file) or _holds(_of_all(dist), file)):
                yield str(file)


def _holds(files: Iterable[Path], resolved: Path) -> bool:
    return any(file.resolve() == resolved for file in files if file.name == resolved.name)


def _extra_files(dist: Distribution, known: set[Path]) -> Iterator[str]:
    """Yield the files in a distribution's packages that no distribution has recorded."""
    site = _on_disk(dist, "")
    tops = {file.relative_to(site).parts[0] for file in known if file.is_relative_to(site)}
    packages = [site / top for top in tops if site / top / "__init__.py" in known]
    unknown = {f for p in packages for f in p.rglob("*") if f.is_file() and CACHED not in f.parts} - known
    yield from (file.relative_to(site).as_posix() for file in unknown - (_of_all(dist) if unknown else set()))


def _of_all(dist: Distribution) -> set[Path]:
    """Return the recorded files of all distributions in the same folder: they may share a package."""
    site = _on_disk(dist, "")
    return {_on_disk(d, path) for d in distributions() if _on_disk(d, "") == site for path in _recorded(d)}
