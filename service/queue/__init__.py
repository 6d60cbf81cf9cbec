"""The road through RQ's keys, used by the API and the worker."""
