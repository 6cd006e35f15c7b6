"""The contract between vlrb and its plugins: hooks, records, data, protocols."""
