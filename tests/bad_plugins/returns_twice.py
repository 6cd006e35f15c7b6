from vlrb import hookimpl
from vlrb.api.components import RouterSpec

R = RouterSpec(name="r", summary="s", factory=object)


@hookimpl
def vlrb_routers():
    return [R, R]
