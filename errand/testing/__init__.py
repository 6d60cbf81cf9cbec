"""What tests use in place of a server: a Redis in the test's own process (`pip install rq-errand[testing]`)."""
