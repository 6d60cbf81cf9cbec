"""The log lines of API and worker: one form, and where it is put."""
