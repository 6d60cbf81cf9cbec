"""What tests use in place of a server, a mail server and a worker (`pip install rq-errand[testing]`).

The fixture `errand_jobs` of its pytest plugin runs an application's jobs in the test's process; docs/testing.md.
"""
