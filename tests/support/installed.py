"""Distributions with a plugin, as an installer leaves them: a module, its metadata and a RECORD."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

ROUTER = """
from pathlib import Path
from vlrb import RouterSpec, hookimpl

with Path({mark!r}).open("a") as file:
    file.write("imported\\n")

class First:
    def __init__(self, params):
        pass

    def fit(self, train, dev, context):
        return self

    def route(self, queries):
        return [0] * len(queries)

@hookimpl
def vlrb_routers():
    return [RouterSpec(name={name!r}, summary="the first model", factory=First)]
"""


def install(
    site: Path, dist: str, entry: str, files: Mapping[str, str], *, groups: tuple[str, ...] = ("vlrb",), more: str = ""
) -> Path:
    """Write a distribution's files into a folder of the path; return its metadata's folder.

    :param entry: of each group, such as ``name = module``
    :param files: path -> content
    :param more: further lines of the RECORD
    """
    info = site / f"{dist.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    points = "".join(f"[{group}]\n{entry}\n" for group in groups)
    metadata = {"METADATA": f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n", "entry_points.txt": points}
    written = {**files, **{f"{info.name}/{name}": text for name, text in metadata.items()}}
    lines = []
    for name, text in written.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{path.stat().st_size}\n")
    (info / "RECORD").write_text("".join(lines) + more + f"{info.name}/RECORD,,\n", encoding="utf-8")
    return info
