"""Promises of routers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial
from typing import Any

import attrs
import numpy as np

from vlrb.api import routing
from vlrb.api.frozen import Array
from vlrb.api.returned import check_saved, checked_choices, checked_estimate, checked_scores, plain_array
from vlrb.api.routing import Candidate, Features, Labelled, Queries
from vlrb.testing.common import add_calm, add_rowwise, refuse_other
from vlrb.testing.promises import NotPromised, Subject, Table, breach
from vlrb.testing.samples import make_context, make_labelled, writable
from vlrb.testing.surroundings import raised, untouched, without_pickle

TRAIN, DEV, ASKED = 96, 32, 40


@attrs.define(eq=False, slots=False)
class RouterSubject(Subject):
    """A router, data to fit it on, and its results on queries."""

    def part(self, count: int, seed: int, candidates: int = 3) -> Labelled:
        """Return made-up labelled queries, with features where the router needs them."""
        return _made(count, candidates, self.spec.needs_features, seed)

    @cached_property
    def train(self) -> Labelled:
        """Return what the router is fitted on."""
        return self.part(TRAIN, 1)

    @cached_property
    def dev(self) -> Labelled:
        """Return dev."""
        return self.part(DEV, 2)

    @cached_property
    def asked(self) -> Queries:
        """Return queries to route."""
        return self.part(ASKED, 3).queries

    def fit(self, train: Labelled | None = None, dev: Labelled | None = None, router: Any = None) -> Any:
        """Return a fitted router; a new one, fitted on the usual data, unless others are given."""
        train, dev = train or self.train, dev or self.dev
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        router = self.make("fit") if router is None else router
        fitted = router.fit(train, dev, make_context(dev, seed=7, work_directory=work))
        if not callable(getattr(fitted, "route", None)):
            breach(f"fit returned {type(fitted).__name__}, which has no method route()")
        for left in work.iterdir():  # the next fit is not to go on from there
            left.rename(self.folder / f"left-{time.monotonic_ns()}")
        return fitted

    @cached_property
    def fitted(self) -> Any:
        """Return a router fitted on the usual data."""
        return self.fit()

    @property
    def count(self) -> int:
        """Return the number of queries to route."""
        return len(self.asked)

    def of_rows(self, rows: Array) -> dict[str, Array]:
        """Return the router's results on some queries."""
        return self.results(self.fitted, self.asked.take(rows))

    def work(self) -> None:
        """Fit and route."""
        self.results(self.fitted, self.asked)

    def checked(self, fitted: Any, queries: Queries) -> Array:
        """Return checked choices."""
        return checked_choices(fitted.route(queries), len(queries), len(queries.candidates), self.who)

    def choices(self, fitted: Any, queries: Queries) -> Array:
        """Return unchecked choices."""
        return plain_array(fitted.route(queries), "what route returned", self.who)

    def results(self, fitted: Any, queries: Queries) -> dict[str, Array]:
        """Return choices, and scores and estimates if the router gives them."""
        found = {"route": self.choices(fitted, queries)}
        if isinstance(fitted, routing.WithScores):
            found["scores"] = np.asarray(fitted.scores(queries))
        if isinstance(fitted, routing.WithEstimate):
            estimate = fitted.estimate(queries)
            found |= {"p_correct": np.asarray(estimate.p_correct), "cost": np.asarray(estimate.cost)}
        return found


@cache
def _made(count: int, candidates: int, features: bool, seed: int) -> Labelled:
    return make_labelled(count, candidates=candidates, features=features or None, seed=seed)


ROUTER = Table("router", partial(RouterSubject.of, "router"))


@ROUTER.promise("return int[n], the number of a candidate (0 to k - 1) for each of the n queries")
def valid_choices(router: RouterSubject) -> None:
    """``route`` returns the number of a candidate for every query."""
    router.checked(router.fitted, router.asked)
    router.checked(router.fitted, router.train.queries)


@ROUTER.promise("let fit return a fitted object that routes, or raise in route() until fit has been called")
def raises_before_fit(router: RouterSubject) -> None:
    """A router that is not fitted does not route."""
    made = router.make("fit")
    if hasattr(made, "route") and raised(lambda: made.route(router.asked)) is None:
        breach("route() returned choices before fit()")


@ROUTER.promise("draw from context.rng, or from a generator seeded by context.seed, and from nothing else")
def same_seed_same_choices(router: RouterSubject) -> None:
    """Two fits with the same data and seed choose the same, and score and estimate the same."""
    refuse_other(
        router.results(router.fit(), router.asked), router.results(router.fit(), router.asked), "in another fit"
    )


@ROUTER.promise("keep what is learnt in the object that fit returns, and start from scratch in each fit")
def second_fit_forgets_the_first(router: RouterSubject) -> None:
    """A router that was first fitted on other data chooses as a new one does."""
    new, again = (router.choices(router.fit(), router.asked) for _ in range(2))
    if not np.array_equal(new, again):
        raise NotPromised("two new routers differ already")
    used = router.make("fit")
    other = router.part(TRAIN, 11)
    reversed_models = attrs.evolve(
        other, **{n: getattr(other, n)[:, ::-1].copy() for n in ("quality", "score", "cost")}
    )
    router.fit(reversed_models, router.part(DEV, 12), used)
    refuse_other(
        {"route": new}, {"route": router.choices(router.fit(router=used), router.asked)}, "after an earlier fit"
    )


ALONE = "let each query's choice depend on that query alone; what is to be learnt belongs to fit"
add_rowwise(ROUTER, "query", ALONE, tolerance=1e-5)


