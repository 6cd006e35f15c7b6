"""Images in LMUData TSV files by the number of their row, in any order, without holding a file in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from vlrb import DataError
from vlrb_plugins.shared.log_tables.delimited import header_of, parse_rows
from vlrb_plugins.shared.log_tables.image_files import LONGEST_REFERENCE, ImageProblem, decode_base64, parse_list
from vlrb_plugins.shared.log_tables.limits import refuse_special

_SEVERAL = -1
"""Stands for the row of an index that several rows have."""


@attrs.frozen
class TsvImages:
    """A TSV file with a column ``image`` of base64.

    ``offsets`` say at which byte the rows begin, ``rows`` which row an index has; ``image`` is the place of the column.
    """

    path: Path
    offsets: array[int]
    rows: dict[str, int]
    image: int

    @classmethod
    def open(cls, path: Path) -> TsvImages:
        """Read a file once and note where its rows begin.

        :raises DataError: when it is broken, or has no columns ``index`` and ``image``
        """
        refuse_special(path)
        offsets, indices = array("q"), dict[str, int]()
        try:
            with path.open("rb") as file:
                lines = _Lines(file)
                rows = parse_rows(path, lines, "\t")
                header = header_of(path, rows, ("index", "image"))
                index, image = header.index("index"), header.index("image")
                start = lines.position
                for row in rows:
                    name = row.cells[index]
                    indices[name] = _SEVERAL if name in indices else len(offsets)
                    offsets.append(start)
                    start = lines.position
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot be read: {error}", where=str(path), fix="copy the file again, as UTF-8") from None
        return cls(path, offsets, indices, image)

    def images(self, row: int) -> list[bytes]:
        """Return the image files of a row, counted from 0.

        :raises ImageProblem: when there is no such row, or it holds no image
        """
        cell = self._cell(row)
        if 0 < len(cell) <= LONGEST_REFERENCE:
            if self.rows.get(cell) == _SEVERAL:
                raise ImageProblem(
                    f"the image of row {row} is said to be that of index {cell!r}, which appears twice in {self.path}",
                    "keep one row of each index",
                )
            if cell not in self.rows:
                raise ImageProblem(
                    f"the image of row {row} is said to be that of index {cell!r}, which is not in {self.path}",
                    "put the image itself, as base64, into the cell",
                )
            cell = self._cell(self.rows[cell])
        if len(cell) <= LONGEST_REFERENCE:
            raise ImageProblem(f"row {row} of {self.path} holds no image", "copy the file again")
        texts = parse_list(cell)
        if texts is None:
            fix = "write it as ['...', '...']"
            raise ImageProblem(f"row {row} of {self.path} holds {cell[:60]!r}, which is not a list of texts", fix)
        return [decode_base64(text) for text in texts]

    def _cell(self, row: int) -> str:
        if not 0 <= row < len(self.offsets):
            raise ImageProblem(
                f"{self.path} has rows 0 to {len(self.offsets) - 1}, and no row {row}",
                "use the TSV file that the index was written for",
            )
        try:
            with self.path.open("rb") as file:
                file.seek(self.offsets[row])
                found = next(parse_rows(self.path, _Lines(file), "\t"))
            return found.cells[self.image]
        except (OSError, UnicodeDecodeError, StopIteration, IndexError) as error:
            raise ImageProblem(f"{self.path} changed while it was read: {error}", "start again") from None


class _Lines:
    """The lines of a file as text, and how many bytes they took."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = file.tell()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        text = line.decode("utf-8-sig" if self.position == 0 else "utf-8")
        self.position += len(line)
        return text
