"""The record of what MLflow has of a run, ``tracking/mlflow.json`` in the run's directory."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from vlrb import DataError, read_json, write_json

START, END = "start", "run"
"""Marks of the parent run: its description is logged; all of it is."""


class Record:
    """By node (``run``, ``cell/NAME``, ``router/LABEL``, ``reference/NAME``) the MLflow run in one store, and what is done."""

    def __init__(self, file: Path, place: str) -> None:
        self._file = file
        self._place = place
        self._places: dict[str, Any] = {}
        self._lock = threading.Lock()
        if file.is_file():
            with contextlib.suppress(DataError):  # a damaged record: what it said is found again in MLflow
                self._places = read_json(file)
        self._clear_unless_known()

    def _clear_unless_known(self) -> None:
        self._places.setdefault(self._place, {"nodes": {}, "done": {}})

    def nodes(self) -> set[str]:
        """Return the nodes that have an MLflow run."""
        with self._lock:
            return set(self._places[self._place]["nodes"])

    def run_of(self, node: str) -> str:
        """Return the id of a node's MLflow run, or an empty text."""
        return str(self._places[self._place]["nodes"].get(node, ""))

    def done(self, node: str) -> str:
        """Return what was noted when a node was done, or an empty text."""
        return str(self._places[self._place]["done"].get(node, ""))

    def note_run(self, node: str, run_id: str) -> None:
        """Note the MLflow run of a node."""
        self._note("nodes", node, run_id)

    def note_done(self, node: str, outcome: str) -> None:
        """Note that a node is done."""
        self._note("done", node, outcome)

    def _note(self, kind: str, node: str, text: str) -> None:
        with self._lock:
            self._places[self._place][kind][node] = text
            write_json(self._file, self._places)

    def forget_all_but(self, existing: Collection[str]) -> None:
        """Forget what was logged to runs that are gone: one node's, or everything if the parent is among them."""
        with self._lock:
            nodes, done = (self._places[self._place][kind] for kind in ("nodes", "done"))
            gone = [node for node, run_id in nodes.items() if run_id not in existing]
            if END in gone:
                del self._places[self._place]
                self._clear_unless_known()
                return
            for node in gone:
                del nodes[node]
                done.pop(node, None)
                done.pop(END, None)  # the end is told again, so that reference points come back too
