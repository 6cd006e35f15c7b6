"""Which source files compute a number, for the keys of the cache: closures of imports, less what cannot change a number.

Other packages count by their versions, which ``requires`` of a component names.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from vlrb.errors import ConfigError, Problem
from vlrb.plugins.closure import CORE, Digest, Sources
from vlrb.storage import cache_directory

if TYPE_CHECKING:
    from vlrb.plugins.plugin import Plugin

MEMORY = "imports.json"
"""In the cache: what each source file imports, by its content's digest, so that it is parsed once."""

NEVER: Mapping[str, str] = {
    "vlrb.cli": "reads the command line and prints",
    "vlrb.errors": "says what went wrong, and a failure is never a number",
    "vlrb.executor": "hands tasks to processes; what each task makes is kept under a key of its own",
    "vlrb.experiment": "reads and checks what the file asks for; every value of the plan stands in the keys",
    "vlrb.api.hookspecs": "declares the hooks: their names and documentation",
    "vlrb.interrupts": "ends work, and only whole results are kept",
    "vlrb.locks": "makes processes wait for each other",
    "vlrb.plugins": "finds and calls plugins; which components it found stands in the keys, with versions and sources",
    "vlrb.testing": "tests plugins; no run imports it",
    "vlrb.threads": "limits the threads of numerical libraries, which the executor decides",
    "vlrb.texts": "shows texts and errors; escapes stand in tables and messages only",
    "vlrb.redact": "leaves secrets out of what is written and shown",
    "vlrb.running.views": "shows the results of a finished run in a notebook",
    "vlrb.running.leaderboard": "shows numbers; the reports of a finished run are written again each time",
}
"""Modules and packages that count in no key -> why they cannot change a number.  What only they import counts in none either."""


@attrs.frozen
class Counted:
    """What one kind of key is made of: the roots of the closure, and modules that count in other keys only -> why."""

    roots: tuple[str, ...]
    aside: Mapping[str, str] = attrs.field(factory=dict)


KEYS: Mapping[str, Counted] = {
    "part": Counted(("vlrb.benchmark.read",)),
    "scores": Counted(("vlrb.benchmark.score",)),
    "benchmark": Counted(("vlrb.benchmark.build",)),
    "features": Counted(
        ("vlrb.evaluation.features",),
        {
            "vlrb.benchmark.matrices": "gives what encoders look at, which is hashed for every sample",
            "vlrb.storage": "writes the files, and every file carries a checksum",
            "vlrb.evaluation.splits": "splits samples; encoders see none of it",
            "vlrb.api.components": "declares records; encoders see none of them",
        },
    ),
    "cell": Counted(("vlrb.running.cells", "vlrb.evaluation.splits")),
    "run": Counted(
        ("vlrb.running.run",), {"vlrb.benchmark.build": "makes the benchmark, whose content is hashed into the key"}
    ),
}
"""Kind of key -> what of the core counts in it."""

KEY_OF: Mapping[str, str] = {
    **dict.fromkeys(("log-source", "token-counter"), "part"),
    "scorer": "scores",
    **dict.fromkeys(("encoder", "fusion"), "features"),
    **dict.fromkeys(("splitter", "router"), "cell"),
    **dict.fromkeys(("protocol", "executor", "metric", "reporter", "figure"), "run"),
}
"""Kind of component -> the kind of key whose exceptions hold for the sources of its plugin."""

_sources = Sources(memory=lambda: cache_directory() / MEMORY)


def core_digest(kind: str) -> str:
    """Return the digest of what of the core counts in a kind of key, one of :data:`KEYS`; see :func:`core_sources`."""
    return core_sources(kind).text


@functools.cache
def core_sources(kind: str) -> Digest:
    """Return what of the core counts in a kind of key, as it was when this process first asked: when it made its plan."""
    return _sources.digest(KEYS[kind].roots, {*NEVER, *KEYS[kind].aside})


def check_sources(kind: str, used: Iterable[tuple[Plugin, str]], made: str) -> None:
    """Refuse to keep what may have been made by other code than its key says: modules are imported when they are first used.

    :param kind: of the key
    :param used: plugins, and the kinds of their components that were used
    :param made: what is not kept, and its verb
    :raises ConfigError: naming the files that have changed
    """
    digests = (core_sources(kind), *(plugin.sources(KEY_OF[component]) for plugin, component in used))
    changed = sorted({path for digest in digests for path in digest.changed()})
    if changed:
        what = f"has changed since the run began: {made} not kept, since its key may be that of other code"
        raise ConfigError([Problem(what, path, "run again") for path in changed])


def plugin_sources(plugin: Plugin, kind: str) -> Digest:
    """Return what a plugin's module, or file, imports from vlrb, from plugins, from its own dist and its own folder."""
    if plugin.source is None:
        return Digest()
    module = plugin.origin.partition(":")[0]
    root = plugin.source if plugin.origin.endswith(".py") else module
    own = {CORE, *plugin.packages, module.partition(".")[0], *(_packages(plugin.dist) if plugin.version else ())}
    return _sources.digest([root], {*NEVER, *KEYS[kind].aside}, own)


@functools.cache
def _packages(dist: str) -> frozenset[str]:
    """Return the top-level modules and packages that a distribution has installed."""
    try:
        record = importlib.metadata.distribution(dist).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    tops = {line.partition(",")[0].partition("/")[0] for line in record.splitlines()}
    return frozenset(t.removesuffix(".py") for t in tops if "-" not in t and not t.startswith((".", "_")))
