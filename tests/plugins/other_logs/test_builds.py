"""Benchmarks built from logs of other harnesses, by the experiment files of docs/other-logs.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vlrb

PAGE = Path(__file__).parents[3] / "docs" / "other-logs.md"
EXAMPLES = {
    match["name"]: match[0][len("```toml\n") : -len("```")]
    for match in re.finditer(r'```toml\nname = "(?P<name>[\w-]+)"\n.*?```', PAGE.read_text(encoding="utf-8"), re.DOTALL)
}
SMALL, LARGE = "7b", "70b"
N = 60


def experiment(project: Any, logs: Any, name: str) -> Path:
    """Write an example of the page, and let the logs stand where it looks for them."""
    logs.path = project.folder / "logs"
    logs.path.mkdir()
    return Path(project.file('requires = []\nplugins = ["tiny.py"]\n' + EXAMPLES[name]))


def right(model: str, i: int) -> bool:
    """Tell whether a model answers a question rightly."""
    return i % 4 > 0 if model == LARGE else i % 2 > 0


EXPECTED = np.array([[right(m, i) for m in (SMALL, LARGE)] for i in range(N)])


def check(project: Any, file: Path, keys: str, cost: float) -> Any:
    """Check an experiment by the command line, build it, and compare scores and the small model's cost."""
    shown = project.vlrb("check", file)
    assert shown.status == 0, shown.err
    built = vlrb.load_benchmark(file, cache=project.folder / "cache", plugins=["no:mlflow"])
    assert sorted(built.ids) == sorted(keys.format(i) for i in range(N))
    order = [built.ids.index(keys.format(i)) for i in range(N)]
    columns = [next(j for j, c in enumerate(built.candidates) if c.name.endswith(f"-{m}")) for m in (SMALL, LARGE)]
    np.testing.assert_array_equal(built.score[order][:, columns], EXPECTED)
    if cost:
        np.testing.assert_allclose(built.cost[order][:, columns[0]], cost)
    return built


def test_lmms_eval(project: Any, logs: Any) -> None:
    """The log's own tokens times the prices; images by doc_id."""
    file = experiment(project, logs, "lmms-eval-logs")
    for model in (SMALL, LARGE):
        lines = [logs.lmms_line(i, anls=float(right(model, i))) for i in range(N)]
        logs.jsonl(f"org__model-{model}/20260901_120000_samples_docvqa_val.jsonl", lines)
    figures = project.folder / "figures" / "docvqa_val"
    figures.mkdir(parents=True)
    for i in range(N):
        (figures / f"{i}.png").write_bytes(logs.png(i))
    built = check(project, file, "docvqa_val/{}", 312 * 0.2e-6)
    assert all(len(h) == 1 for h in built.image_hashes)


def test_lm_eval(project: Any, logs: Any) -> None:
    """The counter counts the texts, since the log has no tokens; another task is passed over."""
    file = experiment(project, logs, "lm-eval-logs")
    for model in (SMALL, LARGE):
        lines = [
            logs.line(i, exact_match=float(r), filter=f)
            for i in range(N)
            for f, r in (("strict-match", False), ("flexible-extract", right(model, i)))
        ]
        logs.lm_eval(lines, model=f"org__model-{model}", task="gsm8k")
        logs.lm_eval([logs.line()], model=f"org__model-{model}", task="another")
    built = check(project, file, "gsm8k/{}", 0)
    assert (built.input_tokens > 0).all()
    assert (built.output_tokens > 0).all()


def test_inspect(project: Any, logs: Any) -> None:
    """Tokens, groups by a field of the metadata, and images as base64."""
    file = experiment(project, logs, "inspect-logs")
    for model in (SMALL, LARGE):
        name, samples = f"openai/model-{model}", []
        for i in range(N):
            parts = [{"type": "text", "text": f"{i}?"}, {"type": "image", "image": logs.data_uri(i)}]
            more = {"input": [{"role": "user", "content": parts}], "metadata": {"figure": f"f{i // 2}"}}
            scores = {"match": {"value": "C" if right(model, i) else "I"}}
            samples.append(logs.sample(i, scores=scores, **more))
            samples[-1]["model_usage"] = {name: samples[-1]["output"]["usage"]}
        logs.inspect(samples, model=name, head={"task": "my_charts"})
    built = check(project, file, "my_charts/{}", 317 * 0.2e-6)
    assert len(set(built.image_hashes)) == N


