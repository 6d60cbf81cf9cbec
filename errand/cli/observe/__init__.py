"""Commands that tell what happened to jobs."""
