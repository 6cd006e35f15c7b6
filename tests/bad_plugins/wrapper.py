from vlrb import hookimpl
from vlrb.specs import Model, RouterSpec


@hookimpl(wrapper=True)
def vlrb_routers():
    yield
    return []
