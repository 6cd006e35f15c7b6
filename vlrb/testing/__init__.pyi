# What tests of plugins use: each name with the module it comes from.  `vlrb/testing/__init__.py` reads this file.

from collections.abc import Callable, Mapping
from typing import Any

from vlrb import RouterSpec
from vlrb.testing.promises import BrokenPromise as BrokenPromise
from vlrb.testing.runs import Ran as Ran
from vlrb.testing.runs import build_small as build_small
from vlrb.testing.runs import run_toml as run_toml
from vlrb.testing.samples import make_candidates as make_candidates
from vlrb.testing.samples import make_context as make_context
from vlrb.testing.samples import make_features as make_features
from vlrb.testing.samples import make_images as make_images
from vlrb.testing.samples import make_labelled as make_labelled
from vlrb.testing.samples import make_queries as make_queries

Expected = Mapping[str, str] | None
Test = Callable[..., None]

def check_router(spec: RouterSpec, /, *, expected_failures: Expected = None, **params: Any) -> None: ...
def router_checks(spec: RouterSpec, /, *, expected_failures: Expected = None, **params: Any) -> Test: ...
