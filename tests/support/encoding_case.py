"""An experiment whose encoders write down what they were asked for, and misbehave to order."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from vlrb.benchmark.build import build
from vlrb.benchmark.matrices import Benchmark
from vlrb.evaluation.features import Encoded, encode
from vlrb.executor import quiet
from vlrb.experiment.plan import Plan
from vlrb.experiment.resolve import make_plan
from vlrb.storage import Places

TINY = Path(__file__).parent / "tiny.py"

PLUGIN = '''
"""Encoders that write down what they were asked for, and misbehave to order."""
import os, time, zlib
from pathlib import Path
import attrs
import numpy as np
from vlrb import hookimpl
from vlrb.errors import DataError
from vlrb.api.components import EncoderSpec, FusionSpec, param
from vlrb.api.routing import Column, Features

@attrs.frozen
class Params:
    file: str = param(default="")
    wait: float = param(default=0.0)
    fault: str = param(default="")
    width: int = param(default=3)
    speed: int = attrs.field(default=1, kw_only=True, metadata={"help": "", "when": "fit", "same_numbers": True})
    path: str = attrs.field(default="", kw_only=True, metadata={"help": "", "when": "fit", "folder_or_name": True})

class Encoder:
    calls = 0

    def __init__(self, params):
        self.params = params
        if params.fault == "make":
            raise RuntimeError("no such weights")

    def encode(self, queries):
        self.calls += 1
        fault, n = self.params.fault, len(queries)
        if self.params.file:
            with open(self.params.file, "a") as file:
                seen = zip(queries.texts, queries.images.hashes)
                file.write("".join(f"{t}|{len(h)}|{len(queries.candidates)}\\n" for t, h in seen))
        time.sleep(self.params.wait * n)
        bad = [i for i, t in zip(queries.ids, queries.texts) if t.endswith((" 5", " 7"))]
        if fault == "bad" and bad:
            raise DataError("an image cannot be read", where=bad[0], fix="replace it")
        if fault == "raise":
            raise RuntimeError("no memory")
        if fault == "data":
            raise DataError("the weights are gone")
        keys = [t + "".join(h) for t, h in zip(queries.texts, queries.images.hashes)]
        matrix = np.array([[zlib.crc32(f"{j}{k}".encode()) / 2**32 for j in range(self.params.width)] for k in keys], np.float32)
        matrix = matrix.reshape(n, self.params.width)
        columns = tuple(Column(f"x/{j}") for j in range(self.params.width))
        if fault == "gap-allowed":
            columns = tuple(Column(f"x/{j}", "numeric", True) for j in range(self.params.width))
        return {
            "shape": lambda: Features(matrix[1:], columns),
            "wide": lambda: Features(np.hstack([matrix, matrix]), columns),
            "dtype": lambda: Features(matrix.astype(np.float64), columns),
            "nan": lambda: Features(np.where(np.arange(n)[:, None] == 1, np.nan, matrix).astype(np.float32), columns),
            "gap-allowed": lambda: Features(np.where(np.arange(n)[:, None] == 1, np.nan, matrix).astype(np.float32), columns),
            "inf": lambda: Features(matrix + np.float32("inf"), columns),
            "type": lambda: matrix,
            "list": lambda: Features(matrix.tolist(), columns),
            "no-columns": lambda: Features(matrix[:, :0], ()),
            "column-type": lambda: Features(matrix, ("a", "b", "c")),
            "twice": lambda: Features(matrix, (Column("a"),) * self.params.width),
            "later": lambda: Features(matrix[:, : 3 - (self.calls > 1)], columns[: 3 - (self.calls > 1)]),
            "codes": lambda: Features(np.full((n, 1), 3, np.float32), (Column("c", "categorical", categories=3),)),
            "renamed": lambda: Features(matrix, tuple(Column(f"y{self.calls}/{j}") for j in range(3))),
        }.get(fault, lambda: Features(matrix, columns))()

class Streaming(Encoder):
    def stream(self, chunks):
        for queries in chunks:
            yield self.encode(queries)
            if self.params.fault == "ends":
                return

class Numbers:
    def __init__(self, params):
        pass

    def encode(self, queries):
        matrix = np.array([[len(t), 3] for t in queries.texts], np.float32)
        return Features(matrix, (Column("n/a", "numeric"), Column("n/b", "categorical")))

class Fusion:
    def __init__(self, params):
        self.fault = params.fault

    def __call__(self, parts):
        features = parts[0].features
        matrix = features.matrix.copy()
        if self.fault == "data":
            raise DataError("no")
        if self.fault == "dtype":
            matrix = matrix.astype(np.float64)
        else:
            matrix[1, 2] = float(self.fault)
        columns = features.columns if self.fault != "nan" else (Column("a"), Column("b", "numeric", True), Column("c"))
        return Features(matrix, columns)

def revision(params):
    if params.fault == "revision":
        raise DataError("nobody knows the weights", fix="provide them")
    return os.environ.get("REVISION", "1")

@hookimpl
def vlrb_fusions():
    return [FusionSpec(name="odd", summary="for tests", factory=Fusion, params=Params)]

@hookimpl
def vlrb_encoders():
    def spec(name, modality, factory=Encoder, **more):
        return EncoderSpec(name=name, summary="for tests", factory=factory, params=Params, modality=modality, **more)
    return [
        spec("e-text", "text", revision=revision), spec("e-image", "image"), spec("e-both", "both"),
        spec("e-stream", "text", Streaming), spec("e-numbers", "text", Numbers), spec("e-pictured", "image", Numbers),
    ]
'''


class Case:
    """An experiment in a folder, and what its encoders were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked.txt"
        (folder / "enc.py").write_text(PLUGIN, encoding="utf-8")

    @property
    def places(self) -> Places:
        """Return the places of this folder."""
        return Places(self.folder / "runs", self.folder / "cache")

    def plan(self, table: str, samples: int = 40, images: bool = True, name: str = "t") -> Plan:
        """Plan an experiment with one feature set."""
        path = self.folder / f"{name}.toml"
        text = f"""
            name = "{name}"
            plugins = ["{TINY}", "enc.py"]
            requires = []
            [logs]
            use = "tiny"
            samples = {samples}
            images = {str(images).lower()}
            [features.f]
            """
        path.write_text(textwrap.dedent(text) + textwrap.dedent(table), encoding="utf-8")
        return make_plan(path)

    def encode(self, use: str = "e-text", more: str = "", **plan: Any) -> tuple[Encoded, Benchmark]:
        """Encode with one encoder that writes down what it is asked."""
        table = f'encoders = [{{ use = "{use}", file = "{self.asked}"{", " * bool(more)}{more} }}]\nfusion = "concat"\n'
        made = self.plan(table, **plan)
        benchmark = build(made, self.places)
        return encode(made, "f", benchmark, self.places, quiet), benchmark

    def lines(self) -> list[str]:
        """Return what was asked since the last look."""
        text = self.asked.read_text(encoding="utf-8") if self.asked.exists() else ""
        self.asked.unlink(missing_ok=True)
        return text.splitlines()

    def chunks(self) -> list[Path]:
        """Return the files of the only encoder that is in the cache."""
        return sorted(self.folder.glob("cache/features/*/*.arrow"))
