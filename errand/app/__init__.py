"""`Errand`: jobs in an application of your own."""
