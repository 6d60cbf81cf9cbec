"""A runner: the process whose threads run jobs."""
