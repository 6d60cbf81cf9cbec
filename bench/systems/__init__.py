"""A file a system; each is imported only in that system's own environment."""
