"""Bring a customer up to date in the CRM."""

from errand import Backoff, job


@job(retry=Backoff(tries=8, base_seconds=300, cap_seconds=3600), example={"customer": "4711"})
def run(customer: str) -> None:
    """Do it, while the CRM is there."""
    raise ConnectionError(f"crm.example.com: 502 Bad Gateway for customer {customer}")
