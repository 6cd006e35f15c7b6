from vlrb import hookimpl
from vlrb.api.records import Model


@hookimpl
def vlrb_models():
    return [Model(name="GPT4o")]
