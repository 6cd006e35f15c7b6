"""The routers from an experiment file, on the demo and on the tests' own logs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from vlrb_plugins.neural_routers import clusters
from vlrb_plugins.neural_routers.params import ROUTERS


@pytest.fixture(autouse=True)
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the core give each router one thread."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def tables(bodies: Any, names: list[str], **changes: str) -> str:
    """Return the tables of routers in an experiment file."""
    values = {**{k: f'"{v}"' for k, v in bodies.parameters().items()}, "epochs": "1", **changes}
    lines = "\n".join(f"{k} = {v}" for k, v in values.items())
    return "\n".join(f'[[router]]\nuse = "{n}"\n{lines}\n' for n in names)


def plugin(project: Any) -> list[str]:
    """Return the option that loads the plugin, unless it is registered already."""
    listed = project.vlrb("list", "router", "--json").out
    return [] if '"cosinecls"' in listed else ["-p", "vlrb_plugins.neural_routers"]


def test_all_four_learn_on_the_demo(project: Any, demo_bodies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 420 samples all four route far better than one model for all, or chance; they share two files of pixels.

    The demo's subjects differ in who is good at them, and can be recognised by their wording.  On 120 test samples the rank score
    of a router has a deviation of about 0.04.
    """
    monkeypatch.setattr(clusters, "MOST", 120)  # a map of all rows takes ten seconds
    long = {"learning_rate": "1e-3", "text_length": "48", "lambda": "100"}
    routers = tables(demo_bodies, ["cosinecls", "zooter", "vlc"], epochs="6", patience="6", **long)
    routers += tables(demo_bodies, ["routerdc"], epochs="16", patience="16", **long)
    routers += '[[router]]\nuse = "strongest"\n[[router]]\nuse = "random"\n'
    file = project.file(f'name = "demo"\nrequires = []\n[logs]\nuse = "demo"\nsamples = 600\n{routers}')

    ran = project.vlrb(*plugin(project), "run", file)
    assert ran.status == 0, ran.err[-2000:]
    results = project.results()[-1]
    scores = {c["cell"]["label"]: c["scores"]["test"]["overall"]["rank-score"] for c in results["cells"]}
    for name in ROUTERS:
        assert scores[name] > max(scores["strongest"], scores["random"]) + 0.06, scores
    stores = list((project.folder / ".vlrb-cache" / "pixels").glob("*/*/pixels.npy"))
    assert len(stores) == 2
    assert not list((project.folder / ".vlrb-cache").glob("work/*"))


def test_a_broken_body_is_a_failed_row(project: Any, bodies: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be loaded fails its own cell, with the message; the other cells go on."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    routers = tables(bodies, ["vlc"], vision='"no/such-model"') + '[[router]]\nuse = "cheapest"\n'
    ran = project.vlrb(*plugin(project), "run", project.experiment(routers))

    assert ran.status == 1
    cells = {c["cell"]["label"]: c for c in project.results()[-1]["cells"]}
    assert cells["cheapest"]["status"] == "done"
    assert cells["vlc"]["error"].startswith(
        "vision: no folder, and model 'no/such-model', revision 'main' was looked for"
    )


def test_the_same_twice(project: Any, bodies: Any) -> None:
    """Two fresh runs of one experiment make the same choices."""
    file = project.experiment(tables(bodies, ["routerdc"], learning_rate="1e-3"))
    for _ in range(2):
        assert project.vlrb(*plugin(project), "run", "--fresh", file).status == 0
    first, second = project.results()

    counted = [
        [(c["choices"], c["scores"]["test"]["overall"]["accuracy"]) for c in r["cells"]] for r in (first, second)
    ]
    assert counted[0] == counted[1]


@pytest.mark.parametrize("kind", ["unknown", "value"])
def test_parameters_are_checked(project: Any, bodies: Any, kind: str) -> None:
    """Misspelt parameters and impossible values are told with the others of the file."""
    changes = {"unknown": {"epoch": "3"}, "value": {"variant": '"best"'}}[kind]
    checked = project.vlrb(*plugin(project), "check", project.experiment(tables(bodies, ["zooter"], **changes)))

    assert checked.status == 4
    assert {"unknown": "epochs", "value": "published"}[kind] in checked.err


ALONE = "import os, sys; os.cpu_count = lambda: 1; from vlrb import cli; sys.exit(int(cli.run(sys.argv[1:])))"


def test_a_killed_run_goes_on(project: Any, bodies: Any) -> None:
    """Killed after an epoch: the next run starts at the last checkpoint, and chooses as an unbroken run does."""
    options = ["-p", "no:mlflow", *plugin(project)]
    file = project.experiment(tables(bodies, ["zooter"], learning_rate="1e-3", epochs="6", patience="6"))
    work = project.folder / ".vlrb-cache" / "work"
    with (project.folder / "told.txt").open("w") as told:
        command = [sys.executable, "-c", ALONE, *options, "run", str(file)]
        process = subprocess.Popen(command, cwd=project.folder, stdout=told, stderr=told)
        while process.poll() is None and not list(work.glob("*/router/checkpoints/epoch-*")):
            time.sleep(0.01)
        process.kill()
        process.wait()
    reached = max(int(f.name[-4:]) for f in work.glob("*/router/checkpoints/epoch-*"))
    assert 0 < reached < 6

    for more in ((), ("--fresh",)):
        ran = project.vlrb(*plugin(project), "run", *more, file)
        assert ran.status == 0, ran.err
    first, second = ([c["choices"] for c in r["cells"]] for r in project.results())
    assert first == second
    assert not list(work.glob("*"))
