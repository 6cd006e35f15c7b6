"""Image files that logs name by path below a folder, or hold as base64; and the cells of tables that list them."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import attrs

from vlrb import LARGEST_IMAGE_FILE, from_base64
from vlrb_plugins.shared.log_tables.texts import python_literal

_DATA = "data:"

LONGEST_REFERENCE = 64
"""An ``image`` cell of at most this many characters is the index of the row whose image it shares (VLMEvalKit's rule)."""


class ImageProblem(Exception):
    """An image cannot be read: what is wrong, and how to fix it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@attrs.define(slots=False)
class ImageFolder:
    """A folder that paths of images start from; none of them may leave it.  Remembers which files it looked for."""

    root: Path
    _named: dict[str, None] = attrs.field(factory=dict, init=False)

    @cached_property
    def _resolved(self) -> Path:
        return self.root.resolve()

    def named(self) -> dict[str, str]:
        """Return the files that were looked for since the last call, as a batch's metadata name them."""
        files = json.dumps(list(self._named))
        self._named.clear()
        return {"files": files}

    def load(self, text: str) -> bytes:
        """Return the image file that a path, or a text ``data:...;base64,...``, stands for.

        :raises ImageProblem: when there is none
        """
        if text.startswith(_DATA):
            head, comma, body = text.partition(",")
            if not comma or not head.endswith(";base64"):
                raise ImageProblem(f"{_shown(text)} is not base64 data", "write data:image/png;base64, and the base64")
            return decode_base64(body)
        path = self.find(text)
        try:
            if path.stat().st_size > LARGEST_IMAGE_FILE:
                raise ImageProblem(f"{_shown(text)} is larger than {LARGEST_IMAGE_FILE:,} bytes", "use a smaller image")
            return path.read_bytes()
        except OSError as error:
            raise ImageProblem(
                f"{_shown(text)} cannot be read: {error.strerror}", "check the file's permissions"
            ) from None

    def find(self, text: str) -> Path:
        """Return the file below the folder that a path stands for, symbolic links resolved.

        :raises ImageProblem: when it is outside the folder, or there is no such file
        """
        try:
            self._named[str(self.root.absolute() / text)] = None
            path = (self._resolved / text).resolve()
            inside, there = path.is_relative_to(self._resolved), path.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name that is too long, links in a circle
            raise ImageProblem(f"{_shown(text)} is not a path: {error}", "write a path below the folder") from None
        if not inside:
            raise ImageProblem(f"{_shown(text)} is outside the folder {self.root}", "keep images below that folder")
        if not there:
            raise ImageProblem(
                f"{_shown(text)} is not a file below {self.root}",
                "add it, or name the folder that the paths start from",
            )
        return path


def decode_base64(text: str) -> bytes:
    """Decode base64, which may be broken into lines.

    :raises ImageProblem: when it is invalid or empty
    """
    try:
        data = from_base64(text)
    except ValueError as error:
        raise ImageProblem(f"the image is not valid base64: {error}", "copy the file again") from None
    if not data:
        raise ImageProblem("the image is empty", "leave it out of the list")
    return data


def parse_list(cell: str) -> list[str] | None:
    """Return the texts of a cell: the cell itself, or those of a list in JSON or Python notation; None for a broken list.

    Nothing is evaluated.
    """
    if not cell.startswith("["):
        return [cell]
    for parse in (json.loads, python_literal):
        try:
            value = parse(cell)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list) and all(isinstance(v, str) and v for v in value):
            return value
    return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:120] + "...")
