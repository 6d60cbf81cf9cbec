"""The command line's side of HTTP."""
