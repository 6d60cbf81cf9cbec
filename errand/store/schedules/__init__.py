"""Schedules, and the occurrences for which they give jobs."""
