"""Features in the cache: kills, other processes, broken files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from encoding_case import Case

from vlrb.api.routing import Column, Features
from vlrb.evaluation.feature_store import KEY, FeatureStore, gather

SCRIPT = """
import sys
from pathlib import Path
from vlrb.evaluation import encoding, features
from vlrb.evaluation.feature_store import FeatureStore
from vlrb.benchmark.build import build; from vlrb.executor import quiet
from vlrb.storage import Places
from vlrb.experiment.resolve import make_plan
encoding.CHUNK = 8
plan = make_plan(Path(sys.argv[1]))
places = Places(Path("runs").absolute(), Path("cache").absolute())
matrix = features.encode(plan, "f", build(plan, places), places, quiet).features.matrix
print(matrix.shape, matrix.sum())
"""


def started(case: Case, wait: float) -> subprocess.Popen[str]:
    """Encode in a process of its own."""
    table = f'encoders = [{{ use = "e-text", file = "{case.asked}", wait = {wait} }}]\n'
    case.plan(table)
    command = [sys.executable, "-c", SCRIPT, str(case.folder / "t.toml")]
    return subprocess.Popen(
        command, cwd=case.folder, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_process_loses_one_chunk(case: Case) -> None:
    """SIGKILL in the middle: what was whole stays, the rest is encoded by the next."""
    process = started(case, 0.02)
    while len(case.chunks()) < 2:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = len(case.chunks())
    case.lines()
    out, err = started(case, 0.02).communicate(timeout=60)

    assert out.startswith("(80, 3)"), err
    assert len(case.lines()) == 40 - 8 * kept


def test_two_processes_share_the_work(case: Case) -> None:
    """Both at once on one cache: every content is encoded once, and both get the same."""
    processes = [started(case, 0.01), started(case, 0.01)]
    outs = [p.communicate(timeout=60) for p in processes]

    assert outs[0][0] == outs[1][0], outs
    assert outs[0][0].startswith("(80, 3)")
    assert len(case.lines()) == 40


def cut(file: Path) -> None:
    """Cut a file off."""
    file.write_bytes(file.read_bytes()[:-200])


def flip(file: Path) -> None:
    """Change a byte of the matrix."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "harm",
    [cut, flip, lambda f: f.write_bytes(b""), lambda f: f.write_text("{}")],
    ids=["cut", "flip", "empty", "text"],
)
def test_a_broken_chunk_is_named_and_made_anew(
    case: Case, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    """Its samples are encoded again, and no others; the file is kept under another name, and complained about once."""
    before, _ = case.encode()
    case.lines()
    broken = case.chunks()[2]
    harm(broken)
    shutil.rmtree(case.places.cache / "fused")
    after, _ = case.encode()

    assert np.array_equal(before.features.matrix, after.features.matrix)
    assert len(case.lines()) == 8
    assert str(broken) in caplog.text
    assert broken.with_suffix(".rejected").is_file()
    caplog.clear()
    case.encode()
    assert (case.lines(), caplog.text) == ([], "")


def test_a_chunk_of_another_encoder_is_not_taken(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """Keys of content are the same for all encoders of text; a file that was copied over must not be believed."""
    case.encode()
    (mine,) = {c.parent for c in case.chunks()}
    case.encode(more="width = 4")
    case.lines()
    (other,) = {c.parent for c in case.chunks()} - {mine}
    victim = sorted(mine.glob("*.arrow"))[0]
    victim.write_bytes((other / victim.name).read_bytes())
    shutil.rmtree(case.places.cache / "fused")
    encoded, _ = case.encode()

    assert "another encoder" in caplog.text
    assert len(case.lines()) == 8
    assert encoded.features.matrix.shape == (80, 3)


def test_many_chunks_need_no_open_files(tmp_path: Path) -> None:
    """A million samples are thousands of chunks; a process may have a thousand files open."""
    import resource

    store = FeatureStore(tmp_path, "k")
    keys = np.array([f"{i:032x}" for i in range(300)], dtype=KEY)
    for i in range(300):
        features = Features(np.array([[i]], np.float32), (Column("a/0"),))
        store.write(keys[i : i + 1], features, 1.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 40, hard))
    try:
        gathered = gather(store, keys[::-1], tmp_path / "gathered")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert gathered.rows(slice(0, 300)).matrix.ravel().tolist() == list(range(299, -1, -1))


def test_the_cache_says_whose_it_is(case: Case) -> None:
    """A folder of the cache tells a reader which encoder, parameters and weights it is of."""
    case.encode()
    about = json.loads((case.chunks()[0].parent / "encoder.json").read_text(encoding="utf-8"))

    assert about["encoder"]["id"] == "enc/e-text"
    assert about["encoder"]["revision"] == "1"
    assert "speed" not in about["encoder"]["parameters"]
