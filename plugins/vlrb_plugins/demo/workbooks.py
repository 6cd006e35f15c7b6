"""Writing a model's workbooks on a dataset: its predictions, and the same with their scores."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import xlsxwriter

from vlrb_plugins.demo.answers import Answer, Said
from vlrb_plugins.demo.layouts import Item, Layout

Value = str | int | bool

_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_CREATED = datetime.datetime(2026, 1, 1)


def write_workbooks(
    directory: Path, layout: Layout, model: str, items: Sequence[Item], answers: Sequence[Answer]
) -> None:
    """Write the workbook of predictions and the scored one, as VLMEvalKit names them."""
    name = f"{model}_{layout.name}"
    columns = [c for c in layout.columns if c != "image"]
    thinking = any(s.reply.thinking for a in answers for s in a.said)
    _write_book(
        directory / "VLMEvalKit_inference" / model / f"{name}.xlsx",
        [*columns, "prediction", *(["thinking"] if thinking else []), "input_tokens", "output_tokens"],
        (
            {**one.cells, **_predicted(said)}
            for item, answer in zip(items, answers, strict=True)
            for one, said in zip(item.passes, answer.said, strict=True)
        ),
    )
    multiple_choice = layout.scored[-2:] == ("hit", "log")
    lowered = {c: c.lower() if multiple_choice and len(c) > 1 else c for c in columns}
    _write_book(
        directory / "VLMEvalKit_evaluation" / model / f"{name}{layout.suffix}.xlsx",
        [*lowered.values(), "prediction", *layout.scored, "is_correct"],
        (
            {**{lowered[c]: v for c, v in item.passes[0].cells.items()}, **_scored(item, answer, layout)}
            for item, answer in zip(items, answers, strict=True)
        ),
    )


def _predicted(said: Said) -> dict[str, Value]:
    return {
        "prediction": said.reply.text,
        "thinking": said.reply.thinking,
        "input_tokens": said.input_tokens,
        "output_tokens": said.output_tokens,
    }


def _scored(item: Item, answer: Answer, layout: Layout) -> dict[str, Value]:
    """Return the prediction for the first row, and whatever VLMEvalKit's scorers leave behind."""
    first = answer.said[0]
    return {
        "prediction": first.reply.text,
        "g_index": item.passes[0].cells["index"],
        "hit": int(answer.right),
        "log": "Succeed",
        "extracted": first.meant,
        "score": answer.right,
        "res": first.meant,
        "extract": first.meant,
        "log_extract": "Succeed",
        "log_score": "Succeed",
        "is_correct": answer.right if layout.booleans else int(answer.right),
    }


def _write_book(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> None:
    """Write texts as texts, even those that look like numbers, formulas or links."""
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        book.set_properties({"created": _CREATED})
        sheet = book.add_worksheet()
        for c, name in enumerate(columns):
            sheet.write_string(0, c, name)
        for r, row in enumerate(rows, 1):
            for c, name in enumerate(columns):
                value = row.get(name, "")
                if isinstance(value, bool):
                    sheet.write_boolean(r, c, value)
                elif isinstance(value, int):
                    sheet.write_number(r, c, value)
                elif value:
                    sheet.write_string(r, c, value)
