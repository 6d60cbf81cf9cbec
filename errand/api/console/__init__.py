"""The console: pages on which people see the work, served by the API."""
