"""A job with a schedule and a queue of its own."""

from jobs import job


@job(queue="digest", cron="0 7 * * *")
def run(days: int = 1) -> str:
    return f"the digest of {days} day(s)"
