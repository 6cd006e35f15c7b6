"""Parameters of the log sources ``lmms-eval``, ``lm-eval`` and ``inspect``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from vlrb import param

Runs = Literal["one", "newest"]

_RUNS = "newest: of several logs of one model and task the newest is read; one: they are an error"
_QUESTIONS_OF = "model whose log the questions are read from; without it the logs of all models must agree"
_FIELDS = "columns for scorers and groups: name -> where it is in a sample, as in doc.figure"


def _positive(_: Any, attribute: attrs.Attribute[float], value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{attribute.name} must be above 0 and finite, not {value!r}")


def _not_empty(_: Any, attribute: attrs.Attribute[Any], value: Mapping[str, Any]) -> None:
    if not value:
        raise ValueError(f"{attribute.name} must name at least one task: [logs.{attribute.name}.NAME]")


@attrs.frozen
class Task:
    """The table of a task: the keys that all three have."""

    score: str = param(help='what of a sample is its score; "": nothing, so that the scorer of the dataset judges')
    highest: float = param(default=1.0, validator=_positive, help="the highest score; scores are divided by it")
    dataset: str = param(default="", help="name of the dataset; default: that of the task")
    fields: dict[str, str] = param(factory=dict, help=_FIELDS)
    questions_of: str = param(default="", help=_QUESTIONS_OF)


@attrs.frozen
class LmEvalTask(Task):
    """The table of a task of lm-evaluation-harness."""

    question: str = param(help="where the question is in a line, such as doc.question or arguments.gen_args_0.arg_0")
    answer: str = param(default="target", help="where the gold answer is in a line")
    prediction: str | tuple[str, ...] = param(
        default="resps.0.0", help="where the model's answer is in a line: the first of these places that holds a text"
    )
    options: str = param(default="", help="where a list with the texts of the options is in a line")
    filter: str = param(default="", help="the filter whose lines are read, where a file has lines of several")
    images: str = param(default="", help="where the path of an image, or a list of paths, is in a line")
    image_name: str = param(default="", help="path of a sample's image, with {task} and {doc_id} filled in")

    def __attrs_post_init__(self) -> None:
        if self.images and self.image_name:
            raise ValueError("images and image_name both say where images are: leave one of them out")


@attrs.frozen
class LmmsEvalTask(LmEvalTask):
    """The table of a task of lmms-eval."""

    question: str = param(default="input", help="where the question is in a line; input is the prompt")
    prediction: str | tuple[str, ...] = param(
        default=("resps.0", "resps", "filtered_resps"),
        help="where the model's answer is in a line: the first of these places that holds a text",
    )


@attrs.frozen
class InspectTask(Task):
    """The table of a task of inspect_ai."""

    value: str = param(default="", help="key of the score's value, where the value has several")
    epoch: int | None = param(default=None, help="the epoch that is read, where a log has several")
    messages: Literal["user", "last", "all"] | None = param(
        default=None, help="which messages of an input of several are the question: the user's, the last, or all"
    )
    usage: Literal["output", "sample"] | None = param(
        default=None, help="tokens of the last output, or of all calls of the sample, where they differ"
    )


@attrs.frozen
class HarnessParams:
    """Parameters that ``lmms-eval`` and ``lm-eval`` share."""

    path: Path = param(help="folder with a folder for each model, as --output_path names it")
    models: dict[str, str] = param(factory=dict, help="folder below path -> model; default: the name of the folder")
    image_folder: Path | None = param(default=None, help="folder that paths of images start from; default: path")
    runs: Runs = param(default="one", help=_RUNS)


@attrs.frozen
class LmEvalParams(HarnessParams):
    """Parameters of the log source ``lm-eval``."""

    tasks: dict[str, LmEvalTask] = param(validator=_not_empty, help="task, or pattern of tasks -> its table")


@attrs.frozen
class LmmsEvalParams(HarnessParams):
    """Parameters of the log source ``lmms-eval``."""

    tasks: dict[str, LmmsEvalTask] = param(validator=_not_empty, help="task, or pattern of tasks -> its table")


@attrs.frozen
class InspectParams:
    """Parameters of the log source ``inspect``."""

    path: Path = param(help="folder of the logs, searched with all folders in it")
    tasks: dict[str, InspectTask] = param(validator=_not_empty, help="task, or pattern of tasks -> its table")
    images: Literal["required", "none"] = param(default="required", help="none: the samples' images are left out")
    image_folder: Path | None = param(default=None, help="folder that paths of images start from; default: path")
    runs: Runs = param(default="one", help=_RUNS)
