"""The job files: one with a `run` under `@job()` is a job, and its name becomes its type."""
