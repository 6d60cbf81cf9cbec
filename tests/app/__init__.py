"""`Errand` in an application of one's own."""
