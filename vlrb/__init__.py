"""vlrb: a plugin-based benchmark harness for routing between vision-language models.

A plugin module needs ``hookimpl``, the records of :mod:`vlrb.api.components` and the types of :mod:`vlrb.api.routing`.
"""

from vlrb.api.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
__version__ = "0.1.0"
