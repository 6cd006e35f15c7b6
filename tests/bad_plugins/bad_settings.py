from vlrb import hookimpl


@hookimpl
def vlrb_settings():
    return dict
