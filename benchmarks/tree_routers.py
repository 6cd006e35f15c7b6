"""How long the tree routers take at the paper's size, against a plain loop over the library, in one run.

Usage: python benchmarks/tree_routers.py [LIBRARY [MODELS [THREADS [ROWS]]]]

LIBRARY is lightgbm (default), xgboost or both.  The paper's size is 17 models, 21,378 train, 3,054 dev and 6,108 test samples of
1,792 dense columns; with fewer models the times are those of so many.  The features are drawn: 30 directions carry all signal.
The plain loop trains the same boosters with the same parameters and the library's own early stopping on dev, binning the samples
anew for every model, as a script would.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from vlrb.api.images import Images, ImageStore
from vlrb.api.routing import Candidate, Column, CostBounds, Features, FitContext, Labelled, Queries
from vlrb_plugins.tree_routers.boosters import column_share
from vlrb_plugins.tree_routers.params import PARAMS, TreeParams
from vlrb_plugins.tree_routers.router import Trees

COLUMNS, TRAIN, DEV, TEST = 1792, 21_378, 3_054, 6_108


def draw(n: int, models: int, seed: int) -> Labelled:
    """Draw samples whose features and outcomes depend on 30 hidden numbers."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    mixing, skill = fixed.standard_normal((30, COLUMNS)), fixed.standard_normal((30, 17))[:, :models]
    hidden = rng.standard_normal((n, 30))
    matrix = (hidden @ mixing + 3 * rng.standard_normal((n, COLUMNS))).astype(np.float32)
    quality = rng.random((n, models)) < 1 / (1 + np.exp(-0.25 * hidden @ skill))
    cost = 1e-3 * rng.lognormal(0.3 * hidden @ skill, 0.3)
    candidates = tuple(Candidate(f"m{i}") for i in range(models))
    ids = [str(i) for i in range(n)]
    features = Features(matrix, tuple(Column(f"c/{i}") for i in range(COLUMNS)))
    queries = Queries(ids, ids, [()] * n, ids, Images(ImageStore([]), [()] * n, ids), candidates, features)
    return Labelled(queries, quality, quality.astype(float), cost)


def context(dev: Labelled, threads: int, folder: Path) -> FitContext:
    """Return what a fit needs; the selection metric is accuracy."""
    rows = np.arange(len(dev))
    return FitContext(
        candidates=dev.queries.candidates,
        bounds=CostBounds(1e-4, 1e-2),
        dev_score=lambda choices: float(dev.quality[rows, choices].mean()),
        rng=np.random.default_rng(0),
        seed=0,
        device="cpu",
        threads=threads,
        work_directory=folder,
        progress=lambda done, total: print(f"  {done}/{total}", file=sys.stderr, flush=True),
        log=lambda *_: None,
    )


def plain_lightgbm(train: Labelled, dev: Labelled, params: TreeParams, threads: int) -> list[int]:
    """Train with LightGBM as a script would; return the numbers of trees."""
    import lightgbm

    settings = {
        "objective": "binary",
        "verbosity": -1,
        "num_threads": threads,
        "learning_rate": params.learning_rate,
        "num_leaves": params.leaves,
        "min_data_in_leaf": params.min_leaf,
        "lambda_l2": params.l2,
        "feature_fraction": column_share(params, COLUMNS),
        "bagging_fraction": params.rows,
        "bagging_freq": 1,
        "max_bin": params.bins,
    }
    found = []
    for m in range(train.quality.shape[1]):
        rows = lightgbm.Dataset(matrix(train), train.quality[:, m].astype(float))
        valid = lightgbm.Dataset(matrix(dev), dev.quality[:, m].astype(float), reference=rows)
        stop = lightgbm.early_stopping(params.patience, verbose=False)
        found.append(lightgbm.train(settings, rows, params.rounds, valid_sets=[valid], callbacks=[stop]).best_iteration)
    return found


def plain_xgboost(train: Labelled, dev: Labelled, params: TreeParams, threads: int) -> list[int]:
    """Train with XGBoost as a script would; return the numbers of trees."""
    import xgboost

    settings = {
        "objective": "binary:logistic",
        "nthread": threads,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": params.leaves,
        "eta": params.learning_rate,
        "lambda": params.l2,
        "min_child_weight": params.min_leaf / 4,
        "colsample_bytree": column_share(params, COLUMNS),
        "subsample": params.rows,
        "max_bin": params.bins,
    }
    found = []
    for m in range(train.quality.shape[1]):
        rows = xgboost.QuantileDMatrix(matrix(train), train.quality[:, m], max_bin=params.bins, nthread=threads)
        valid = xgboost.QuantileDMatrix(matrix(dev), dev.quality[:, m], ref=rows, max_bin=params.bins, nthread=threads)
        booster = xgboost.train(
            settings,
            rows,
            params.rounds,
            evals=[(valid, "dev")],
            early_stopping_rounds=params.patience,
            verbose_eval=False,
        )
        found.append(int(booster.best_iteration) + 1)
    return found


PLAIN = {"lightgbm": plain_lightgbm, "xgboost": plain_xgboost}


def matrix(samples: Labelled) -> Any:
    """Return the features."""
    return samples.queries.features.matrix if samples.queries.features is not None else None


def timed(what: str, work: Any, against: float | None = None) -> tuple[float, Any]:
    """Do some work; print its seconds, and return those of CPU and the result."""
    began, used = time.perf_counter(), time.process_time()
    done = work()
    seconds, used = time.perf_counter() - began, time.process_time() - used
    ratio = f"   {used / against:.2f} x plain" if against else ""
    print(f"  {what:<44} {seconds:8.2f} s   {used:8.2f} s of CPU{ratio}", flush=True)
    return used, done


def measure(name: str, models: int, threads: int, rows: int, folder: Path) -> None:
    """Print the times of one library."""
    train, dev, test = draw(rows, models, 1), draw(DEV, models, 2), draw(TEST, models, 3)
    boosted, mean = PARAMS[name](), PARAMS[name](cost="mean")
    print(f"{name}: {rows:,} x {COLUMNS:,} x {models}, {threads} threads")
    plain, trees = timed("plain loop, chances only, binned per model", lambda: PLAIN[name](train, dev, mean, threads))
    print(f"    trees per model: {trees}")
    for params, what in ((mean, 'cost = "mean"'), (boosted, 'cost = "boosted", twice the boosters')):
        _, fitted = timed(
            f"fit, {what}", lambda p=params: Trees(p).fit(train, dev, context(dev, threads, folder)), plain
        )
        timed(f"route {TEST:,} samples", lambda f=fitted: f.route(test.queries))
        one = test.queries.take(np.array([0]))
        seconds, _ = timed("route one sample, 20 times", lambda f=fitted, q=one: [f.route(q) for _ in range(20)])
        print(f"    {1e3 * seconds / 20:.1f} ms of CPU per request")
    fitted.save(folder / name)
    size = sum(p.stat().st_size for p in (folder / name).iterdir())
    print(f"    saved: {size / 1e6:.1f} MB; shrinkage {fitted.shrinkage:g}, lambda {fitted.lambda_}")


def main() -> None:
    """Measure one library, or both."""
    given = [*sys.argv[1:], *("lightgbm", "17", "2", str(TRAIN))[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lightgbm", "xgboost") if given[0] == "both" else (given[0],):
            measure(name, int(given[1]), int(given[2]), int(given[3]), Path(folder))


if __name__ == "__main__":
    main()
