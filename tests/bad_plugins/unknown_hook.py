from vlrb import hookimpl


@hookimpl
def vlrb_router():
    return []
