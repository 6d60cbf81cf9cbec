"""Sum up the day, at seven in the morning."""

from errand import job


@job(queue="reports", cron="0 7 * * *", timezone="Europe/Paris")
def run() -> str:
    """Return where the report lies."""
    return "reports/today.pdf"
