"""The command line's side of HTTP: asks a service at `ERRAND_URL`, and knows nothing of Redis or FastAPI."""