@ROUTER.promise("copy what you want to change: features.matrix.copy(), train.quality.copy(), list(queries.texts)")
def inputs_untouched(router: RouterSubject) -> None:
    """``fit`` and ``route`` change nothing that they are given."""
    train, dev, asked = (writable(value) for value in (router.train, router.dev, router.asked))
    with untouched(train=train, dev=dev, queries=asked):
        fitted = router.fit(train, dev)
        router.results(fitted, asked)


add_calm(ROUTER, "fitting and routing")


@ROUTER.promise("let it work with any number of candidates, including one")
def one_candidate(router: RouterSubject) -> None:
    """With one candidate, every query gets it."""
    fitted = router.fit(router.part(TRAIN, 1, candidates=1), router.part(DEV, 2, candidates=1))
    asked = router.part(ASKED, 3, candidates=1).queries
    router.checked(fitted, asked)


@ROUTER.promise("return an array of shape (0,) for no queries, and of shape (0, k) from scores and estimate")
def empty_batch(router: RouterSubject) -> None:
    """Without queries there are no choices."""
    nothing = router.asked.take(np.arange(0))
    choices = router.checked(router.fitted, nothing)
    if isinstance(router.fitted, routing.WithScores):
        checked_scores(router.fitted.scores(nothing), choices, nothing, router.who)
    if isinstance(router.fitted, routing.WithEstimate):
        checked_estimate(router.fitted.estimate(nothing), nothing, router.who)


@ROUTER.promise("expect empty texts, queries without images or options, candidates without prices, and NaN in features")
def missing_values(router: RouterSubject) -> None:
    """Queries without text, images, options or hints, features that are missing, and models without prices raise no error."""
    train, dev = (_with_gaps(part) for part in (router.train, router.dev))
    asked = _with_gaps(router.part(ASKED, 3)).queries
    router.choices(router.fitted, attrs.evolve(asked, candidates=router.asked.candidates))
    router.choices(router.fit(train, dev), asked)


def _with_gaps(labelled: Labelled) -> Labelled:
    """Return labelled queries of which half lack what may be missing, and whose models have no prices."""
    queries = labelled.queries
    n = len(queries)
    empty = np.arange(n) % 2 == 0
    hashes = [() if gap else h for gap, h in zip(empty, queries.images.hashes, strict=True)]
    features = queries.features
    if features is not None:
        gaps = empty[:, None] & np.array([c.may_be_missing for c in features.columns])
        features = Features(np.where(gaps, np.float32("nan"), features.matrix), features.columns)
    lacking = attrs.evolve(
        queries,
        texts=["" if gap else t for gap, t in zip(empty, queries.texts, strict=True)],
        options=[() if gap else o for gap, o in zip(empty, queries.options, strict=True)],
        images=attrs.evolve(queries.images, hashes=hashes),
        candidates=tuple(Candidate(c.name) for c in queries.candidates),
        features=features,
    )
    return attrs.evolve(labelled, queries=lacking)


@ROUTER.promise("write JSON, .npz or safetensors in save(directory), and name in RouterSpec(load=...) what reads them")
def saved_and_loaded(router: RouterSubject) -> None:
    """What ``save`` writes without pickle, ``load`` of the spec brings back: the same choices, scores and estimates."""
    if not callable(getattr(router.fitted, "save", None)):
        raise NotPromised("it has no method save()")
    if router.spec.load is None:
        breach("it has a method save(), but its spec has no load")
    expected = router.results(router.fitted, router.asked)
    target = router.folder / "saved"
    (target / "router").mkdir(parents=True)
    with without_pickle():
        router.fitted.save(target / "router")
        check_saved(target, router.who)
        loaded = router.spec.load(target / "router")
    refuse_other(expected, router.results(loaded, router.asked), "after save and load")


@ROUTER.promise("return finite floats [n, k] whose argmax is what route() chooses, as vlrb.lift_choices makes them")
def scores_agree(router: RouterSubject) -> None:
    """The highest of a query's ``scores`` is that of the model that ``route`` chooses."""
    if not isinstance(router.fitted, routing.WithScores):
        raise NotPromised("it has no method scores()")
    for queries in (router.asked, router.train.queries):
        checked_scores(router.fitted.scores(queries), router.choices(router.fitted, queries), queries, router.who)


@ROUTER.promise("choose by vlrb.decide(estimate, ...), or leave estimate() out where something else decides")
def estimate_agrees(router: RouterSubject) -> None:
    """No model is chosen if, by the router's own ``estimate``, another one is more likely to be right and cheaper."""
    if not isinstance(router.fitted, routing.WithEstimate):
        raise NotPromised("it has no method estimate()")
    for queries in (router.asked, router.train.queries):
        estimate = checked_estimate(router.fitted.estimate(queries), queries, router.who)
        p, cost = estimate.p_correct, estimate.cost
        for row, choice in enumerate(router.choices(router.fitted, queries).tolist()):
            better = np.flatnonzero((p[row] > p[row, choice]) & (cost[row] < cost[row, choice]))
            if better.size:
                found = f"P(correct) {p[row, better[0]]:.4g} and {p[row, choice]:.4g}"
                breach(
                    f"query {row} goes to model {choice}, though model {better[0]} is likelier right and cheaper: {found}"
                )


@ROUTER.promise("store nothing on the router in route(): use local variables")
def two_threads(router: RouterSubject) -> None:
    """``route`` may be called from two threads at once."""
    halves = [router.asked.take(np.arange(start, ASKED, 2)) for start in (0, 1)] * 4
    expected = [router.choices(router.fitted, half) for half in halves]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(partial(router.choices, router.fitted), halves))
    for before, now in zip(expected, found, strict=True):
        refuse_other({"route": before}, {"route": now}, "when two threads route")
