"""Errand measured beside its peers: `make bench`."""
