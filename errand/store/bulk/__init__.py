"""Doing one thing to many jobs at once."""
