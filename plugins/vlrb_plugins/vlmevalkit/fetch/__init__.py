"""The command ``vlrb fetch``."""