@pytest.mark.parametrize("pickles_only", [True, False])
def test_exec_router_bench(project: Any, logs: Any, pickles_only: bool) -> None:
    """The layout of SCOPE's benchmark, with questions without images, given splits, and files that are not read."""
    file = experiment(project, logs, "exec-router-bench")
    root = project.folder / "VLM-ExecRouterBench"
    ids = [f"{('ChartQA', 'MBPP')[i % 2]}/{i}" for i in range(N)]
    for folder in ("data/matrices", "data/registry", "BENCHMARKS/agentic", "BENCHMARKS/code", "SPLITS", "config"):
        (root / folder).mkdir(parents=True)
    matrices = root / "data" / "matrices"
    np.savez_compressed(matrices / "Y.npz", Y=EXPECTED.astype(np.int8))
    np.save(matrices / "C.npy", np.tile(np.float32([0.001, 0.25]), (N, 1)))
    lists = {"sample_ids": ids, "model_names": ["org/model-7b", "org/model-70b"]}
    for name, listed in lists.items():
        (matrices / f"{name}.pkl").write_bytes(b"never read")
        if not pickles_only:
            (matrices / f"{name}.json").write_text(json.dumps(listed), encoding="utf-8")
    splits = ["train"] * 40 + ["dev"] * 10 + ["test"] * 10
    sets = [i.partition("/")[0] for i in ids]
    meta = pa.table({"sample_id": ids, "dataset": sets, "split": splits, "task": ["x"] * N})
    pq.write_table(meta, root / "data" / "registry" / "meta.parquet")
    for name in ("train", "dev", "test"):
        lines = (json.dumps({"sample_id": i}) for i, s in zip(ids, splits, strict=True) if s == name)
        (root / "SPLITS" / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (root / "figure.png").write_bytes(logs.png())
    for task, dataset, assets in (
        ("agentic", "ChartQA", [{"type": "image", "uri": "figure.png"}]),
        ("code", "MBPP", []),
    ):
        rows = [
            {"sample_id": i, "dataset": dataset, "prompt": f"Do {i}.", "assets": assets, "modality": ["text"]}
            for i in ids
        ]
        text = "".join(json.dumps(r) + "\n" for r in rows if r["sample_id"].startswith(dataset))
        (root / "BENCHMARKS" / task / f"{dataset.lower()}_samples.jsonl").write_text(text, encoding="utf-8")
    (root / "BENCHMARKS" / "ChartQA.tsv").write_text("index\timage\n", encoding="utf-8")
    (root / "config" / "pricing.yaml").write_text("pricing: {}\n", encoding="utf-8")
    shown = project.vlrb("check", file)
    if pickles_only:
        assert shown.status == 4
        assert shown.err.count("convert it yourself") == 2
        return
    assert shown.status == 0, shown.err
    built = vlrb.load_benchmark(file, cache=project.folder / "cache", plugins=["no:mlflow"])
    assert {c.name for c in built.candidates} == {"org/model-7b", "org/model-70b"}
    assert built.quality.sum() == EXPECTED.sum()
    assert sum(len(h) for h in built.image_hashes) == N // 2


def test_likelihoods_cannot_be_priced(project: Any, logs: Any) -> None:
    """A task that compares likelihoods has no text to count tokens of: an error, never an answer that costs nothing."""
    file = experiment(project, logs, "lm-eval-logs")
    text = file.read_text(encoding="utf-8").replace('filter = "flexible-extract"', 'prediction = ""')
    for model in (SMALL, LARGE):
        logs.lm_eval([logs.line(i, exact_match=1.0) for i in range(N)], model=f"org__model-{model}", task="gsm8k")
    shown = project.vlrb("build", project.file(text))
    assert shown.status == 4
    assert "tokens" in shown.err, shown.err
