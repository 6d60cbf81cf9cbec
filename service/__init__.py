"""This application: what is composed of the library `errand` and of the job files."""
