"""How long the feature-level routers take, against the bare products they rest on, in one run, and the memory they need.

Usage: python benchmarks/feature_routers.py [ROUNDS [PART ...]]

PART is any of: neighbours latency ovr solvers mlp memory (all of them unless named).  The data is made: clusters of feature
vectors in the size of VL-RouterBench (21,378 train and 6,108 test samples, 1,792 features, 17 models).  What is compared takes
turns; the median counts.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vlrb.api.images import Images, ImageStore
from vlrb.api.routing import Candidate, Column, CostBounds, Features, FitContext, Labelled, Queries
from vlrb.api.targets import soft_targets
from vlrb_plugins.feature_routers import kmeans, knn, linear, mlp, neighbours, ovr, params, prknn
from vlrb_plugins.feature_routers.rules import RULES
from vlrb_plugins.feature_routers.scaling import ZScore, unit

TRAIN, TEST, WIDTH, MODELS, CLUSTERS, NOISE = 21_378, 6_108, 1_792, 17, 40, (0.8, 8.0)
THREADS = 2

Cases = dict[str, Callable[[], Any]]


# --- data ---------------------------------------------------------------------------------------------------------------


def arrays(noise: float) -> dict[str, Any]:
    """Return features (rows of length 1), quality and cost of train and test samples."""
    rng = np.random.default_rng(0)
    n = TRAIN + TEST
    centres = rng.standard_normal((CLUSTERS, WIDTH), dtype=np.float32)
    label = rng.integers(CLUSTERS, size=n)
    features = rng.standard_normal((n, WIDTH), dtype=np.float32)
    features *= noise
    features += centres[label]
    ability = rng.uniform(0.2, 0.95, (CLUSTERS, MODELS))
    quality = rng.random((n, MODELS)) < ability[label]
    cost = np.exp(rng.normal(-8, 1.2, MODELS)) * np.exp(0.3 * rng.standard_normal((n, MODELS)))
    return {"features": unit(features), "quality": quality, "cost": cost}


def labelled(made: dict[str, Any], rows: slice) -> Labelled:
    """Return some of the samples."""
    matrix = made["features"][rows]
    n = len(matrix)
    columns = tuple(Column(str(i)) for i in range(matrix.shape[1]))
    candidates = tuple(Candidate(f"m{i}") for i in range(MODELS))
    ids = [str(i) for i in range(n)]
    images = Images(ImageStore([]), [()] * n, ids)
    queries = Queries(ids, [""] * n, [()] * n, [""] * n, images, candidates, Features(matrix, columns))
    return Labelled(queries, made["quality"][rows], made["quality"][rows].astype(float), made["cost"][rows])


def samples(noise: float) -> tuple[Labelled, Labelled]:
    """Return train and test samples."""
    made = arrays(noise)
    return labelled(made, slice(0, TRAIN)), labelled(made, slice(TRAIN, None))


def context(dev: Labelled) -> FitContext:
    """Return a context whose dev score is the accuracy."""
    rows = np.arange(len(dev))
    return FitContext(
        candidates=dev.queries.candidates,
        bounds=CostBounds(1e-5, 1e-2),
        dev_score=lambda choices: float(dev.quality[rows, choices].mean()),
        rng=np.random.default_rng(0),
        seed=0,
        device="cpu",
        threads=THREADS,
        work_directory=Path(),
        progress=lambda done, total: None,  # noqa: ARG005
        log=lambda step, values: None,  # noqa: ARG005
    )


def anew(queries: Queries, rows: slice = slice(None)) -> Queries:
    """Return the queries as no router has seen them."""
    assert queries.features is not None
    index = np.arange(len(queries))[rows]
    return queries.take(index)


# --- measuring ----------------------------------------------------------------------------------------------------------


def seconds(cases: Cases, rounds: int, repeats: int = 1) -> dict[str, float]:
    """Return the median time of each case; the cases take turns."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            began = time.perf_counter()
            for _ in range(repeats):
                case()
            times[name].append((time.perf_counter() - began) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, medians: dict[str, float], base: str, notes: dict[str, str] | None = None) -> None:
    """Print medians and their ratios to the case ``base``."""
    print(f"\n{title}")
    for name, value in medians.items():
        note = (notes or {}).get(name, "")
        print(f"  {name:<44} {1000 * value:11.1f} ms  {value / medians[base]:6.2f} x {base}  {note}", flush=True)


