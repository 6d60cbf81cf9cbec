"""This service: an application of the library `errand` with the job files."""
