"""What ``fuzz.py`` does to a project: one of its files is changed, by bytes or in its structure."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_projects import KEYS, experiment, outcomes, png, samples, write_book
from fuzz_values import COLUMNS, NUMBERS, SPLICES, TEXTS, TOML_LINES, TOML_VALUES, XML


def change(folder: Path, kind: str, rng: Random) -> str:
    """Change a file of a project of some kind; return what was changed."""
    structure = CHANGES[kind]
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "e.toml")
    if kind in ("toml", "names"):
        files = [folder / "e.toml"]
    if rng.random() < (0.1 if kind == "names" else 0.4):
        file = rng.choice(files)
        file.write_bytes(_bytes(file.read_bytes(), rng))
        return f"bytes of {file.name}"
    if rng.random() < 0.05:
        return _special(rng.choice(files), rng)
    return structure(folder, rng)


def _bytes(data: bytes, rng: Random) -> bytes:
    """Return bytes with one to three changes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, more = rng.randrange(len(data) + 1), rng.randrange(1, 40)
        how = rng.randrange(6)
        if how == 0:
            data = (
                data[:at]
                + bytes(b ^ 1 << rng.randrange(8) for b in data[at : at + rng.choice((1, 1, 4))])
                + data[at + 4 :]
            )
        elif how == 1:
            data = data[:at]
        elif how == 2:
            data = data[:at] + rng.choice(SPLICES) + data[at:]
        elif how == 3:
            data = data[:at] + data[at + more :]
        elif how == 4:
            data = data[:at] + rng.randbytes(more) + data[at + more :]
        else:
            other = rng.randrange(len(data) + 1)
            data = data[:at] + data[other : other + more] * rng.choice((1, 3, 500)) + data[at:]
    return data


def _special(file: Path, rng: Random) -> str:
    """Put something in the place of a file that is none, or is empty."""
    file.unlink()
    how = rng.choice(("pipe", "folder", "device", "loop", "empty", "gone"))
    if how == "pipe":
        os.mkfifo(file)
    elif how == "folder":
        file.mkdir()
    elif how == "device":
        file.symlink_to(rng.choice(("/dev/zero", "/dev/null", "/dev/tty")))
    elif how == "loop":
        file.symlink_to(file.name)
    elif how == "empty":
        file.touch()
    return f"{how} in the place of {file.name}"


def _text(rng: Random) -> str:
    return "".join(rng.choice(TEXTS) for _ in range(rng.choice((1, 1, 1, 2))))


def _value(rng: Random, depth: int = 0) -> Any:
    """Return a JSON value."""
    how = rng.randrange(10)
    if how < 4:
        return _text(rng)
    if how < 7:
        return rng.choice(NUMBERS)
    if how == 7 or depth > 2:
        return rng.choice((None, True, False, [], {}))
    if how == 8:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(("letter", "text", "key", "a", "", "\0", _text(rng))): _value(rng, depth + 1) for _ in range(3)}


# --- tables -------------------------------------------------------------------------------------------------------------


def _table(rows: Sequence[dict[str, Any]], rng: Random, value: Callable[[Random], Any]) -> list[dict[str, Any]]:
    """Return rows with cells, columns, or the number of rows or columns changed."""
    made = [dict(r) for r in rows]
    names = list(made[0])
    for _ in range(rng.choice((1, 1, 2))):
        name, how = rng.choice(names), rng.randrange(9)
        if how < 4:
            rng.choice(made)[name] = value(rng)
        elif how == 4:
            made = [{n: value(rng) if n == name else v for n, v in r.items()} for r in made]
        elif how == 5:
            new = rng.choice((_text(rng), *COLUMNS))
            made = [{new if n == name else n: v for n, v in r.items()} for r in made]
            names = list(made[0])
        elif how == 6:
            made = [{n: v for n, v in r.items() if n != name} for r in made]
            names = [n for n in names if n != name] or names
        elif how == 7:
            many = rng.choice((30, 3000, 11_000, 40_000))
            made = [r | {f"c{i}": "1" for i in range(many)} for r in made]
        else:
            made = made * rng.choice((2, 50)) if rng.random() < 0.5 else made[: rng.randrange(2)] or made[:1]
    return made  # fmt: skip


def _delimited(path: Path, delimiter: str, rng: Random) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        header, *cells = csv.reader(file, delimiter=delimiter)
    rows = [dict(zip(header, c, strict=True)) for c in cells]
    made = _table(rows, rng, _text)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([list(made[0]), *(list(r.values()) for r in made)])
    path.write_bytes(text.getvalue().encode(errors="surrogatepass"))
    return f"cells of {path.name}"


def _tsv(folder: Path, rng: Random) -> str:
    return _delimited(rng.choice(sorted(folder.rglob("*.tsv"))), "\t", rng)


def _csv(folder: Path, rng: Random) -> str:
    return _delimited(folder / "logs", ",", rng)


