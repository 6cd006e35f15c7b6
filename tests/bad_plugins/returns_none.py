from vlrb import hookimpl


@hookimpl
def vlrb_routers():
    pass
