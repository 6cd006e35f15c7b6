from vlrb import hookimpl
from vlrb.specs import Model, RouterSpec


@hookimpl
def vlrb_routers():
    return ["knn"]
