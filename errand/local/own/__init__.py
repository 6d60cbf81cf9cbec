"""`errand up MODULE:NAME`: everything on one machine for an application of one's own."""
