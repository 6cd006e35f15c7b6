"""Pages of HTML that bundled plugins write: a skeleton with style and script, tables and heat maps."""
