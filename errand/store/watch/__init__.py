"""Watching jobs and batches."""
