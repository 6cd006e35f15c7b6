"""``[plugin.mlflow]``: where runs are tracked, and how long a run waits for it."""

from __future__ import annotations

import attrs
from attrs import validators

from vlrb import param
from vlrb_plugins.mlflow.addresses import DEFAULT_URI, VARIABLE, in_memory

DEFAULT_EXPERIMENT = "vlrb"


@attrs.frozen
class MlflowSettings:
    """``[plugin.mlflow]``."""

    uri: str = param(
        default="",
        help=f"where runs are tracked; default: the environment's {VARIABLE}, else {DEFAULT_URI} in the working directory",
    )
    experiment: str = param(
        default=DEFAULT_EXPERIMENT, validator=validators.min_len(1), help="name of the MLflow experiment"
    )
    timeout: float = param(default=5.0, validator=validators.gt(0), help="seconds until a server counts as down")
    patience: float = param(
        default=30.0, validator=validators.gt(0), help="seconds that a run waits for a server in all"
    )

    @uri.validator
    def _on_disk(self, _attribute: object, uri: str) -> None:
        if in_memory(uri):
            raise ValueError(f"must not be a store in memory, which is gone when the run ends: {uri!r}")
