from vlrb import hookimpl
from vlrb.api.specs import RouterSpec

R = RouterSpec(name="r", summary="s", factory=object)


@hookimpl
def vlrb_routers():
    return [R, R]
