"""A file a measurement."""
