"""The command line's HTTP client."""
