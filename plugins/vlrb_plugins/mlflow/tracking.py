"""When a run is logged to MLflow, and how long the run waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping

from vlrb import CellInfo, CellResult, RunInfo, RunResult, VlrbError, without_credentials
from vlrb_plugins.mlflow.addresses import Address
from vlrb_plugins.mlflow.failures import unusable
from vlrb_plugins.mlflow.lanes import Job, Lanes
from vlrb_plugins.mlflow.naming import cut
from vlrb_plugins.mlflow.record import END, START, Record
from vlrb_plugins.mlflow.rows import has_one_cell, leaderboard_rows, part_names
from vlrb_plugins.mlflow.settings import MlflowSettings
from vlrb_plugins.mlflow.store import Place, active_runs, load_mlflow
from vlrb_plugins.mlflow.writer import LOCAL_SECONDS, Point, Writer

logger = logging.getLogger("vlrb")

FLUSH_VALUES, FLUSH_SECONDS = 200, 2.0
SIDE_BY_SIDE = 8
"""Calls to a server at a time, so that its latency does not add up."""

FILES = ("experiment.json", "experiment.toml", "plan.json", "environment.json", "results.json", "split.parquet")


class Tracker:
    """Logs one vlrb run.

    All calls to MLflow are made aside (see :mod:`~vlrb_plugins.mlflow.lanes`).  For a file the run waits each time, so
    that logging takes no time from a router that is being measured; for a server it waits at the start, to tell at once
    that a server is down, and at the end.  After the first failure nothing more is tried: another run logs what is missing.
    """

    def __init__(self, run: RunInfo, settings: MlflowSettings) -> None:
        self.run = run
        self._settings = settings
        self._address = Address.of(settings.uri)
        self._local = self._address.file is not None
        self._record = Record(
            run.directory / "tracking" / "mlflow.json", f"{self._address.shown} {settings.experiment}"
        )
        existing = active_runs(self._address.file) if self._address.file is not None else None
        if existing is not None:
            self._record.forget_all_but(existing)
        self._lanes = Lanes(1 if self._local else SIDE_BY_SIDE)
        self._writer = Writer(
            run, Place(self._address, settings.experiment, settings.timeout), self._record, self._lanes
        )
        self._loaded = False
        self._told = False
        self._waited = 0.0
        self._buffer: dict[str, list[Point]] = {}
        self._buffers = threading.Lock()
        self._flushed = time.monotonic()

    # --- hooks --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the parent run, unless it is known."""
        logger.info("tracking in %s (%s)", self._address.shown, self._address.source)
        if not self._record.done(START):
            self._do(END, lambda: void(self._writer.parent()))
            self._wait(self._settings.timeout + 2.0)
            self._tell()

    def begin(self, cell: CellInfo) -> None:
        """Open the nested run of a cell; an inner fold, which serves the choice of a point only, has none."""
        if not cell.inner:
            self._do(f"cell/{cell.name}", lambda: void(self._writer.open_cell(cell)))

    def log(self, cell: CellInfo, step: int, values: Mapping[str, float]) -> None:
        """Keep values of a long fit, and send them now and then."""
        if cell.inner:
            return
        with self._buffers:
            waiting = self._buffer.setdefault(cell.name, [])
            waiting.extend((step, name, float(value)) for name, value in values.items())
            many = len(waiting) >= FLUSH_VALUES or time.monotonic() - self._flushed > FLUSH_SECONDS
        if many:
            self._flushed = time.monotonic()
            self._do(f"cell/{cell.name}", lambda: self._flush(cell))

    def _flush(self, cell: CellInfo) -> None:
        with self._buffers:
            waiting = self._buffer.pop(cell.name, [])
        if waiting:
            self._writer.curve(cell, waiting)

    def cell(self, result: CellResult) -> None:
        """Log a cell's result, unless MLflow has it."""
        cell = result.cell
        if cell.inner:
            return
        node = f"cell/{cell.name}"
        outcome = "done" if result.status == "done" else f"failed: {cut(without_credentials(result.error))}"

        def job() -> None:
            self._flush(cell)
            self._writer.cell(result, outcome)

        if self._record.done(node) != outcome:
            self._do(node, job)

    def end(self, result: RunResult) -> None:
        """Log the rows of the leaderboard, results and reports, and close the parent run.

        :raises TrackingError: when that cannot be done, or not in time
        """
        self._tell()
        if self._record.done(END) == result.finished or self._told:
            return
        for job_of in (self._rows, self._parts, self._artifacts):
            for lane, job in job_of(result):
                self._do(lane, job)
        self._finish()
        self._do(END, lambda: self._writer.end(result))
        self._finish()

    def interrupted(self) -> None:
        """Show what is open as killed; what was not logged yet is logged by the run that goes on.

        Safe at any time: a call that was being made ends first, or is given up after some seconds.

        :raises TrackingError: when MLflow does not answer
        """
        self._lanes.drop()
        if not self._loaded or self._told or self._lanes.failure is not None:
            return
        seconds = 2 * self._settings.timeout
        if self._lanes.wait(seconds):
            for node in sorted(self._writer.running):
                self._lanes.submit(node, lambda node=node: self._writer.close(node, "KILLED"))  # type: ignore[misc]
        if not self._lanes.wait(seconds):
            self._lanes.fail(TimeoutError(f"no answer within {seconds:g} seconds"))
        self._tell()

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _rows(self, result: RunResult) -> Iterator[tuple[str, Job]]:
        for row in leaderboard_rows(result):
            yield row.node, lambda row=row: self._writer.row(row)  # type: ignore[misc]

    def _parts(self, result: RunResult) -> Iterator[tuple[str, Job]]:
        """Tag what stands for no row, which is known only now; an earlier try may have chosen another point."""
        if not has_one_cell(result.run):  # no cell was ever said to stand for its router
            return
        nodes = {n for n in self._record.nodes() if n.startswith(("cell/", "router/"))}
        nodes |= {f"cell/{c.cell.name}" for c in result.cells if not c.cell.inner}
        names = part_names(result)
        for node in sorted(nodes - {row.node for row in leaderboard_rows(result)}):
            yield node, lambda node=node: self._writer.unselect(node, names.get(node, ""))  # type: ignore[misc]

    def _artifacts(self, result: RunResult) -> Iterator[tuple[str, Job]]:
        directory = result.run.directory
        paths = [(directory / name, "") for name in FILES if (directory / name).is_file()]
        reports = sorted(p for p in (directory / "reports").rglob("*") if p.is_file())
        paths += [(file, file.parent.relative_to(directory).as_posix()) for file in reports]
        for path, folder in paths:
            yield (
                f"{END}/{folder}/{path.name}",
                lambda path=path, folder=folder: self._writer.upload(self._writer.parent(), path, folder),  # type: ignore[misc]
            )

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _do(self, lane: str, job: Job) -> None:
        """Have a job done, unless MLflow has failed in this run; for a file, wait for it."""
        self._tell()
        if self._told:
            return
        if not self._loaded:
            load_mlflow(self._settings.timeout)
            self._loaded = True
        self._lanes.submit(lane, job)
        if self._local:
            if not self._lanes.wait(LOCAL_SECONDS):
                self._lanes.fail(TimeoutError(f"no answer within {LOCAL_SECONDS:g} seconds"))
            self._tell()

    def _wait(self, seconds: float) -> bool:
        began = time.monotonic()
        done = self._lanes.wait(seconds)
        self._waited += time.monotonic() - began
        return done

    def _finish(self) -> None:
        """Wait until all is logged, as long as the patience with a server lasts."""
        patience = self._settings.patience
        if not self._wait(max(0.0, patience - self._waited)):
            self._lanes.drop()
            self._lanes.wait(
                self._settings.timeout
            )  # what is being asked may be answered yet: a run made is then noted
            self._lanes.fail(TimeoutError(f"not everything could be logged within {patience:g} seconds"))
        self._tell()

    def _tell(self) -> None:
        """Raise the first failure, once."""
        failure = self._lanes.failure
        if failure is None or self._told:
            return
        self._told = True
        if isinstance(failure, VlrbError) or not isinstance(failure, Exception):
            raise failure
        raise unusable(self._address, failure) from failure


def void(_value: object) -> None:
    """Take a value that nobody needs."""