def neighbours_part(rounds: int) -> None:
    """Compare knn and prknn with the product of the queries and the train rows, in the same blocks."""
    train, test = samples(NOISE[0])
    fitted = knn.Knn(params.KnnParams()).fit(train, train, context(train))
    pairwise = prknn.Prknn(params.PrknnParams()).fit(train, train, context(train))
    majority = prknn.Prknn(params.PrknnParams(rule="majority")).fit(train, train, context(train))
    uniform = knn.Knn(params.KnnParams(weights="uniform")).fit(train, train, context(train))
    index = fitted.index
    assert test.queries.features is not None
    asked = unit(index.scaler.apply(test.queries.features.matrix))
    step = neighbours.BLOCK_FLOATS // len(index.rows)

    def bare() -> None:
        for start in range(0, len(asked), step):
            asked[start : start + step] @ index.rows.T

    def plain() -> None:
        for start in range(0, len(asked), step):
            closeness = asked[start : start + step] @ index.rows.T
            np.argpartition(closeness, len(index.rows) - 5, axis=1)

    shared = anew(test.queries)
    fitted.route(shared)
    cases: Cases = {
        "bare product": bare,
        "bare product, argpartition": plain,
        "knn": lambda: fitted.route(anew(test.queries)),
        "prknn": lambda: pairwise.route(anew(test.queries)),
        "knn, uniform (ties)": lambda: uniform.route(anew(test.queries)),
        "prknn, majority": lambda: majority.route(anew(test.queries)),
        "prknn after knn": lambda: pairwise.route(shared),
    }
    title = f"{TEST:,} queries, {len(index.rows):,} train rows (taking the queries again is part of it)"
    table(title, seconds(cases, rounds), "bare product")


def latency_part(rounds: int) -> None:
    """Time requests of 1 and 16 queries against the same product."""
    train, test = samples(NOISE[0])
    fitted = {
        "knn": knn.Knn(params.KnnParams()).fit(train, train, context(train)),
        "prknn": prknn.Prknn(params.PrknnParams()).fit(train, train, context(train)),
        "kmeans": kmeans.Kmeans(params.KmeansParams()).fit(train, train, context(train)),
        "ovr": ovr.Ovr(params.OvrParams(max_iter=3)).fit(train, train, context(train)),
        "linear": linear.Linear(params.LinearParams(max_iter=3)).fit(train, train, context(train)),
    }
    rows = fitted["knn"].index.rows
    assert test.queries.features is not None
    for size in (1, 16):
        block = np.ascontiguousarray(test.queries.features.matrix[:size])

        def bare(block: Any = block) -> None:
            block @ rows.T

        cases: Cases = {"bare product": bare}
        for name, router in fitted.items():
            part = slice(0, size)
            cases[name] = lambda router=router, part=part: router.route(anew(test.queries, part))
        table(f"batch of {size}", seconds(cases, rounds, repeats=10), "bare product")


def ovr_part(rounds: int) -> None:
    """Fit 17 heads at once, and one by one with scikit-learn, on the same scaled rows."""
    for noise in NOISE:
        _heads(noise, rounds)


def _heads(noise: float, rounds: int) -> None:
    """Time scikit-learn's fits by one head a round, and fit the other heads for the decisions only."""
    from sklearn.linear_model import LogisticRegression

    train, test = samples(noise)
    scaler = ZScore.fit(_matrix(train), np.arange(TRAIN))
    matrix, asked, right = scaler.apply(_matrix(train)), scaler.apply(_matrix(test)), train.quality.astype(np.float64)
    tolerances = {f"17 x scikit-learn, tol {t:g}": t for t in (1e-4, 1e-6)}
    scores = {name: np.empty((TEST, MODELS)) for name in tolerances}
    waiting = {name: list(range(MODELS)) for name in tolerances}

    def ours(tolerance: float = 1e-5) -> Any:
        balanced = params.OvrParams(variant="reference", tolerance=tolerance)
        weights, intercepts = ovr.Ovr(balanced)._solve(matrix, right, context(train))
        return asked @ weights + intercepts

    def theirs(name: str) -> None:
        head = waiting[name].pop() if waiting[name] else 0
        model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000, tol=tolerances[name])
        scores[name][:, head] = model.fit(matrix, right[:, head]).decision_function(asked)

    cases: Cases = {"ovr, 17 heads": ours} | {n: (lambda n=n: theirs(n)) for n in tolerances}
    medians = {n: t * (MODELS if n in tolerances else 1) for n, t in seconds(cases, rounds).items()}
    exact, notes = ours(1e-7).argmax(axis=1), {}
    scores["ovr, 17 heads"] = ours()
    for name in medians:
        while waiting.get(name):
            theirs(name)
        same = (scores[name].argmax(axis=1) == exact).mean()
        notes[name] = f"{same:.2%} of {TEST:,} decisions as at tolerance 1e-7"
    table(f"noise {noise} (scikit-learn: one head a round, times 17)", medians, "ovr, 17 heads", notes)


def _matrix(data: Labelled) -> Any:
    assert data.queries.features is not None
    return data.queries.features.matrix


def solvers_part(rounds: int) -> None:
    """Time the fits of kmeans and linear, and their routing of all test queries."""
    train, test = samples(NOISE[0])
    routers = dict(_solvers())
    fitted: dict[str, Any] = {}

    def fit(name: str) -> None:
        fitted[name] = routers[name].fit(train, test, context(test))

    product = _matrix(train)
    weights = np.ones((WIDTH, MODELS), np.float32)
    cases: Cases = {"product with 17 columns": lambda: product @ weights}
    cases |= {f"fit {name}": (lambda name=name: fit(name)) for name in routers}
    table("fits", seconds(cases, rounds), "product with 17 columns")
    product = _matrix(test)
    cases = {"product with 17 columns": lambda: product @ weights}
    cases |= {f"route {name}": (lambda f=f: f.route(test.queries)) for name, f in fitted.items()}
    table(f"{TEST:,} queries", seconds(cases, max(3, rounds)), "product with 17 columns")


