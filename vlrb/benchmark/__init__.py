"""From logs to matrices."""
