"""`Errand`: jobs in an application of one's own."""
