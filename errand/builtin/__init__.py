"""The jobs that come with Errand; a job file adopts one in a line."""
