"""`errand up MODULE:NAME`: everything on one machine for your own application."""
