from vlrb import hookimpl
from vlrb.specs import RouterSpec


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="My Router", summary="s", factory=object)]
