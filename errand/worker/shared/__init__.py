"""What the jobs of one process share: a context to begin in, the standard streams."""
