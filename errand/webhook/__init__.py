"""Webhooks: the end of a job or a batch, sent to a URL."""
