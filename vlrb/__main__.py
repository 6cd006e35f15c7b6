"""``python -m vlrb`` is ``vlrb``."""

from vlrb.cli import main

if __name__ == "__main__":
    main()
