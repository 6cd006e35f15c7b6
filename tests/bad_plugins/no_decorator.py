from vlrb import hookimpl
from vlrb.specs import Model, RouterSpec


def vlrb_routers():
    return []
