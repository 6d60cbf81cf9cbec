"""An application with jobs of its own, for tests."""
