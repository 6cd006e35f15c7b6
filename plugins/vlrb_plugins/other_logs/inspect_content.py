"""The content of a sample of an inspect_ai log: question, images, answer, tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from vlrb import MOST_TOKENS, shorten_list
from vlrb_plugins.other_logs.params import InspectTask
from vlrb_plugins.other_logs.values import WrongValueError, check_text, score_of, tokens_of, value_at
from vlrb_plugins.shared.log_tables.json_lines import shorten_value

Messages = Literal["user", "last", "all"]

ATTACHMENT = ("attachment://", "tc://")
REMOVED = "<base64-data-removed>"
UNSCORED = "answers that their scorer left unscored"
OTHER_CONTENT = "parts of questions that are neither text nor image, left out"

VERDICTS: Mapping[str, float] = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "no": 0.0}
"""Texts that inspect_ai's own metrics convert to numbers: correct, incorrect, partial, no answer."""

_AGAIN = "write the log again"


def question_parts(sample: Mapping[str, Any], wanted: Messages | None) -> list[Mapping[str, Any]]:
    """Return the parts of the messages that are the question.

    :raises WrongValueError: when it is not known which messages these are
    """
    given = sample.get("input")
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    if not isinstance(given, list) or not given or not all(isinstance(m, dict) for m in given):
        raise WrongValueError(f"'input' is {shorten_value(given)}, neither a text nor a list of messages", _AGAIN)
    if wanted is None and len(given) > 1:
        roles = shorten_list([str(m.get("role")) for m in given])
        fix = 'say which are the question by messages = "user", "last" or "all" in the table of the task'
        raise WrongValueError(f"'input' has {len(given)} messages: {roles}", fix)
    chosen = {"user": [m for m in given if m.get("role") == "user"], "last": given[-1:]}.get(wanted or "all", given)
    return [part for message in chosen for part in _parts_of(message)]


def _parts_of(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list) and all(isinstance(p, dict) for p in content):
        yield from content
    else:
        what = f"a message's 'content' is {shorten_value(content)}, neither a text nor a list of parts"
        raise WrongValueError(what, _AGAIN)


def question_of(parts: Sequence[Mapping[str, Any]], counts: Counter[str]) -> str:
    """Return the texts of a question, a line each; parts that are neither text nor image are counted."""
    texts = [check_text(p.get("text"), "text", _AGAIN) for p in parts if p.get("type") == "text"]
    others = sum(p.get("type") not in ("text", "image") for p in parts)
    if others:
        counts[OTHER_CONTENT] += others
    return "\n".join(texts)


def images_of(parts: Sequence[Mapping[str, Any]], sample: Mapping[str, Any]) -> Iterator[str]:
    """Yield the images of a question: paths, or texts ``data:...`` that contain them.

    :raises WrongValueError: when the log does not hold an image
    """
    for part in parts:
        if part.get("type") != "image":
            continue
        image = check_text(part.get("image"), "image", _AGAIN)
        for protocol in ATTACHMENT:
            if image.startswith(protocol):
                name = image.removeprefix(protocol)
                image = check_text(value_at(sample, f"attachments.{name}"), f"attachments.{name}", _AGAIN)
        without = 'images = "none" in [logs] goes without images'
        if image == REMOVED:
            raise WrongValueError(
                "the image was not logged", f"log with images (without --no-log-images), or {without}"
            )
        if image.startswith(("http://", "https://")):
            fix = f"download it and write its path below the folder of images, or {without}"
            raise WrongValueError(f"the image is at {shorten_value(image)}, and nothing is downloaded", fix)
        yield image


# --- answers ------------------------------------------------------------------------------------------------------------


def answer_texts(sample: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the model's answer and its reasoning; None for an output without a message.

    :raises WrongValueError: when the output is not what inspect_ai writes
    """
    content = value_at(sample, "output.choices.0.message.content")
    parts = content if isinstance(content, list) else []
    if not all(isinstance(p, dict) for p in parts):
        raise WrongValueError("'output.choices.0.message.content' is not a list of parts", _AGAIN)
    thoughts = [p.get("summary") if p.get("redacted") else p.get("reasoning") for p in parts if _is(p, "reasoning")]
    thinking = "\n".join(check_text(t, "reasoning", _AGAIN) for t in thoughts if t is not None)
    completion = value_at(sample, "output.completion")
    if not isinstance(completion, str) or not completion:
        texts = [content] if isinstance(content, str) else [p.get("text") for p in parts if _is(p, "text")]
        completion = "\n".join(check_text(t, "text", _AGAIN) for t in texts) if texts or parts else None
    return check_text(completion, "output.completion", _AGAIN) if completion is not None else None, thinking or None


def _is(part: Mapping[str, Any], kind: str) -> bool:
    return part.get("type") == kind


def sample_score(sample: Mapping[str, Any], task: InspectTask, counts: Counter[str]) -> float | None:
    """Return the score of a sample, None where its scorer left it unscored, which is counted.

    :raises WrongValueError: when there is no such score, or it is not a number in the range
    """
    if not task.score:
        return None
    scores = sample.get("scores")
    found = scores.get(task.score) if isinstance(scores, dict) else None
    if not isinstance(found, dict):
        known = shorten_list(map(repr, scores)) if isinstance(scores, dict) and scores else "none"
        raise WrongValueError(f"has no score {task.score!r}", f"correct score; the sample's scores are: {known}")
    value, place = found.get("value"), f"scores.{task.score}.value"
    if isinstance(value, dict):
        if task.value not in value:
            fix = f"name one of them by value in the table of the task: {shorten_list(map(repr, value))}"
            raise WrongValueError(f"{place!r} has several values, and none is called {task.value!r}", fix)
        value, place = value[task.value], f"{place}.{task.value}"
    elif task.value:
        raise WrongValueError(f"{place!r} is {shorten_value(value)}, not several values", "leave value out")
    if value is None or (isinstance(value, float) and value != value):
        counts[UNSCORED] += 1
        return None
    return score_of(value, place, task.highest, VERDICTS)


@attrs.frozen
class Usage:
    """Tokens of an answer."""

    input: int | None = None
    output: int | None = None


def usage_of(sample: Mapping[str, Any], model: str, wanted: Literal["output", "sample"] | None) -> Usage:
    """Return the tokens of a sample.

    :raises WrongValueError: when the last output and the whole sample differ, and nothing says which counts
    """
    last = _usage(value_at(sample, "output.usage"), "output.usage")
    usages = sample.get("model_usage")
    whole = _usage(usages.get(model) if isinstance(usages, dict) else None, f"model_usage.{model}")
    if wanted is not None:
        return (last if wanted == "output" else whole) or Usage()
    if last is not None and whole is not None and last != whole:
        what = f"the last output took {last.input} and {last.output} tokens, all calls {whole.input} and {whole.output}"
        raise WrongValueError(what, 'say which count by usage = "output" or "sample" in the table of the task')
    return last or whole or Usage()


def _usage(usage: object, place: str) -> Usage | None:
    """Return the tokens of a usage; those read from a cache or written to one are input too."""
    if not isinstance(usage, dict):
        return None
    cached = ("input_tokens_cache_write", "input_tokens_cache_read")
    known = {n: tokens_of(usage.get(n), f"{place}.{n}") for n in ("input_tokens", "output_tokens", *cached)}
    given = known["input_tokens"]
    if given is not None:
        given = min(given + sum(known[n] or 0 for n in cached), MOST_TOKENS)
    return Usage(given, known["output_tokens"])
