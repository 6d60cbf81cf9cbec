"""Commands that show what happened to jobs."""
