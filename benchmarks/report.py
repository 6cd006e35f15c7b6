"""How long the page of a run takes, with and without its figures, and how large it is: of a run that has finished.

Usage: python benchmarks/report.py RUN [ROUNDS]

RUN is the folder of a run; one of the paper's size is made by `vlrb run` with `[logs] use = "demo"`, `samples = 30540`.  Images
are those of the cache that VLRB_CACHE names.  What is compared takes turns, after a first round that does not count: it imports
matplotlib.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from vlrb.experiment.plan import ConfiguredComponent
from vlrb.plugins.discovery import load
from vlrb.plugins.plugin import Selection
from vlrb.running.finished import FinishedRun
from vlrb.storage import Places

FORMS = {"whole page": {}, "without figures": {"figures": ()}, "without samples": {"samples": 0}}


def main() -> None:
    """Print the median time of each form of the page, its ratio to the page without figures, and its size."""
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    registry = load(Selection.of(()))
    found = registry.find("reporter", "reports/html")
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    sizes = {}
    for _ in range(rounds + 1):
        for form, changed in FORMS.items():
            report = ConfiguredComponent("reporter", found, found.record.params(**changed)).make("__call__")
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                report(FinishedRun.read(Path(sys.argv[1]), Places.of(None, None).cache, registry), Path(folder))
                times[form].append(time.perf_counter() - began)
                sizes[form] = next(Path(folder).rglob("report.html")).stat().st_size
    bare = statistics.median(times["without figures"][1:])
    for form, values in times.items():
        middle = statistics.median(values[1:])
        print(f"{form:<16} {middle:6.2f} s  {middle / bare:5.1f} x without figures  {sizes[form] / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
