from vlrb import hookimpl
from vlrb.specs import Model, RouterSpec


@hookimpl
def vlrb_settings():
    return dict
