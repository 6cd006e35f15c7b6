"""How often 95 % intervals hold the truth, and how often tests at 5 % reject a true null hypothesis, by simulation.

Usage: python benchmarks/interval_coverage.py [SIMULATIONS] [DRAWS]

Tables of two equally good routers are drawn from a known population (tests/support/populations.py): 600 independent samples, or
450 image groups of 1 to 8 samples that are alike, in three datasets each.  A plain bootstrap, which ignores the groups, must fail
on the latter.
"""

from __future__ import annotations

import concurrent.futures
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from populations import CLUSTERED, INDEPENDENT, Population, Tally, simulate

CASES: dict[str, tuple[Population, bool]] = {
    "independent samples": (INDEPENDENT, False),
    "clustered samples": (CLUSTERED, False),
    "clustered samples, groups ignored": (CLUSTERED, True),
}
COVERAGE, REJECTION, EXACT = (0.935, 0.965), (0.035, 0.065), (0.0, 0.065)
PROCESSES = 2


def simulate_in_parts(population: Population, simulations: int, draws: int, ignore_groups: bool) -> Tally:
    """Return the tally of simulations that are divided among processes."""
    share = simulations // PROCESSES
    with concurrent.futures.ProcessPoolExecutor(PROCESSES) as pool:
        parts = [pool.submit(simulate, population, share, draws, seed, ignore_groups) for seed in range(PROCESSES)]
        tallies = [p.result() for p in parts]
    whole = Tally(sum(t.simulations for t in tallies))
    for name in ("held", "rejected"):
        counts = [getattr(t, name) for t in tallies]
        setattr(whole, name, {k: sum(c.get(k, 0) for c in counts) for k in counts[0]})
    return whole


def main() -> None:
    """Print every share with its standard error and whether it is in its bounds; exit with 1 where one is not as it must be.

    Intervals and bootstrap tests that ignore the groups of clustered samples must be outside.
    """
    wrong = 0
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    for case, (population, ignore_groups) in CASES.items():
        began = time.perf_counter()
        tally = simulate_in_parts(population, simulations, draws, ignore_groups)
        held, rejected = tally.shares()
        print(f"{case}: {tally.simulations:,} simulations, {draws:,} draws, {time.perf_counter() - began:.0f} s")
        for what, shares in (("interval holds the truth", held), ("test rejects", rejected)):
            for name, share in shares.items():
                low, high = COVERAGE if shares is held else EXACT if name.startswith("mcnemar") else REJECTION
                error = math.sqrt(share * (1 - share) / tally.simulations)
                inside = "in" if low <= share <= high else "OUTSIDE"
                wrong += inside == ("in" if ignore_groups and not name.startswith("mcnemar") else "OUTSIDE")
                print(f"  {what}: {name:<30} {share:6.1%} ± {error:.1%}, {inside} {low:.1%} to {high:.1%}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
