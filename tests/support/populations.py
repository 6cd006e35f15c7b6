"""A population with known values, from which tables of two equally good routers are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import small_metrics as small

from vlrb.api.routing import Undefined
from vlrb.api.statistics import Difference, Interval
from vlrb.evaluation.drawn_values import MeasuredMetric, Row, TestSet
from vlrb.evaluation.intervals import Settings, table_statistics

METRICS = [
    MeasuredMetric("accuracy", small.ACCURACY),
    MeasuredMetric("rank-score", small.RANK_SCORE),
    MeasuredMetric("paired-accuracy", small.ACCURACY, paired_binary=True),
]


@attrs.frozen
class Population:
    """Three datasets in which both routers are right with probability .5, .6 and .7, in groups of 1 to ``largest`` samples.

    In a group that probability is ``together`` higher or lower for both routers, and ``apart`` higher for one of them and as much
    lower for the other; its costs have a common factor.  So samples of a group are alike, and both routers have accuracy .6.
    """

    groups: int
    largest: int
    together: float
    apart: float

    def draw_table(self, rng: np.random.Generator) -> tuple[TestSet, list[Row]]:
        """Return test rows drawn from the population, and the two routers."""
        dataset = np.arange(self.groups) % 3
        sizes = rng.integers(1, self.largest + 1, self.groups)
        common = np.array([0.5, 0.6, 0.7])[dataset] + self.together * rng.choice([-1, 1], self.groups)
        ahead = self.apart * rng.choice([-1, 1], self.groups)
        factor = rng.lognormal(-0.125, 0.5, self.groups)
        group = np.repeat(np.arange(self.groups), sizes)
        chance = np.column_stack([common + ahead, common - ahead])[group]
        quality = rng.random(chance.shape) < chance
        cost = small.BOUNDS.low * 8 * factor[group, None] * rng.gamma(2, 0.5, chance.shape)
        outcomes = small.Outcomes(quality, quality * 1.0, cost)
        evaluations = [outcomes.evaluation(np.full(group.size, model)) for model in (0, 1)]
        test = small.make_test_set(group, np.array(["a", "b", "c"])[dataset][group])
        return test, [Row("base", True, [evaluations[:1]]), Row("router", True, [evaluations[1:]])]

    @property
    def truth(self) -> dict[str, float]:
        """The value of each metric in the population."""
        rank = float(small.RANK_SCORE.of_means({"right": np.array(0.6), "cost": np.array(8e-4)}, small.BOUNDS))
        return {"accuracy": 0.6, "rank-score": rank}


INDEPENDENT = Population(groups=600, largest=1, together=0.12, apart=0.15)
CLUSTERED = Population(groups=450, largest=8, together=0.12, apart=0.15)


@attrs.define
class Tally:
    """How often intervals held the truth and tests rejected the null hypothesis, which is true."""

    simulations: int = 0
    held: dict[str, int] = attrs.Factory(dict)
    rejected: dict[str, int] = attrs.Factory(dict)

    def add(self, rows: Sequence[tuple[str, Interval | Undefined, float]], tests: dict[str, Difference]) -> None:
        self.simulations += 1
        for name, interval, truth in rows:
            holds = isinstance(interval, Interval) and interval.low <= truth <= interval.high
            self.held[name] = self.held.get(name, 0) + holds
        for name, difference in tests.items():
            rejects = not isinstance(difference.p, Undefined) and difference.p <= 0.05
            self.rejected[name] = self.rejected.get(name, 0) + rejects

    def shares(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the coverage of each interval and the rejection rate of each test."""
        one, two = ({k: v / self.simulations for k, v in counts.items()} for counts in (self.held, self.rejected))
        return one, two


def simulate(population: Population, simulations: int, draws: int, seed: int, ignore_groups: bool = False) -> Tally:
    """Draw tables from a population and compare the routers of each.

    :param ignore_groups: take every sample for a group of its own, as a plain bootstrap does
    """
    tally, truth = Tally(), population.truth
    for source in np.random.SeedSequence(seed).spawn(simulations):
        rng = np.random.default_rng(source)
        test, rows = population.draw_table(rng)
        if ignore_groups:
            test = attrs.evolve(test, groups=np.arange(test.groups.size))
        settings = Settings(("base",), "accuracy", draws=draws, seed=int(rng.integers(2**31)))
        found = table_statistics([test], rows, METRICS, settings).rows["router"]
        against = found.against["base"]
        intervals = [(name, found.intervals["overall"][name], truth[name]) for name in truth]
        intervals.append(("difference of accuracies", against["accuracy"].interval, 0.0))
        intervals.append(("difference of rank scores", against["rank-score"].interval, 0.0))
        tests = {f"{against[n].test} of {n}": against[n] for n in ("accuracy", "rank-score", "paired-accuracy")}
        tally.add(intervals, tests)
    return tally
