from vlrb import hookimpl
from vlrb.api.components import RouterSpec


@hookimpl
def vlrb_routers():
    return [RouterSpec(name="My Router", summary="s", factory=object)]
