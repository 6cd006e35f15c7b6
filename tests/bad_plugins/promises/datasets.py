"""A dataset for each promise that it breaks, and which keeps all others."""

from vlrb import Dataset

BAD = [
    ("valid-fields", Dataset(name="Own", samples=-3)),
    ("aliases-are-other-names", Dataset(name="Own", aliases=("Other", "Own"))),
    ("scorer-is-registered", Dataset(name="Own", scorer="exactly")),
    ("any-row-has-a-group-or-none", Dataset(name="Own", group_column="id", group_pattern=r"\d+(?:_(\d))?")),
]
GOOD = [
    Dataset(name="Own"),
    Dataset(name="Own", scorer="exact-match", aliases=("Other",), group_column="id", group_pattern=r"(\d+)_"),
]
