from vlrb import hookimpl


@hookimpl
def vlrb_routers():
    return ["knn"]
