"""What is logged of a run, its cells and its reference points, and as which MLflow runs; called inside lanes."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrb import CellInfo, CellResult, RunInfo, RunResult, without_credentials
from vlrb_plugins.mlflow.describing import about_splits, cell_name, describe_cell, describe_run, parent_name
from vlrb_plugins.mlflow.failures import BUSY, REFUSED, status_of
from vlrb_plugins.mlflow.lanes import Lanes
from vlrb_plugins.mlflow.naming import CURVE, FIT_SECONDS, batches, cut, flat, metrics_of, named
from vlrb_plugins.mlflow.record import END, START, Record
from vlrb_plugins.mlflow.rows import PART_OF_A_ROW, Row, headline, leaderboard_rows, role_tags
from vlrb_plugins.mlflow.store import Place, open_store, silence_warnings
from vlrb_plugins.mlflow.views import table_views

LONGEST_PARAMETER = 6000
LOCAL_SECONDS = 120.0
"""How long one call may take that goes to a file: longer than making MLflow's tables on a slow disk."""

UPLOAD_BYTES_PER_SECOND = 1e6
_PAUSES = (0.3, 1.0)
"""Seconds after which a server that is busy is asked again."""

Point = tuple[int, str, float]


class Writer:
    """Logs the nodes of one run: ``run``, ``cell/NAME``, ``router/LABEL``, ``reference/NAME``.

    ``running`` holds the nodes that MLflow shows as running, with their MLflow runs.
    """

    def __init__(self, run: RunInfo, place: Place, record: Record, lanes: Lanes) -> None:
        self.run = run
        self.running: dict[str, str] = {}
        self.identity = f"{run.key[:16]}/{run.directory.name}"
        self._place = place
        self._record = record
        self._lanes = lanes
        self._limit = LOCAL_SECONDS if place.address.file is not None else place.timeout + 1.0
        self._lock = threading.RLock()
        self._store: tuple[Any, str] | None = None
        self._found: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._new: set[str] = set()
        self._names: dict[str, str] = {}
        self._compared: set[str] = set()
        self._points: dict[str, set[tuple[int, str]]] = {}
        self._curves: dict[str, list[str]] = {}

    # --- nodes --------------------------------------------------------------------------------------------------------

    def parent(self) -> str:
        """Return the parent run, which says from the start what is run."""
        with self._lock:
            source = f"vlrb run ({self.run.name})"
            run_id = self._open(END, parent_name(self.run), {"role": "run", "mlflow.source.name": source})
            if not self._record.done(START):
                benchmark, bounds = self.run.benchmark, self.run.bounds
                params = {f"split.{k}": v for k, v in flat(about_splits(self.run.split))}
                params |= {"bounds.low": bounds.low, "bounds.high": bounds.high, "bounds.rows": bounds.rows}
                params |= {"protocol": self.run.protocol, "samples": benchmark.samples}
                params |= {"seeds": self.run.experiment.get("seeds"), "models": len(benchmark.models)}
                self.log(run_id, params=params, tags={"mlflow.note.content": describe_run(self.run)})
                self._log_dataset(run_id)
                self._record.note_done(START, "done")
            return run_id

    def open_cell(self, cell: CellInfo) -> str:
        """Return the nested run of a cell, shown as running."""
        tags = {
            **role_tags(self.run, cell),
            "mlflow.note.content": describe_cell(self.run, cell),
            "mlflow.source.name": f"{cell.router} ({cell.dist})",
            "vlrb.cell": cell.key,
            "vlrb.plugin": cell.plugin,
            "vlrb.dist": cell.dist,
            "vlrb.sources": cell.sources,
        }
        return self._open(f"cell/{cell.name}", cell_name(self.run, cell), tags)

    def cell(self, result: CellResult, outcome: str) -> None:
        """Log a cell's result with its curve, and close its run.

        :param outcome: noted when all of it is logged
        """
        from vlrb import read_curve

        cell, node = result.cell, f"cell/{result.cell.name}"
        run_id = self.open_cell(cell)
        metrics, undefined = metrics_of(result.scores)
        params: dict[str, Any] = {"router": cell.router, "label": cell.label, "seed": cell.seed}
        params |= {"features": cell.features, "point": cell.point_name, "split": cell.split_name}
        params = {k: v for k, v in params.items() if v not in ("", None)}
        params |= {f"router.{k}": v for k, v in flat(cell.parameters)}
        params |= {f"chosen.{k}": v for k, v in flat(result.chosen)}
        tags = {"status": result.status, "reused": str(result.reused).lower(), "hardware": result.hardware}
        tags["vlrb.error"] = without_credentials(result.error)
        if result.status == "done":
            metrics[FIT_SECONDS] = result.fit_seconds
        if result.status == "done" and run_id in self._failed:
            self._remove(self._failed[run_id], "cell", "error.txt")
        points = self.unknown(run_id, read_curve(result.directory) if result.status == "done" else ())
        self.log(run_id, metrics, params, tags, points)
        self._log_reasons(run_id, undefined)
        self._log_dataset(run_id)
        for file in files(result.directory):
            self.upload(run_id, file, "cell")
        self.close(node, "FINISHED" if result.status == "done" else "FAILED", outcome)

    def row(self, row: Row) -> None:
        """Log a row of the leaderboard to the run that stands for it, unless that has these values."""
        run_id, done = self._record.run_of(row.node), f"row/{row.node}"
        if run_id and self._record.done(done) == f"{row.digest} {run_id}":
            return
        if row.own:
            run_id = self._open(row.node, row.name, {**row.tags, "mlflow.source.name": f"vlrb run ({self.run.name})"})
            self._log_dataset(run_id)
        if run_id:
            self.log(run_id, row.metrics, row.params, row.tags)
            self._log_reasons(run_id, row.undefined)
            if row.own:
                self.close(row.node, "FAILED" if row.failed else "FINISHED")
            else:
                self._rename(run_id, row.name)
            self._record.note_done(done, f"{row.digest} {run_id}")

    def unselect(self, node: str, name: str) -> None:
        """Say of a node that it stands for no row of the leaderboard."""
        run_id = self._record.run_of(node)
        if run_id:
            if name and self._record.done(f"row/{node}"):
                self._rename(run_id, name)
            self._record.note_done(f"row/{node}", "")
            self.log(run_id, tags=PART_OF_A_ROW)

    def end(self, result: RunResult) -> None:
        """Log what the end of the run says of all of it, and close the parent run."""
        failed = [c.cell.name for c in result.cells if c.status == "failed"]
        self.parent()
        self.row(headline(result, failed))
        for name, view in table_views(result, leaderboard_rows(result)).items():
            self._set_view(name, view)
        self.close(END, "FAILED" if failed else "FINISHED", result.finished)

    def curve(self, cell: CellInfo, points: Sequence[Point]) -> None:
        """Log values of a fit that goes on."""
        run_id = self.open_cell(cell)
        self.log(run_id, points=self.unknown(run_id, points))

    def close(self, node: str, status: str, outcome: str = "") -> None:
        """End the MLflow run of a node, and note it as done if it is."""
        self._call("set_terminated", self.running[node], status)
        del self.running[node]
        if outcome:
            self._record.note_done(node, outcome)

    # --- values -------------------------------------------------------------------------------------------------------

    def unknown(self, run_id: str, points: Sequence[Point]) -> list[Point]:
        """Return those points of a curve, under MLflow's names, that MLflow lacks; from now on it counts them as known.

        A run of an earlier process may have some: from a fit that was killed, or a call whose answer never came.
        """
        there = self._points.setdefault(run_id, set())
        names = self._curve_names(run_id, points)
        ours = {(step, names[name]): value for step, name, value in points}
        if ours and run_id not in self._new and run_id not in self._compared:
            self._compared.add(run_id)
            logged = set(self._call("get_run", run_id).data.metrics)
            for name in sorted(n for n in logged if n.startswith(CURVE)):
                there |= {(m.step, name) for m in self._call("get_metric_history", run_id, name)}
        missing = [(step, name, value) for (step, name), value in ours.items() if (step, name) not in there]
        there |= {(step, name) for step, name, _ in missing}
        return missing

    def _curve_names(self, run_id: str, points: Sequence[Point]) -> dict[str, str]:
        """Return MLflow's names of a run's curves; of those that become one, the first by step and name comes first."""
        known = self._curves.setdefault(run_id, [])
        known.extend(n for n in dict.fromkeys(name for _, name in sorted(p[:2] for p in points)) if n not in known)
        return {name: key for key, name in named({f"{CURVE}{name}": name for name in known}).items()}

    def log(
        self,
        run_id: str,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        points: Iterable[Point] = (),
    ) -> None:
        """Log values to an MLflow run, in as few calls as it takes."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        short, extra = self._short_params(run_id, params or {})
        first = sorted((metrics or {}).items(), key=lambda m: (m[0].count("/"), m[0]))  # a run's page keeps this order
        values = [Metric(k, v, now, 0) for k, v in named(dict(first)).items()]
        values += [Metric(name, value, now, step) for step, name, value in points]
        texts = [RunTag(k, cut(v)) for k, v in named({**(tags or {}), **extra}).items()]
        for some in batches(values, [Param(k, v) for k, v in short.items()], texts):
            self._call("log_batch", run_id, *some)

    def _short_params(self, run_id: str, params: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return parameters as text, and tags about those too long for MLflow, which become artifacts as a whole."""
        short, tags = {}, {}
        for name, value in named(params).items():
            text = without_credentials(str(list(value) if isinstance(value, tuple) else value))
            if len(text) > LONGEST_PARAMETER:
                file = f"parameters/{name}.txt"
                self._call("log_text", run_id, text, file)
                text, tags[f"long.{name}"] = f"{len(text)} characters, see artifact {file}", file
            short[name] = text
        return short, tags

    def _log_reasons(self, run_id: str, undefined: Mapping[str, str]) -> None:
        if undefined:
            self._call("log_text", run_id, json.dumps(undefined, indent=1), "undefined.json")

    def _log_dataset(self, run_id: str) -> None:
        from mlflow.entities import DatasetInput, InputTag

        self._call("log_inputs", run_id, [DatasetInput(self._dataset, [InputTag("mlflow.data.context", "benchmark")])])

    @functools.cached_property
    def _dataset(self) -> Any:
        from mlflow.entities import Dataset

        benchmark = self.run.benchmark
        profile = {"samples": benchmark.samples, "datasets": dict(benchmark.datasets), "synthetic": benchmark.synthetic}
        return Dataset(
            name=f"{self.run.name} benchmark",
            digest=benchmark.fingerprint[:36],
            source_type="vlrb",
            source=json.dumps({"fingerprint": benchmark.fingerprint}),
            profile=json.dumps(profile),
        )

    def _set_view(self, name: str, view: str) -> None:
        """Keep a view of the run table, unless a server lets the user log runs only."""
        self.open()
        assert self._store is not None
        try:
            self._call("set_experiment_tag", self._store[1], name, view)
        except Exception as error:
            if status_of(error) not in REFUSED:
                raise

    def _rename(self, run_id: str, name: str) -> None:
        if self._names.get(run_id) != name:
            self._call("update_run", run_id, name=name)
            self._names[run_id] = name

    def upload(self, run_id: str, file: Path, folder: str = "") -> None:
        """Upload a file."""
        more = file.stat().st_size / UPLOAD_BYTES_PER_SECOND
        self._call("log_artifact", run_id, str(file), folder or None, limit=self._limit + more)

    def _remove(self, artifacts: str, folder: str, name: str) -> None:
        """Remove an artifact that an earlier try left, where the store of artifacts can."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(artifacts, tracking_uri=self._place.address.uri)
        with contextlib.suppress(NotImplementedError):
            if f"{folder}/{name}" in {a.path for a in self._asked(repository.list_artifacts)(folder)}:
                self._asked(repository.delete_artifacts)(f"{folder}/{name}")

    # --- MLflow runs --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the store, and compare what it has with the record."""
        with self._lock:
            if self._store is not None:
                return
            with self._lanes.call(self._limit):
                client, experiment = open_store(self._place)
            found = self._asked(client.search_runs)(
                [experiment], f"tags.`vlrb.run` = '{self.identity}'", max_results=10_000
            )
            self._found = self._without_doubles(client, found)
            self._failed = {r.info.run_id: r.info.artifact_uri for r in found if r.data.tags.get("vlrb.error")}
            self._record.forget_all_but(set(self._found.values()))
            self._names = {r.info.run_id: r.info.run_name for r in found}
            states = {r.info.run_id: r.info.status for r in found}
            self.running = {n: run_id for n, run_id in self._found.items() if states[run_id] == "RUNNING"}
            self._store = client, experiment

    def _without_doubles(self, client: Any, found: Sequence[Any]) -> dict[str, str]:
        """Return the MLflow run of each node; of several, made by a call that a slow server acted on late, one stays."""
        kept: dict[str, str] = {}
        for run in sorted(found, key=lambda r: r.info.start_time or 0):
            node, run_id = run.data.tags["vlrb.node"], run.info.run_id
            known = self._record.run_of(node)
            if node in kept:
                extra = kept[node] if run_id == known else run_id
                self._asked(client.delete_run)(extra)
                if extra == run_id:
                    continue
            kept[node] = run_id
        return kept

    def _open(self, node: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the MLflow run of a node, made if there is none; it carries from the start what it is found by."""
        self.open()
        run_id = self._record.run_of(node)
        if not run_id:
            run_id = self._adopt(node) or self._create(node, name, tags)
            self._record.note_run(node, run_id)
        if self.running.get(node) != run_id:
            self._call("update_run", run_id, status="RUNNING")
            self.running[node] = run_id
        return run_id

    def _adopt(self, node: str) -> str:
        """Return a run that was opened and not noted, under the parent of today, or an empty text."""
        run_id = self._found.get(node, "")
        if run_id and node != END:
            self._call("set_tag", run_id, "mlflow.parentRunId", self.parent())
        return run_id

    def _create(self, node: str, name: str, tags: Mapping[str, str]) -> str:
        benchmark, split = self.run.benchmark, self.run.split
        known = {
            "vlrb.run": self.identity,
            "vlrb.node": node,
            "vlrb.name": self.run.name,
            "vlrb.protocol": self.run.protocol,
            "vlrb.benchmark": benchmark.fingerprint[:36],
            "vlrb.split": f"{split.use.rpartition('/')[2]}, {split.made}",
            "vlrb.synthetic": benchmark.synthetic,
            "mlflow.source.type": "LOCAL",
            "vlrb.limited": self.run.limited,
            "vlrb.version": str(self.run.environment.get("vlrb", "")),
        }
        known |= {"vlrb.split.digest": split.digest, "vlrb.split.groups": str(split.groups)}
        known |= {"vlrb.split.grouped_by": str(dict(split.grouped_by))} if split.grouped_by else {}
        if node != END:
            known["mlflow.parentRunId"] = self.parent()
        self.open()
        assert self._store is not None
        texts = {k: cut(v) for k, v in {**known, **tags}.items()}
        made = self._call("create_run", self._store[1], run_name=name, tags=texts)
        run_id = str(made.info.run_id)
        self._new.add(run_id)
        self._names[run_id] = name
        self.running[node] = run_id
        return run_id

    # --- calls --------------------------------------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any, limit: float = 0.0, **more: Any) -> Any:
        """Call the MLflow client."""
        self.open()
        assert self._store is not None
        return self._asked(getattr(self._store[0], method), limit)(*arguments, **more)

    def _asked(self, method: Callable[..., Any], limit: float = 0.0) -> Callable[..., Any]:
        """Return a call that is asked again, shortly, of a server that is busy: this one it has not acted upon."""

        def ask(*arguments: Any, **more: Any) -> Any:
            for pause in (*_PAUSES, 0.0):
                try:
                    with self._lanes.call(limit or self._limit):
                        silence_warnings()
                        return method(*arguments, **more)
                except Exception as error:
                    if not pause or not self._place.address.is_server or status_of(error) not in BUSY:
                        raise
                time.sleep(pause)
            raise AssertionError

        return ask


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, by name."""
    return sorted(p for p in folder.glob("*") if p.is_file())
