"""Libraries that several bundled plugins share."""
