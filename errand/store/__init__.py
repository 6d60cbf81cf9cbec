"""Jobs in RQ's own keys: stored, read, changed. The API and the worker use it."""
