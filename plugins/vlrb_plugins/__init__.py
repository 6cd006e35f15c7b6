"""The plugins that come with vlrb.  Each is found through the entry-point group ``vlrb``, like everyone's."""