def _solvers() -> Iterator[tuple[str, Any]]:
    yield "kmeans, reference", kmeans.Kmeans(params.KmeansParams(variant="reference"))
    for rule in RULES:
        yield f"kmeans, {rule}", kmeans.Kmeans(params.KmeansParams(rule=rule))  # type: ignore[arg-type]
    yield "linear", linear.Linear(params.LinearParams())
    yield "linear, lambda 100", linear.Linear(params.LinearParams(lambda_=100.0))
    yield "linear, reference", linear.Linear(params.LinearParams(variant="reference"))
    yield (
        "linear, reference, 200 epochs",
        linear.Linear(params.LinearParams(variant="reference", early_stopping=False)),
    )


def mlp_part(rounds: int, epochs: int = 1) -> None:
    """Train the paper's MLP, and a bare torch loop of the same size."""
    import torch

    torch.set_num_threads(THREADS)
    train, _ = samples(NOISE[0])
    matrix = torch.from_numpy(ZScore.fit(_matrix(train), np.arange(TRAIN)).apply(_matrix(train)))
    goals = torch.from_numpy(soft_targets(train.quality, train.cost, 10.0).astype(np.float32))

    def bare() -> None:
        sizes = (WIDTH, 2048, 1024)
        layers = [m for a, b in itertools.pairwise(sizes) for m in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        model = torch.nn.Sequential(*layers, torch.nn.Linear(1024, MODELS))
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
        for _ in range(epochs):
            for rows in torch.split(torch.randperm(TRAIN), 1024):
                optimiser.zero_grad()
                loss = -(goals[rows] * torch.log_softmax(model(matrix[rows]), dim=1)).sum(dim=1).mean()
                loss.backward()
                optimiser.step()

    def ours(early_stopping: bool) -> None:
        chosen = params.MlpParams(lambda_=10.0, max_iter=epochs, early_stopping=early_stopping)
        mlp.Mlp(chosen).fit(train, train_part, context(train_part))

    train_part = labelled(arrays(NOISE[0]), slice(0, 3054))
    cases: Cases = {"bare torch loop": bare, "mlp": lambda: ours(False), "mlp, dev score": lambda: ours(True)}
    table(f"{epochs} epochs, scaling included in mlp's", seconds(cases, rounds), "bare torch loop")


# --- memory ---------------------------------------------------------------------------------------------------------------


def memory_part() -> None:
    """Print what each router adds to the peak memory of a process that holds the data (fit, and routing of all test queries)."""
    print("\npeak memory above the data")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in arrays(NOISE[0]).items():
            np.save(Path(folder) / f"{name}.npy", value)
        for name in ("knn", "prknn", "ovr", "kmeans", "kmeans, avengers", "linear", "linear, reference", "mlp"):
            command = [sys.executable, __file__, "--peak", folder, name]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(out)
            print(f"  {name:<44} {found['more']:8.2f} GB above {found['data']:.2f} GB", flush=True)


def peak(folder: Path, name: str) -> None:
    """Fit and route in this process, and print the growth of its peak."""
    made = {k: np.load(folder / f"{k}.npy") for k in ("features", "quality", "cost")}
    train, test = labelled(made, slice(0, TRAIN)), labelled(made, slice(TRAIN, None))
    if name == "mlp":
        import torch  # noqa: F401  its own size is not the router's
    router, _, kind = name.partition(", ")
    chosen: dict[str, Any] = {
        "knn": lambda: knn.Knn(params.KnnParams()),
        "prknn": lambda: prknn.Prknn(params.PrknnParams()),
        "ovr": lambda: ovr.Ovr(params.OvrParams(max_iter=20)),
        "kmeans": lambda: kmeans.Kmeans(params.KmeansParams(rule=kind or "best-accuracy", n_init=1)),  # type: ignore[arg-type]
        "linear": lambda: linear.Linear(params.LinearParams(variant=kind or "published", max_iter=20)),  # type: ignore[arg-type]
        "mlp": lambda: mlp.Mlp(params.MlpParams(max_iter=1)),
    }
    before = _most()
    chosen[router]().fit(train, test, context(test)).route(test.queries)
    print(json.dumps({"data": before, "more": _most() - before}))


def _most() -> float:
    """Return the largest memory of this process so far, in GB (getrusage would count that of the process it came from)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(x.split()[1] for x in lines if x.startswith("VmHWM"))) / 1024**2


def main() -> None:
    """Run the parts that are named."""
    if sys.argv[1:2] == ["--peak"]:
        peak(Path(sys.argv[2]), sys.argv[3])
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    parts: dict[str, Callable[[], None]] = {
        "neighbours": lambda: neighbours_part(rounds),
        "latency": lambda: latency_part(max(5, rounds)),
        "ovr": lambda: ovr_part(rounds),
        "solvers": lambda: solvers_part(rounds),
        "mlp": lambda: mlp_part(rounds),
        "memory": memory_part,
    }
    warnings.simplefilter("ignore")
    for name in sys.argv[2:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
