"""Names of splits, datasets and models in files, and which of these an experiment asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import attrs

from vlrb import Catalog, did_you_mean, shorten_list
from vlrb_plugins.shared.log_tables.findings import Findings

NameKind = Literal["dataset", "model"]


@attrs.define
class Names:
    """Resolves aliases, and remembers the names in a file.

    A name that the catalog does not know is kept unchanged.
    """

    catalog: Catalog
    held: dict[NameKind, set[str]] = attrs.Factory(lambda: {"dataset": set(), "model": set()})
    used: dict[NameKind, set[str]] = attrs.Factory(lambda: {"dataset": set(), "model": set()})
    _resolved: dict[tuple[NameKind, str], str] = attrs.Factory(dict)

    def resolve(self, kind: NameKind, name: str) -> str:
        """Return the record's name for a name or alias."""
        if (kind, name) not in self._resolved:
            record = self.catalog.dataset(name) if kind == "dataset" else self.catalog.model(name)
            self._resolved[kind, name] = record.name if record is not None else name
            self.held[kind].add(self._resolved[kind, name])
        return self._resolved[kind, name]

    def wanted(self, kind: NameKind, name: str) -> bool:
        """Tell whether the experiment asks for a resolved name."""
        names = self.catalog.wanted_datasets if kind == "dataset" else self.catalog.wanted_models
        return names is None or name in names

    def columns(self, models: Sequence[str], where: str, findings: Findings) -> list[str]:
        """Return the records' names of the columns' models, noting models with several columns.

        :param where: the place that names the columns, for messages
        """
        resolved = [self.resolve("model", m) for m in models]
        counts = Counter(resolved)
        for name in sorted(m for m, count in counts.items() if count > 1 and self.wanted("model", m)):
            same = [m for m, r in zip(models, resolved, strict=True) if r == name]
            findings.add(
                f"columns {shorten_list(map(repr, same))} are all of model {name!r}", where, "keep one of them"
            )
        return resolved

    def use(self, kind: NameKind, names: Iterable[str]) -> None:
        """Note the names of rows that were yielded."""
        self.used[kind].update(names)

    def report(self, path: Path, kinds: Sequence[NameKind], findings: Findings) -> None:
        """Note what is asked for and missing, once a file was read."""
        if not self.held["dataset"]:
            findings.add("holds no rows", str(path), "write the file again")
            return
        for kind in kinds:
            wanted = self.catalog.wanted_datasets if kind == "dataset" else self.catalog.wanted_models
            for name in sorted((wanted or frozenset()) - self.used[kind]):
                near = did_you_mean(name, self.held[kind])
                fix = f"leave it out of [benchmark] {kind}s, or add its rows; {near}"
                findings.add(f"holds no rows of {kind} {name!r}", str(path), fix)
