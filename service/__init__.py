"""Errand's own side: the HTTP face, the road through RQ, the worker, and everything on one machine."""
