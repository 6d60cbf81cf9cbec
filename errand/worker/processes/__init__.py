"""The worker's processes: the supervisor and what it starts."""
