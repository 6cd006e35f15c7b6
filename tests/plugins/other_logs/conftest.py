"""Small logs in the forms of lmms-eval, lm-evaluation-harness and inspect_ai, written on the spot, and what the sources read."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from batches import check_batch
from PIL import Image

from vlrb.api.logs import Catalog
from vlrb.api.records import Dataset, Model
from vlrb.errors import DataError
from vlrb_plugins.other_logs.harness import LmEvalSource, LmmsEvalSource
from vlrb_plugins.other_logs.inspect_log import InspectSource
from vlrb_plugins.other_logs.params import (
    InspectParams,
    InspectTask,
    LmEvalParams,
    LmEvalTask,
    LmmsEvalParams,
    LmmsEvalTask,
)

CATALOG = Catalog(
    (Dataset(name="Charts", group="charts-ocr", aliases=("charts_test",)),),
    (Model(name="large", aliases=("org__large", "org/large")), Model(name="small")),
)
DATE = "2026-09-01T12-00-00.123456"


def png(number: int = 0) -> bytes:
    """Return a small image, different for every number."""
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (number % 256, 10, 20)).save(file, "PNG")
    return file.getvalue()


def data_uri(number: int = 0) -> str:
    """Return an image as inspect_ai logs it."""
    return f"data:image/png;base64,{base64.b64encode(png(number)).decode()}"


class Logs:
    """A folder of logs, and what a source reads from it."""

    catalog = CATALOG
    png = staticmethod(png)
    data_uri = staticmethod(data_uri)

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- lm-evaluation-harness and lmms-eval --------------------------------------------------------------------------

    @staticmethod
    def line(doc_id: Any = 0, **more: Any) -> dict[str, Any]:
        """Return a line of lm-evaluation-harness, whose question and options are in doc."""
        doc = {"question": f"Question {doc_id}?", "choices": ["a cat", "a dog"], "figure": f"f{doc_id}"}
        arguments = {"gen_args_0": {"arg_0": f"Answer. Question {doc_id}?", "arg_1": {"until": ["\n"]}}}
        texts = {"target": "B", "resps": [["B, of course"]], "filtered_resps": ["B"]}
        about = {"filter": "none", "metrics": ["acc", "f1"], "doc_hash": "d", "prompt_hash": "p", "target_hash": "t"}
        return {"doc_id": doc_id, "doc": doc, "arguments": arguments, **texts, **about, "acc": 1.0, "f1": 0.5} | more

    @staticmethod
    def lmms_line(doc_id: Any = 0, **more: Any) -> dict[str, Any]:
        """Return a line of lmms-eval, which drops doc and flattens lists of one."""
        texts = {"input": f"Question {doc_id}?", "target": "B", "filtered_resps": "B"}
        counts = [{"input_tokens": 310, "output_tokens": 2}]
        return {"doc_id": doc_id, **texts, "token_counts": counts, "doc_hash": "d", "anls": {"score": 0.25}} | more

    def jsonl(self, name: str, lines: Sequence[Mapping[str, Any] | str]) -> Path:
        """Write lines; a text is a line as it stands."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines]
        path.write_text("".join(f"{t}\n" for t in texts), encoding="utf-8")
        return path

    def lm_eval(self, lines: Sequence[Any], model: str = "org__large", task: str = "charts_test") -> Path:
        """Write a file of lm-evaluation-harness."""
        return self.jsonl(f"{model}/samples_{task}_{DATE}.jsonl", lines)

    def lmms_eval(self, lines: Sequence[Any], model: str = "org__large", date: str = "20260901_120000") -> Path:
        """Write a file of lmms-eval."""
        return self.jsonl(f"{model}/{date}_samples_charts_test.jsonl", lines)

    # --- inspect_ai ---------------------------------------------------------------------------------------------------

    @staticmethod
    def sample(number: Any = 1, **more: Any) -> dict[str, Any]:
        """Return a sample of inspect_ai."""
        message = {"role": "assistant", "content": "B, of course", "source": "generate"}
        usage = {"input_tokens": 300, "output_tokens": 7, "total_tokens": 317, "input_tokens_cache_read": 10}
        output = {"model": "large-1", "choices": [{"message": message, "stop_reason": "stop"}], "usage": usage}
        texts = {"id": number, "epoch": 1, "input": f"Question {number}?", "target": "B"}
        rest = {"messages": [], "metadata": {"figure": f"f{number}"}, "attachments": {}, "events": [{"deep": [1, {}]}]}
        scores = {"match": {"value": "C", "answer": "B"}, "rubric": {"value": {"right": 1, "style": 3.0}}}
        return {**texts, "output": output, "scores": scores, "model_usage": {"org/large": usage}, **rest} | more

    def inspect(
        self, samples: Sequence[Any], model: str = "org/large", name: str = "", head: Any = None, **more: Any
    ) -> Path:
        """Write a log of inspect_ai; ``more`` changes its members, ``head`` those of eval."""
        about = {"task": "charts_test", "model": model, "created": "2026-09-01T12:00:00+02:00"} | (head or {})
        members = {"version": 2, "status": "success", "eval": about, "plan": {}, "stats": {}, "samples": samples}
        path = self.path / (name or f"{model.replace('/', '_')}.json")
        path.write_text(json.dumps(members | more, ensure_ascii=False, indent=1), encoding="utf-8")
        return path

    # --- reading ------------------------------------------------------------------------------------------------------

    def source(self, kind: str, table: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """Return the source of a kind, with one table for all tasks unless ``tasks`` are given."""
        classes: Mapping[str, Any] = {
            "lm-eval": (LmEvalSource, LmEvalParams, LmEvalTask, {"score": "acc", "question": "doc.question"}),
            "lmms-eval": (LmmsEvalSource, LmmsEvalParams, LmmsEvalTask, {"score": "anls.score"}),
            "inspect": (InspectSource, InspectParams, InspectTask, {"score": "match"}),
        }
        source, made, task, usual = classes[kind]
        tables = {name: task(**(usual | dict(t))) for name, t in params.pop("tasks", {"*": table or {}}).items()}
        return source(made(path=self.path, tasks=tables, **params))

    def batches(self, kind: str, part: str, catalog: Catalog = CATALOG, **params: Any) -> list[pa.RecordBatch]:
        """Read the parts of samples or outcomes, and check that their batches follow the core's schema."""
        source = self.source(kind, **params)
        parts = [p for p in source.list(catalog).parts if p.kind == part]
        batches = [b for p in parts for b in source.read(p, catalog)]
        for batch in batches:
            check_batch(batch, part)
        return batches

    def read(self, kind: str, part: str, **params: Any) -> list[dict[str, Any]]:
        """Read the parts of samples or outcomes as rows."""
        return [row for batch in self.batches(kind, part, **params) for row in batch.to_pylist()]

    def counts(self, kind: str, part: str, **params: Any) -> dict[str, int]:
        """Return what is counted when a part is read in one batch."""
        (batch,) = self.batches(kind, part, **params)
        return dict(json.loads(batch.schema.metadata[b"counts"]))

    def rows_if_any(self, kind: str, part: str, **params: Any) -> list[dict[str, Any]]:
        """Read the parts of samples or outcomes as rows, none where they are refused with place and fix."""
        problems: Sequence[Any] = ()
        rows = []
        try:
            rows = self.read(kind, part, **params)
        except DataError as error:
            problems = error.problems
        assert all(p.where and p.fix for p in problems)
        return rows

    def refused(self, kind: str, part: str = "outcomes", **params: Any) -> str:
        """Read logs that cannot be used; every problem has a place and a fix."""
        with pytest.raises(DataError) as caught:
            self.read(kind, part, **params)
        assert all(p.where and p.fix for p in caught.value.problems), caught.value
        return "; ".join(f"{p.message} | {p.where} | {p.fix}" for p in caught.value.problems)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """Return an empty folder for logs."""
    return Logs(tmp_path)
