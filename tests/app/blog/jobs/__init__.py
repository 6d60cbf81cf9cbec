"""Another application, with a job of the same name."""
