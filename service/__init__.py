"""This application: what is made of the library `errand` and of the job files."""
