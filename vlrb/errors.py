"""Errors that a user can act on, and the exit codes they lead to.

Every error names the thing, the value, the place and the fix, and may hold many problems, which are reported at once.
"""

from __future__ import annotations

import difflib
import enum
import errno
from collections.abc import Iterable, Sequence

import attrs

from vlrb.redact import without_credentials
from vlrb.texts import printable


class ExitCode(enum.IntEnum):
    """Exit status of the ``vlrb`` command."""

    OK = 0
    CELLS_FAILED = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    PLUGIN = 5
    TRACKING = 6


def _safe(text: object) -> str:
    return printable(without_credentials(str(text)))


def _all_safe(texts: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(_safe, texts))


@attrs.frozen
class Problem:
    """One thing that is wrong: what, where (file, sheet and row; TOML key path; plugin) and how to fix it.

    Unprintable characters become escapes, and addresses lose their user names, passwords and tokens.  ``samples`` are the ids,
    as an encoder or router sees them, of the samples that the problem is about.
    """

    message: str = attrs.field(converter=_safe)
    where: str = attrs.field(default="", converter=_safe)
    fix: str = attrs.field(default="", converter=_safe)
    samples: tuple[str, ...] = attrs.field(default=(), converter=_all_safe)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n    fix: {self.fix}" if self.fix else text


def named_samples(problem: Problem) -> set[str]:
    """Return the ids of the samples that a problem may be about; a plugin may give one as ``where`` only."""
    return {*problem.samples, problem.where}


class VlrbError(Exception):
    """Base of all errors shown without a traceback."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, problems: str | Problem | Sequence[Problem], *, where: str = "", fix: str = "") -> None:
        if isinstance(problems, str):
            problems = Problem(problems, where, fix)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))

    def __reduce__(self) -> tuple[type[VlrbError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class ConfigError(VlrbError):
    """The experiment file or the command line asks for something impossible."""

    exit_code = ExitCode.USAGE


class DataError(VlrbError):
    """Logs, caches or runs hold something that cannot be used."""

    exit_code = ExitCode.USAGE


class StorageError(VlrbError):
    """The system refuses to write or read: a full disk, an overlong path, an I/O error.  It ends the work."""

    exit_code = ExitCode.USAGE

    @classmethod
    def of(cls, error: OSError, path: object = None) -> StorageError:
        """Describe an error of the system; ``path`` is what was being written, where the error does not name it."""
        reason = error.strerror if isinstance(error.strerror, str) else str(error)
        where = str(error.filename or path or "the file system")
        return cls(reason, where=where, fix=STORAGE.get(error.errno or 0, RIGHTS))


_FULL = "free space there, or use another folder (--runs, --cache, --to; TMPDIR for temporary files)"
RIGHTS = "check the folder's permissions and the disk's space, or use another folder (--runs, --cache, --to)"
STORAGE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or use another file system (--runs, --cache)",
    errno.EIO: "check the disk and its connection (dmesg), or use another folder (--runs, --cache)",
    errno.EROFS: "the file system is read-only: use another folder (--runs, --cache, --to)",
    errno.ENAMETOOLONG: "use a shorter name or label, or folders with shorter paths (--runs, --cache)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
    errno.ENOLCK: "use a file system that has locks (--runs, --cache)",
}
"""errno -> what to do about it; none of these is the fault of the code that ran."""


class PluginError(VlrbError):
    """A plugin cannot be loaded, breaks its contract, or raised."""

    exit_code = ExitCode.PLUGIN


class TrackingError(VlrbError):
    """An observer such as MLflow could not be reached; the results on disk are complete."""

    exit_code = ExitCode.TRACKING


def did_you_mean(name: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Return a fix that names the closest known names, or lists them when none is ``alike`` (1: the same)."""
    names = sorted(set(known))
    close = [n for n in names if n.lower().startswith(name.lower())][:3] if name else []
    close += [n for n in difflib.get_close_matches(name, names, n=3, cutoff=alike) if n not in close]
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close[:3]) + "?"
    return "known: " + shorten_list(names, 30) if names else "none available"


def shorten_list(items: Iterable[object], limit: int = 5) -> str:
    """Join ``items`` for a message: the first ``limit``, then how many more there are."""
    listed = [str(i) for i in items]
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more:,} more" if more > 0 else "")
