"""What the command line of ``vlrb fetch`` asks for."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import attrs

from vlrb import ConfigError

REPO = "KinghtH/VL-RouterBench"
FILE = "vlm_router_data.tar.gz"
SUFFIXES = (".tar.gz", ".tgz", ".tar")


def _is_repo(_wanted: Request, _field: attrs.Attribute[str], value: str) -> None:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", value):
        raise ConfigError(
            f"{value!r} is not the name of a data set", where="--repo", fix=f"write OWNER/NAME, like {REPO}"
        )


def _is_archive(_wanted: Request, _field: attrs.Attribute[str], value: str) -> None:
    path = PurePosixPath(value)
    folder = re.match(r"\w", path.name) and path.name.endswith(SUFFIXES)  # else it would become DIR itself, or DIR/..
    if path.is_absolute() or ".." in path.parts or "\\" in value or not folder:
        fix = f"name a file {' or '.join(SUFFIXES)} as it is listed in the data set"
        raise ConfigError(f"{value!r} is not the path of an archive in a data set", where="--file", fix=fix)


@attrs.frozen
class Request:
    """What the command line asks for."""

    to: Path
    repo: str = attrs.field(validator=_is_repo)
    file: str = attrs.field(validator=_is_archive)
    revision: str | None
    keep_archive: bool
    force: bool
    max_size: float
    max_files: int

    @property
    def name(self) -> str:
        """The archive's file name."""
        return PurePosixPath(self.file).name

    @property
    def target(self) -> Path:
        """The folder that the archive becomes."""
        return self.to / next(self.name.removesuffix(s) for s in SUFFIXES if self.name.endswith(s))

    @property
    def max_bytes(self) -> int:
        """The most that may come out of the archive."""
        return int(self.max_size * 2**30)
