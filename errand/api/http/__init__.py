"""What the routes share of HTTP."""
