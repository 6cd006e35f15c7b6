def vlrb_routers():
    return []