def _json(folder: Path, rng: Random) -> str:
    path = rng.choice(sorted(folder.rglob("*.json")))
    rows = json.loads(path.read_text(encoding="utf-8"))
    made: Any = _table(rows, rng, _value) if rng.random() < 0.8 else _value(rng)
    path.write_text(json.dumps(made), encoding="utf-8")
    return f"objects of {path.name}"


def _jsonl(folder: Path, rng: Random) -> str:
    path = rng.choice(sorted(folder.rglob("*.jsonl")))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    made = _table(rows, rng, _value)
    path.write_text("".join(json.dumps(r) + "\n" for r in made), encoding="utf-8")
    return f"objects of {path.name}"


# --- binary formats -----------------------------------------------------------------------------------------------------


def _zip(path: Path, rng: Random, splices: Sequence[bytes]) -> str:
    """Change a file inside an archive, or how the archive is written."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    name = rng.choice(sorted(members))
    how = rng.randrange(8)
    data = members[name]
    if how < 4:
        places = [m.start() for m in re.finditer(b"<(c|row|/row|v|sheetData|/sheetData)", data)] or [
            rng.randrange(len(data) + 1)
        ]
        at = rng.choice(places)
        members[name] = data[:at] + rng.choice(splices) + data[at:]
    elif how < 6:
        members[name] = _bytes(data, rng)
    elif how == 6:
        del members[name]
    else:
        members[name] = data + b" " * rng.choice((10_000_000, 300_000_000)) if rng.random() < 0.2 else b""
    with zipfile.ZipFile(
        path, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    ) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return f"{name} in {path.name}"


def _workbook(folder: Path, rng: Random) -> str:
    path = rng.choice(sorted(folder.rglob("*.xlsx")))
    if rng.random() < 0.6:
        return _zip(path, rng, XML)
    import python_calamine

    header, *cells = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    made = _table([dict(zip(map(str, header), c, strict=True)) for c in cells], rng, _cell)
    made = [{_encodable(n): c for n, c in list(r.items())[:16_000]} for r in made]
    write_book(path, made)
    return f"cells of {path.name}"


def _cell(rng: Random) -> Any:
    value = _text(rng) if rng.random() < 0.6 else rng.choice(NUMBERS)
    if isinstance(value, str):
        return _encodable(value)
    return value if isinstance(value, float) and abs(value) < 1e300 else 7


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()[:32_000]


def _parquet(folder: Path, rng: Random) -> str:
    path = rng.choice(sorted(folder.rglob("*.parquet")))
    rows = samples([png()]) if path.name == "samples.parquet" else outcomes()
    table = pa.Table.from_pylist(rows)
    name = rng.choice(table.schema.names)
    position = table.schema.get_field_index(name)
    column = rng.choice(ARROWS)(len(rows), rng)
    if rng.random() < 0.1:
        for i in range(rng.choice((30, 11_000))):
            table = table.append_column(f"c{i}", pa.nulls(len(rows)))
    else:
        table = table.set_column(position, name if rng.random() < 0.9 else _encodable(_text(rng)), column)
    if rng.random() < 0.05:
        table = pa.concat_tables([table] * rng.choice((2, 1000)))
    pq.write_table(table, path, compression=rng.choice(("snappy", "gzip", "none", "zstd")))
    return f"{name} of {path.name}: {column.type}"


def _nested(n: int, rng: Random) -> pa.Array:
    kind = pa.string()
    for _ in range(rng.choice((2, 20, 90))):
        kind = pa.list_(kind)
    return pa.nulls(n, kind)


ARROWS: Sequence[Callable[[int, Random], pa.Array]] = (
    lambda n, rng: pa.array([rng.choice((0.0, 1e308, float("nan"), float("inf"), -1.0, 1e12)) for _ in range(n)]),
    lambda n, rng: pa.array([rng.choice((0, 1, -1, 2**53, 2**63 - 1, 10**12)) for _ in range(n)]),
    lambda n, _: pa.array([2**64 - 1] * n, pa.uint64()),
    lambda n, rng: pa.array([_encodable(_text(rng)) for _ in range(n)]),
    lambda n, rng: pa.array([_encodable(_text(rng)) for _ in range(n)]).dictionary_encode(),
    lambda n, rng: pa.array([rng.randbytes(9) for _ in range(n)]),
    lambda n, rng: pa.array([[rng.randbytes(9)] for _ in range(n)]),
    lambda n, rng: pa.array([[_encodable(_text(rng))] for _ in range(n)]),
    lambda n, _: pa.array([[None, "a"] for _ in range(n)]),
    lambda n, rng: pa.array([[{"letter": "A", "text": _encodable(_text(rng))}, None] for _ in range(n)]),
    lambda n, rng: pa.array([{"a": _encodable(_text(rng))} for _ in range(n)]),
    lambda n, _: pa.array([[("a", "b"), ("a", "c")] for _ in range(n)], pa.map_(pa.string(), pa.string())),
    lambda n, _: pa.array([[[("a", "b")]] for _ in range(n)], pa.list_(pa.map_(pa.string(), pa.string()))),
    lambda n, _: pa.array([1] * n, pa.timestamp("ns")),
    lambda n, _: pa.array(range(n), pa.decimal256(70, 3)),
    lambda n, _: pa.array([1.5] * n, pa.float16()),
    lambda n, _: pa.array([True] * n),
    lambda n, _: pa.nulls(n),
    _nested,
)


def _npz(folder: Path, rng: Random) -> str:
    how = rng.randrange(5)
    matrices = folder / "logs/data/matrices"
    if how == 0:
        return _jsonl(folder, rng)
    if how == 1:
        return _zip(matrices / "Y.npz", rng, SPLICES)
    if how == 2:
        names: list[Any] = json.loads((matrices / "sample_ids.json").read_text(encoding="utf-8"))
        names[rng.randrange(len(names))] = _value(rng)
        (matrices / "sample_ids.json").write_text(json.dumps(names), encoding="utf-8")
        return "sample_ids.json"
    if how == 3:
        cost = np.load(matrices / "C.npy").astype(
            rng.choice(("f8", "f4", "f2", "i8", "u1", "c16", "U4", "M8[s]", "g", ">f8"))
        )
        if cost.dtype.kind == "f":
            cost[rng.randrange(len(cost)), 0] = rng.choice((6e4, -1.0, float("nan"), float("inf"), 1e-7))
        np.save(matrices / "C.npy", cost if rng.random() < 0.7 else cost.T[:, :1])
        return "C.npy"
    kind, rows = rng.choice(("<f8", "|O", "|S9", "<i1", "x")), rng.choice(NUMBERS[:12])
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows}, 2), }}"
    head = head.ljust(118 - len(head) % 64) + "\n"
    data = b"\x93NUMPY\x01\x00" + len(head.encode()).to_bytes(2, "little") + head.encode() + b"\0" * 96
    if rng.random() < 0.5:
        (matrices / "C.npy").write_bytes(data)
        return "header of C.npy"
    with zipfile.ZipFile(matrices / "Y.npz", "w") as archive:
        archive.writestr("Y.npy", data)
    return "header of Y.npy"


def _image(folder: Path, rng: Random) -> str:
    """Change the picture of ``records``, or the paths that name it."""
    path = folder / "logs/a.png"
    how = rng.randrange(3)
    if how == 0:
        path.write_bytes(_bytes(path.read_bytes(), rng))
    elif how == 1:
        size = rng.choice((2**31 - 1, 2**16, 0, 10**5)).to_bytes(4, "big")
        data = path.read_bytes()
        path.write_bytes(data[:16] + size + size + data[24:])
    else:
        lines = [{**s, "images": [_text(rng)]} for s in samples()]
        (folder / "logs/samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines), encoding="utf-8")
    return f"image {how}"


# --- the experiment file ------------------------------------------------------------------------------------------------


def _toml_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _toml(folder: Path, rng: Random) -> str:
    path = folder / "e.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    value = rng.choice(TOML_VALUES) if rng.random() < 0.6 else _toml_text(_text(rng))
    places = [i for i, line in enumerate(lines) if " = " in line]
    at = rng.choice(places)
    how = rng.randrange(4)
    if how < 2:
        lines[at] = f"{lines[at].split(' = ')[0]} = {value}"
    elif how == 2:
        lines[at:at] = rng.choice(TOML_LINES).format(v=value).splitlines()
    else:
        lines += rng.choice(TOML_LINES).format(v=value).splitlines()
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    return "e.toml"


def _names(folder: Path, rng: Random) -> str:
    """Give datasets, models and samples odd names, in the logs and in the experiment file alike."""
    names = {n: n for n in ("large", "small")} | {"dataset": "Charts"}
    for each in rng.sample(sorted(names), rng.choice((1, 2))):
        names[each] = _text(rng)
    keys = {k: k for k in KEYS} | ({rng.choice(KEYS): _text(rng)} if rng.random() < 0.5 else {})
    for file, rows in (("samples", samples()), ("outcomes", outcomes())):
        named = [r | {"dataset": names["dataset"], "key": keys[r["key"]]} for r in rows]
        named = [r | {"model": names[r["model"]]} if "model" in r else r for r in named]
        text = "".join(json.dumps(r) + "\n" for r in named)
        (folder / "logs" / f"{file}.jsonl").write_text(text, encoding="utf-8")
    text = experiment("records", names=names)
    if rng.random() < 0.5:  # names that only the logs hold
        text = experiment("records")
    if rng.random() < 0.3:
        text = text.replace("[[router]]", f"[[router]]\nlabel = {_toml_text(_text(rng))}")
    (folder / "e.toml").write_bytes(text.encode(errors="surrogatepass"))
    return f"names {names}"


CHANGES: dict[str, Callable[[Path, Random], str]] = {
    "workbook": _workbook,
    "tsv": _tsv,
    "json": _json,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "csv": _csv,
    "npz": _npz,
    "toml": _toml,
    "names": _names,
    "image": _image,
}
