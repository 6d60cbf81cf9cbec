"""`Errand` in an application of your own."""
