"""The one place that knows RQ's Worker."""
