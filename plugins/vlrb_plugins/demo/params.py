"""Parameters of the log source ``demo``."""

from __future__ import annotations

from typing import Literal

import attrs

from vlrb import param

FEWEST_SAMPLES = 300
MOST_SAMPLES = 30_540
"""The paper's number of samples (VL-RouterBench, arXiv 2512.23562)."""

GENERATOR_VERSION = 5
"""Changes with everything that changes what is written, in either form."""


@attrs.frozen
class DemoParams:
    """Parameters of the log source ``demo``."""

    samples: int = param(
        default=3000,
        validator=attrs.validators.and_(attrs.validators.ge(FEWEST_SAMPLES), attrs.validators.le(MOST_SAMPLES)),
        help=f"number of samples, {FEWEST_SAMPLES} to {MOST_SAMPLES}, in the paper's proportions over the 14 datasets",
    )
    seed: int = param(
        default=0,
        validator=attrs.validators.ge(0),
        help="of images, questions and answers; the same seed, the same logs",
    )
    form: Literal["archive", "vlmevalkit"] = param(
        default="archive",
        help="archive: the published archive's layout; vlmevalkit: VLMEvalKit's own output, of several ages and settings, "
        "with neither is_correct nor token counts",
    )
