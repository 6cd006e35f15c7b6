"""A model for each promise that it breaks, and which keeps all others."""

from vlrb import ImageTokens, Model

RULE = ImageTokens(rule="patches", source="https://example.org", size=28, min_pixels=4, max_pixels=1000)
BAD = [
    ("valid-fields", Model(name="own", open="yes")),
    ("aliases-are-other-names", Model(name="own", aliases=("a", "a"))),
    ("both-prices-or-none", Model(name="own", input_price_per_million=1.0)),
    ("image-rule-is-complete", Model(name="own", image_tokens=ImageTokens(rule="tiles", source="s", size=512))),
    ("image-rule-is-complete", Model(name="own", image_tokens=ImageTokens(rule="constant", source="", tokens=5))),
]
GOOD = [Model(name="own"), Model(name="own", input_price_per_million=1, output_price_per_million=2.0, image_tokens=RULE)]
