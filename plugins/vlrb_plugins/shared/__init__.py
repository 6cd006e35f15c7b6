"""What several bundled plugins share: a library, not a plugin."""
