"""The files of a new distribution: names, templates, and how they are written."""

from __future__ import annotations

import errno
import importlib.metadata
import importlib.util
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import attrs

from vlrb import ConfigError, installed_names, shorten_list

TEMPLATES = Path(__file__).parent / "templates"
KINDS = (
    "router",
    "encoder",
    "fusion",
    "metric",
    "scorer",
    "log-source",
    "dataset",
    "model",
    "token-counter",
    "splitter",
    "protocol",
    "reporter",
    "figure",
    "command",
    "executor",
    "observer",
)
"""Each has a folder of templates; the most usual ones come first."""

ON_TABLES = ("scorer", "dataset", "model")
"""Kinds whose example has logs in the form of the log source ``records``."""

NAME = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)
"""A name of a distribution (PEP 508)."""

PLACES: Mapping[str, str] = {
    "plugin.py": "src/$module/__init__.py",
    "tests.py": "tests/test_$identifier.py",
    "ci.yml": ".github/workflows/tests.yml",
    "gitignore": ".gitignore",
    "samples.jsonl": "example_logs/samples.jsonl",
    "outcomes.jsonl": "example_logs/outcomes.jsonl",
    **{f"{name}.csv": f"example_logs/arithmetic/{name}.csv" for name in ("questions", "large", "small")},
}
"""Template, without its suffix -> file of the distribution, where it is another one."""


@attrs.frozen
class Scaffold:
    """What a new distribution holds: a component ``name`` of a plugin with the same name."""

    name: str
    kind: str
    author: str

    @classmethod
    def of(cls, name: str, kind: str, author: str | None = None) -> Scaffold:
        """Return the scaffold; ``vlrb-my-router``, ``My_Router`` and ``my-router`` are one name.

        :raises ConfigError: when name or author cannot be used
        """
        if not NAME.fullmatch(name):
            what = f"{name!r} is not a name of a Python distribution"
            fix = "use letters, digits and hyphens, such as 'my-router'"
            raise ConfigError(what, where="NAME", fix=fix)
        plain = re.sub(r"[-_.]+", "-", name).lower()
        plain = plain.removeprefix("vlrb-")
        author = f"the authors of vlrb-{plain}" if author is None else author
        check_author(author)
        return cls(plain, kind, author)

    @property
    def dist(self) -> str:
        """Return the name of the distribution and of its folder."""
        return f"vlrb-{self.name}"

    @property
    def module(self) -> str:
        """Return the name of the module."""
        return self.dist.replace("-", "_")

    @property
    def code(self) -> str:
        """Return the file of the code, below the folder."""
        return f"src/{self.module}/__init__.py"

    def values(self) -> dict[str, str]:
        """Return the values of the templates' placeholders: name -> text."""
        commands = f'\n[project.entry-points."vlrb.commands"]\n{self.name} = "{self.module}"\n'
        return {
            "name": self.name,
            "dist": self.dist,
            "module": self.module,
            "identifier": self.name.replace("-", "_"),
            "words": self.kind.replace("-", " "),
            "author": self.author,
            "quoted_author": json.dumps(self.author, ensure_ascii=False),
            "commands": commands if self.kind == "command" else "",
            "dataset": self.name if self.kind == "dataset" else "arithmetic",
            "large": self.name if self.kind == "model" else "large",
        }

    def files(self) -> dict[str, str]:
        """Return the files: path below the folder -> text."""
        values = self.values()
        folders = [self.kind, *(["tables"] if self.kind in ON_TABLES else [])]
        found = dict(file for folder in folders for file in _filled(folder, values))
        values["usage"] = _usage(found.get("example.toml"), self.name)
        return dict(sorted({**dict(_filled("all", values)), **found}.items()))


def check_author(author: str) -> None:
    """Refuse an author that a licence or ``pyproject.toml`` cannot show.

    :raises ConfigError: when it is empty, or not one line of printable text
    """
    if not author.strip() or not author.isprintable():
        raise ConfigError(f"{author!r} is not a name", where="--author", fix="give one line of printable text")


def check_free(name: str, kind: str, parent: Path) -> None:
    """Refuse a name that is taken by a folder, a module, a plugin or a component of the kind.

    :raises ConfigError: when there is one
    """
    new = Scaffold.of(name, kind)
    folder = parent / new.dist
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise _taken(folder)
    fix = "choose another name, or uninstall the one that has it"
    if importlib.util.find_spec(new.module) is not None:
        raise ConfigError(f"there is a module {new.module} already", where="NAME", fix=fix)
    if any(point.name == new.name for point in importlib.metadata.entry_points(group="vlrb")):
        raise ConfigError(f"there is a plugin {new.name!r} already", where="NAME", fix=fix)
    known = installed_names(kind) if kind != "observer" else frozenset()
    if new.name in known:
        what = f"there is a {new.kind.replace('-', ' ')} {new.name!r} already; known: {shorten_list(sorted(known))}"
        raise ConfigError(what, where="NAME", fix=fix)


def write_scaffold(scaffold: Scaffold, parent: Path) -> list[str]:
    """Write the distribution into a new folder, which appears as a whole; return its files.

    :raises ConfigError: when there is something at its place
    """
    files = scaffold.files()
    folder = parent / scaffold.dist
    with tempfile.TemporaryDirectory(prefix=".vlrb-new-plugin-", dir=parent) as aside:
        for name, text in files.items():
            path = Path(aside, folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        try:
            Path(aside, folder.name).rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise _taken(folder) from None
    return list(files)


def _taken(folder: Path) -> ConfigError:
    return ConfigError("already exists", where=str(folder), fix="choose another name, or --to FOLDER")


def _filled(folder: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file that a folder of templates has."""
    for template in sorted((TEMPLATES / folder).iterdir()):
        name = template.name.removesuffix(".txt")
        place = Template(PLACES.get(name, name)).substitute(values)
        yield place, Template(template.read_text(encoding="utf-8")).substitute(values)


def _usage(example: str | None, name: str) -> str:
    """Return how the README shows the use of the plugin."""
    if example is None:
        return f"\n```sh\nvlrb {name} --help\n```\n"
    return f"\nAn experiment with it is in `example.toml`:\n\n```toml\n{example}```\n"
