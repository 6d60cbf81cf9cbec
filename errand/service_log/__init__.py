"""The log lines of API and worker: their formatters, and where these are set."""
