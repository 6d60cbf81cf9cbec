"""What a worker does beside running jobs, shared among all workers."""
