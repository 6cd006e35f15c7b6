from vlrb import hookimpl
from vlrb.api.specs import Model


@hookimpl
def vlrb_models():
    return [Model(name="GPT4o")]
