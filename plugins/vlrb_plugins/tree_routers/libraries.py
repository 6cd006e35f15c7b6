"""LightGBM and XGBoost, imported when they are used."""

from __future__ import annotations

from vlrb import ConfigError
from vlrb_plugins.tree_routers.boosters import Library


def library(name: str) -> Library:
    """Return the library of this name.

    :raises ConfigError: when it is not installed, or a system library that it needs is missing
    """
    try:
        if name == "lightgbm":
            from vlrb_plugins.tree_routers.with_lightgbm import Lightgbm

            return Lightgbm()
        from vlrb_plugins.tree_routers.with_xgboost import Xgboost

        return Xgboost()
    except ImportError as error:
        raise ConfigError(f"{name} cannot be imported: {error}", where=name, fix='pip install "vlrb[trees]"') from None
    except OSError as error:
        raise ConfigError(
            f"{name} is installed, but cannot be loaded: {error}",
            where=name,
            fix="install the OpenMP runtime: apt-get install libgomp1 on Debian and Ubuntu, or libgomp elsewhere",
        ) from None
