"""A plugin as found, and which plugins are loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from vlrb.plugins.closure import Digest


BUNDLED = "vlrb"
"""The distribution whose plugins are always allowed."""


@attrs.frozen
class Selection:
    """Which plugins to load in addition to the installed ones, and which not: what ``-p``, the environment and the file say.

    ``only``: the installed plugins that may load beyond the bundled ones; None: all.
    """

    extra: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    @classmethod
    def of(cls, options: Sequence[str], files: Sequence[str] = (), only: tuple[str, ...] | None = None) -> Selection:
        """Make a selection from ``-p`` options, plugin files, ``VLRB_DISABLE_PLUGINS`` (comma-separated names) and pins."""
        blocked = [o.removeprefix("no:") for o in options if o.startswith("no:")]
        blocked += [n.strip() for n in os.environ.get("VLRB_DISABLE_PLUGINS", "").split(",") if n.strip()]
        extra = [str(Path(o).resolve()) if o.endswith(".py") else o for o in options if not o.startswith("no:")]
        return cls(tuple(dict.fromkeys((*extra, *files))), tuple(dict.fromkeys(blocked)), only)

    def blocks(self, name: str, dist: str) -> bool:
        """Tell whether the plugin ``name`` of ``dist`` may not be imported."""
        return name in self.blocked or f"{dist}/{name}" in self.blocked

    def pins_out(self, name: str, dist: str) -> bool:
        """Return whether the installed plugin ``name`` of ``dist`` may not be imported because others are pinned."""
        return self.only is not None and dist != BUNDLED and {name, f"{dist}/{name}"}.isdisjoint(self.only)


@attrs.frozen(eq=False)
class Plugin:
    """A plugin as found: where it comes from, and either its object or why there is none."""

    name: str
    dist: str
    version: str
    origin: str
    object: Any = None
    error: str = ""
    blocked: bool = False
    source: Path | None = None
    settings: type | None = None
    packages: frozenset[str] = frozenset()
    _digests: dict[str, Digest] = attrs.field(factory=dict, init=False, repr=False)

    @property
    def label(self) -> str:
        """Return plugin, dist and version, as messages name them."""
        return f"plugin {self.name!r} ({self.dist} {self.version})" if self.version else f"plugin {self.name!r}"

    @property
    def skip(self) -> str:
        """Return the option that runs vlrb without this plugin."""
        return f"-p no:{self.dist}/{self.name}" if self.version else f"-p no:{self.name}"

    def sources_digest(self, kind: str) -> str:
        """Return the digest of the plugin's sources for a kind of key; an empty text if it has no file."""
        return self.sources(kind).text

    def sources(self, kind: str) -> Digest:
        """Return what counts of the plugin's sources, and of what they import, in a kind of key.

        It is made once: when a plan first names a component of the plugin, so that it is of the code that the plan has loaded.

        :param kind: one of :data:`vlrb.plugins.sources.KEYS`
        """
        from vlrb.plugins.sources import plugin_sources  # only those who make keys need it

        if kind not in self._digests:
            self._digests[kind] = plugin_sources(self, kind)
        return self._digests[kind]
