"""A protocol for each promise that it breaks, and which keeps all others."""

import random
from pathlib import Path

from vlrb import ProtocolSpec

BAD = []


def breaks(promise):
    """Register a function of the parameters as the protocol that breaks a promise."""

    def add(function):
        BAD.append((promise, ProtocolSpec(name="bad", summary=function.__name__, factory=function)))
        return function

    return add


@breaks("plain-values")
def paths(_):
    return {"router": {"folder": Path("here")}}


@breaks("same-keys-every-time")
def shared(_):
    return {"router": SHARED_TABLE}


SHARED_TABLE = {"variant": "published"}


@breaks("accepted-by-an-experiment")
def wrong_value(_):
    return {"split": {"seed": "seven"}}


@breaks("random-state-untouched")
def drawing(_):
    random.seed(1)
    return {}


@breaks("prints-nothing")
def talking(_):
    print("keys")
    return {}


GOOD = [
    ProtocolSpec(name="good", summary="", factory=lambda _: {}),
    ProtocolSpec(name="good", summary="", factory=lambda _: {"split": {"seed": 7}, "router": {"variant": "reference"}}),
]
