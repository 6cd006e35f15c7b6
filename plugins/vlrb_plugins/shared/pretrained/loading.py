"""Loading with transformers: without output, and image processors of one kind."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let transformers load without progress bars, notes and deprecation warnings; its settings are restored."""
    from transformers.utils import logging as chatter

    verbosity, bar = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        chatter.set_verbosity(verbosity)
        if bar:
            chatter.enable_progress_bar()


def image_processor(source: str, **arguments: Any) -> Any:
    """Return a model's image processor, always the one that uses Pillow, since others resize differently.

    :param source: a folder, or an id on the hub
    :param arguments: further arguments of ``from_pretrained``, such as ``revision``
    """
    import transformers

    form = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
    return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False, **form, **arguments)
